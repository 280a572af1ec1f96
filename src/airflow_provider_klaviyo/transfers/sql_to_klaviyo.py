"""Import profiles from a SQL query."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.campaigns.values import Output, is_template
from airflow_provider_klaviyo.compat import BaseHook
from airflow_provider_klaviyo.imports.task import KlaviyoImportTask

if TYPE_CHECKING:
    from airflow_provider_klaviyo.audiences.fields import Columns
    from airflow_provider_klaviyo.imports.files import Row

AT_ONCE = 5_000
"""Rows that are fetched together."""

SYNTAX_ERROR = "42601"
"""PostgreSQL's code, also for a statement without rows: it cannot be a cursor's."""

_QUERY = re.compile(
    r"(?:\s|\(|--[^\n]*(?:\n|\Z)|/\*(?:[^*]|\*(?!/))*\*/)*(?:select|with|values|table)\b", re.IGNORECASE
)
"""The beginning of a statement that has rows, after comments and parentheses."""


class SqlToKlaviyoProfilesOperator(KlaviyoImportTask):
    """Make or change profiles in Klaviyo, from the rows of a SQL query.

    Rows are fetched a few thousand at a time: with a server-side cursor where the driver has one (psycopg, psycopg2,
    MySQLdb, PyMySQL), or in Arrow batches over ADBC. So neither this worker nor the driver holds the whole result.

    What a retry, a kill and a clear do, and all other parameters: see :class:`KlaviyoImportTask`.

    :param sql: one query, or the path of a ``.sql`` file. Its columns are mapped by ``columns``. PostgreSQL has a
        cursor for a ``SELECT``, ``WITH … SELECT`` or ``VALUES`` only. A second statement that has rows, too, is
        refused. Templated.
    :param sql_conn_id: connection of the database, of any type whose hook is one of ``common.sql``. Templated.
    :param parameters: of the query, as its driver takes them. Templated.
    """

    template_fields = ("sql", "sql_conn_id", "parameters", *KlaviyoImportTask.template_fields)
    template_ext = (".sql",)
    template_fields_renderers = {"sql": "sql", "parameters": "json", "columns": "json"}  # noqa: RUF012

    def __init__(
        self,
        *,
        sql: str | Output,
        sql_conn_id: str | Output,
        parameters: Mapping[str, Any] | Sequence[Any] | Output | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.sql = sql
        self.sql_conn_id = sql_conn_id
        self.parameters = parameters
        for name, value in (("sql", sql), ("sql_conn_id", sql_conn_id)):
            if not is_template(value) and (not isinstance(value, str) or not value.strip()):
                raise KlaviyoValidationError(f"{name} is {value!r}; give some text.", pointer=name)

    def rows(self, columns: Columns) -> Iterator[Row]:
        hook = BaseHook.get_connection(self.sql_conn_id).get_hook()
        if not hasattr(hook, "get_conn") or not hasattr(hook, "get_records"):
            raise KlaviyoValidationError(
                f"sql_conn_id is {self.sql_conn_id!r}, whose hook ({type(hook).__name__}) is not for a SQL database.",
                pointer="sql_conn_id",
            )
        if not isinstance(self.sql, str):
            raise KlaviyoValidationError(f"sql is {self.sql!r}; give one query, as a text.", pointer="sql")
        if _has_two_queries(self.sql):
            raise _second_statement()
        with _closed(hook.get_conn()) as connection, _closed(_cursor(connection)) as cursor:
            parts = _parts(cursor)
            found = self._first(cursor, parts)
            if not cursor.description:
                raise KlaviyoValidationError("sql returns no rows; give one SELECT.", pointer="sql")
            names = [str(column[0]) for column in cursor.description]
            if len(set(names)) < len(names):
                raise KlaviyoValidationError(
                    f"sql returns a column twice: {', '.join(names)}. Name each once, with AS.", pointer="sql"
                )
            columns.check(names)
            while found:
                for row in found:
                    yield row if isinstance(row, dict) else dict(zip(names, row, strict=True))
                found = next(parts, ())
            if _has_more(cursor):
                raise _second_statement()

    def _first(self, cursor: Any, parts: Iterator[Sequence[Any]]) -> Sequence[Any]:
        """The query's first rows.

        :raises KlaviyoValidationError: PostgreSQL takes it for no query that a cursor can be of.
        """
        try:
            cursor.execute(self.sql, self.parameters) if self.parameters else cursor.execute(self.sql)
            return next(parts, ())
        except Exception as error:
            if (getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)) != SYNTAX_ERROR:
                raise
            raise KlaviyoValidationError(
                f"sql is refused by the database, which takes one SELECT (or WITH, VALUES) here: {error}",
                pointer="sql",
            ) from error


def _parts(cursor: Any) -> Iterator[Sequence[Any]]:
    """The rows of a query that was executed, some at a time. ADBC's cursors have them in Arrow batches, out of which
    dicts are made several times as fast as its tuples."""
    if hasattr(cursor, "adbc_statement") and cursor.description:
        for batch in cursor.fetch_record_batch():
            for start in range(0, batch.num_rows, AT_ONCE):
                yield batch.slice(start, AT_ONCE).to_pylist()
    else:
        while found := cursor.fetchmany(AT_ONCE):
            yield found


def _second_statement() -> KlaviyoValidationError:
    return KlaviyoValidationError(
        "sql is more than one statement that returns rows, and those of all but one would be left out. Give one "
        "SELECT; UNION ALL makes one of two.",
        pointer="sql",
    )


def _has_two_queries(sql: str) -> bool:
    """True if two statements have rows. Drivers that do not refuse that return the first one's, as ADBC's for SQLite,
    or the last one's, as DuckDB's, and say nothing."""
    if ";" not in sql:
        return False
    import sqlparse

    return sum(bool(_QUERY.match(statement)) for statement in sqlparse.split(sql)) > 1


def _has_more(cursor: Any) -> bool:
    """True if what was executed has more rows: of a procedure that is called. One of MySQL ends with a result that has
    none."""
    if not hasattr(cursor, "nextset"):
        return False
    try:
        return bool(cursor.nextset()) and bool(cursor.description)
    except Exception as error:
        if isinstance(error, NotImplementedError) or type(error).__name__ == "NotSupportedError":
            return False
        raise


@contextmanager
def _closed(resource: Any) -> Iterator[Any]:
    """Close it at the end. What fails then does not hide why reading failed: MySQL's connector refuses to close a
    cursor that has rows left."""
    try:
        yield resource
    finally:
        with suppress(Exception):
            resource.close()


def _cursor(connection: Any) -> Any:
    """A cursor that leaves the rows at the server, where the driver has one."""
    driver = type(connection).__module__.partition(".")[0]
    if driver in ("psycopg", "psycopg2"):
        return connection.cursor(name="airflow_klaviyo")
    if driver in ("MySQLdb", "pymysql"):
        from importlib import import_module

        return connection.cursor(import_module(f"{driver}.cursors").SSCursor)
    return connection.cursor()
