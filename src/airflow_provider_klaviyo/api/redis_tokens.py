"""Access tokens of OAuth that several hosts share, in a Redis server.

A token is encrypted with a key that follows from the connection's secrets: whoever reads the server cannot use it.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.api.redis_server import RedisServer
from airflow_provider_klaviyo.api.tokens import LockedTooLongError, Token

PREFIX = "airflow-provider-klaviyo:oauth:"
LONGEST_LOCK = 45.0
"""Seconds after which the lock of a process that died is free; longer than a refresh can take."""

REPLACED_LIFE = 90 * 86_400
"""Seconds for which a refresh token is kept that replaced the connection's: one that is not used ends then."""


class RedisToken:
    """One token, in a Redis server.

    :param url: as :class:`~airflow_provider_klaviyo.api.redis_server.RedisServer` takes it.
    :param name: of the token.
    :param secret: what only those know that may use it.
    :raises KlaviyoValidationError: the URL cannot be read, or a package is not installed.
    """

    reach = "hosts"

    def __init__(self, url: str, name: str, secret: str) -> None:
        self._server = RedisServer(url)
        try:
            from cryptography.fernet import Fernet
        except ImportError:
            raise KlaviyoValidationError(
                f"OAuth tokens in Redis ({self._server}) need the package cryptography, which is not installed. "
                "Run: pip install 'airflow-provider-klaviyo[redis]'",
                pointer="rate_limit",
            ) from None
        self._key = PREFIX + name
        self._cipher = Fernet(base64.urlsafe_b64encode(hashlib.sha256(secret.encode()).digest()))

    def read(self) -> Token | None:
        """What is kept; ``None`` when that is nothing, or nothing that can be understood, or the server is away."""
        from cryptography.fernet import InvalidToken

        try:
            with self._server.client() as client:
                kept = client.get(self._key)
            return Token.from_text(self._cipher.decrypt(kept).decode()) if isinstance(kept, bytes) else None
        except (*self._server.errors, InvalidToken, ValueError):
            return None

    def write(self, token: Token) -> None:
        """Keep a token; call it with the lock held.

        :raises OSError: it cannot be written.
        """
        life = REPLACED_LIFE if token.refresh else max(1, int(token.good_until - time.time()))
        try:
            with self._server.client() as client:
                client.set(self._key, self._cipher.encrypt(token.as_text().encode()), ex=life)
        except self._server.errors as error:
            raise OSError(f"{self._server}: {error}") from error

    @contextmanager
    def locked(self, patience: float) -> Iterator[None]:
        """Hold the token's lock, as one process or thread of all hosts can.

        :param patience: seconds to wait for it.
        :raises LockedTooLongError: it did not become free.
        :raises OSError: the server cannot be used.
        """
        with self._server.client() as client:
            lock = client.lock(f"{self._key}:lock", timeout=LONGEST_LOCK, blocking_timeout=patience)
            try:
                is_held = lock.acquire()
            except self._server.errors as error:
                raise OSError(f"{self._server}: {error}") from error
            if not is_held:
                raise LockedTooLongError
            try:
                yield
            finally:
                with suppress(*self._server.errors):  # it ends by itself
                    lock.release()
