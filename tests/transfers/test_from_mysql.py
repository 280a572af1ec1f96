"""A real MariaDB, over two drivers: PyMySQL, which has the cursor class of MySQLdb, and MySQL's own connector."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pymysql
import pytest

from airflow_provider_klaviyo.exceptions import KlaviyoValidationError
from airflow_provider_klaviyo.transfers.sql_to_klaviyo import SqlToKlaviyoProfilesOperator
from tests.support.context import Task
from tests.support.importing import properties_of
from tests.support.mariadb import DRIVERS, mariadb, warehouse
from tests.support.memory import MB, grown
from tests.support.sandbox import LIST

ROWS = 100_000
QUERY = "SELECT mail, name AS first_name, note FROM customers ORDER BY id"
COLUMNS = {"mail": "email", "note": "properties.note"}

READ_ALL = """
import sys
from airflow_provider_klaviyo.transfers import sql_to_klaviyo
from tests.support.mariadb import warehouse
from tests.support.memory import peak
from tests.transfers.test_from_mysql import QUERY, importing
sql_to_klaviyo.BaseHook = warehouse(*sys.argv[1:3])
importing(QUERY + " LIMIT 1", dry_run=True).run()
before = peak()
assert importing(dry_run=True).run()["rows"] == int(sys.argv[3])
print(peak() - before)
"""


def importing(sql: str = QUERY, **arguments: Any) -> Task:
    given = {"sql_conn_id": "warehouse", "columns": COLUMNS, "poll_interval": 0.05, **arguments}
    return Task(lambda: SqlToKlaviyoProfilesOperator(task_id="import", sql=sql, **given))


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A database with 100,000 customers, of some 500 bytes each, and a procedure that returns two of them."""
    with mariadb() as socket:
        with closing(pymysql.connect(unix_socket=socket, user="root", database="test")) as database:
            cursor = database.cursor()
            cursor.execute("CREATE TABLE customers (id int PRIMARY KEY, mail varchar(80), name varchar(80), note text)")
            cursor.execute(
                "INSERT INTO customers SELECT seq, concat('c', seq, '@example.com'), concat('C', seq), "
                f"repeat('x', 450) FROM seq_1_to_{ROWS}"
            )
            cursor.execute("CREATE PROCEDURE two() SELECT mail FROM customers WHERE id <= 2")
            database.commit()
        yield socket


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest, server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """``warehouse`` is the connection of the server, over this driver."""
    name: str = request.param
    monkeypatch.setattr("airflow_provider_klaviyo.transfers.sql_to_klaviyo.BaseHook", warehouse(name, server))
    return name


def test_all_rows_of_a_large_table_arrive(klaviyo, driver):
    result = importing(QUERY + " LIMIT 30000", list_ids=LIST).run()
    assert result == {"rows": 30_000, "duplicates": 0, "accepted": 30_000, "rejected": 0}


def test_the_rows_stay_at_the_server_until_their_turn(klaviyo, driver, server):
    assert grown(READ_ALL, driver, server, ROWS) < 60 * MB, "without a server-side cursor it is 105 MB"


@pytest.mark.parametrize("second", ["SELECT mail FROM customers WHERE id = 2", "SELECT 1", "CALL two()"])
def test_rows_of_a_second_statement_are_not_left_out_in_silence(klaviyo, driver, second):
    sql = f"SELECT mail FROM customers WHERE id = 1; {second}"
    with pytest.raises(KlaviyoValidationError, match=r"more than one statement.*UNION ALL") as refused:
        importing(sql, columns={"mail": "email"}).run()
    assert refused.value.pointer == "sql"
    assert klaviyo.requests() == []


def test_a_second_statement_that_fails_fails_the_task(klaviyo, driver):
    with pytest.raises(Exception, match="SELEKT"):
        importing("SELECT mail FROM customers WHERE id = 1; SELEKT 2", columns={"mail": "email"}).run()
    assert klaviyo.requests() == []


@pytest.mark.parametrize("end", [";", " -- the end", ";\n-- the end\n"])
def test_a_query_may_end_as_in_a_file(klaviyo, driver, end):
    assert importing("SELECT mail FROM customers WHERE id = 1" + end, columns={"mail": "email"}).run()["accepted"] == 1


def test_a_procedure_is_read_to_its_end(klaviyo, driver):
    assert importing("CALL two()", columns={"mail": "email"}).run()["accepted"] == 2


def test_an_unknown_column_is_named_while_rows_are_left_at_the_server(klaviyo, driver):
    with pytest.raises(KlaviyoValidationError, match=r"'nmae'.*They have: mail, first_name, note"):
        importing(columns={**COLUMNS, "nmae": "last_name"}).run()
    assert klaviyo.requests() == []


def test_a_failure_half_way_is_the_databases_own(klaviyo, driver, capsys):
    sql = f"SELECT mail, IF(id = {ROWS // 2}, (SELECT 1 UNION SELECT 2), 1) AS note FROM customers ORDER BY id"
    with pytest.raises(Exception, match="Subquery returns more than 1 row"):
        importing(sql).run()
    assert "Reading the rows failed after row " in capsys.readouterr().out
    assert klaviyo.requests() == []


def test_values_of_each_type_arrive_as_documented(klaviyo, driver):
    values = {
        "amount": ("CAST(12.340 AS decimal(10, 3))", 12.34),
        "local": ("CAST('2026-03-01 12:00:00' AS datetime)", "2026-03-01T12:00:00+01:00"),
        "day": ("DATE('2026-03-01')", "2026-03-01"),
        "large": ("9007199254740993", 9007199254740993),
        "half": ("1.5e0", 1.5),
        "nested": ("JSON_OBJECT('a', 1)", '{"a": 1}'),
        "accents": ("'ü😀'", "ü😀"),
        "nothing": ("NULL", None),
    }
    found = properties_of(values, importing)
    assert found == {name: value for name, (_, value) in values.items() if value is not None}


def test_bytes_are_rejected_row_by_row(klaviyo, driver):
    sql = "SELECT 'a@example.com' AS email, x'ff00' AS note UNION ALL SELECT 'b@example.com', NULL"
    result = importing(sql, columns={"note": "properties.note"}, max_rejected=1).run()
    assert (result["accepted"], result["rejected"]) == (1, 1)
