"""Bookings of several hosts, in a Redis server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_klaviyo.api.limits.bookings import LOCK, Booking, BookingsError, open_here
from airflow_provider_klaviyo.api.limits.schedule import Window
from airflow_provider_klaviyo.api.redis_server import RedisServer

if TYPE_CHECKING:
    from redis.commands.core import Script

PREFIX = "airflow-provider-klaviyo:limits:"
SCRIPT = Path(__file__).with_name("schedule.lua")


class RedisBookings:
    """Keeps bookings in a Redis server (5 or later), by its clock, for all processes that can reach it.

    Each step is one script that reads and writes one key; a key goes two days after its last use.

    :param url: as :class:`~airflow_provider_klaviyo.api.redis_server.RedisServer` takes it.
    """

    def __init__(self, url: str) -> None:
        self._server = RedisServer(url)
        self._script: Script | None = None

    def __str__(self) -> str:
        return str(self._server)

    def book(self, pool: str, windows: Sequence[Window], max_wait: int) -> Booking:
        numbers = [number for window in windows for number in (window.calls, window.length)]
        return Booking(*self._run(pool, "book", max_wait, *numbers))

    def stands(self, pool: str, at: int) -> bool:
        return bool(self._run(pool, "stands", at))

    def block(self, pool: str, length: int) -> None:
        self._run(pool, "block", length)

    def release(self, pool: str, at: int) -> None:
        self._run(pool, "release", at)

    def used(self, pool: str, length: int) -> int:
        return int(self._run(pool, "used", length))

    def close(self) -> None:
        """Let go of the client; the next use makes another. A thread that is using it keeps it until it is done."""
        self._script = None
        open_here.discard(self)

    def _run(self, pool: str, *arguments: str | int) -> Any:
        try:
            return self._open()([PREFIX + pool], arguments)
        except self._server.errors as error:
            raise BookingsError(f"{type(error).__name__}: {error}") from error

    def _open(self) -> Script:
        """The script, with a client that no other process has: redis-py's locks do not survive every fork."""
        with LOCK:
            if self._script is None:
                self._script = self._server.client().register_script(SCRIPT.read_text(encoding="utf-8"))
                open_here.add(self)
            return self._script
