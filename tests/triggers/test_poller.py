"""Many waits of one connection on one event loop: what they cost, and how each of them ends."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import structlog

from airflow_provider_klaviyo.exceptions import KlaviyoConnectionMissingError
from airflow_provider_klaviyo.tasks import raise_or_return
from airflow_provider_klaviyo.triggers import poller
from airflow_provider_klaviyo.triggers.base import KlaviyoWaitTrigger
from airflow_provider_klaviyo.triggers.campaigns import (
    KlaviyoCampaignSendJobTrigger,
    KlaviyoCampaignStatusTrigger,
    KlaviyoRecipientEstimationJobTrigger,
)
from tests.conftest import Connect
from tests.support.one_campaign import CAMPAIGN, OneCampaign
from tests.support.sandbox import DRAFT_EMAIL, DRAFT_SMS, SENT, Klaviyo
from tests.support.waits import Event, event_of, start, stop, until

INTERVAL = 0.3
Running = Sequence[asyncio.Task[Event]]


def clones(klaviyo: Klaviyo, count: int, source: str = DRAFT_EMAIL) -> list[str]:
    return [
        klaviyo.post("/api/campaign-clone", "campaign", source, new_name=f"clone {number}")["data"]["id"]
        for number in range(count)
    ]


def until_sent(campaign_id: str, **settings: Any) -> KlaviyoWaitTrigger:
    return KlaviyoCampaignStatusTrigger(campaign_id=campaign_id, **waiting(settings))


def waiting(settings: dict[str, Any]) -> dict[str, Any]:
    return {"deadline": time.time() + 60, "poll_interval": INTERVAL, **settings}


def write(klaviyo: Klaviyo, method: str, campaign_id: str, **attributes: Any) -> None:
    body = {"data": {"type": "campaign", "id": campaign_id, "attributes": attributes}} if attributes else None
    headers = {"Authorization": "Klaviyo-API-Key pk_other", "revision": "2026-04-15"}
    url = f"{klaviyo.url}/api/campaigns/{campaign_id}"
    httpx.request(method, url, json=body, headers=headers, trust_env=False).raise_for_status()


def others() -> list[str]:
    """Tasks other than the test's own."""
    return [task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()]


async def test_a_list_of_a_hundred_answers_for_a_hundred_waits(klaviyo: Klaviyo) -> None:
    ids = clones(klaviyo, 150) + clones(klaviyo, 50, DRAFT_SMS)
    running = start(*map(until_sent, ids))
    await asyncio.sleep(1.0)
    before = klaviyo.counted()
    await asyncio.sleep(10 * INTERVAL)
    counted = klaviyo.counted() - before
    await stop(running)
    assert set(counted) == {"get_campaigns"}
    assert counted["get_campaigns"] / 10 <= 1.3 * (150 / 100 + 1)


async def test_every_wait_ends_with_its_own_campaign(klaviyo: Klaviyo) -> None:
    ids = clones(klaviyo, 110) + clones(klaviyo, 10, DRAFT_SMS) + [SENT]
    running = start(*map(until_sent, ids))
    await asyncio.sleep(0.5)
    for campaign_id in ids[:-1]:
        await asyncio.to_thread(klaviyo.send, campaign_id)
    events = await asyncio.gather(*running)
    assert [(event["campaign_id"], event["outcome"], event["status"]) for event in events] == [
        (campaign_id, "done", "Sent") for campaign_id in ids
    ]


async def test_a_deleted_campaign_fails_its_own_wait_alone(klaviyo: Klaviyo) -> None:
    gone, *rest = clones(klaviyo, 5)
    running = start(*map(until_sent, [gone, *rest]))
    await asyncio.sleep(0.5)
    await asyncio.to_thread(write, klaviyo, "DELETE", gone)
    event = await asyncio.wait_for(running[0], 5)
    assert event["error"]["kind"] == "KlaviyoNotFoundError"
    await asyncio.sleep(3 * INTERVAL)
    assert not any(task.done() for task in running[1:])
    assert klaviyo.counted()["get_campaign"] == 1
    await stop(running)


