"""What Airflow's triggerer does with asset-event triggers, and waiting until they have looked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from airflow.triggers.base import TriggerEvent
from packaging.version import Version

from airflow_provider_klaviyo.triggers.campaigns import KlaviyoCampaignStatusEventTrigger
from tests.support.airflow_versions import AIRFLOW
from tests.support.sandbox import Klaviyo
from tests.support.waits import until

INTERVAL = 0.1


class AssetStore:
    """Airflow's asset state store, in memory."""

    def __init__(self) -> None:
        self.notes: dict[str, str] = {}

    async def aget(self, key: str, default: Any = None) -> Any:
        return json.loads(self.notes[key]) if key in self.notes else default

    async def aset(self, key: str, value: Any) -> None:
        assert value is not None
        self.notes[key] = json.dumps(value)


class SharedByTwoAssets:
    async def aget(self, key: str, default: Any = None) -> Any:
        raise ValueError("Task has 2 concrete inlets and outlets")


def watcher(store: Any = None, **settings: Any) -> KlaviyoCampaignStatusEventTrigger:
    trigger = KlaviyoCampaignStatusEventTrigger(**{"poll_interval": INTERVAL, **settings})
    trigger.asset_state_store = store
    return trigger


def looks_of(klaviyo: Klaviyo) -> int:
    """How many looks have begun, of all watchers: each asks once for the latest campaigns of SMS or of all."""
    filters = [row["query"].get("filter", "") for row in klaviyo.requests("get_campaigns")]
    return sum("updated_at" in text and ("sms" in text or "channel" not in text) for text in filters)


async def looks(klaviyo: Klaviyo, number: int = 3) -> None:
    """Wait until so many more looks have begun: what the last but one of them found has been acted on."""
    before = await asyncio.to_thread(looks_of, klaviyo)
    await until(lambda: looks_of(klaviyo) >= before + number)


async def fires(klaviyo: Klaviyo, fired: list[Any], number: int = 1) -> None:
    """Wait until so many events were fired, and then for looks that may fire one too many."""
    await until(lambda: len(fired) >= number)
    await looks(klaviyo)


@asynccontextmanager
async def watching(
    klaviyo: Klaviyo, *triggers: KlaviyoCampaignStatusEventTrigger
) -> AsyncIterator[list[list[dict[str, Any]]]]:
    """What the triggerer does with watchers: yields, once each has looked, the payloads that each fires.

    From Airflow 3.3 on, those of one key share a stream; before, each runs by itself.
    """
    fired: list[list[dict[str, Any]]] = [[] for _ in triggers]
    async with AsyncExitStack() as stack:
        if Version("3.3") <= AIRFLOW:
            from airflow.triggers.shared_stream import SharedStreamManager

            manager = SharedStreamManager()
            stack.push_async_callback(manager.stop_all)

        def events(number: int, trigger: KlaviyoCampaignStatusEventTrigger) -> AsyncIterator[TriggerEvent]:
            if Version("3.3") > AIRFLOW:
                return trigger.run()
            stream = manager.subscribe(trigger_id=number, trigger=trigger, key=trigger.shared_stream_key())
            return trigger.filter_shared_stream(stream)

        async def consume(number: int, trigger: KlaviyoCampaignStatusEventTrigger) -> None:
            async for event in events(number, trigger):
                fired[number].append(event.payload)

        tasks = [asyncio.create_task(consume(*pair)) for pair in enumerate(triggers)]
        shared = Version("3.3") <= AIRFLOW
        streams = len({trigger.shared_stream_key() for trigger in triggers}) if shared else len(triggers)
        try:
            await looks(klaviyo, 2 * streams)
            yield fired
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
