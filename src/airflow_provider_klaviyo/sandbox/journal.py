"""The log of API requests, as ``GET /sandbox/requests`` returns it. It never holds a credential.

Requests and answers are kept as compressed JSON, within a budget of bytes: beyond it, the oldest rows lose them.
"""

from __future__ import annotations

import json
import time
import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from airflow_provider_klaviyo.sandbox.clock import iso
from airflow_provider_klaviyo.sandbox.discretion import Discretion

KEPT = 100_000
"""The most rows."""

BUDGET = 64 * 1024 * 1024
"""The most bytes of requests and answers, compressed."""

LOGGED = 256 * 1024
"""Bytes of the longest body, and of the longest answer, that are kept."""

PATH_KEPT = 200
"""The most characters of its path that a forgotten row has."""

SMALL = 160
"""Bytes up to which a text is not compressed, since it would hardly get smaller."""

COLUMNS = (
    "number",
    "operation",
    "method",
    "path",
    "status",
    "at",
    "committed",
    "revision",
    "query",
    "request_id",
    "fault",
    "clock",
    "ids",
    "forgotten",
)
NOT_ASKED = b'"headers": {}, "body": null, "rule": null'
NOT_ANSWERED = b'"answer": null, "answer_headers": {}'


@dataclass(slots=True)
class Entry:
    """One request.

    :param operation: operation id; ``None`` when the path is not a published operation.
    :param method: ``GET``, ``POST``, ``PATCH`` or ``DELETE``.
    :param path: its path, without the query.
    :param status: the answer's status; ``None`` until there is one, and when the connection was cut.
    :param at: real time of arrival.
    :param committed: True if a write took effect.
    :param revision: the revision applied.
    :param query: its query parameters by name.
    :param body: its body as JSON values; of a long one ``{"omitted_bytes": …}``; ``None`` when it is not JSON.
    :param request_id: ``x-klaviyo-req-id`` of the answer.
    :param fault: the fault that hit the request.
    :param clock: the sandbox's time of arrival, in seconds since 1970.
    :param ids: the ids of a write's answer, or of what it would have answered, as ``type:id``.
    :param number: its place in the log, from 1 on.
    :param forgotten: True if the log no longer has its query, ids, headers, body, rule and answer.
    """

    operation: str | None
    method: str
    path: str
    status: int | None = None
    at: str = field(default_factory=lambda: iso(time.time()))
    committed: bool = False
    revision: str | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    request_id: str | None = None
    fault: str | None = None
    clock: float = 0.0
    ids: list[str] = field(default_factory=list)
    number: int = 0
    forgotten: bool = False
    _asked: bytes = b""
    _answered: bytes = b""
    _counted: int = 0

    @property
    def headers(self) -> dict[str, str]:
        """The request's headers by lower-case name, those of use that have no credential."""
        return self._members()["headers"]  # type: ignore[no-any-return]

    @property
    def body(self) -> Any:
        """The request's JSON values, or its form's fields; ``{"omitted_bytes": n}`` when it was too long."""
        return self._members()["body"]

    @property
    def rule(self) -> dict[str, Any] | None:
        """The rule of the fault that hit it: the fields that are set."""
        return self._members()["rule"]  # type: ignore[no-any-return]

    @property
    def answer(self) -> Any:
        """The answer's JSON values, or its text; ``None`` when it has none, or the connection was cut."""
        return self._members()["answer"]

    @property
    def answer_headers(self) -> dict[str, str]:
        """The answer's headers by lower-case name."""
        return self._members()["answer_headers"]  # type: ignore[no-any-return]

    def json(self) -> bytes:
        """The whole row as a JSON object."""
        row = json.dumps({name: getattr(self, name) for name in COLUMNS}).encode()
        return row[:-1] + b", " + self._details() + b"}"

    def may_say(self, texts: Iterable[str]) -> bool:
        """False if no text is in the request's body: much faster than to read :attr:`body`."""
        asked = _unpacked(self._asked)
        return any(json.dumps(text)[1:-1].encode() in asked for text in texts)

    def _members(self) -> dict[str, Any]:
        members: dict[str, Any] = json.loads(b"{" + self._details() + b"}")
        return members

    def _details(self) -> bytes:
        return _unpacked(self._asked or NOT_ASKED) + b", " + _unpacked(self._answered or NOT_ANSWERED)

    def _size(self) -> int:
        texts = (self.path, *self.query, *self.query.values(), *self.ids)
        return len(self._asked) + len(self._answered) + sum(map(len, texts))

    def _forget(self) -> None:
        self.forgotten = True
        self.path = self.path if len(self.path) <= PATH_KEPT else f"{self.path[:PATH_KEPT]}…"
        self.query, self.ids = {}, []
        self._asked = self._answered = b""


