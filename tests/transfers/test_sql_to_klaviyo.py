from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_klaviyo.exceptions import KlaviyoError, KlaviyoValidationError
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.transfers.sql_to_klaviyo import SqlToKlaviyoProfilesOperator
from tests.support.context import Task
from tests.support.rendering import refused
from tests.support.sandbox import LIST

QUERY = "SELECT mail, name AS first_name, plan FROM customers ORDER BY id"
COLUMNS = {"mail": "email", "plan": "properties.plan"}


@pytest.fixture
def warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> sqlite3.Connection:
    """A database that ``warehouse`` is the connection of, with 12,000 customers."""
    path = tmp_path / "warehouse.db"
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY, mail, name, plan)")
    rows = [(f"c{number}@example.com", f"C{number}", "gold" if number % 2 else None) for number in range(12_000)]
    database.executemany("INSERT INTO customers (mail, name, plan) VALUES (?, ?, ?)", rows)
    database.commit()
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "sqlite", "host": str(path)}))
    return database


def importing(sql: str = QUERY, **arguments: Any) -> Task:
    given = {"sql_conn_id": "warehouse", "columns": COLUMNS, "poll_interval": 0.05, **arguments}
    return Task(lambda: SqlToKlaviyoProfilesOperator(task_id="import", sql=sql, **given))


def test_the_rows_of_a_query_become_profiles(klaviyo, warehouse):
    assert importing(list_ids=LIST).run() == {"rows": 12_000, "duplicates": 0, "accepted": 12_000, "rejected": 0}
    assert klaviyo.counted()["bulk_import_profiles"] == 2
    (found,) = KlaviyoHook().paginate("get_profiles", query={"filter": 'equals(email,"c11999@example.com")'})
    assert found.attributes["first_name"] == "C11999"
    assert found.attributes["properties"] == {"plan": "gold"}


def test_parameters_are_the_drivers(klaviyo, warehouse):
    sql = "SELECT mail FROM customers WHERE id <= ?"
    assert importing(sql, parameters=[3], columns={"mail": "email"}).run()["accepted"] == 3


def test_a_query_of_no_rows_imports_none_and_does_not_fail(klaviyo, warehouse):
    assert importing(f"SELECT * FROM ({QUERY}) WHERE 0").run()["rows"] == 0
    assert klaviyo.requests() == []


def test_a_query_that_fails_half_way_leaves_klaviyo_as_it_is(klaviyo, warehouse):
    sql = "SELECT mail, abs(CASE id WHEN 11000 THEN -9223372036854775807 - 1 ELSE 1 END) AS plan FROM customers"
    with pytest.raises(sqlite3.OperationalError, match="overflow"):
        importing(sql).run()
    assert klaviyo.requests() == []


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT mail, id FROM customers", "Column 'id'|names 'plan'"),
        ("SELECT name, plan FROM customers", "names 'mail'"),
        ("SELECT mail, plan, plan FROM customers", "a column twice: mail, plan, plan"),
        ("CREATE TABLE t (x)", "returns no rows; give one SELECT"),
    ],
)
def test_columns_that_do_not_fit_are_refused_before_a_row_is_read(klaviyo, warehouse, sql, words):
    with pytest.raises(KlaviyoValidationError, match=words):
        importing(sql).run()
    assert klaviyo.requests() == []


def test_a_connection_that_is_not_of_a_database_is_refused(klaviyo, warehouse):
    with pytest.raises(KlaviyoValidationError, match=r"'klaviyo_default', whose hook \(KlaviyoHook\) is not for a SQL"):
        importing(sql_conn_id="klaviyo_default").run()


@pytest.mark.parametrize("name", ["sql", "sql_conn_id"])
def test_an_empty_argument_is_refused_when_the_dag_is_imported(name):
    given = {"sql": "SELECT 1", "sql_conn_id": "warehouse", name: " "}
    with pytest.raises(KlaviyoValidationError, match=f"{name} is ' '"):
        SqlToKlaviyoProfilesOperator(task_id="import", **given)


@pytest.mark.parametrize("name", ["sql", "parameters"])
def test_an_argument_that_is_rendered_to_nothing_is_an_error(klaviyo, warehouse, name):
    with pytest.raises(KlaviyoError, match=f"{name} is"):
        importing(**{"sql": QUERY, "parameters": [1], name: "{{ nothing }}"}).run()
    assert klaviyo.requests() == []


@pytest.mark.parametrize("returned", [["SELECT 1", "SELECT 2"], 5])
def test_a_query_that_is_not_a_text_when_it_is_rendered_is_refused(klaviyo, warehouse, returned):
    found = refused(
        lambda sql: SqlToKlaviyoProfilesOperator(task_id="import", sql=sql, sql_conn_id="warehouse"), "sql", returned
    )
    assert "give one query, as a text" in str(found)
    assert klaviyo.requests() == []