async def test_an_id_that_klaviyo_refuses_fails_its_own_wait_alone(klaviyo: Klaviyo) -> None:
    klaviyo.fail("get_campaigns", "status_before_commit", status=400, times=None)
    running = start(until_sent(SENT), until_sent("no-such-id"))
    done, failed = await asyncio.gather(*running)
    assert klaviyo.fired()[0] > 0
    assert done["outcome"] == "done"
    assert failed["error"]["kind"] == "KlaviyoNotFoundError"


async def test_no_passing_error_ends_a_wait(klaviyo: Klaviyo) -> None:
    ids = clones(klaviyo, 20)
    klaviyo.fail("get_campaigns", "status_before_commit", status=503, times=None)
    running = start(*map(until_sent, ids))
    await until(lambda: klaviyo.fired()[0] > 5)
    assert not any(task.done() for task in running)
    klaviyo.mend()
    for campaign_id in ids:
        await asyncio.to_thread(klaviyo.send, campaign_id)
    assert {event["outcome"] for event in await asyncio.gather(*running)} == {"done"}


async def test_an_outage_is_met_with_ever_longer_pauses(klaviyo: Klaviyo, monkeypatch: pytest.MonkeyPatch) -> None:
    klaviyo.fail("get_campaigns", "status_before_commit", status=503, times=None)
    running = start(until_sent(SENT, poll_interval=0.05))
    await asyncio.sleep(3.0)
    await stop(running)
    assert 1 < klaviyo.counted()["get_campaigns"] / 5 <= 7


async def test_the_deadline_ends_a_wait_whatever_klaviyo_does(
    klaviyo: Klaviyo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poller, "LAST_LOOK", 0.2)
    klaviyo.fail("get_campaigns", "delay", seconds=7, when="before", times=None)
    began = time.monotonic()
    [event] = await asyncio.gather(*start(until_sent(DRAFT_EMAIL, deadline=time.time() + 1)))
    assert event["outcome"] == "timeout"
    assert 0.9 < time.monotonic() - began < 6
    klaviyo.mend()


async def test_a_refused_key_ends_all_waits_at_once(klaviyo: Klaviyo, connect: Connect) -> None:
    connect(klaviyo.url, "pk_invalid")
    events = await asyncio.gather(*start(*(until_sent(f"campaign{number}") for number in range(300))))
    assert {event["error"]["kind"] for event in events} == {"KlaviyoAuthError"}
    assert len(klaviyo.requests()) <= 3


async def test_a_wait_after_the_key_was_mended_succeeds(klaviyo: Klaviyo, connect: Connect) -> None:
    connect(klaviyo.url, "pk_invalid")
    [event] = await asyncio.gather(*start(until_sent(SENT)))
    assert event["outcome"] == "error"
    connect(klaviyo.url)
    [event] = await asyncio.gather(*start(until_sent(SENT)))
    assert event["outcome"] == "done"


async def test_the_connection_is_looked_up_once(klaviyo: Klaviyo, connect: Connect) -> None:
    running = start(until_sent(DRAFT_EMAIL))
    await asyncio.sleep(0.5)
    connect("http://127.0.0.1:1", "pk_other")
    [event] = await asyncio.gather(*start(until_sent(SENT)))
    assert event["outcome"] == "done"
    await stop(running)


async def test_a_missing_connection_ends_the_wait(connect: Connect) -> None:
    [event] = await asyncio.gather(*start(until_sent(SENT, klaviyo_conn_id="no_such_connection")))
    with pytest.raises(KlaviyoConnectionMissingError, match="no Airflow connection 'no_such_connection'"):
        raise_or_return(event)
    assert others() == []


