"""Access tokens of OAuth, kept in files that the processes of one host share.

A file holds an access token, good for an hour at most, and the refresh token that Klaviyo gave in place of the
connection's, if it ever did. Only the user whose processes made it may read it.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

PAUSE = 0.05
"""Seconds between two looks whether a lock has become free."""


@dataclass(frozen=True, slots=True)
class Token:
    """An access token; its ``repr`` holds no secret.

    :param access: the access token.
    :param good_until: seconds since 1970 after which it is not used any more.
    :param refresh: the refresh token that replaced the connection's; ``None`` while that one holds.
    """

    access: str = field(repr=False)
    good_until: float
    refresh: str | None = field(default=None, repr=False)


class LockedTooLongError(Exception):
    """Another process does not let go of the lock."""


class TokenFile:
    """One token, in a file.

    :param path: the file, in a directory of :func:`private_directory`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Token | None:
        """What is kept; ``None`` when that is nothing, or nothing that can be understood."""
        try:
            token = Token(**json.loads(self.path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        return token if _is_sound(token) else None

    def write(self, token: Token) -> None:
        """Keep a token; call it with the lock held. A crash leaves the old file or the new one, never half of one.

        :raises OSError: it cannot be written; what was kept is still there.
        """
        unfinished = self.path.with_suffix(".new")
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(token), file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, self.path)

    @contextmanager
    def locked(self, patience: float) -> Iterator[None]:
        """Hold the file's lock, as one process or thread at a time can. The lock of a process that dies is free.

        :param patience: seconds to wait for it.
        :raises LockedTooLongError: it did not become free.
        :raises OSError: the directory cannot be written, or its file system has no locks.
        """
        descriptor = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            _lock(descriptor, time.monotonic() + patience)
            try:
                yield
            finally:
                fcntl.flock(descriptor, fcntl.LOCK_UN)
        finally:
            os.close(descriptor)


def private_directory(candidates: Sequence[Path]) -> Path | None:
    """The first of these directories that is, or can be made, this user's own and writable by nobody else."""
    for directory in candidates:
        with suppress(OSError):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = directory.lstat()
            is_own = status.st_uid == os.geteuid() and not status.st_mode & 0o022
            if is_own and directory.is_dir() and os.access(directory, os.W_OK | os.X_OK):
                return directory
    return None


def _lock(descriptor: int, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise LockedTooLongError from None
            time.sleep(PAUSE)
        else:
            return


def _is_sound(token: Token) -> bool:
    return (
        isinstance(token.access, str)
        and isinstance(token.good_until, int | float)
        and isinstance(token.refresh, str | None)
    )
