"""Import profiles from a SQL query."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.campaigns.values import is_template
from airflow_provider_klaviyo.compat import BaseHook
from airflow_provider_klaviyo.imports.task import KlaviyoImportTask

if TYPE_CHECKING:
    from airflow_provider_klaviyo.audiences.fields import Columns
    from airflow_provider_klaviyo.imports.files import Row

AT_ONCE = 5_000
"""Rows that are fetched together."""


class SqlToKlaviyoProfilesOperator(KlaviyoImportTask):
    """Make or change profiles in Klaviyo, from the rows of a SQL query.

    Rows are fetched a few thousand at a time: with a server-side cursor where the driver has one (psycopg, psycopg2,
    MySQLdb, PyMySQL), so that neither this worker nor the driver holds the whole result.

    What a retry, a kill and a clear do, and all other parameters: see :class:`KlaviyoImportTask`.

    :param sql: one query, or the path of a ``.sql`` file. Its columns are mapped by ``columns``. Templated.
    :param sql_conn_id: connection of the database, of any type whose hook is one of ``common.sql``. Templated.
    :param parameters: of the query, as its driver takes them. Templated.
    """

    template_fields = ("sql", "sql_conn_id", "parameters", *KlaviyoImportTask.template_fields)
    template_ext = (".sql",)
    template_fields_renderers = {"sql": "sql", "parameters": "json", "columns": "json"}  # noqa: RUF012

    def __init__(
        self,
        *,
        sql: str,
        sql_conn_id: str,
        parameters: Mapping[str, Any] | Sequence[Any] | None = None,
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
        with closing(hook.get_conn()) as connection, closing(_cursor(connection)) as cursor:
            cursor.execute(self.sql, self.parameters) if self.parameters else cursor.execute(self.sql)
            found = cursor.fetchmany(AT_ONCE)
            if cursor.description is None:
                raise KlaviyoValidationError("sql returns no rows; give one SELECT.", pointer="sql")
            names = [str(column[0]) for column in cursor.description]
            if len(set(names)) < len(names):
                raise KlaviyoValidationError(
                    f"sql returns a column twice: {', '.join(names)}. Name each once, with AS.", pointer="sql"
                )
            columns.check(names)
            while found:
                for row in found:
                    yield dict(zip(names, row, strict=True))
                found = cursor.fetchmany(AT_ONCE)


def _cursor(connection: Any) -> Any:
    """A cursor that leaves the rows at the server, where the driver has one."""
    driver = type(connection).__module__.partition(".")[0]
    if driver in ("psycopg", "psycopg2"):
        return connection.cursor(name="airflow_klaviyo")
    if driver in ("MySQLdb", "pymysql"):
        from importlib import import_module

        return connection.cursor(import_module(f"{driver}.cursors").SSCursor)
    return connection.cursor()