class Journal:
    """The latest requests, oldest first.

    :param budget: the most bytes of requests and answers.
    """

    def __init__(self, budget: int = BUDGET) -> None:
        self.budget = budget
        self._entries: deque[Entry] = deque()
        self._whole: deque[Entry] = deque()
        self._bytes = 0
        self._begun = 0

    def __len__(self) -> int:
        return len(self._entries)

    def begin(
        self,
        entry: Entry,
        headers: Mapping[str, str],
        body: Any = None,
        rule: Mapping[str, Any] | None = None,
        *,
        without: Discretion,
    ) -> Entry:
        """Note that a request has come in. The entry is completed in place, and by :meth:`end`.

        :param headers: the request's; those of use are logged.
        :param rule: the fault rule that hits it.
        :param without: takes its credential out.
        """
        self._begun += 1
        entry.number = self._begun
        entry.path, entry.query = without.path(entry.path), without.query(entry.query)
        asked = {"headers": without.headers(headers), "body": body, "rule": rule}
        entry._asked = _packed(", ".join(f'"{name}": {without.json(json.dumps(one))}' for name, one in asked.items()))
        if len(self._entries) == KEPT and not self._entries.popleft().forgotten:
            self._forget_oldest()
        self._entries.append(entry)
        self._whole.append(entry)
        self._count(entry)
        return entry

    def end(self, entry: Entry, content: bytes, headers: Mapping[str, str], *, without: Discretion) -> None:
        """Note what is answered.

        :param content: JSON that begins with a brace or bracket, or else a text, in UTF-8.
        """
        if entry.forgotten:
            return
        if len(content) > LOGGED:
            answer = json.dumps({"omitted_bytes": len(content)})
        elif content[:1] in (b"{", b"["):
            answer = content.decode()
        else:
            answer = json.dumps(content.decode(errors="replace") if content else None)
        sent = json.dumps({name.lower(): value for name, value in headers.items()})
        entry._answered = _packed(f'"answer": {without.json(answer)}, "answer_headers": {without.json(sent)}')
        self._count(entry)

    def clear(self) -> None:
        """Forget all requests."""
        while self._whole:
            self._forget_oldest()
        self._entries.clear()
        self._begun = 0

    def find(self, number: int) -> Entry | None:
        """The entry of a number; ``None`` when it is not, or no longer, in the log."""
        first = self._entries[0].number if self._entries else 1
        return self._entries[number - first] if 0 <= number - first < len(self._entries) else None

    def newest_first(self) -> Iterator[Entry]:
        """All entries, as they are: not copies."""
        return reversed(self._entries)

    def pieces(self, rows: int, *, after: int = 0) -> Iterator[bytes]:
        """All entries of now as a JSON list, in pieces of so many rows, each made when it is asked for.

        :param after: leave out those up to this number.
        """
        first = self._entries[0].number if self._entries else 1
        entries = iter(list(islice(self._entries, max(0, after + 1 - first), None)))
        opening = b"["
        while part := list(islice(entries, rows)):
            yield opening + b", ".join([entry.json() for entry in part])
            opening = b", "
        yield b"]" if opening == b", " else b"[]"

    def _count(self, entry: Entry) -> None:
        size = entry._size()
        self._bytes += size - entry._counted
        entry._counted = size
        while self._bytes > self.budget:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        oldest = self._whole.popleft()
        self._bytes -= oldest._counted
        oldest._forget()


def _packed(members: str) -> bytes:
    """A part of a JSON object, compressed when it is long: that begins with a byte which no part begins with."""
    content = members.encode()
    return content if len(content) <= SMALL else zlib.compress(content, 1)


def _unpacked(packed: bytes) -> bytes:
    return zlib.decompress(packed) if packed[:1] == b"\x78" else packed
