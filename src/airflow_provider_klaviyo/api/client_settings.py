"""How a call proves who makes it."""

from __future__ import annotations

from typing import Protocol

from airflow_provider_klaviyo.api.errors import KlaviyoAuthError


class Auth(Protocol):
    """Something that yields the value of the ``Authorization`` header."""

    @property
    def counted_as(self) -> str:
        """Whom Klaviyo's limits count the calls for, as far as is known without asking. It may hold a secret."""

    def header(self, refused: str | None = None) -> str:
        """The value to send.

        :param refused: a value that Klaviyo has just answered 401 to. The same value again means: there is no other.
        :raises KlaviyoApiError: none can be had; the call it was for was not made.
        """

    async def aheader(self, refused: str | None = None) -> str:
        """As :meth:`header`, for event loops."""


class PrivateKey:
    """A private API key (``pk_…``). Its text is in no ``repr``, so in no log and no exception."""

    def __init__(self, key: str) -> None:
        key = key.strip()
        if not key:
            raise KlaviyoAuthError(
                "No Klaviyo API key: the connection's password is empty. "
                "Put a private key (pk_…, Klaviyo: Settings > API keys) into the connection's password."
            )
        if is_masked(key):
            raise KlaviyoAuthError(
                "The connection's password is '***', which is how Airflow shows a secret, not the secret itself. "
                "Type the private key (pk_…) again."
            )
        if not key.startswith("pk_") or not key.isascii() or not key.isprintable() or " " in key:
            raise KlaviyoAuthError(
                f"The connection's password is no private Klaviyo key: a private key starts with 'pk_' and has no "
                f"spaces, this text of {len(key)} characters is not of that form. "
                f"A public key (6 characters) cannot be used here: create a private one (Settings > API keys)."
            )
        self._key = key

    @property
    def counted_as(self) -> str:
        return self._key

    def header(self, refused: str | None = None) -> str:
        return f"Klaviyo-API-Key {self._key}"

    async def aheader(self, refused: str | None = None) -> str:
        return self.header()

    def __repr__(self) -> str:
        return "PrivateKey(***)"


def is_masked(secret: str) -> bool:
    """Whether a text is only asterisks: what Airflow shows, and may hand back, in place of a secret."""
    return bool(secret) and not secret.strip("*")
