"""Triggers run as the triggerer runs them: each is a task of one event loop, and ends with one event."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from airflow.triggers.base import BaseTrigger

Event = dict[str, Any]


async def event_of(trigger: BaseTrigger) -> Event:
    [payload] = [event.payload async for event in trigger.run()]
    return dict(payload)


def start(*triggers: BaseTrigger) -> list[asyncio.Task[Event]]:
    return [asyncio.create_task(event_of(trigger)) for trigger in triggers]


async def stop(running: Sequence[asyncio.Task[Event]]) -> None:
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds, for as long as a slow machine may need."""
    async with asyncio.timeout(30):
        while not await asyncio.to_thread(holds):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
