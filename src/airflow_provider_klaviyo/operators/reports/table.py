"""Rows of a report in a table of any database that Airflow has a ``DbApiHook`` for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.campaigns.figures import Columns
from airflow_provider_klaviyo.compat import BaseHook

if TYPE_CHECKING:
    from airflow_provider_klaviyo.campaigns.figures import Kind

TYPES: dict[Kind, str] = {
    "text": "VARCHAR(1000)",
    "time": "TIMESTAMP",
    "count": "BIGINT",
    "number": "DOUBLE PRECISION",
}
"""What a table that is made here has: as SQLite, PostgreSQL, DuckDB, Redshift and Snowflake understand it."""

MYSQL = ("MySQLdb", "pymysql", "mysql")
"""Its drivers. Not each MySQL, and no MariaDB, takes a moment with its offset, and its ``TIMESTAMP`` may set itself."""

MYSQL_TYPES = {**TYPES, "time": "DATETIME"}

SNAPSHOT = ("account_id", "campaign_id", "conversion_metric_id", "snapshot_at")
"""What the rows of one snapshot of a campaign have in common."""

_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*){0,2}", re.ASCII)


def check_table(table: Any) -> None:
    """:raises KlaviyoValidationError: the name of a table is not one that goes without quotes."""
    if not isinstance(table, str) or not _NAME.fullmatch(table):
        raise KlaviyoValidationError(
            f"table is {table!r}; give the name of a table, such as 'marketing.campaign_figures': letters, digits and "
            f"underscores, with a schema and a database in front of it if need be.",
            pointer="table",
        )


def write(sql_conn_id: str, table: str, of: Columns, rows: Sequence[dict[str, Any]], *, create: bool) -> None:
    """Put the rows into the table, in one transaction. Those of the same snapshot, of an earlier try, are replaced.

    :param create: make the table if there is none.
    :raises KlaviyoValidationError: the connection is not for a SQL database.
    """
    check_table(table)
    hook = BaseHook.get_connection(sql_conn_id).get_hook()
    if not hasattr(hook, "get_conn") or not hasattr(hook, "placeholder"):
        raise KlaviyoValidationError(
            f"sql_conn_id is {sql_conn_id!r}, whose hook ({type(hook).__name__}) is not for a SQL database.",
            pointer="sql_conn_id",
        )
    value = hook.placeholder
    delete = f"DELETE FROM {table} WHERE {' AND '.join(f'{name} = {value}' for name in SNAPSHOT)}"  # noqa: S608
    insert = f"INSERT INTO {table} ({', '.join(of)}) VALUES ({', '.join(value for _ in of)})"  # noqa: S608
    with closing(hook.get_conn()) as connection, closing(connection.cursor()) as cursor:
        if hook.supports_autocommit:
            hook.set_autocommit(connection, False)
        try:
            types = TYPES
            if type(connection).__module__.partition(".")[0] in MYSQL:
                types, rows = MYSQL_TYPES, [_without_offsets(row, of) for row in rows]
                cursor.execute("SET time_zone = '+00:00'")
            if create:
                typed = ", ".join(f"{name} {types[kind]}" for name, kind in of.items())
                cursor.execute(f"CREATE TABLE IF NOT EXISTS {table} ({typed})")
            for snapshot in dict.fromkeys(tuple(row[name] for name in SNAPSHOT) for row in rows):
                cursor.execute(delete, snapshot)
            if rows:
                cursor.executemany(insert, [tuple(row[name] for name in of) for row in rows])
            connection.commit()
        except BaseException:
            with suppress(Exception):  # a connection that is gone
                connection.rollback()
            raise


def _without_offsets(row: dict[str, Any], of: Columns) -> dict[str, Any]:
    """The row with its moments, which are all of UTC, as MySQL takes them."""
    return {
        name: value.removesuffix("+00:00") if value and of.get(name) == "time" else value for name, value in row.items()
    }
