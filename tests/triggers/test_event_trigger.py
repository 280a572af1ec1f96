"""Campaigns sent or cancelled by anyone become asset events: each at least once, each under one id."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk import DAG, Asset, AssetWatcher
from airflow.triggers.base import BaseEventTrigger

from airflow_provider_klaviyo.api.errors import KlaviyoAuthError, KlaviyoValidationError
from airflow_provider_klaviyo.campaigns import static
from airflow_provider_klaviyo.triggers.campaigns import KlaviyoCampaignStatusEventTrigger
from tests.conftest import Connect
from tests.support.airflow_versions import DagSerialization, since_airflow
from tests.support.clocks import worker_clock
from tests.support.sandbox import DRAFT_EMAIL, DRAFT_SMS, SENT, Klaviyo
from tests.support.waits import until
from tests.support.watching import AssetStore, SharedByTwoAssets, fires, looks, looks_of, watcher, watching


@pytest.fixture(params=["2026-04-15", "2026-10-15"])
def in_each_revision(request: pytest.FixtureRequest, klaviyo: Klaviyo, connect: Connect) -> None:
    """What holds in both is judged here; what only 2026-10-15 has, in ``test_event_trigger_omnichannel.py``."""
    connect(klaviyo.url, revision=request.param)


async def test_a_campaign_sent_by_anyone_fires_once(klaviyo: Klaviyo) -> None:
    async with watching(klaviyo, watcher()) as [fired]:
        await asyncio.to_thread(klaviyo.send, DRAFT_EMAIL)
        await fires(klaviyo, fired)
    assert [{**event, "send_time": None} for event in fired] == [
        {
            "event_id": f"{DRAFT_EMAIL}:Sent",
            "campaign_id": DRAFT_EMAIL,
            "name": "Holiday Sale: Email Campaign",
            "status": "Sent",
            "channel": "email",
            "send_time": None,
        }
    ]
    assert fired[0]["send_time"]


@pytest.mark.usefixtures("in_each_revision")
async def test_a_triggerer_whose_clock_is_ahead_misses_nothing(klaviyo: Klaviyo) -> None:
    """Klaviyo refuses a filter that begins in its future."""
    with worker_clock(ahead=900):
        async with watching(klaviyo, watcher()) as [fired]:
            await asyncio.to_thread(klaviyo.send, DRAFT_EMAIL)
            await fires(klaviyo, fired)
    assert [event["event_id"] for event in fired] == [f"{DRAFT_EMAIL}:Sent"]


@pytest.mark.usefixtures("in_each_revision")
async def test_what_was_over_before_the_watching_began_does_not_fire(klaviyo: Klaviyo) -> None:
    klaviyo.send(DRAFT_EMAIL)
    klaviyo.wait_for_sends()
    async with watching(klaviyo, watcher()) as [fired]:
        await looks(klaviyo)
    assert klaviyo.status(SENT) == "Sent"
    assert fired == []


async def test_each_watcher_lets_through_what_it_wants(klaviyo: Klaviyo) -> None:
    klaviyo.post("/api/campaign-clone", "campaign", DRAFT_EMAIL, new_name="Weekly digest")
    [weekly] = klaviyo.named("Weekly digest")
    klaviyo.change(DRAFT_EMAIL, send_strategy=static(datetime.now(UTC) + timedelta(hours=1)))
    wants = [
        watcher(),
        watcher(statuses=["Cancelled"]),
        watcher(name_contains="weekly"),
        watcher(channel="sms"),
    ]
    async with watching(klaviyo, *wants) as fired:
        for campaign_id in (DRAFT_EMAIL, DRAFT_SMS, weekly):
            await asyncio.to_thread(klaviyo.send, campaign_id)
        await asyncio.to_thread(klaviyo.stop, DRAFT_EMAIL, "cancel")
        for some, number in zip(fired, (3, 1, 1, 1), strict=True):
            await fires(klaviyo, some, number)
    assert [sorted(event["event_id"] for event in some) for some in fired] == [
        sorted([f"{DRAFT_EMAIL}:Cancelled", f"{DRAFT_SMS}:Sent", f"{weekly}:Sent"]),
        [f"{DRAFT_EMAIL}:Cancelled"],
        [f"{weekly}:Sent"],
        [f"{DRAFT_SMS}:Sent"],
    ]


@since_airflow("3.3", "shared streams")
async def test_watchers_of_one_key_share_their_requests(klaviyo: Klaviyo) -> None:
    async with watching(klaviyo, *(watcher(name_contains=f"part {number}") for number in range(20))):
        await looks(klaviyo, 10)
        asked, looked = len(klaviyo.requests("get_campaigns")), looks_of(klaviyo)
    assert asked <= 3 * (looked + 2)


@pytest.mark.usefixtures("in_each_revision")
@since_airflow("3.3", "asset state store")
async def test_nothing_is_missed_while_the_triggerer_is_down_and_nothing_fires_twice(klaviyo: Klaviyo) -> None:
    store = AssetStore()
    async with watching(klaviyo, watcher(store)):
        await looks(klaviyo)
    klaviyo.send(DRAFT_EMAIL)
    klaviyo.wait_for_sends()
    async with watching(klaviyo, watcher(store)) as [fired]:
        await fires(klaviyo, fired)
    assert [event["event_id"] for event in fired] == [f"{DRAFT_EMAIL}:Sent"]
    async with watching(klaviyo, watcher(store)) as [fired]:
        await looks(klaviyo)
    assert fired == []


@since_airflow("3.3", "asset state store")
async def test_an_event_that_a_crash_may_have_lost_is_fired_again_under_its_id(klaviyo: Klaviyo) -> None:
    store = AssetStore()
    async with watching(klaviyo, watcher(store)):
        await looks(klaviyo)
    klaviyo.send(DRAFT_EMAIL)
    klaviyo.wait_for_sends()
    trigger = watcher(store)
    stream = trigger.filter_shared_stream(trigger.open_shared_stream(trigger.serialize()[1]))
    first = (await anext(stream)).payload
    await stream.aclose()
    async with watching(klaviyo, watcher(store)) as [fired]:
        await fires(klaviyo, fired)
    assert fired == [first]


@since_airflow("3.3", "asset state store")
async def test_a_watcher_that_joins_a_running_stream_misses_nothing_either(klaviyo: Klaviyo) -> None:
    store = AssetStore()
    async with watching(klaviyo, watcher(store, name_contains="Holiday")):
        await looks(klaviyo)
    async with watching(klaviyo, watcher()):
        await asyncio.to_thread(klaviyo.send, DRAFT_EMAIL)
        await looks(klaviyo)
        async with watching(klaviyo, watcher(store, name_contains="Holiday")) as [fired]:
            await fires(klaviyo, fired)
    assert [event["event_id"] for event in fired] == [f"{DRAFT_EMAIL}:Sent"]


@since_airflow("3.3", "asset state store")
async def test_what_is_still_seen_is_not_forgotten_when_something_else_fires(klaviyo: Klaviyo) -> None:
    store = AssetStore()
    long_ago = time.time() - 15 * 86400
    await store.aset("klaviyo_told", {f"{DRAFT_EMAIL}:Sent": long_ago, "GONE:Sent": long_ago})
    klaviyo.send(DRAFT_EMAIL)
    klaviyo.wait_for_sends()
    async with watching(klaviyo, watcher(store)) as [fired]:
        await asyncio.to_thread(klaviyo.send, DRAFT_SMS)
        await fires(klaviyo, fired)
        await fires(klaviyo, fired)
    assert [event["event_id"] for event in fired] == [f"{DRAFT_SMS}:Sent"]
    assert set(await store.aget("klaviyo_told")) == {f"{DRAFT_EMAIL}:Sent", f"{DRAFT_SMS}:Sent"}


@pytest.mark.parametrize(
    ("revision", "operation"),
    [("2026-04-15", "get_campaigns"), ("2026-10-15", "get_campaigns"), ("2026-10-15", "list_campaign_messages")],
)
async def test_passing_errors_do_not_end_the_watching(
    klaviyo: Klaviyo, connect: Connect, revision: str, operation: str
) -> None:
    connect(klaviyo.url, revision=revision)
    async with watching(klaviyo, watcher()) as [fired]:
        klaviyo.fail(operation, "status_before_commit", status=503, times=8)
        await asyncio.to_thread(klaviyo.send, DRAFT_EMAIL)
        await until(lambda: klaviyo.fired() == [8])
        await fires(klaviyo, fired)
    assert klaviyo.fired() == [8]
    assert [event["status"] for event in fired] == ["Sent"]


async def test_a_refused_key_ends_the_trigger_with_its_reason(klaviyo: Klaviyo, connect: Connect) -> None:
    connect(klaviyo.url, "pk_invalid")
    with pytest.raises(KlaviyoAuthError):
        await anext(aiter(watcher().run()))


async def test_it_runs_without_shared_streams_and_without_a_store(klaviyo: Klaviyo) -> None:
    fired = []

    async def consume() -> None:
        async for event in watcher().run():
            fired.append(event.payload["event_id"])  # noqa: PERF401

    task = asyncio.create_task(consume())
    await looks(klaviyo, 2)
    await asyncio.to_thread(klaviyo.send, DRAFT_SMS)
    await fires(klaviyo, fired)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert fired == [f"{DRAFT_SMS}:Sent"]


async def test_two_assets_with_the_same_trigger_are_watched_without_memory(klaviyo: Klaviyo) -> None:
    async with watching(klaviyo, watcher(SharedByTwoAssets())) as [fired]:
        await asyncio.to_thread(klaviyo.send, DRAFT_EMAIL)
        await fires(klaviyo, fired)
    assert [event["status"] for event in fired] == ["Sent"]


def test_airflow_can_make_it_again_from_what_it_stores() -> None:
    path, arguments = watcher(statuses=["Sent"], channel="sms", name_contains="x").serialize()
    assert path == "airflow_provider_klaviyo.triggers.watcher.KlaviyoCampaignStatusEventTrigger"
    again = KlaviyoCampaignStatusEventTrigger(**arguments)
    assert again.serialize() == (path, arguments)
    assert BaseEventTrigger.hash(path, arguments) == BaseEventTrigger.hash(*again.serialize())


def test_a_dag_that_watches_can_be_serialised() -> None:
    asset = Asset("campaigns_sent", watchers=[AssetWatcher(name="klaviyo", trigger=watcher(channel="sms"))])
    with DAG("on_campaigns", schedule=[asset]) as dag:
        pass
    stored = json.dumps(DagSerialization.to_dict(dag))
    assert "airflow_provider_klaviyo.triggers.watcher.KlaviyoCampaignStatusEventTrigger" in stored
    assert DagSerialization.from_dict(json.loads(stored)).dag_id == "on_campaigns"


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"statuses": []}, "statuses"),
        ({"statuses": "Sent"}, "statuses"),
        ({"statuses": ["sent"]}, "statuses"),
        ({"channel": "mail"}, "channel"),
        ({"poll_interval": 0}, "poll_interval"),
    ],
)
def test_a_wrong_argument_is_an_import_error_of_the_dag(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(KlaviyoValidationError) as caught:
        KlaviyoCampaignStatusEventTrigger(**settings)
    assert caught.value.pointer == field