async def test_the_poller_ends_with_the_last_wait(klaviyo: Klaviyo) -> None:
    running = start(until_sent(SENT), until_sent(DRAFT_EMAIL))
    await running[0]
    assert "klaviyo-poller" in others()
    await stop(running)
    assert others() == []


async def test_waits_cancelled_at_any_moment_leave_nothing_behind(klaviyo: Klaviyo) -> None:
    ids = clones(klaviyo, 10)
    for _ in range(15):
        running = start(*(until_sent(campaign_id, poll_interval=0.05) for campaign_id in ids))
        for task in random.sample(running, len(running)):
            await asyncio.sleep(random.choice((0, 0.01, 0.05)))
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        assert others() == []
    [event] = await asyncio.gather(*start(until_sent(SENT)))
    assert event["outcome"] == "done"


async def test_a_wait_may_be_cancelled_twice_while_the_poller_ends(klaviyo: Klaviyo) -> None:
    [task] = start(until_sent(DRAFT_EMAIL))
    await asyncio.sleep(0.5)
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    async with asyncio.timeout(2):
        while others():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_campaign_scheduled_for_later_is_hardly_looked_at(klaviyo: Klaviyo) -> None:
    [campaign_id] = clones(klaviyo, 1)
    when = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    strategy = {"method": "static", "datetime": when, "options": {"is_local": False}}
    write(klaviyo, "PATCH", campaign_id, send_strategy=strategy)
    klaviyo.send(campaign_id)
    klaviyo.advance(60)
    running = start(until_sent(campaign_id))
    await asyncio.sleep(10 * INTERVAL)
    await stop(running)
    assert klaviyo.counted()["get_campaigns"] == 1


async def test_send_jobs_share_lists_and_are_confirmed_singly(klaviyo: Klaviyo) -> None:
    ids = clones(klaviyo, 12)
    for campaign_id in ids:
        klaviyo.send(campaign_id)
    running = start(*(KlaviyoCampaignSendJobTrigger(campaign_id=campaign_id, **waiting({})) for campaign_id in ids))
    events = await asyncio.gather(*running)
    assert {(event["outcome"], event["status"]) for event in events} == {("done", "complete")}
    assert Counter(row["path"] for row in klaviyo.requests("get_campaign_send_job")).most_common(1)[0][1] <= 2


async def test_estimations_are_asked_for_ten_a_second_at_most(klaviyo: Klaviyo) -> None:
    ids = clones(klaviyo, 25)
    for campaign_id in ids:
        klaviyo.post("/api/campaign-recipient-estimation-jobs", "campaign-recipient-estimation-job", campaign_id)
    running = start(
        *(KlaviyoRecipientEstimationJobTrigger(campaign_id=campaign_id, **waiting({})) for campaign_id in ids)
    )
    events = await asyncio.gather(*running)
    assert all(event["count"] > 0 for event in events)
    at = [datetime.fromisoformat(row["at"]) for row in klaviyo.requests("get_campaign_recipient_estimation_job")]
    busiest = max(sum(0 <= (other - one).total_seconds() < 1 for other in at) for one in at)
    assert busiest <= 1 / poller.SPACING + 1


class MarkedLog:
    """A trigger's log: of each line about a campaign's status, the marks that Airflow would put to it."""

    def __init__(self, lines: int) -> None:
        self.marks: dict[str, dict[str, Any]] = {}
        self.is_full = asyncio.Event()
        self._lines = lines

    def info(self, _: str, campaign_id: str, *rest: object) -> None:
        assert campaign_id not in self.marks
        self.marks[campaign_id] = structlog.contextvars.get_contextvars()
        if len(self.marks) == self._lines:
            self.is_full.set()


