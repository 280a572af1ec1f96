"""Where profiles are gathered before the first one is sent: a file of this task, so that memory stays small."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

import msgspec

from airflow_provider_klaviyo.audiences.keys import digest_of_content, digest_of_key, identifiers_of
from airflow_provider_klaviyo.audiences.plans import Sheet

AT_ONCE = 1_000
"""Rows that are written, and read, together."""

_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -32000;
CREATE TABLE profiles (number INTEGER PRIMARY KEY, key BLOB UNIQUE, content BLOB, clears BLOB);
CREATE TABLE others (key BLOB PRIMARY KEY, number INTEGER) WITHOUT ROWID;
CREATE TABLE before (key BLOB PRIMARY KEY, content BLOB) WITHOUT ROWID;
CREATE TABLE on_list (number INTEGER PRIMARY KEY);
CREATE TABLE unchanged (number INTEGER PRIMARY KEY);
CREATE TABLE refused (number INTEGER PRIMARY KEY);
CREATE TABLE leaving (profile TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE page (key BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE VIEW due AS SELECT * FROM profiles WHERE number NOT IN (SELECT number FROM unchanged);
CREATE VIEW posted AS SELECT * FROM due WHERE number NOT IN (SELECT number FROM refused);
"""


class Spool:
    """Profiles by their keys: of several with the same key, the last is kept, in its own place.

    What else is known of them stands beside: what the last run imported (``before``), who is on the list
    (``on_list``), and members of it that no row has (``leaving``).

    The file is in the machine's temporary folder, only this user can read it, and it goes when the block ends. It is
    about as large as the profiles are as JSON, and a half more.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[int, bytes, bytes, bytes | None]] = []
        self._other_keys: list[tuple[bytes, int | None]] = []
        self.added = 0

    def __enter__(self) -> Self:
        self._folder = TemporaryDirectory(prefix="klaviyo-import-", ignore_cleanup_errors=True)
        self._file = sqlite3.connect(Path(self._folder.name) / "profiles.sqlite", isolation_level=None)
        self._file.executescript(_SCHEMA)
        self._file.create_function("digest", 2, digest_of_content, deterministic=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._folder.cleanup()

    def add(self, sheet: Sheet) -> None:
        """Keep profiles.

        :param sheet: its numbers are larger than those before.
        """
        clears = [msgspec.json.encode(fields) if fields else None for fields in sheet.clears]
        self._waiting += zip(sheet.numbers, map(digest_of_key, sheet.keys), sheet.contents, clears, strict=True)
        self.added += len(sheet.keys)
        if len(self._waiting) >= AT_ONCE:
            self._write()

    def add_keys(self, number: int | None, keys: Iterable[bytes]) -> None:
        """Keep by which other keys a row's profile may be known.

        :param number: the row's; ``None``: it is not imported, and its profile may stay on the list.
        """
        self._other_keys += ((key, number) for key in keys)
        if len(self._other_keys) >= AT_ONCE:
            self._write()

    def __len__(self) -> int:
        return self._count("SELECT count(*) FROM profiles")

    @property
    def due(self) -> int:
        """How many profiles are to be imported."""
        return self._count("SELECT count(*) FROM due")

    def profiles(self) -> Iterator[tuple[Sequence[int], Sequence[bytes]]]:
        """Row numbers and profiles as JSON, some at a time, in the rows' order; of those that are to be imported."""
        for rows in self._parts("SELECT number, content FROM due ORDER BY number"):
            yield [number for number, _ in rows], [content for _, content in rows]

    def clears(self) -> Iterator[tuple[dict[str, str], list[str]]]:
        """Identifiers of the profiles that have standard fields to be cleared, and these."""
        for content, fields in self._rows("SELECT content, clears FROM due WHERE clears IS NOT NULL ORDER BY number"):
            yield identifiers_of(msgspec.json.decode(content)), msgspec.json.decode(fields)

    def count_clears(self) -> int:
        return self._count("SELECT count(clears) FROM due")

    def was_imported(self, records: Iterable[tuple[bytes, bytes]]) -> None:
        """Take note of what the last run has imported: keys and digests of content."""
        self._together("INSERT OR REPLACE INTO before VALUES (?, ?)", records)

    def members(self, page: Sequence[tuple[str, Collection[bytes]]]) -> None:
        """Take note of some members of the list.

        :param page: of each, the profile's id and its keys.
        """
        self._write()
        self._file.execute("DELETE FROM page")
        self._together("INSERT OR IGNORE INTO page VALUES (?)", ((key,) for _, keys in page for key in keys))
        found = self._file.execute(
            "SELECT key, number FROM page CROSS JOIN profiles USING (key) "
            "UNION ALL SELECT key, number FROM page CROSS JOIN others USING (key)"
        ).fetchall()
        known = {key for key, _ in found}
        staying = {number for _, number in found if number is not None}
        leaving = [(profile,) for profile, keys in page if known.isdisjoint(keys)]
        self._together("INSERT OR IGNORE INTO on_list VALUES (?)", ((number,) for number in staying))
        self._together("INSERT OR IGNORE INTO leaving VALUES (?)", leaving)

    def compare(self, *, with_list: bool) -> None:
        """Leave out the profiles that the last run imported as they are now.

        :param with_list: only those that are on the list.
        """
        self._write()
        self._file.execute(
            """INSERT INTO unchanged SELECT number FROM profiles CROSS JOIN before USING (key)
            WHERE before.content = digest(profiles.content, profiles.clears)
            AND (number IN (SELECT number FROM on_list) OR NOT ?)""",
            [with_list],
        )

    def refuse(self, numbers: Iterable[int]) -> None:
        """Take note of rows that Klaviyo has refused."""
        self._together("INSERT OR IGNORE INTO refused VALUES (?)", ((number,) for number in numbers))

    def records(self, *, unchanged: bool) -> Iterator[tuple[bytes, bytes]]:
        """Keys and digests of content, by key.

        :param unchanged: of those that the last run imported as they are now; else of those that this one has posted.
        """
        if unchanged:
            return self._rows(
                "SELECT key, before.content FROM before CROSS JOIN profiles USING (key) "
                "CROSS JOIN unchanged USING (number) ORDER BY key"
            )
        return self._rows("SELECT key, digest(content, clears) FROM posted ORDER BY key")

    @property
    def joining(self) -> int:
        """How many profiles are posted that were not on the list."""
        return self._count("SELECT count(*) FROM posted WHERE number NOT IN (SELECT number FROM on_list)")

    def leaving(self) -> list[str]:
        """Ids of the members that no row has."""
        return [profile for (profile,) in self._file.execute("SELECT profile FROM leaving")]

    def count_leaving(self) -> int:
        return self._count("SELECT count(*) FROM leaving")

    def _rows(self, query: str) -> Iterator[tuple[Any, ...]]:
        for rows in self._parts(query):
            yield from rows

    def _parts(self, query: str) -> Iterator[list[tuple[Any, ...]]]:
        self._write()
        found = self._file.execute(query)
        while rows := found.fetchmany(AT_ONCE):
            yield rows

    def _count(self, query: str) -> int:
        self._write()
        (count,) = self._file.execute(query).fetchone()
        return int(count)

    def _together(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        self._file.execute("BEGIN")
        self._file.executemany(statement, rows)
        self._file.execute("COMMIT")

    def _write(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._together("INSERT OR REPLACE INTO profiles VALUES (?, ?, ?, ?)", waiting)
        keys, self._other_keys = self._other_keys, []
        self._together("INSERT OR REPLACE INTO others VALUES (?, ?)", keys)
