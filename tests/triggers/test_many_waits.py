"""Hundreds of waits on one event loop: it turns between them, none is lost, and none is judged twice."""

from __future__ import annotations

import asyncio
import gc
import time
from collections import Counter
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.triggers.base import BaseTrigger

from airflow_provider_klaviyo.triggers import base, poller
from airflow_provider_klaviyo.triggers.audiences import KlaviyoAudienceReadyTrigger
from airflow_provider_klaviyo.triggers.campaigns import KlaviyoCampaignStatusTrigger
from tests.conftest import Connect
from tests.support.sandbox import DRAFT_EMAIL, DRAFT_SMS, LIST, SENT, Klaviyo
from tests.support.waits import Event, event_of, start, stop, until

MANY = 400


def until_sent(campaign_id: str, **settings: Any) -> BaseTrigger:
    return KlaviyoCampaignStatusTrigger(
        campaign_id=campaign_id, **{"deadline": time.time() + 60, "poll_interval": 0.2, **settings}
    )


def until_filled(list_id: str) -> BaseTrigger:
    return KlaviyoAudienceReadyTrigger(
        list_id=list_id, minimum=1, settled=0.0, poll_interval=0.2, deadline=time.time() + 60
    )


async def in_turns(triggers: Sequence[BaseTrigger]) -> tuple[list[Event], int]:
    """The events, and how many waits ended in one turn of the event loop at most."""
    turns, ended = 0, Counter[int]()

    async def turning() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async def noted(trigger: BaseTrigger) -> Event:
        event = await event_of(trigger)
        ended[turns] += 1
        return event

    counting = asyncio.create_task(turning())
    events = await asyncio.gather(*map(noted, triggers))
    counting.cancel()
    return events, max(ended.values())


async def test_the_loop_turns_while_many_campaigns_end_together(klaviyo: Klaviyo) -> None:
    events, together = await in_turns([until_sent(SENT) for _ in range(MANY)])
    assert {event["outcome"] for event in events} == {"done"}
    assert len(events) == MANY
    assert together <= poller.BATCH * poller.IN_FLIGHT
    assert klaviyo.counted()["get_campaigns"] <= MANY / 100 + 1


async def test_the_loop_turns_while_many_waits_take_in_the_count_of_one_audience(
    klaviyo: Klaviyo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poller, "GATHER", 2.0)
    events, together = await in_turns([until_filled(LIST) for _ in range(MANY)])
    assert [event["outcome"] for event in events] == ["done"] * MANY
    assert together <= poller.BATCH
    assert klaviyo.counted()["get_list"] == 1


async def test_the_loop_turns_while_a_refused_key_ends_all_waits(klaviyo: Klaviyo, connect: Connect) -> None:
    connect(klaviyo.url, "pk_invalid")
    events, together = await in_turns([until_sent(f"campaign{number}") for number in range(MANY)])
    assert [event["error"]["kind"] for event in events] == ["KlaviyoAuthError"] * MANY
    assert together <= poller.BATCH * (1 + poller.IN_FLIGHT)


async def test_a_look_that_ends_no_wait_leaves_no_objects_behind(klaviyo: Klaviyo) -> None:
    """The garbage collector goes through all objects in one go; new ones are what makes it do so."""
    running = start(*(until_sent(DRAFT_EMAIL) for _ in range(MANY)))
    await until(lambda: klaviyo.counted()["get_campaigns"] >= MANY / 100)
    gc.collect()
    gc.freeze()
    try:
        looks = klaviyo.counted()["get_campaigns"]
        await until(lambda: klaviyo.counted()["get_campaigns"] > looks + 3 * MANY / 100)
        gc.collect()
        kinds = asyncio.Future, asyncio.TimerHandle, poller.Waiter
        made = [found for found in gc.get_objects() if isinstance(found, kinds)]
    finally:
        gc.unfreeze()
    assert not any(task.done() for task in running)
    await stop(running)
    assert len(made) < MANY / 4


class Judged:
    """A trigger's log: how often each campaign's look failed, and whose log cannot be written to."""

    def __init__(self, broken: str = "") -> None:
        self.failed = Counter[str]()
        self._broken = broken

    def info(self, _: str, campaign_id: str, *rest: object) -> None:
        if campaign_id == self._broken:
            raise OSError("disk full")

    def warning(self, _: str, campaign_id: str, *rest: object) -> None:
        self.failed[campaign_id] += 1


async def test_a_failure_is_taken_in_only_by_those_that_it_left_without_an_answer(
    klaviyo: Klaviyo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list of emails answers some of them; that of text messages fails, and with it the look of the others."""
    log = Judged()
    monkeypatch.setattr(KlaviyoCampaignStatusTrigger, "_log", log)
    monkeypatch.setattr(poller, "GATHER", 0.5)
    klaviyo.fail("get_campaigns", "status_before_commit", status=503, skip=1, times=5)
    emails, texts = [until_sent(DRAFT_EMAIL, poll_interval=30) for _ in range(20)], [until_sent(DRAFT_SMS)]
    running = start(*emails, *texts)
    await until(lambda: klaviyo.fired() == [5] and klaviyo.counted()["get_campaigns"] >= 8)
    assert not any(task.done() for task in running)
    await stop(running)
    assert log.failed == {DRAFT_SMS: 1}


async def test_what_one_wait_cannot_do_ends_it_alone(klaviyo: Klaviyo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KlaviyoCampaignStatusTrigger, "_log", Judged(broken=DRAFT_SMS))
    running = start(until_sent(DRAFT_EMAIL), until_sent(DRAFT_SMS))
    with pytest.raises(OSError, match="disk full"):
        await running[1]
    looks = klaviyo.counted()["get_campaigns"]
    await until(lambda: klaviyo.counted()["get_campaigns"] > looks + 2)
    assert not running[0].done()
    await stop(running)


async def test_many_waits_cancelled_at_once_leave_nothing_behind(klaviyo: Klaviyo) -> None:
    running = start(*(until_sent(DRAFT_EMAIL) for _ in range(MANY)))
    await until(lambda: klaviyo.counted()["get_campaigns"] > 1)
    await stop(running)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    [event] = await asyncio.gather(*start(until_sent(SENT)))
    assert event["outcome"] == "done"


async def test_a_clock_that_was_set_back_does_not_end_a_wait_before_its_deadline(
    klaviyo: Klaviyo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poller, "LAST_LOOK", 0.2)
    klaviyo.fail("get_campaigns", "delay", seconds=2, when="before", times=1)
    log = Judged()
    monkeypatch.setattr(KlaviyoCampaignStatusTrigger, "_log", log)
    running = start(until_sent(SENT, deadline=time.time() + 0.5))
    await until(lambda: klaviyo.counted()["get_campaigns"] == 1)
    monkeypatch.setattr(base, "time", SimpleNamespace(time=lambda: time.time() - 3600))
    await until(lambda: log.failed[SENT] > 0)
    assert (await running[0])["outcome"] == "done"
