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
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Protocol, TypeGuard

from airflow_provider_klaviyo.api import private

LONGEST_LIFE = 86_400.0
"""Seconds for which an access token is used at most, whatever it claims. Klaviyo's are good for an hour."""

PAUSE = 0.05
"""Seconds between two tries to get a lock."""


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

    def as_text(self) -> str:
        """The token as it is kept."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Token | None:
        """A token that was kept; ``None`` when it cannot be understood."""
        try:
            token = cls(**json.loads(text))
        except (ValueError, TypeError, RecursionError):
            return None
        return _bounded(token) if _is_sound(token) else None


class TokenStore(Protocol):
    """Where one token is kept for other processes.

    :ivar reach: which other ones: ``processes`` of this host, or ``hosts``.
    """

    reach: str

    def read(self) -> Token | None: ...

    def write(self, token: Token) -> None: ...

    def locked(self, patience: float) -> AbstractContextManager[None]: ...


class LockedTooLongError(Exception):
    """Another process does not let go of the lock."""


class TokenFile:
    """One token, in a file.

    :param path: the file, in a directory of :func:`private_directory`.
    """

    reach = "processes"

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Token | None:
        """What is kept; ``None`` when that is nothing, or nothing that can be understood."""
        try:
            return Token.from_text(private.read(self.path))
        except (OSError, ValueError):
            return None

    def write(self, token: Token) -> None:
        """Keep a token; call it with the lock held. A crash leaves the old file or the new one, never half of one.

        :raises OSError: it cannot be written; what was kept is still there.
        """
        private.replace(self.path, token.as_text(), self.path.with_suffix(".new"))

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


def is_token(token: object) -> TypeGuard[str]:
    """True if a token can be sent."""
    return isinstance(token, str) and bool(token) and token.isascii() and token.isprintable()


def _is_sound(token: Token) -> bool:
    return (
        is_token(token.access)
        and type(token.good_until) in (int, float)
        and (token.refresh is None or is_token(token.refresh))
    )


def _bounded(token: Token) -> Token:
    """The token, to be used no more if it claims to be good for ever; the refresh token with it is kept."""
    is_possible = token.good_until <= time.time() + LONGEST_LIFE
    return token if is_possible else replace(token, good_until=0.0)
