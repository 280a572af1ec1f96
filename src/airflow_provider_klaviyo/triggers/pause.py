"""The trigger that waits until a moment, and asks nobody anything."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_klaviyo.api.errors import KlaviyoRateLimitError

MARGIN = 1.0
"""Seconds added to a wait, so that it does not end a moment too early."""


class KlaviyoPauseTrigger(BaseTrigger):
    """Fires at a moment, by this machine's clock. It may run twice, or start over in another triggerer, without harm.

    :param until: the moment, seconds since the epoch.
    """

    def __init__(self, *, until: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.until = until

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments, as Airflow stores them."""
        return f"{__name__}.{type(self).__name__}", {"until": self.until}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Sleep, and fire one event."""
        await asyncio.sleep(max(0.0, self.until - time.time()))
        yield TriggerEvent({"until": self.until})


def when_taken(error: KlaviyoRateLimitError, deadline: float) -> float:
    """When Klaviyo takes a call again that it refused for now, seconds since the epoch.

    :raises KlaviyoRateLimitError: nobody knows when that is, or it is after the deadline.
    """
    until = time.time() + (error.retry_after or 0) + MARGIN
    if error.retry_after is None or until > deadline:
        raise error
    return until
