"""Bookings of several hosts, in a Redis server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.api.limits.bookings import LOCK, Booking, BookingsError, open_here
from airflow_provider_klaviyo.api.limits.schedule import Window

if TYPE_CHECKING:
    from redis import Redis
    from redis.commands.core import Script

PREFIX = "airflow-provider-klaviyo:limits:"
SCHEMES = ("redis", "rediss", "unix")
TIMEOUT = 1.0
"""Seconds to wait for a connection, and for an answer."""

SCRIPT = Path(__file__).with_name("schedule.lua")


class RedisBookings:
    """Keeps bookings in a Redis server (5 or later), by its clock, for all processes that can reach it.

    Each step is one script that reads and writes one key; a key goes two days after its last use.

    :param url: ``redis://``, ``rediss://`` or ``unix://``, as redis-py reads it. Its password is never shown.
    :raises KlaviyoValidationError: the URL cannot be read, or redis-py is not installed.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._name = _without_secrets(url)
        self._script: Script | None = None
        try:
            import redis
        except ImportError:
            raise KlaviyoValidationError(
                f"A rate-limit budget in Redis ({self}) needs redis-py, which is not installed. "
                "Run: pip install 'airflow-provider-klaviyo[redis]'",
                pointer="rate_limit",
            ) from None
        self._errors = (redis.RedisError, OSError)
        try:
            self._client().connection_pool.make_connection()
        except (ValueError, TypeError):
            raise _unreadable() from None

    def __str__(self) -> str:
        return self._name

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
        except self._errors as error:
            raise BookingsError(f"{type(error).__name__}: {error}") from error

    def _open(self) -> Script:
        """The script, with a client that no other process has: redis-py's locks do not survive every fork."""
        with LOCK:
            if self._script is None:
                self._script = self._client().register_script(SCRIPT.read_text(encoding="utf-8"))
                open_here.add(self)
            return self._script

    def _client(self) -> Redis:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        return redis.Redis.from_url(
            self._url,
            socket_timeout=TIMEOUT,
            socket_connect_timeout=TIMEOUT,
            retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
        )


def _without_secrets(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        raise _unreadable() from None
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"


def _unreadable() -> KlaviyoValidationError:
    """The message shows what a URL looks like, and not what was given: that may have a password in it."""
    return KlaviyoValidationError(
        "The Redis URL of the rate-limit budget cannot be read. Give redis://[[user]:password@]host[:port][/database], "
        "rediss://… or unix://…, with special characters of the password percent-encoded.",
        pointer="rate_limit",
    )
