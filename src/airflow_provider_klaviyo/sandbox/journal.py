"""The log of API requests, as ``GET /sandbox/requests`` returns it. It never holds a credential."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from airflow_provider_klaviyo.sandbox.clock import iso

KEPT = 100_000


@dataclass(slots=True)
class Entry:
    """One request.

    :param operation: operation id; ``None`` when the path is not a published operation.
    :param status: the answer's status; ``None`` until there is one, and when the connection was cut.
    :param at: real time of arrival.
    :param committed: True if a write took effect.
    :param revision: the revision applied.
    :param fault: the fault that hit the request.
    :param number: its place in the log, from 1 on.
    """

    operation: str | None
    method: str
    path: str
    status: int | None = None
    at: str = field(default_factory=lambda: iso(time.time()))
    committed: bool = False
    revision: str | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    request_id: str | None = None
    fault: str | None = None
    number: int = 0


class Journal:
    """The latest requests, oldest first."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self._begun = 0

    def begin(self, entry: Entry) -> Entry:
        """Note that a request has come in. The entry is completed in place."""
        self._begun += 1
        entry.number = self._begun
        self._entries.append(entry)
        return entry

    def clear(self) -> None:
        """Forget all requests."""
        self._entries.clear()
        self._begun = 0

    def newest_first(self) -> Iterator[Entry]:
        """All entries, as they are: not copies."""
        return reversed(self._entries)

    def rows(self) -> list[dict[str, Any]]:
        """All entries as JSON values."""
        return [asdict(entry) for entry in self._entries]