async def test_each_tasks_log_has_its_own_campaign_only(klaviyo: Klaviyo, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the triggerer, a log line belongs to the task whose marks are bound where it is written."""

    async def logged(campaign_id: str) -> Event:
        structlog.contextvars.bind_contextvars(task_id=f"wait_for_{campaign_id}")
        return await event_of(until_sent(campaign_id))

    marks_of_the_poller: list[dict[str, Any]] = []

    def note(_: logging.LogRecord) -> bool:
        marks_of_the_poller.append(structlog.contextvars.get_contextvars())
        return True

    retries = logging.getLogger("airflow_provider_klaviyo.api.retry")
    monkeypatch.setattr(retries, "filters", [note])
    klaviyo.fail("get_campaigns", "status_before_commit", status=503, times=1)
    ids = clones(klaviyo, 3)
    log = MarkedLog(lines=len(ids))
    monkeypatch.setattr(KlaviyoCampaignStatusTrigger, "_log", log)
    running = [asyncio.create_task(logged(campaign_id)) for campaign_id in ids]
    await asyncio.wait_for(log.is_full.wait(), 10)
    await stop(running)
    assert log.marks == {campaign_id: {"task_id": f"wait_for_{campaign_id}"} for campaign_id in ids}
    assert marks_of_the_poller == [{}]


async def test_two_event_loops_have_pollers_of_their_own(klaviyo: Klaviyo) -> None:
    running = start(until_sent(DRAFT_EMAIL))
    await asyncio.sleep(0.5)
    event = await asyncio.to_thread(lambda: asyncio.run(event_of(until_sent(SENT))))
    assert event["outcome"] == "done"
    await stop(running)


ATTRIBUTES = {"name": "One", "status": "Draft", "send_time": None}
ONE = {"type": "campaign", "id": CAMPAIGN, "attributes": ATTRIBUTES}
ODD: dict[str, Any] = {
    "data is null": {"data": None},
    "data is a number": {"data": 5},
    "data of numbers": {"data": [5]},
    "attributes missing": {"data": [{"type": "campaign", "id": CAMPAIGN}]},
    "attributes is a text": {"data": [{**ONE, "attributes": "x"}]},
    "status is null": {"data": [{**ONE, "attributes": {**ATTRIBUTES, "status": None}}]},
    "status is a list": {"data": [{**ONE, "attributes": {**ATTRIBUTES, "status": ["Sent"]}}]},
    "send time is a number": {"data": [{**ONE, "attributes": {**ATTRIBUTES, "send_time": 5}}]},
    "send time is not a time": {"data": [{**ONE, "attributes": {**ATTRIBUTES, "send_time": "soon"}}]},
    "links is a number": {"data": [ONE], "links": 5},
    "a link with a NUL": {"data": [ONE], "links": {"next": "/api/campaigns?\0"}},
    "a link with a lone surrogate": {"data": [ONE], "links": {"next": "/api/campaigns?\ud800"}},
    "a link to elsewhere": {"data": [ONE], "links": {"next": "https://evil.example.com/"}},
    "a link with a backslash": {"data": [ONE], "links": {"next": "http://a\\@b"}},
    "id is null": {"data": [{**ONE, "id": None}]},
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
async def test_an_odd_answer_ends_no_wait(odd: Any, connect: Connect, brief_pauses: None) -> None:
    with OneCampaign(job="complete", count=5) as server:
        connect(server.url, rate_limit=False)
        server.odd = odd
        running = start(
            until_sent(CAMPAIGN, poll_interval=0.05),
            KlaviyoCampaignSendJobTrigger(campaign_id=CAMPAIGN, **waiting({"poll_interval": 0.05})),
            KlaviyoRecipientEstimationJobTrigger(campaign_id=CAMPAIGN, **waiting({"poll_interval": 0.05})),
        )
        await until(lambda: server.looks >= 6)
        assert not any(task.done() for task in running)
        server.odd, server.status = None, "Sent"
        events = await asyncio.gather(*running)
    assert [event["outcome"] for event in events] == ["done"] * 3
    assert events[2]["count"] == 5
