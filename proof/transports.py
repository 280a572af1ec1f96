"""The transports of the clients, and the look for a connection, as a process has them: where it can be cut off."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from msgspec.structs import replace
from openapi_client.rest import RESTClientObject

from airflow_provider_klaviyo.api.aio import KlaviyoAsyncClient
from airflow_provider_klaviyo.api.client import KlaviyoClient
from airflow_provider_klaviyo.api.operations import match
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from proof.boundary import current
from proof.clock import VirtualLoop
from proof.faults import ANSWERS, CUTS, LOCAL, TURN, Effect, Killed

CLOSED = "http://127.0.0.1:1"
"""Nothing listens there."""


class LocalError(Exception):
    """Something of this machine or of Airflow cannot be had."""


@contextlib.contextmanager
def transports_wrapped() -> Iterator[None]:
    """Let every exchange of our clients and of the SDK pass by the current process, and each look for a connection."""
    ours, ours_async, sdk = KlaviyoClient._send_once, KlaviyoAsyncClient._send_once, RESTClientObject.request
    connection = KlaviyoHook.__dict__.get("get_connection")
    found_connection = KlaviyoHook.get_connection

    def get_connection(conn_id: str) -> Any:
        if current().reach("connection", "before"):
            raise LocalError(f"connection {conn_id}: the secrets backend does not answer (made up)")
        return found_connection(conn_id)

    def send_once(client: KlaviyoClient, request: Any) -> Any:
        with current().call(request.operation.id) as effect, _amended(client, request, effect):
            if effect and effect.kind == LOCAL[1]:
                request = replace(request, body={"data": object()})
            return ours(client, request)

    async def send_once_async(client: KlaviyoAsyncClient, request: Any) -> Any:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.busy += 1
        try:
            with current().call(request.operation.id) as effect, _amended(client, request, effect):
                return await ours_async(client, request)
        except Killed:
            current().dead.set()
        finally:
            loop.busy -= 1
        return await loop.create_future()

    def sdk_request(client: RESTClientObject, method: str, url: str, **rest: Any) -> Any:
        parts = urlsplit(url)
        found = match(method.upper(), parts.path)
        with current().call(found[0].id if found else parts.path) as effect:
            base = _base(effect)
            target = f"{base}{parts.path}?{parts.query}" if base else url
            if effect and effect.kind in LOCAL:
                raise LocalError(f"{effect.kind} (made up)")
            return sdk(client, method, target, **rest)  # type: ignore[no-untyped-call]

    KlaviyoClient._send_once = send_once  # type: ignore[method-assign, assignment]
    KlaviyoAsyncClient._send_once = send_once_async  # type: ignore[method-assign, assignment]
    RESTClientObject.request = sdk_request  # type: ignore[method-assign, assignment]
    KlaviyoHook.get_connection = staticmethod(get_connection)  # type: ignore[method-assign]
    try:
        yield
    finally:
        KlaviyoClient._send_once = ours  # type: ignore[method-assign]
        KlaviyoAsyncClient._send_once = ours_async  # type: ignore[method-assign]
        RESTClientObject.request = sdk  # type: ignore[method-assign]
        if connection is None:
            del KlaviyoHook.get_connection
        else:
            KlaviyoHook.get_connection = connection  # type: ignore[method-assign]


class _Turn:
    """Lets a send wait for its turn."""

    max_wait = TURN

    def wait(self, *_: Any) -> float:
        current().reach("turn", "before")
        return 0.0

    def is_news(self, _: Any) -> bool:
        return False

    def throttled(self, *_: Any) -> None:
        return


class _NoKey:
    """A key that cannot be had."""

    def header(self, **_: Any) -> str:
        raise LocalError("the secrets backend does not answer (made up)")

    aheader = header


def _base(effect: Effect | None) -> str | None:
    """Where a call goes instead of to the sandbox."""
    if effect is None:
        return None
    if effect.kind in ANSWERS:
        return current().world.gateway.url
    return CLOSED if effect.kind in CUTS else None


@contextlib.contextmanager
def _amended(client: KlaviyoClient | KlaviyoAsyncClient, request: Any, effect: Effect | None) -> Iterator[None]:
    """The client as it is for this call."""
    settings = client.settings
    changes: dict[str, Any] = {}
    if base := _base(effect):
        changes["base_url"] = base
    if effect and effect.kind == LOCAL[0]:
        changes["auth"] = _NoKey()
    if request.operation.id == "send_campaign":
        changes["pacing"] = _Turn()
    if changes:
        client.settings = replace(settings, **changes)
    try:
        yield
    finally:
        client.settings = settings
