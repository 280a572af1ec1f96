"""A list becomes what the rows are: who is on it that no row has, and off they go."""

from __future__ import annotations

from airflow_provider_klaviyo.api import lists
from airflow_provider_klaviyo.audiences.bounds import at_most
from airflow_provider_klaviyo.audiences.keys import keys_of
from airflow_provider_klaviyo.exceptions import KlaviyoRefusedError, RefusalReason
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.imports.progress import Progress
from airflow_provider_klaviyo.imports.spool import Spool
from airflow_provider_klaviyo.never_twice.repeat import repeat


class Mirror:
    """Compares a list with the rows, and takes off it whoever is not among them.

    A member is among the rows if any of its identifiers is any of a row's: also of a row that was rejected.

    :param list_id: the list.
    :param spool: has the rows.
    """

    def __init__(self, hook: KlaviyoHook, list_id: str, spool: Spool) -> None:
        self._hook = hook
        self._list_id = list_id
        self._spool = spool
        self._members = 0

    def read(self) -> None:
        """Read who is on the list.

        :raises KlaviyoRefusedError: there are no rows.
        """
        if not len(self._spool):
            raise KlaviyoRefusedError(
                f"No row is left to be imported, so mode='mirror' would take everybody off list {self._list_id}. "
                f"Nothing was imported, and nobody was taken off. Check the query or file. If the list is to be empty, "
                f"empty it in Klaviyo.",
                reason=RefusalReason.REMOVES_TOO_MANY,
            )
        progress = Progress(self._hook.log.info, f"Read {{}} members of list {self._list_id}")
        link: str | None = None
        while True:
            page = self._hook.run(lists.members(self._list_id, link))
            self._spool.members(
                [(one.id, keys_of({**one.attributes, "id": one.id})) for one in page.resources],
            )
            self._members += len(page.resources)
            progress.at(self._members)
            link = page.next
            if link is None:
                break
        progress.end(self._members)

    def check(self, max_removed: float | str) -> None:
        """:raises KlaviyoRefusedError: more would be taken off the list than are allowed."""
        leaving = self._spool.count_leaving()
        allowed = at_most("max_removed", max_removed, self._members)
        if leaving > allowed:
            raise KlaviyoRefusedError(
                f"{leaving:,} of the {self._members:,} members of list {self._list_id} "
                f"({leaving / self._members:.1%}) are not among the {len(self._spool):,} profiles of the rows, and "
                f"would be taken off it; max_removed is {max_removed!r}, which allows {allowed:,}. Nothing was "
                f"imported, and nobody was taken off. Check the query or file. If it is meant, raise max_removed for "
                f"this run.",
                reason=RefusalReason.REMOVES_TOO_MANY,
            )

    def remove(self) -> int:
        """Take off the list whoever no row has; how many they were. Nobody is unsubscribed."""
        leaving = self._spool.leaving()
        if not leaving:
            return 0
        progress = Progress(self._hook.log.info, f"Took {{}} profiles off list {self._list_id}", len(leaving))
        for start in range(0, len(leaving), lists.PER_CALL):
            part = leaving[start : start + lists.PER_CALL]
            repeat(self._hook.log, self._hook.remove_profiles_from_list, self._list_id, part)
            progress.at(start + len(part))
        progress.end(len(leaving))
        return len(leaving)
