"""All rows are read and judged before the first one is sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_klaviyo.audiences.fields import IDENTIFIERS, Columns
from airflow_provider_klaviyo.audiences.keys import keys_of
from airflow_provider_klaviyo.audiences.profiles import Profiles
from airflow_provider_klaviyo.audiences.rejected import Rejection, RowError
from airflow_provider_klaviyo.imports.files import Row
from airflow_provider_klaviyo.imports.progress import Progress
from airflow_provider_klaviyo.imports.rejected_file import RejectedRows
from airflow_provider_klaviyo.imports.spool import Spool

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger


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

    def read(self, rows: Iterable[Row]) -> int:
        """Read all rows; how many there were."""
        progress = Progress(self._log.info, "Read {} rows")
        number = 0
        try:
            for number, row in enumerate(rows, start=1):
                try:
                    self._add(number, row)
                except RowError as error:
                    self._reject(number, row, error)
                if not number % 1_000:
                    progress.at(number, self._rejected.count)
        except Exception:
            self._log.error("Reading the rows failed after row %s. Nothing was sent to Klaviyo.", f"{number:,}")
            raise
        progress.end(number, self._rejected.count)
        return number

    def _add(self, number: int, row: Row) -> None:
        if isinstance(row, RowError):
            raise row
        profile = self._profiles.read(row)
        self._spool.add(number, profile)
        if self._with_keys and len(profile.identifiers) > 1:
            self._spool.add_keys(number, keys_of(profile.identifiers)[1:])

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
