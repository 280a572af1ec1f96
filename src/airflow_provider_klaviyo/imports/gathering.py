"""All rows are read and judged before the first one is sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.audiences.fields import IDENTIFIERS, Columns
from airflow_provider_klaviyo.audiences.keys import digest_of_key, keys_of
from airflow_provider_klaviyo.audiences.plans import Sheet
from airflow_provider_klaviyo.audiences.profiles import Profiles
from airflow_provider_klaviyo.audiences.rejected import Rejection, RowError
from airflow_provider_klaviyo.imports.files import Row
from airflow_provider_klaviyo.imports.progress import Progress
from airflow_provider_klaviyo.imports.rejected_file import RejectedRows
from airflow_provider_klaviyo.imports.spool import Spool

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

_FEWEST, _MOST = 20, 500
"""Rows that are read together: many are fast, and few take little memory if they are large."""

_BYTES = 8_000_000
"""Bytes of these, about, if they are as large as those before."""

_REFUSED = _BYTES // _FEWEST
"""Bytes that a row which was refused is taken to have: it may have been too large."""


class Gathering:
    """Reads rows into a spool.

    :param columns: where each column goes.
    :param profiles: makes profiles of rows.
    :param with_keys: True if all identifiers of each row are to be known, not only its key; of a rejected row, too.
    """

    def __init__(
        self,
        log: FilteringBoundLogger,
        columns: Columns,
        profiles: Profiles,
        spool: Spool,
        rejected: RejectedRows,
        *,
        with_keys: bool,
    ) -> None:
        self._log = log
        self._columns = columns
        self._profiles = profiles
        self._spool = spool
        self._rejected = rejected
        self._with_keys = with_keys
        self._number = 0
        self._at_once = _FEWEST

    def read(self, rows: Iterable[Row]) -> int:
        """Read all rows; how many there were."""
        progress = Progress(self._log.info, "Read {} rows")
        source = iter(rows)
        try:
            while part := self._next(source):
                self._add(part)
                progress.at(self._number, self._rejected.count)
        except Exception:
            self._log.error("Reading the rows failed after row %s. Nothing was sent to Klaviyo.", f"{self._number:,}")
            raise
        progress.end(self._number, self._rejected.count)
        return self._number

    def _next(self, source: Iterator[Row]) -> list[Row]:
        """The next rows, counted one by one: a query may fail between two."""
        part: list[Row] = []
        for row in islice(source, self._at_once):
            self._number += 1
            part.append(row)
        return part

    def _add(self, part: Sequence[Row]) -> None:
        numbered = dict(enumerate(part, start=self._number - len(part) + 1))
        unreadable = {number: row for number, row in numbered.items() if isinstance(row, RowError)}
        rows = {number: row for number, row in numbered.items() if not isinstance(row, RowError)}
        sheet = self._sheet(rows).at([*rows], unreadable)
        self._spool.add(sheet)
        if self._with_keys:
            for number, others in zip(sheet.numbers, sheet.others, strict=True):
                self._spool.add_keys(number, map(digest_of_key, others))
        for number, error in sorted(sheet.refused.items()):
            self._reject(number, numbered[number], error)
        size = sum(map(len, sheet.contents)) + _REFUSED * len(sheet.refused)
        self._at_once = min(max(_FEWEST, _BYTES * len(part) // size), _MOST)

    def _sheet(self, rows: Mapping[int, Mapping[str, Any]]) -> Sheet:
        """:raises KlaviyoValidationError: the rows cannot be read; then ``_number`` is of the first that cannot."""
        try:
            return self._profiles.read([*rows.values()])
        except KlaviyoValidationError:
            for self._number, row in rows.items():
                self._profiles.read([row])
            raise

    def _reject(self, number: int, row: Row, error: RowError) -> None:
        key = _key(row, self._columns) if isinstance(row, Mapping) else {}
        self._rejected.add(Rejection(error.reason, error.field, number, key))
        if self._with_keys and isinstance(row, Mapping):
            self._spool.add_keys(None, keys_of(self._profiles.identifiers(row)))


def _key(row: Mapping[str, Any], columns: Columns) -> dict[str, Any]:
    """What a rejected row may be recognised by: its identifiers, as they came."""
    targets = {name: columns.target(name) for name in row}
    return {
        target[0]: str(row[name])[:300]
        for name, target in targets.items()
        if target and target[0] in IDENTIFIERS and row[name] not in (None, "")
    }
