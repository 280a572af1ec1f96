"""Import profiles from a list of dicts or from a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.audiences.rejected import RowError
from airflow_provider_klaviyo.campaigns.values import Output, is_template, show
from airflow_provider_klaviyo.imports.files import check_path, rows_of
from airflow_provider_klaviyo.imports.task import KlaviyoImportTask

if TYPE_CHECKING:
    from airflow_provider_klaviyo.audiences.fields import Columns
    from airflow_provider_klaviyo.imports.files import Row


class KlaviyoImportProfilesOperator(KlaviyoImportTask):
    """Make or change profiles in Klaviyo, from rows that another task returns or from a file.

    What a retry, a kill and a clear do, and all other parameters: see :class:`KlaviyoImportTask`.

    :param profiles: rows as dicts by column, such as ``[{"email": "ada@example.com", "first_name": "Ada"}]``; rows may
        have ``properties`` and ``location`` as dicts of their own. Give this or ``path``. Templated.
    :param path: file of rows, as ``ObjectStoragePath`` takes it: ``.jsonl`` or ``.ndjson``, ``.csv`` (UTF-8, commas,
        first line with names) or ``.parquet`` (package extra ``[parquet]``), each also with ``.gz``. Templated.
    """

    template_fields = ("profiles", "path", *KlaviyoImportTask.template_fields)

    def __init__(
        self,
        *,
        profiles: Sequence[Mapping[str, Any]] | Output | None = None,
        path: str | Output | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.profiles = profiles
        self.path = path
        self._check_source()

    def _check_source(self, *, rendered: bool = False) -> None:
        if (self.profiles is None) == (self.path is None):
            raise KlaviyoValidationError("Give profiles or path, and one of them only.", pointer="profiles")
        if self.path is not None and (rendered or not is_template(self.path)):
            check_path(self.path)
        is_known = rendered or not is_template(self.profiles)
        if self.profiles is not None and is_known and not isinstance(self.profiles, list | tuple):
            raise KlaviyoValidationError(
                f"profiles is {show(self.profiles)}; give a list of dicts. For a list from an upstream task use its "
                f".output, or render_template_as_native_obj=True: plain Jinja renders to a string.",
                pointer="profiles",
            )

    def rows(self, columns: Columns) -> Iterator[Row]:
        self._check_source(rendered=True)
        if self.path is not None:
            yield from rows_of(self.path, columns)
            return
        for row in self.profiles or ():
            yield row if isinstance(row, Mapping) else RowError(f"it is of type {type(row).__name__}, not a dict")
