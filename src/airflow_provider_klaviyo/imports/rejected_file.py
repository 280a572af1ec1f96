"""The file of rejected rows: one line of JSON for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import IO, cast

import msgspec

from airflow_provider_klaviyo.audiences.rejected import Rejection
from airflow_provider_klaviyo.storage import replacing, storage

LOGGED = 20
"""Rejections that are logged one by one."""


class RejectedRows:
    """Rows that were rejected, as they come: counted, written to a file, and the first ones logged.

    :param path: file of JSON Lines, as ``ObjectStoragePath`` takes it; ``None``: they are counted and logged only.
    :param log: writes a line to the task's log.
    """

    def __init__(self, path: str | None, log: Callable[..., None]) -> None:
        self.count = 0
        self._path = path
        self._log = log
        self._lines: list[bytes] = []

    def add(self, rejection: Rejection) -> None:
        self.count += 1
        if self.count <= LOGGED:
            self._log("Rejected %s.", rejection)
        if self._path is not None:
            self._lines.append(msgspec.json.encode(rejection.json()))

    def write(self) -> None:
        """Write the file anew, also if there is nothing to be written: it is of this run."""
        if self._path is not None:
            self._replace(())

    def write_to_those_before(self) -> None:
        """Write them after those that no job has; what an earlier try wrote of jobs goes."""
        if self._path is not None and self._lines:
            self._replace(_without_jobs(self._path))

    def _replace(self, before: Iterable[bytes]) -> None:
        with replacing(storage(self._path), "wb") as file:
            file.writelines(before)
            file.writelines(line + b"\n" for line in self._lines)


def _without_jobs(path: str) -> Iterator[bytes]:
    there = storage(path)
    if not there.exists():
        return
    with cast("IO[bytes]", there.open("rb")) as file:
        for line in iter(file.readline, b""):
            if "job" not in msgspec.json.decode(line):
                yield line
