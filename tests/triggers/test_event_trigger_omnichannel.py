"""Omnichannel campaigns become asset events by the statuses of their messages, in revision 2026-10-15."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_klaviyo.campaigns import static
from airflow_provider_klaviyo.exceptions import KlaviyoValidationError
from airflow_provider_klaviyo.triggers.campaigns import KlaviyoCampaignStatusEventTrigger
from tests.conftest import Connect
from tests.support.airflow_versions import since_airflow
from tests.support.one_campaign import CAMPAIGN, OneOmnichannelCampaign
from tests.support.sandbox import DRAFT_EMAIL, DRAFT_SMS, Klaviyo
from tests.support.waits import until
from tests.support.watching import INTERVAL, AssetStore, fires, looks, watcher, watching

REVISION = "2026-10-15"


@pytest.fixture(autouse=True)
def newest(request: pytest.FixtureRequest) -> None:
    """The connection to the sandbox has the revision."""
    if "klaviyo" in request.fixturenames:
        klaviyo, connect = request.getfixturevalue("klaviyo"), request.getfixturevalue("connect")
        connect(klaviyo.url, revision=REVISION)


# --- over the sandbox -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [DRAFT_EMAIL, DRAFT_SMS])
async def test_a_campaign_sent_by_anyone_fires_once(klaviyo: Klaviyo, sent: str) -> None:
    async with watching(klaviyo, watcher()) as [fired]:
        await asyncio.to_thread(klaviyo.send, sent)
        await fires(klaviyo, fired)
    campaign = klaviyo.campaign(sent)
    assert fired == [
        {
            "event_id": f"{sent}:Sent",
            "campaign_id": sent,
            "name": campaign["name"],
            "status": "Sent",
            "channel": None,
            "send_time": campaign["send_time"],
            "messages": {klaviyo.message(sent)["id"]: "sent"},
        }
    ]


async def test_each_watcher_lets_through_what_it_wants(klaviyo: Klaviyo) -> None:
    klaviyo.change(DRAFT_EMAIL, send_strategy=static(datetime.now(UTC) + timedelta(hours=1)))
    wants = [watcher(statuses=["Scheduled"]), watcher(statuses=["Cancelled"]), watcher(name_contains="Email Campaign")]
    async with watching(klaviyo, *wants) as fired:
        await asyncio.to_thread(klaviyo.send, DRAFT_SMS)
        await asyncio.to_thread(klaviyo.send, DRAFT_EMAIL)
        await until(lambda: any(event["campaign_id"] == DRAFT_EMAIL for event in fired[0]))
        await asyncio.to_thread(klaviyo.stop, DRAFT_EMAIL, "cancel")
        for some in fired[1:]:
            await fires(klaviyo, some)
    assert f"{DRAFT_EMAIL}:Scheduled" in [event["event_id"] for event in fired[0]]
    assert [[event["event_id"] for event in some] for some in fired[1:]] == [[f"{DRAFT_EMAIL}:Cancelled"]] * 2


async def test_where_klaviyo_refuses_to_list_messages_the_campaigns_times_have_to_do(
    klaviyo: Klaviyo, caplog: pytest.LogCaptureFixture
) -> None:
    klaviyo.fail("list_campaign_messages", "status_before_commit", status=400, times=None)
    async with watching(klaviyo, watcher()) as [fired]:
        await asyncio.to_thread(klaviyo.send, DRAFT_EMAIL)
        await fires(klaviyo, fired)
    assert klaviyo.fired() == [1]
    assert [event["event_id"] for event in fired] == [f"{DRAFT_EMAIL}:Sent"]
    assert caplog.text.count("Klaviyo refuses to list messages") == 1


async def test_a_look_is_two_requests_and_one_for_those_on_their_way(klaviyo: Klaviyo) -> None:
    klaviyo.change(DRAFT_EMAIL, send_strategy=static(datetime.now(UTC) + timedelta(hours=1)))
    klaviyo.send(DRAFT_EMAIL)
    klaviyo.advance(600)
    async with watching(klaviyo, watcher()):
        before = klaviyo.counted()
        await looks(klaviyo, 10)
        asked = klaviyo.counted() - before
    assert asked["list_campaign_messages"] >= 9
    assert abs(asked["get_campaigns"] - 2 * asked["list_campaign_messages"]) <= 2
    assert set(asked) == {"get_campaigns", "list_campaign_messages"}


@since_airflow("3.3", "asset state store")
@pytest.mark.parametrize("way", [("2026-07-15", REVISION), (REVISION, "2026-07-15")], ids=["there", "back"])
async def test_a_connection_that_changes_its_revision_announces_nothing_again(
    klaviyo: Klaviyo, connect: Connect, way: tuple[str, str]
) -> None:
    store = AssetStore()
    nobody = klaviyo.post("/api/campaign-clone", "campaign", DRAFT_EMAIL, new_name="Nobody")["data"]["id"]
    klaviyo.change(nobody, audiences={"included": ["NoOne0"]})
    connect(klaviyo.url, revision=way[0])
    async with watching(klaviyo, watcher(store)) as [fired]:
        await asyncio.to_thread(klaviyo.send, DRAFT_EMAIL)
        await asyncio.to_thread(klaviyo.send, nobody)
        await fires(klaviyo, fired, 2)
    assert klaviyo.status(nobody) == "Cancelled: No Recipients"
    connect(klaviyo.url, revision=way[1])
    async with watching(klaviyo, watcher(store)) as [fired]:
        await asyncio.to_thread(klaviyo.send, DRAFT_SMS)
        await fires(klaviyo, fired)
    assert [event["event_id"] for event in fired] == [f"{DRAFT_SMS}:Sent"]


# --- several messages -------------------------------------------------------------------------------------------------


@pytest.fixture
def server(request: pytest.FixtureRequest, connect: Connect, brief_pauses: None) -> Iterator[OneOmnichannelCampaign]:
    with OneOmnichannelCampaign(request.param) as running:
        connect(running.url, revision=REVISION)
        yield running


def of(**messages: Any) -> Any:
    """What the messages are when the watching begins."""
    return pytest.mark.parametrize("server", [messages], indirect=True)


async def looked(server: OneOmnichannelCampaign) -> None:
    """Until some looks have begun and ended."""
    before = server.looks
    await until(lambda: server.looks >= before + 12)


@asynccontextmanager
async def watched(server: OneOmnichannelCampaign, store: Any = None, **settings: Any) -> AsyncIterator[list[Any]]:
    """The payloads that a watcher fires, once it has looked."""
    trigger, fired = watcher(store, **settings), []

    async def consume() -> None:
        async for event in trigger.run():
            fired.append(event.payload)  # noqa: PERF401

    task = asyncio.create_task(consume())
    try:
        await looked(server)
        yield fired
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def at(server: OneOmnichannelCampaign, **messages: Any) -> None:
    """Messages change, which shows by their own time only."""
    server.messages |= messages
    server.updated |= set(messages)
    await looked(server)


def ids(fired: list[Any]) -> list[str]:
    return [event["event_id"] for event in fired]


@of(M1="draft", M2="draft")
async def test_a_campaign_is_announced_once_no_message_may_still_go(server: OneOmnichannelCampaign) -> None:
    async with watched(server) as fired:
        await at(server, M1="scheduled")
        await at(server, M1="sent")
        assert fired == []
        await at(server, M2="sending")
        assert fired == []
        await at(server, M2="sent")
    assert ids(fired) == [f"{CAMPAIGN}:Sent"]
    assert fired[0]["messages"] == {"M1": "sent", "M2": "sent"}


@of(M1="scheduled", M2="draft")
async def test_a_draft_does_not_hide_a_message_on_its_way(server: OneOmnichannelCampaign) -> None:
    """Neither the message that goes by itself nor the one that is deleted moves a time here."""
    async with watched(server) as fired:
        del server.messages["M2"]
        await looked(server)
        server.messages["M1"] = "sent"
        await looked(server)
    assert ids(fired) == [f"{CAMPAIGN}:Sent"]


@of(M1="scheduled", M2="sent")
async def test_messages_that_go_by_themselves_are_asked_for_until_they_have(server: OneOmnichannelCampaign) -> None:
    async with watched(server, statuses=["Sending", "Cancelled"]) as fired:
        server.messages["M1"] = "sending"
        await looked(server)
        server.messages["M1"] = "cancelled"
        await looked(server)
    assert ids(fired) == [f"{CAMPAIGN}:Sending", f"{CAMPAIGN}:Cancelled: Some Messages (M1)"]


@of(M1="draft")
async def test_a_message_that_is_added_and_sent_later_is_announced_by_its_id(server: OneOmnichannelCampaign) -> None:
    store = AssetStore()
    async with watched(server, store) as fired:
        await at(server, M1="sent")
        await at(server, M2="draft")
        await at(server, M2="sent")
        assert ids(fired) == [f"{CAMPAIGN}:Sent", f"{CAMPAIGN}:Sent:M2"]
    async with watched(server, store) as fired:
        del server.messages["M2"]
        await looked(server)
        assert fired == []
        await at(server, M3="sent")
    assert ids(fired) == [f"{CAMPAIGN}:Sent:M3"]
    async with watched(server, store) as fired:
        await looked(server)
    assert fired == []


@of(M1="sent")
async def test_an_event_that_a_crash_may_have_lost_is_fired_again_under_its_id(server: OneOmnichannelCampaign) -> None:
    store = AssetStore()
    server.updated.add("M1")
    async with watched(server, store):
        pass
    server.messages["M2"] = "sent"
    server.updated.add("M2")
    trigger = watcher(store)
    stream = trigger.filter_shared_stream(trigger.open_shared_stream(trigger.serialize()[1]))
    first = (await anext(stream)).payload
    await stream.aclose()
    async with watched(server, store) as fired:
        await looked(server)
    assert fired == [first]
    assert first["event_id"] == f"{CAMPAIGN}:Sent:M2"


@of(M1="sent")
async def test_drafts_and_shells_are_not_announced(server: OneOmnichannelCampaign) -> None:
    async with watched(server, statuses=["Draft", "Without Messages", "Sent"]) as fired:
        await at(server, M2="draft", M1="scheduled")
        server.messages.clear()
        await looked(server)
        await at(server, M3="draft")
    assert fired == []


@of(M1="cancelled")
async def test_one_that_was_cancelled_long_ago_is_not_news_when_it_is_touched(server: OneOmnichannelCampaign) -> None:
    server.send_times = {"M1": (datetime.now(UTC) - timedelta(days=30)).isoformat()}
    async with watched(server) as fired:
        await at(server, M1="cancelled")
    assert fired == []


# --- what it cannot ---------------------------------------------------------------------------------------------------


def test_a_channel_is_an_import_error_of_the_dag() -> None:
    with pytest.raises(KlaviyoValidationError, match="does not list campaigns by channel") as caught:
        KlaviyoCampaignStatusEventTrigger(channel="email", revision=REVISION)
    assert caught.value.pointer == "channel"


async def test_a_channel_is_refused_by_the_connections_revision(klaviyo: Klaviyo) -> None:
    with pytest.raises(KlaviyoValidationError, match="revision='2026-07-15'"):
        await anext(KlaviyoCampaignStatusEventTrigger(channel="email", poll_interval=INTERVAL).run())
    assert klaviyo.requests() == []
