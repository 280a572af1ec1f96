"""Where profiles are gathered before the first one is sent: a file of this task, so that memory stays small."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

import msgspec

from airflow_provider_klaviyo.audiences.profiles import Profile

AT_ONCE = 1_000
"""Rows that are written, and read, together."""

_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -32000;
CREATE TABLE profiles (number INTEGER PRIMARY KEY, key TEXT UNIQUE, content BLOB, clears BLOB);
"""


class Spool:
    """Profiles by their keys: of several with the same key, the last is kept, in its own place.

    The file is in the machine's temporary folder, only this user can read it, and it goes when the block ends. It is
    about as large as the profiles are as JSON, and a half more.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[int, str, bytes, bytes | None]] = []
        self.added = 0

    def __enter__(self) -> Self:
        self._folder = TemporaryDirectory(prefix="klaviyo-import-", ignore_cleanup_errors=True)
        self._file = sqlite3.connect(Path(self._folder.name) / "profiles.sqlite", isolation_level=None)
        self._file.executescript(_SCHEMA)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._folder.cleanup()

    def add(self, number: int, profile: Profile) -> None:
        """Keep the profile of a row.

        :param number: the row's; larger than those before.
        """
        clears = msgspec.json.encode((profile.identifiers, profile.clears)) if profile.clears else None
        self._waiting.append((number, profile.key, profile.content, clears))
        self.added += 1
        if len(self._waiting) == AT_ONCE:
            self._write()

    def __len__(self) -> int:
        self._write()
        (count,) = self._file.execute("SELECT count(*) FROM profiles").fetchone()
        return int(count)

    def profiles(self) -> Iterator[tuple[int, bytes]]:
        """Row numbers and profiles as JSON, in the rows' order."""
        self._write()
        found = self._file.execute("SELECT number, content FROM profiles ORDER BY number")
        while rows := found.fetchmany(AT_ONCE):
            yield from rows

    def clears(self) -> Iterator[tuple[dict[str, str], list[str]]]:
        """Identifiers of the profiles that have standard fields to be cleared, and these."""
        self._write()
        found = self._file.execute("SELECT clears FROM profiles WHERE clears IS NOT NULL ORDER BY number")
        while rows := found.fetchmany(AT_ONCE):
            for (raw,) in rows:
                identifiers, fields = msgspec.json.decode(raw)
                yield identifiers, fields

    def count_clears(self) -> int:
        self._write()
        (count,) = self._file.execute("SELECT count(*) FROM profiles WHERE clears IS NOT NULL").fetchone()
        return int(count)

    def _write(self) -> None:
        if self._waiting:
            self._file.execute("BEGIN")
            self._file.executemany("INSERT OR REPLACE INTO profiles VALUES (?, ?, ?, ?)", self._waiting)
            self._file.execute("COMMIT")
            self._waiting = []
