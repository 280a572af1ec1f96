"""The file of rejected rows: one line of JSON for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import IO, TYPE_CHECKING, cast

import msgspec

from airflow_provider_klaviyo.audiences.rejected import Rejection

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

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
            _write(_storage(self._path), self._lines)

    def write_to_those_before(self) -> None:
        """Write them after those that no job has; what an earlier try wrote of jobs goes."""
        if self._path is None or not self._lines:
            return
        path = _storage(self._path)
        _write(path, [*_without_jobs(path), *self._lines])


def _without_jobs(path: ObjectStoragePath) -> Iterator[bytes]:
    if not path.exists():
        return
    with cast("IO[bytes]", path.open("rb")) as file:
        for line in iter(file.readline, b""):
            if "job" not in msgspec.json.decode(line):
                yield line.rstrip(b"\n")


def _write(path: ObjectStoragePath, lines: Iterable[bytes]) -> None:
    content = b"".join(line + b"\n" for line in lines)
    path.parent.mkdir(parents=True, exist_ok=True)
    with cast("IO[bytes]", path.open("wb")) as file:
        file.write(content)


def _storage(path: str) -> ObjectStoragePath:
    from airflow.sdk import ObjectStoragePath

    return ObjectStoragePath(path)
