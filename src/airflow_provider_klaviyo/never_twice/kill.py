"""Stop a send whose task a person marked as failed: once, briefly, and never under a try that goes on with it.

A task is killed for many reasons, and Airflow calls the same ``on_kill`` for all of them: it was marked as failed or as
success, it was cleared, its worker is being shut down, its time is up, its triggerer was taken for dead and replaced.
Most of them lead to another try, which adopts the send. When a deferred task is cleared, that try may even begin before
the old one's ``on_kill``. So the task's state in Airflow is asked for right before the one write: only ``failed`` means
that nobody goes on with the campaign.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_klaviyo.api.campaigns import cancel_send, get_campaign
from airflow_provider_klaviyo.api.errors import KlaviyoError
from airflow_provider_klaviyo.campaigns.status import CampaignStatus, is_final

if TYPE_CHECKING:
    from airflow_provider_klaviyo.api.aio import KlaviyoAsyncClient
    from airflow_provider_klaviyo.api.client_settings import ClientSettings
    from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoAsyncHook

StopAction = Literal["revert", "cancel"]

IN_WORKER = 2.5
"""Seconds that stopping may take in a worker: Airflow ends the process for good 5 s after ``on_kill`` began."""

IN_TRIGGERER = 20.0
"""Seconds that it may take in the triggerer, which allows 30 and takes some 5 for its first question to Airflow."""

FRESH = 1.0
"""Seconds after which Airflow's word for the task's state is too old to act on: a clear may have come since."""

ASKING = 2.0
"""Seconds that the write itself may take, with what is repeated of it."""

NOT_SENDING_YET = (
    CampaignStatus.QUEUED_WITHOUT_RECIPIENTS,
    CampaignStatus.ADDING_RECIPIENTS,
    CampaignStatus.PREPARING_TO_SCHEDULE,
    CampaignStatus.SCHEDULED,
    CampaignStatus.PREPARING_TO_SEND,
)


def reason_to_keep(action: StopAction, task_state: str | None, status: str) -> str | None:
    """Why a campaign is left alone when its task is killed; ``None``: it is to be stopped. Pure.

    :param action: what the DAG asks for.
    :param task_state: the task's state in Airflow now; ``None``: it was cleared and has none yet.
    :param status: the campaign's status as Klaviyo gave it.
    """
    if task_state != "failed":
        return f"the task was not marked as failed (its state is {task_state or 'none'}): another try may wait for it"
    if status == CampaignStatus.DRAFT or is_final(status):
        return "there is nothing to stop"
    if action == "revert" and status not in NOT_SENDING_YET:
        return "it is too late to revert it"
    return None


async def stop_killed(
    klaviyo: KlaviyoAsyncClient | KlaviyoAsyncHook, ti: Any, campaign_id: str, action: StopAction, *, seconds: float
) -> str:
    """Stop the send of a killed task, if that is right: one read and at most one write.

    :param ti: the task instance, in a worker or in the triggerer.
    :param seconds: how long it may take.
    :returns: what was done and why, for the task's log. It does not raise.
    """
    asked = False
    try:
        async with asyncio.timeout(seconds):
            status = str((await klaviyo.run(get_campaign(campaign_id))).attributes["status"])
            if reason := reason_to_keep(action, await _fresh_state(ti), status):
                return f"Killed, and campaign {campaign_id} ({status}) is left as it is: {reason}."
            asked = True
            async with asyncio.timeout(ASKING):
                await klaviyo.run(cancel_send(campaign_id, action))
            return f"Killed: asked Klaviyo to {action} campaign {campaign_id}, which was {status!r}."
    except TimeoutError:
        failure = "There was no answer in time."
    except KlaviyoError as error:
        failure = str(error)
    except Exception as error:
        failure = f"{type(error).__name__}."
    asked_or_not = "asked" if asked else "not asked"
    return f"Killed, and campaign {campaign_id} may go on: Klaviyo was {asked_or_not} to {action} it. {failure}"


def stop_now(settings: ClientSettings, ti: Any, campaign_id: str, action: StopAction) -> str:
    """The same from a worker's signal handler.

    It runs in a thread of its own: what was interrupted may hold the lock by which a task talks to Airflow, and waiting
    for that lock here would never end. Nor is anything logged from that thread: a log has a lock, too.
    """
    from airflow_provider_klaviyo.api.aio import KlaviyoAsyncClient

    results: list[str] = []

    async def stop() -> str:
        async with KlaviyoAsyncClient(settings) as klaviyo:
            return await stop_killed(klaviyo, ti, campaign_id, action, seconds=IN_WORKER)

    thread = threading.Thread(target=lambda: results.append(asyncio.run(stop())), name="klaviyo-kill", daemon=True)
    logged_before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        thread.start()
        thread.join(IN_WORKER + 0.3)
    finally:
        logging.disable(logged_before)
    return results[0] if results else f"Killed, and campaign {campaign_id} may go on: stopping it took too long."


async def _fresh_state(ti: Any) -> str | None:
    """The state, asked for again when the answer was long in coming."""
    while True:
        began = time.monotonic()
        state = await _state(ti)
        if time.monotonic() - began <= FRESH:
            return state


async def _state(ti: Any) -> str | None:
    """The state that Airflow's database has for a task instance now."""
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    answer = await asyncio.to_thread(
        RuntimeTaskInstance.get_task_states, dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id]
    )
    mapped = ti.map_index is not None and ti.map_index >= 0
    state = answer[ti.run_id][f"{ti.task_id}_{ti.map_index}" if mapped else ti.task_id]
    return None if state is None else str(getattr(state, "value", state))
