"""A real PostgreSQL, with the drivers that Airflow's hook has for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from airflow_provider_klaviyo.exceptions import KlaviyoValidationError
from airflow_provider_klaviyo.transfers.sql_to_klaviyo import SqlToKlaviyoProfilesOperator
from tests.support.context import Task
from tests.support.importing import profile, properties_of
from tests.support.memory import MB, grown
from tests.support.postgres import postgres
from tests.support.sandbox import LIST

provider = pytest.importorskip(
    "airflow.providers.postgres.hooks.postgres", reason="Airflow's provider is not installed"
)

ROWS = 200_000
QUERY = "SELECT mail, name AS first_name, note FROM customers ORDER BY id"
COLUMNS = {"mail": "email", "note": "properties.note"}

READ_ALL = """
import sys
from tests.support.memory import peak
from tests.transfers.test_from_postgres import QUERY, importing, use
use(sys.argv[1])
importing(QUERY + " LIMIT 1", dry_run=True).run()
before = peak()
assert importing(dry_run=True).run()["rows"] == int(sys.argv[2])
print(peak() - before)
"""


def use(driver: str) -> None:
    """Have Airflow's hook take this driver: it chooses by what is installed."""
    provider.USE_PSYCOPG3 = driver == "psycopg"


def importing(sql: str = QUERY, **arguments: Any) -> Task:
    given = {"sql_conn_id": "warehouse", "columns": COLUMNS, "poll_interval": 0.05, **arguments}
    return Task(lambda: SqlToKlaviyoProfilesOperator(task_id="import", sql=sql, **given))


@pytest.fixture(scope="module")
def server() -> Iterator[dict[str, Any]]:
    """A database with 200,000 customers, of some 500 bytes each."""
    import psycopg2

    with postgres() as connection:
        address = {"host": connection["host"], "user": connection["login"], "dbname": connection["schema"]}
        with closing(psycopg2.connect(**address)) as database, database, database.cursor() as cursor:
            cursor.execute("CREATE TABLE customers (id int PRIMARY KEY, mail text, name text, note text)")
            cursor.execute(
                "INSERT INTO customers SELECT n, 'c' || n || '@example.com', 'C' || n, repeat('x', 450) "
                "FROM generate_series(1, %s) n",
                [ROWS],
            )
        yield connection


@pytest.fixture(params=["psycopg2", "psycopg"])
def driver(request: pytest.FixtureRequest, server: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> str:
    """``warehouse`` is the connection of the server, over this driver."""
    name: str = request.param
    if name == "psycopg" and not getattr(provider, "USE_PSYCOPG3", False):
        pytest.skip("Airflow's hook takes psycopg 3 from SQLAlchemy 2 on only")
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(server))
    monkeypatch.setattr(provider, "USE_PSYCOPG3", name == "psycopg", raising=False)
    return name


def test_all_rows_of_a_large_table_arrive(klaviyo, driver):
    result = importing(QUERY + " LIMIT 30000", list_ids=LIST).run()
    assert result == {"rows": 30_000, "duplicates": 0, "accepted": 30_000, "rejected": 0}
    assert klaviyo.counted()["bulk_import_profiles"] >= 3


def test_the_rows_stay_at_the_server_until_their_turn(klaviyo, driver):
    assert grown(READ_ALL, driver, ROWS) < 60 * MB, "without a server-side cursor it is 150 MB"


def test_a_division_by_zero_half_way_sends_nothing(klaviyo, driver, capsys):
    sql = f"SELECT mail, (1 / (id - {ROWS // 2}))::text AS note FROM customers ORDER BY id"
    with pytest.raises(Exception, match="division by zero"):
        importing(sql).run()
    assert "Reading the rows failed after row 9" in capsys.readouterr().out, "rows were read before"
    assert klaviyo.requests() == []


@pytest.mark.parametrize(
    "sql", ["CREATE TABLE t (x int)", "UPDATE customers SET name = NULL RETURNING mail", "SELEKT mail FROM customers"]
)
def test_a_statement_that_no_cursor_can_be_of_is_refused(klaviyo, driver, sql):
    with pytest.raises(KlaviyoValidationError, match=r"one SELECT.*syntax error at or near"):
        importing(sql).run()
    assert klaviyo.requests() == []


@pytest.mark.parametrize("end", [";", " -- the end", ";\n-- the end\n"])
def test_a_query_may_end_as_in_a_file(klaviyo, driver, end):
    assert importing("SELECT mail FROM customers WHERE id = 1" + end, columns={"mail": "email"}).run()["accepted"] == 1


def test_parameters_are_the_drivers(klaviyo, driver):
    sql = "SELECT mail FROM customers WHERE id <= %(most)s"
    assert importing(sql, parameters={"most": 3}, columns={"mail": "email"}).run()["accepted"] == 3


def test_a_connection_whose_rows_are_dicts_is_read_like_any_other(klaviyo, driver, server, monkeypatch):
    for cursor in ("dictcursor", "realdictcursor") if driver == "psycopg2" else ("dictcursor",):
        monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({**server, "extra": {"cursor": cursor}}))
        result = importing("SELECT 'a@example.com' AS mail, 'Ada' AS first_name", columns={"mail": "email"}).run()
        assert result["accepted"] == 1
        assert profile("a@example.com")["first_name"] == "Ada"


def test_values_of_each_type_arrive_as_documented(klaviyo, driver):
    values = {
        "amount": ("12.340::numeric", 12.34),
        "not_a_number": ("'NaN'::numeric", None),
        "seen": ("'2026-03-01 12:00:00+02'::timestamptz", "2026-03-01T10:00:00Z"),
        "local": ("'2026-03-01 12:00:00'::timestamp", "2026-03-01T12:00:00+01:00"),
        "day": ("'2026-03-01'::date", "2026-03-01"),
        "key": ("'6f1c1a5e-0a42-4f0d-9a65-3b6d7e2f1c00'::uuid", "6f1c1a5e-0a42-4f0d-9a65-3b6d7e2f1c00"),
        "tags": ("ARRAY['a', NULL, 'b']", ["a", None, "b"]),
        "sums": ("ARRAY[1.5, 2]::numeric[]", [1.5, 2]),
        "nested": ("""'{"a": [1, {"b": null}], "c": "ü"}'::jsonb""", {"a": [1, {"b": None}], "c": "ü"}),
        "listed": ("""'[1, "two"]'::jsonb""", [1, "two"]),
        "yes": ("true", True),
        "large": ("9007199254740993::bigint", 9007199254740993),
        "nothing": ("NULL::text", None),
    }
    found = properties_of(values, importing)
    assert found == {name: value for name, (_, value) in values.items() if value is not None}


def test_bytes_are_rejected_row_by_row(klaviyo, driver):
    sql = "SELECT 'a@example.com' AS email, 'x'::bytea AS note UNION ALL SELECT 'b@example.com', NULL"
    result = importing(sql, columns={"note": "properties.note"}, max_rejected=1).run()
    assert (result["accepted"], result["rejected"]) == (1, 1)
