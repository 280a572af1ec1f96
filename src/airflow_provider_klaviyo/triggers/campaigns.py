"""Triggers that wait for campaigns, send jobs and recipient estimations, and one that watches for them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Literal

from airflow_provider_klaviyo.api.calls import Call
from airflow_provider_klaviyo.campaigns.status import CampaignStatus
from airflow_provider_klaviyo.campaigns.wait import (
    Observation,
    RowLook,
    SendJobRowLook,
    Wait,
    look_at_campaign,
    look_at_estimation,
    look_at_send_job,
    observe,
)
from airflow_provider_klaviyo.hooks.klaviyo import opened
from airflow_provider_klaviyo.never_twice.kill import IN_TRIGGERER, StopAction, stop_killed
from airflow_provider_klaviyo.triggers.base import KlaviyoWaitTrigger
from airflow_provider_klaviyo.triggers.watcher import KlaviyoCampaignStatusEventTrigger

__all__ = [
    "KlaviyoCampaignSendJobTrigger",
    "KlaviyoCampaignStatusEventTrigger",
    "KlaviyoCampaignStatusTrigger",
    "KlaviyoRecipientEstimationJobTrigger",
]


class KlaviyoCampaignStatusTrigger(KlaviyoWaitTrigger):
    """Waits until a campaign has one of some statuses, or can no longer get it. One request for up to 100 looks.

    Of an omnichannel campaign the status is made of its messages' statuses, by ``of_messages`` of ``campaigns.status``.

    :param target_statuses: statuses to wait for; ``Cancelled`` stands for every status that begins so.
    :param after_send: True if the waiting task put the campaign on its way: then a draft means that somebody reverted.
    :param kill_action: what becomes of the send when a person marks the waiting task as failed: ``keep``, ``revert`` or
        ``cancel``; Airflow 3.3 and later. Any other end of the wait leaves it alone.

    The other parameters are those of :class:`~airflow_provider_klaviyo.triggers.base.KlaviyoWaitTrigger`.
    """

    reads_omnichannel = True

    def __init__(
        self,
        *,
        target_statuses: Sequence[str] = (CampaignStatus.SENT,),
        after_send: bool = False,
        kill_action: Literal["keep", "revert", "cancel"] = "keep",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.target_statuses = [str(status) for status in target_statuses]
        self.after_send = after_send
        self.kill_action = kill_action

    def look(self, revision: str) -> Call[Observation]:
        return look_at_campaign(self.campaign_id, self.target_statuses, revision)

    def row_look(self) -> RowLook:
        return lambda status, send_time, _: observe(status, send_time, self.target_statuses)

    def wait(self) -> Wait:
        return Wait(self.campaign_id, self.gives_up_at, self.poll_interval, after_send=self.after_send)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        path, kwargs = super().serialize()
        about_status = {"target_statuses": self.target_statuses, "after_send": self.after_send}
        return path, {**kwargs, **about_status, "kill_action": self.kill_action}

    async def on_kill(self) -> None:
        """Called when Airflow takes this trigger away: marked failed, cleared, or handed to another triggerer.

        Airflow 3.3.2 cancels it again about each second until it is over, and so would end it half way: it goes on.
        """
        if self.kill_action == "keep":
            return
        stopping = asyncio.create_task(self._stop(self.kill_action))
        _stopping.add(stopping)
        stopping.add_done_callback(_stopping.discard)
        while not stopping.done():
            with suppress(asyncio.CancelledError):
                await asyncio.shield(stopping)

    async def _stop(self, action: StopAction) -> None:
        async with opened(self.klaviyo_conn_id, self.revision) as hook:
            self.log.warning(
                await stop_killed(hook, self.task_instance, self.campaign_id, action, seconds=IN_TRIGGERER)
            )


_stopping: set[asyncio.Task[None]] = set()
"""What is being stopped: an event loop alone does not keep its tasks alive."""


class KlaviyoCampaignSendJobTrigger(KlaviyoWaitTrigger):
    """Waits until a send job is complete. One request for up to 100 looks, and one when the campaign has moved on.

    The job's end is not yet the campaign's: only the campaign's status shows if mail went out.
    """

    def look(self, revision: str) -> Call[Observation]:
        return look_at_send_job(self.campaign_id)

    def row_look(self) -> RowLook:
        return SendJobRowLook(self.poll_interval)


class KlaviyoRecipientEstimationJobTrigger(KlaviyoWaitTrigger):
    """Waits until the recipients of a campaign are counted; the event has the ``count``. One or two requests a look."""

    def look(self, revision: str) -> Call[Observation]:
        return look_at_estimation(self.campaign_id)
