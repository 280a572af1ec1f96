"""A hook for the triggerer's event loop, opened without holding the loop up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from airflow_provider_klaviyo.api import operations, wire
from airflow_provider_klaviyo.api.revisions import check_campaigns
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoAsyncHook


@asynccontextmanager
async def opened(klaviyo_conn_id: str, revision: str | None) -> AsyncIterator[KlaviyoAsyncHook]:
    """A hook that has looked its connection up, and is closed at the end of the block.

    What its first request would read from disk is read before, in a thread: every trigger of the triggerer would wait.

    :raises KlaviyoValidationError: the campaigns of the revision in use are of another kind.
    """
    await asyncio.to_thread(_warm_up)
    async with KlaviyoAsyncHook(klaviyo_conn_id, revision=revision) as hook:
        check_campaigns((await hook.aget_conn()).settings.revision)
        yield hook


def _warm_up() -> None:
    operations.operations()
    wire.user_agent()
