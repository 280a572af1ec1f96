"""Waiting for campaigns of revision 2026-10-15, whose messages have a status each: in a worker and in the triggerer."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_klaviyo.compat import AirflowSensorTimeout
from airflow_provider_klaviyo.exceptions import KlaviyoCampaignFailed, KlaviyoNotFoundError, KlaviyoValidationError
from airflow_provider_klaviyo.sensors.campaigns import KlaviyoCampaignStatusSensor
from airflow_provider_klaviyo.triggers.campaigns import (
    KlaviyoCampaignSendJobTrigger,
    KlaviyoCampaignStatusTrigger,
    KlaviyoRecipientEstimationJobTrigger,
)
from tests.support.context import Task
from tests.support.one_campaign import CAMPAIGN, OneOmnichannelCampaign
from tests.support.sandbox import DRAFT_EMAIL, DRAFT_SMS, SENT, Klaviyo

REVISION = "2026-10-15"
Connect = Callable[..., None]
pytestmark = pytest.mark.usefixtures("brief_pauses")
MODES = pytest.mark.parametrize("deferrable", [False, True], ids=["poke", "deferrable"])


def waiting(campaign_id: str = CAMPAIGN, **arguments: Any) -> Task:
    settings = {"task_id": "wait", "campaign_id": campaign_id, "poke_interval": 0.02, "timeout": 0.3, **arguments}
    return Task(lambda: KlaviyoCampaignStatusSensor(**{"revision": REVISION, **settings}))


# --- over the sandbox -------------------------------------------------------------------------------------------------


@MODES
@pytest.mark.parametrize("campaign_id", [DRAFT_EMAIL, DRAFT_SMS])
def test_a_campaign_that_somebody_sends_is_waited_for(klaviyo: Klaviyo, campaign_id: str, deferrable: bool) -> None:
    def send_after_a_look() -> None:
        while not klaviyo.requests():
            time.sleep(0.02)
        klaviyo.send(campaign_id)

    somebody = threading.Thread(target=send_after_a_look)
    somebody.start()
    assert waiting(campaign_id, deferrable=deferrable, timeout=20).run() == campaign_id
    somebody.join()
    looks = [row for row in klaviyo.requests() if row["revision"] == REVISION]
    assert len(looks) > 1
    assert {row["operation"] for row in looks} == {"get_campaigns" if deferrable else "get_campaign"}


@MODES
def test_the_connection_may_say_the_revision(klaviyo: Klaviyo, connect: Connect, deferrable: bool) -> None:
    connect(klaviyo.url, revision=REVISION)
    assert waiting(SENT, revision=None, deferrable=deferrable, timeout=20).run() == SENT
    assert {row["revision"] for row in klaviyo.requests()} == {REVISION}


@MODES
def test_a_campaign_that_is_not_there_ends_the_wait(klaviyo: Klaviyo, deferrable: bool) -> None:
    with pytest.raises(KlaviyoNotFoundError):
        waiting("NOPE", deferrable=deferrable, timeout=20).run()


async def test_a_request_looks_at_a_hundred_campaigns_of_any_channel(klaviyo: Klaviyo) -> None:
    ids = [
        klaviyo.post("/api/campaign-clone", "campaign", source, new_name=f"clone {number}")["data"]["id"]
        for number in range(60)
        for source in (DRAFT_EMAIL, DRAFT_SMS)
    ]
    triggers = [
        KlaviyoCampaignStatusTrigger(campaign_id=id_, revision=REVISION, poll_interval=0.3, deadline=time.time() + 60)
        for id_ in ids
    ]
    running = [asyncio.create_task(anext(trigger.run())) for trigger in triggers]
    await asyncio.sleep(1.0)
    before = klaviyo.counted()
    await asyncio.sleep(3.0)
    counted = klaviyo.counted() - before
    for id_ in ids:
        await asyncio.to_thread(klaviyo.send, id_)
    events = [dict(event.payload) for event in await asyncio.gather(*running)]
    assert set(counted) == {"get_campaigns"}
    assert counted["get_campaigns"] / 10 <= 1.3 * 2
    assert [(event["campaign_id"], event["outcome"], event["status"]) for event in events] == [
        (id_, "done", "Sent") for id_ in ids
    ]


@pytest.mark.parametrize("kind", [KlaviyoCampaignSendJobTrigger, KlaviyoRecipientEstimationJobTrigger])
async def test_a_trigger_of_another_kind_is_refused_beside_one_that_reads(
    klaviyo: Klaviyo, connect: Connect, kind: Any
) -> None:
    connect(klaviyo.url, revision=REVISION)
    common = {"poll_interval": 0.02, "deadline": time.time() + 20}
    reading = KlaviyoCampaignStatusTrigger(campaign_id=SENT, **common)
    events = await asyncio.gather(anext(reading.run()), anext(kind(campaign_id=SENT, **common).run()))
    assert [event.payload["outcome"] for event in events] == ["done", "error"]
    assert events[1].payload["error"]["kind"] == KlaviyoValidationError.__name__
    assert "revision='2026-07-15'" in events[1].payload["error"]["message"]
    assert set(klaviyo.counted()) == {"get_campaigns"}


# --- several messages -------------------------------------------------------------------------------------------------


@MODES
@pytest.mark.parametrize(
    ("messages", "targets"),
    [
        ({"M1": "sent", "M2": "sent"}, ["Sent"]),
        ({"M1": "scheduled", "M2": "sending"}, ["Scheduled"]),
        ({"M1": "sent", "M2": "sending"}, ["Scheduled"]),
        ({"M1": "sent", "M2": "cancelled"}, ["Cancelled"]),
        ({"M1": "paused"}, ["Paused"]),
    ],
)
def test_all_messages_have_to_be_there(
    connect: Connect, messages: dict[str, str], targets: list[str], deferrable: bool
) -> None:
    with OneOmnichannelCampaign(messages) as server:
        connect(server.url)
        assert waiting(target_statuses=targets, deferrable=deferrable, timeout=20).run() == CAMPAIGN


@MODES
@pytest.mark.parametrize(
    "messages",
    [
        {},
        {"M1": "sent", "M2": "sending"},
        {"M1": "sent", "M2": "draft"},
        {"M1": "cancelled", "M2": "scheduled"},
        {"M1": "sent", "M2": "a word of the future"},
        {"M1": "sent", "M2": None},
        {"M1": 5},
    ],
)
def test_one_message_that_may_still_go_is_waited_for(
    connect: Connect, messages: dict[str, Any], deferrable: bool
) -> None:
    with OneOmnichannelCampaign(messages) as server:
        connect(server.url)
        with pytest.raises(AirflowSensorTimeout):
            waiting(deferrable=deferrable).run()
        assert server.looks > 1


@MODES
@pytest.mark.parametrize(
    ("messages", "status"),
    [
        ({"M1": "cancelled", "M2": "cancelled"}, "Cancelled"),
        ({"M1": "sent", "M2": "cancelled"}, "Cancelled: Some Messages (M2)"),
    ],
)
def test_cancelled_messages_fail_the_task_and_are_named(
    connect: Connect, messages: dict[str, str], status: str, deferrable: bool
) -> None:
    with OneOmnichannelCampaign(messages) as server:
        connect(server.url)
        with pytest.raises(KlaviyoCampaignFailed) as caught:
            waiting(deferrable=deferrable, timeout=20).run()
    assert caught.value.status == status


@MODES
def test_a_message_that_did_not_come_with_its_campaign_is_waited_for(connect: Connect, deferrable: bool) -> None:
    class Forgetful(OneOmnichannelCampaign):
        def _answer(self, path: str) -> tuple[int, Any]:
            status, body = super()._answer(path)
            body["included"] = [one for one in body["included"] if one["id"] != "M2"]
            return status, body

    with Forgetful({"M1": "sent", "M2": "sent"}) as server:
        connect(server.url)
        with pytest.raises(AirflowSensorTimeout):
            waiting(deferrable=deferrable).run()


@MODES
def test_passing_failures_do_not_end_the_wait(connect: Connect, deferrable: bool) -> None:
    with OneOmnichannelCampaign({"M1": "sent"}) as server:
        connect(server.url)
        server.failing = 503
        timer = threading.Timer(0.3, lambda: setattr(server, "failing", None))
        timer.start()
        assert waiting(deferrable=deferrable, timeout=20).run() == CAMPAIGN
        timer.join()


async def test_a_campaign_scheduled_for_later_is_hardly_looked_at(connect: Connect) -> None:
    far = "2099-01-01T09:00:00+00:00"
    with OneOmnichannelCampaign({"M1": "scheduled", "M2": "sent"}, {"M1": far}) as server:
        connect(server.url)
        trigger = KlaviyoCampaignStatusTrigger(
            campaign_id=CAMPAIGN, revision=REVISION, poll_interval=0.05, deadline=time.time() + 2
        )
        event = await anext(trigger.run())
    assert event.payload["outcome"] == "timeout"
    assert server.looks <= 2
