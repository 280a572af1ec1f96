"""A database behind ADBC, whose rows come in Arrow batches; over Airflow's hook for it."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_klaviyo.exceptions import KlaviyoValidationError
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.transfers import sql_to_klaviyo
from airflow_provider_klaviyo.transfers.sql_to_klaviyo import SqlToKlaviyoProfilesOperator
from tests.support.context import Task

pytest.importorskip("airflow.providers.apache.arrow.hooks.adbc", reason="Airflow's provider is not installed")
pytest.importorskip("adbc_driver_sqlite", reason="the driver is not installed")

COLUMNS = {"mail": "email", "plan": "properties.plan", "orders": "properties.orders"}


@pytest.fixture
def warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that ``warehouse`` is the connection of, with 12,000 customers."""
    path = tmp_path / "warehouse.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY, mail TEXT, plan TEXT, orders INTEGER)")
        rows = [(f"c{number}@example.com", "gold" if number % 2 else None, number) for number in range(12_000)]
        database.executemany("INSERT INTO customers (mail, plan, orders) VALUES (?, ?, ?)", rows)
    extra = {"driver": "adbc_driver_sqlite", "dialect": "sqlite", "db_kwargs": {"uri": f"file:{path}"}}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "adbc", "extra": extra}))


def importing(sql: str, **arguments: Any) -> Task:
    given = {"sql_conn_id": "warehouse", "columns": COLUMNS, "poll_interval": 0.05, **arguments}
    return Task(lambda: SqlToKlaviyoProfilesOperator(task_id="import", sql=sql, **given))


def test_the_rows_of_arrow_batches_become_profiles(klaviyo, warehouse, monkeypatch):
    monkeypatch.setattr(sql_to_klaviyo, "AT_ONCE", 1_000)
    result = importing("SELECT mail, plan, orders FROM customers ORDER BY id").run()
    assert result == {"rows": 12_000, "duplicates": 0, "accepted": 12_000, "rejected": 0}
    for number, properties in ((11_999, {"plan": "gold", "orders": 11_999}), (0, {"orders": 0})):
        (found,) = KlaviyoHook().paginate("get_profiles", query={"filter": f'equals(email,"c{number}@example.com")'})
        assert found.attributes["properties"] == properties


def test_a_query_of_no_rows_imports_none(klaviyo, warehouse):
    assert importing("SELECT mail, plan, orders FROM customers WHERE id < 0").run()["rows"] == 0


@pytest.mark.parametrize(
    "second",
    ["SELECT mail FROM customers", "(select 1)", "-- two\nvalues (1)", "/* ; */ WITH one AS (SELECT 1) SELECT 2;"],
)
def test_rows_of_a_second_statement_are_not_left_out_in_silence(klaviyo, warehouse, second):
    with pytest.raises(KlaviyoValidationError, match="more than one statement that returns rows"):
        importing(f"SELECT mail FROM customers WHERE id < 5; {second}", columns={"mail": "email"}).run()
    assert klaviyo.requests() == []


@pytest.mark.parametrize(
    "end",
    [
        ";",
        "; -- select 1",
        "; -- a\n -- select 1",
        " /* ; select 1 */",
        " AND mail <> '; select 1'",
        "; /* a */ INSERT INTO customers (mail) /* b */ SELECT 1",
    ],
)
def test_one_query_is_not_taken_for_two(klaviyo, warehouse, end):
    result = importing(f"SELECT mail FROM customers WHERE id < 5{end}", columns={"mail": "email"}).run()
    assert result["accepted"] == 4


def test_a_query_that_fails_half_way_leaves_klaviyo_as_it_is(klaviyo, warehouse, capsys):
    sql = "SELECT mail, plan, abs(CASE id WHEN 11000 THEN -9223372036854775807 - 1 ELSE 1 END) AS orders FROM customers"
    with pytest.raises(Exception, match="overflow"):
        importing(sql).run()
    assert "Reading the rows failed after row" in capsys.readouterr().out
    assert klaviyo.requests() == []


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT mail, plan FROM customers", "names 'orders'"),
        ("SELECT mail, plan, plan FROM customers", "a column twice: mail, plan, plan"),
        ("CREATE TABLE t (x)", "returns no rows; give one SELECT"),
    ],
)
def test_columns_that_do_not_fit_are_refused(klaviyo, warehouse, sql, words):
    with pytest.raises(KlaviyoValidationError, match=words):
        importing(sql).run()
    assert klaviyo.requests() == []
