"""A Redis server that the processes of several hosts share: its URL, its clients, its failures."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError

if TYPE_CHECKING:
    from redis import Redis

SCHEMES = ("redis", "rediss", "unix")
TIMEOUT = 1.0
"""Seconds to wait for a connection, and for an answer."""


class RedisServer:
    """A server, by its URL. Nothing is opened before its first use.

    :param url: ``redis://``, ``rediss://`` or ``unix://``, as redis-py reads it. Its password is never shown.
    :ivar errors: what a client raises when the server cannot be used.
    :raises KlaviyoValidationError: the URL cannot be read, or redis-py is not installed.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._name = _without_secrets(url)
        try:
            import redis
        except ImportError:
            raise KlaviyoValidationError(
                f"A rate-limit budget in Redis ({self}) needs redis-py, which is not installed. "
                "Run: pip install 'airflow-provider-klaviyo[redis]'",
                pointer="rate_limit",
            ) from None
        self.errors = (redis.RedisError, OSError)
        try:
            self.client().connection_pool.make_connection()
        except (ValueError, TypeError):
            raise _unreadable() from None

    def __str__(self) -> str:
        return self._name

    def client(self) -> Redis:
        """A new client; not to be used on both sides of a fork.

        It speaks RESP2, as each server does: with RESP3, its default, redis-py 8.0.0 cannot connect to a Unix socket.
        """
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        return redis.Redis.from_url(
            self._url,
            protocol=2,
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
