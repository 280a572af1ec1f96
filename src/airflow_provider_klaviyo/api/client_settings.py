"""What a client is made with: how it proves itself, where it calls, how patiently, and by whose leave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from airflow_provider_klaviyo.api.calls import Call
from airflow_provider_klaviyo.api.errors import KlaviyoApiError, KlaviyoAuthError, KlaviyoError
from airflow_provider_klaviyo.api.operations import DEFAULT_REVISION, Operation
from airflow_provider_klaviyo.api.pacing import Pacing
from airflow_provider_klaviyo.api.request import Request

BASE_URL = "https://a.klaviyo.com"


class Auth(Protocol):
    """Something that yields the value of the ``Authorization`` header."""

    @property
    def counted_as(self) -> str:
        """Whom Klaviyo's limits count the calls for, as far as is known without asking. It may hold a secret."""

    def header(self, refused: str | None = None) -> str:
        """The value to send.

        :param refused: a value that Klaviyo has just answered 401 to. The same value again means that it is the only
            one.
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
                f"The connection's password is not a private Klaviyo key: a private key starts with 'pk_' and has no "
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
    """True if a text is only asterisks: what Airflow shows, and may hand back, in place of a secret."""
    return bool(secret) and not secret.strip("*")


def unguarded(_: Request) -> Call[None]:
    """Lets every request through."""
    yield from ()


def uncounted(_: Operation, __: int | None, ___: float) -> None:
    """Counts nothing."""


class ClientSettings(Struct, frozen=True):
    """How to reach one account.

    :param auth: yields the ``Authorization`` header.
    :param base_url: scheme and host, no path.
    :param revision: API revision to ask for.
    :param connect_timeout: seconds to wait for a connection.
    :param read_timeout: seconds to wait for the next byte of an answer; see :attr:`longest_exchange` for all of it.
    :param guard: carried out before each request; raises if it must not be made.
    :param pacing: waits for each exchange's turn; ``None``: calls are made at once.
    :param count: called for each exchange with its operation, the HTTP status if any, and the seconds it waited for
        its turn.
    :param connection: its id, which errors name.
    """

    auth: Auth
    base_url: str = BASE_URL
    revision: str = DEFAULT_REVISION
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    guard: Callable[[Request], Call[None]] = unguarded
    pacing: Pacing | None = None
    count: Callable[[Operation, int | None, float], None] = uncounted
    connection: str | None = None

    def signed(self, error: KlaviyoError) -> KlaviyoError:
        """The same error, with the id of the connection that it was met with."""
        if isinstance(error, KlaviyoApiError) and error.connection is None:
            error.connection = self.connection
        return error

    @property
    def longest_exchange(self) -> float:
        """Seconds after its begin, the connecting included, by which an exchange is answered or given up."""
        return self.connect_timeout + self.read_timeout
