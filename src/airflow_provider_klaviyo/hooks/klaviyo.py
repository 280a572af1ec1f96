"""Hooks: an Airflow connection in, Klaviyo's campaigns out.

:class:`KlaviyoHook` is for workers, :class:`KlaviyoAsyncHook` for the triggerer. Both have the same methods; each is
named once, in :mod:`airflow_provider_klaviyo.hooks.methods`.
"""

from __future__ import annotations

import asyncio
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_klaviyo.api.calls import Call
from airflow_provider_klaviyo.api.errors import KlaviyoAuthError, KlaviyoError
from airflow_provider_klaviyo.compat import BaseHook, get_async_connection, mask_extra, mask_extra_async
from airflow_provider_klaviyo.hooks.connection import settings
from airflow_provider_klaviyo.hooks.extra import read_extra
from airflow_provider_klaviyo.hooks.methods import KlaviyoMethods
from airflow_provider_klaviyo.hooks.safety import Safety

if TYPE_CHECKING:
    from airflow_provider_klaviyo.api.aio import KlaviyoAsyncClient
    from airflow_provider_klaviyo.api.client import KlaviyoClient

T = TypeVar("T")


class KlaviyoHook(KlaviyoMethods, BaseHook):
    """Calls Klaviyo from a worker.

    The connection is read and the client made on the first call. Reads are repeated when they fail for a passing
    reason, a POST never blindly: see :mod:`airflow_provider_klaviyo.api.retry`.

    :param klaviyo_conn_id: connection of type ``klaviyo``: its password is the private key; for OAuth, its login and
        password are the app's client id and secret, and its extra has the refresh token.
    :param revision: Klaviyo API revision; default: the connection's, else 2026-04-15.
    """

    conn_name_attr = "klaviyo_conn_id"
    default_conn_name = "klaviyo_default"
    conn_type = "klaviyo"
    hook_name = "Klaviyo"

    def __init__(self, klaviyo_conn_id: str = default_conn_name, *, revision: str | None = None) -> None:
        super().__init__()
        self.klaviyo_conn_id = klaviyo_conn_id
        self.revision = revision

    @cached_property
    def _client(self) -> KlaviyoClient:
        from airflow_provider_klaviyo.api.client import KlaviyoClient

        connection = self.get_connection(self.klaviyo_conn_id)
        extra = read_extra(connection)
        mask_extra(connection)
        return KlaviyoClient(settings(connection, extra, revision=self.revision))

    def get_conn(self) -> KlaviyoClient:
        """The client, over a ``requests`` session of its own."""
        return self._client

    def run(self, call: Call[T]) -> T:
        """Carry out a call made of several requests."""
        return self.get_conn().run(call)

    @property
    def base_url(self) -> str:
        """Scheme and host that the connection is for."""
        return self.get_conn().settings.base_url

    @property
    def api_revision(self) -> str:
        """The API revision that is asked for: the task's, else the connection's, else the default."""
        return self.get_conn().settings.revision

    def test_connection(self) -> tuple[bool, str]:
        """Say which account the connection belongs to: what ``airflow connections test`` and the UI's button show.

        It never raises: whatever is wrong with the connection is in the message.
        """
        try:
            return self._test_connection()
        except KlaviyoError as error:
            return False, str(error)
        except Exception as error:
            return False, f"{type(error).__name__}: {error}"

    def _test_connection(self) -> tuple[bool, str]:
        guard = self.get_conn().settings.guard
        try:
            account = self.get_account()
        except KlaviyoAuthError as error:
            if error.status != 403:
                raise
            is_test_account = None
            found = (
                "Klaviyo accepts the key, but it lacks the scope accounts:read, so the account cannot be named. "
                "Campaigns may still work; add accounts:read to be able to check which account you mail from."
            )
        else:
            about = account.attributes
            name = (about.get("contact_information") or {}).get("organization_name") or "unnamed"
            is_test_account = about.get("test_account") is True
            kind = "a test account" if is_test_account else "a live account: sends reach real people"
            found = f"Connected to Klaviyo account {name} ({account.id}), {kind}."
        notes = guard.notes(is_test_account) if isinstance(guard, Safety) else ""
        return True, f"{found} {notes}".strip()


class KlaviyoAsyncHook(KlaviyoMethods, BaseHook):
    """Calls Klaviyo from the triggerer's event loop. Use it as ``async with KlaviyoAsyncHook(…) as hook``.

    The connection is looked up once, on the first call, and all calls share one HTTP client.

    :param klaviyo_conn_id: as for :class:`KlaviyoHook`.
    :param revision: as for :class:`KlaviyoHook`.
    """

    def __init__(self, klaviyo_conn_id: str = KlaviyoHook.default_conn_name, *, revision: str | None = None) -> None:
        super().__init__()
        self.klaviyo_conn_id = klaviyo_conn_id
        self.revision = revision
        self._client: KlaviyoAsyncClient | None = None

    async def aget_conn(self) -> KlaviyoAsyncClient:
        """The client, made on first use."""
        if self._client is None:
            from airflow_provider_klaviyo.api.aio import KlaviyoAsyncClient

            connection = await get_async_connection(self, self.klaviyo_conn_id)
            extra = read_extra(connection)
            await mask_extra_async(connection)
            given = settings(connection, extra, revision=self.revision)
            self._client = await asyncio.to_thread(KlaviyoAsyncClient, given)
        return self._client

    async def run(self, call: Call[T]) -> T:
        """Carry out a call made of several requests."""
        return await (await self.aget_conn()).run(call)

    async def __aenter__(self) -> KlaviyoAsyncHook:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None
