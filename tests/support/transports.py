"""The two transports, each as a function that makes calls one after the other with a client of its own."""

from __future__ import annotations

import asyncio
from typing import Any

from airflow_provider_klaviyo.api.aio import KlaviyoAsyncClient
from airflow_provider_klaviyo.api.calls import Call, call
from airflow_provider_klaviyo.api.client import KlaviyoClient
from airflow_provider_klaviyo.api.client_settings import ClientSettings, PrivateKey

SECRET = "pk_do_not_tell_anybody"


def settings(url: str, read_timeout: float = 1, connect_timeout: float = 1) -> ClientSettings:
    return ClientSettings(PrivateKey(SECRET), url, connect_timeout=connect_timeout, read_timeout=read_timeout)


def with_requests(to: ClientSettings, *made: Call[Any]) -> list[Any]:
    with KlaviyoClient(to) as client:
        return [client.run(one) for one in made]


def with_httpx(to: ClientSettings, *made: Call[Any]) -> list[Any]:
    async def run() -> list[Any]:
        async with KlaviyoAsyncClient(to) as client:
            return [await client.run(one) for one in made]

    return asyncio.run(run())


TRANSPORTS = {"requests": with_requests, "httpx": with_httpx}


def get() -> Call[Any]:
    return call("get_campaign", path_params={"id": "C1"})


def post() -> Call[Any]:
    return call("send_campaign", body={"data": {}})
