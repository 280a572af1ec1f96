"""What the rows would change: against what the last run imported, and against who is on the list."""

from __future__ import annotations

from typing import TypedDict
from uuid import uuid4

from airflow_provider_klaviyo.imports.mirror import Mirror
from airflow_provider_klaviyo.imports.spool import Spool
from airflow_provider_klaviyo.imports.state import Place, StateFile


class Compared(TypedDict, total=False):
    """How many profiles there are of each kind; absent where the mode does not have it.

    :param unchanged: the last run imported them as they are, so they are left out.
    :param added: they were not on the list.
    :param removed: members that no row has.
    """

    unchanged: int
    added: int
    removed: int


class Comparison:
    """Compares the rows with what is there, and keeps what is there as it was compared.

    :param spool: has the rows.
    :param state: what earlier runs have imported; ``None``: that is not looked at.
    :param place: where the profiles are imported.
    :param mirror: the list that is to be what the rows are; ``None``: there is none.
    """

    def __init__(self, spool: Spool, state: StateFile | None, place: Place, mirror: Mirror | None) -> None:
        self._spool = spool
        self._state = state
        self._place = place
        self._mirror = mirror
        self._removed: int | None = None
        self.run = uuid4().hex
        """What this run is recognised by in the state."""

    def make(self, max_removed: float | str) -> None:
        """Look what is there. Nothing is written.

        :raises KlaviyoRefusedError: too many would be taken off the list.
        """
        if self._mirror:
            self._mirror.read()
            self._mirror.check(max_removed)
        if self._state:
            self._spool.was_imported(self._state.imported(self._place))
            self._spool.compare(with_list=self._mirror is not None)

    def before_posting(self) -> None:
        """Take what is about to be posted out of the state: should this run end here, the next one imports it."""
        if self._state:
            self._state.write(self.run, self._place, self._spool.records(unchanged=True))

    def after_posting(self, refused: list[int], *, may_remove: bool) -> None:
        """Note what was posted, and take off the list whoever no row has.

        :param refused: rows that Klaviyo has refused.
        :param may_remove: False: nobody is taken off.
        """
        self._spool.refuse(refused)
        if self._state:
            records = self._spool.records(unchanged=True), self._spool.records(unchanged=False)
            self._state.write(self.run, self._place, *records)
        if self._mirror:
            self._removed = self._mirror.remove() if may_remove else 0

    def counts(self) -> Compared:
        """What was found, and done."""
        counts = Compared()
        if self._state:
            counts["unchanged"] = len(self._spool) - self._spool.due
        if self._mirror:
            counts["added"] = self._spool.joining
            counts["removed"] = self._spool.count_leaving() if self._removed is None else self._removed
        return counts
