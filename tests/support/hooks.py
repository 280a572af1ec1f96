"""The two hooks, each as a function that calls one of its methods on ``klaviyo_default``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoAsyncHook, KlaviyoHook

Call = Callable[[str, dict[str, Any]], Any]


def synchronous(name: str, arguments: dict[str, Any]) -> Any:
    return getattr(KlaviyoHook(), name)(**arguments)


def asynchronous(name: str, arguments: dict[str, Any]) -> Any:
    async def call() -> Any:
        async with KlaviyoAsyncHook() as hook:
            return await getattr(hook, name)(**arguments)

    return asyncio.run(call())


both = pytest.mark.parametrize("call", [synchronous, asynchronous], ids=["sync", "async"])
