"""Triggers on a real event loop: what Airflow stores of them, and that they end when they should."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_klaviyo.triggers.base import KlaviyoWaitTrigger
from airflow_provider_klaviyo.triggers.campaigns import (
    KlaviyoCampaignSendJobTrigger,
    KlaviyoCampaignStatusTrigger,
    KlaviyoRecipientEstimationJobTrigger,
)
from tests.conftest import KEY
from tests.support.context import fire, over_the_database
from tests.support.one_campaign import CAMPAIGN, OneCampaign
from tests.support.sandbox import DRAFT_EMAIL, Klaviyo

COMMON: dict[str, Any] = {"campaign_id": CAMPAIGN, "deadline": 2_000_000_000.5, "poll_interval": 30.0}
Connect = Callable[..., None]
pytestmark = pytest.mark.usefixtures("brief_pauses")


def soon(seconds: float = 5.0, **settings: Any) -> dict[str, Any]:
    return {"campaign_id": CAMPAIGN, "deadline": time.time() + seconds, "poll_interval": 0.02, **settings}


TRIGGERS = [
    KlaviyoCampaignStatusTrigger(**COMMON),
    KlaviyoCampaignStatusTrigger(**COMMON, target_statuses=["Draft", "Sent"], after_send=True),
    KlaviyoCampaignStatusTrigger(**COMMON, klaviyo_conn_id="shop", revision="2026-07-15"),
    KlaviyoCampaignSendJobTrigger(**COMMON),
    KlaviyoRecipientEstimationJobTrigger(**COMMON),
]


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_a_trigger_comes_out_of_the_database_as_it_went_in(trigger: KlaviyoWaitTrigger) -> None:
    loaded = over_the_database(trigger)
    assert type(loaded) is type(trigger)
    assert loaded.serialize() == trigger.serialize()


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_a_trigger_stores_plain_values_and_no_secret(trigger: KlaviyoWaitTrigger, connect: Connect) -> None:
    connect("https://a.klaviyo.com")
    path, kwargs = trigger.serialize()
    assert path.startswith("airflow_provider_klaviyo.triggers.campaigns.")
    assert json.loads(json.dumps(kwargs, allow_nan=False)) == kwargs
    assert KEY not in json.dumps(kwargs)
    assert not {"password", "key", "token", "auth"} & set(kwargs)


def test_the_status_trigger_fires_when_the_campaign_is_sent(connect: Connect) -> None:
    with OneCampaign("Sending") as server:
        connect(server.url)
        later = threading.Timer(0.2, lambda: setattr(server, "status", "Sent"))
        later.start()
        event = fire(KlaviyoCampaignStatusTrigger(**soon()))
        later.join()
    assert event == {"campaign_id": CAMPAIGN, "outcome": "done", "status": "Sent"}


def test_the_deadline_is_absolute_so_a_restart_does_not_extend_it(connect: Connect) -> None:
    with OneCampaign("Sending") as server:
        connect(server.url)
        trigger = KlaviyoCampaignStatusTrigger(**soon(2))

        async def killed() -> None:
            try:
                async with asyncio.timeout(1.2):
                    async for _ in trigger.run():
                        pytest.fail("it is not over")
            except TimeoutError:
                pass

        asyncio.run(killed())
        began = time.time()
        event = fire(over_the_database(trigger))
    assert event["outcome"] == "timeout"
    assert event["status"] == "Sending"
    assert time.time() - began < 1.9


@pytest.mark.parametrize("failing", [500, 503, 429])
def test_passing_failures_do_not_end_it(connect: Connect, failing: int) -> None:
    with OneCampaign("Sent") as server:
        connect(server.url)
        server.failing = failing
        later = threading.Timer(0.4, lambda: setattr(server, "failing", None))
        later.start()
        event = fire(KlaviyoCampaignStatusTrigger(**soon()))
        later.join()
    assert event["outcome"] == "done"


def test_a_server_that_is_down_does_not_end_it_before_the_deadline(connect: Connect) -> None:
    connect("http://127.0.0.1:1")
    event = fire(KlaviyoCampaignStatusTrigger(**soon(0.3)))
    assert (event["outcome"], event["status"]) == ("timeout", "")


@pytest.mark.parametrize(("failing", "kind"), [(401, "KlaviyoAuthError"), (403, "KlaviyoAuthError")])
def test_a_refusal_that_cannot_pass_ends_it_at_once(connect: Connect, failing: int, kind: str) -> None:
    with OneCampaign("Sending") as server:
        connect(server.url)
        server.failing = failing
        event = fire(KlaviyoCampaignStatusTrigger(**soon(20)))
    assert event["outcome"] == "error"
    assert event["error"]["kind"] == kind
    assert event["error"]["status"] == failing
    assert KEY not in json.dumps(event)


def test_an_unknown_campaign_ends_a_wait_for_others_at_once(connect: Connect) -> None:
    with OneCampaign("Sending") as server:
        connect(server.url)
        event = fire(KlaviyoCampaignStatusTrigger(**soon(20, campaign_id="NOPE")))
    assert event["error"]["kind"] == "KlaviyoNotFoundError"


def test_a_connection_that_cannot_be_used_ends_it_with_its_error(connect: Connect) -> None:
    connect("http://example.com")
    event = fire(KlaviyoCampaignStatusTrigger(**soon(20)))
    assert event["error"]["kind"] == "KlaviyoValidationError"
    assert event["error"]["pointer"] == "host"


@pytest.mark.parametrize(("job", "outcome"), [("complete", "done"), ("cancelled", "failed"), ("processing", "timeout")])
def test_the_send_job_trigger_ends_as_the_job_does(connect: Connect, job: str, outcome: str) -> None:
    with OneCampaign("Cancelled: Billing Limit", job=job) as server:
        connect(server.url)
        event = fire(KlaviyoCampaignSendJobTrigger(**soon(0.5)))
    assert event["outcome"] == outcome
    if outcome == "failed":
        assert event["status"] == "Cancelled: Billing Limit"
        assert "plan" in event["reason"]


def test_the_estimation_trigger_counts(connect: Connect) -> None:
    with OneCampaign(job="complete", count=0) as server:
        connect(server.url)
        event = fire(KlaviyoRecipientEstimationJobTrigger(**soon()))
    assert event["count"] == 0


def test_no_results_yet_is_waited_out_but_not_for_ever(connect: Connect) -> None:
    with OneCampaign(job="complete", count=None) as server:
        connect(server.url)
        event = fire(KlaviyoRecipientEstimationJobTrigger(**soon(0.3)))
        assert event["outcome"] == "timeout"
        later = threading.Timer(0.2, lambda: setattr(server, "count", 7))
        later.start()
        event = fire(KlaviyoRecipientEstimationJobTrigger(**soon()))
        later.join()
    assert (event["outcome"], event["count"]) == ("done", 7)


def test_an_estimation_of_an_unknown_campaign_ends_at_once(klaviyo: Klaviyo) -> None:
    event = fire(KlaviyoRecipientEstimationJobTrigger(**soon(20, campaign_id="NOPE")))
    assert event["error"]["kind"] == "KlaviyoNotFoundError"


@pytest.mark.parametrize("body", ["{}", "", '{"message": "maintenance"}', '{"data": null}'])
def test_an_answer_of_another_shape_does_not_end_it_either(connect: Connect, body: str) -> None:
    """A gateway's friendly page with status 200 is as passing as one with 503."""
    from tests.support.scripted import Scripted, http

    with Scripted(http(200, body.encode())) as server:
        connect(server.url)
        event = fire(KlaviyoCampaignStatusTrigger(**soon(0.4)))
    assert event["outcome"] == "timeout"


def test_it_only_reads(klaviyo: Klaviyo) -> None:
    klaviyo.send(DRAFT_EMAIL)
    before = len(klaviyo.requests())
    assert fire(KlaviyoCampaignStatusTrigger(**soon(campaign_id=DRAFT_EMAIL)))["outcome"] == "done"
    assert {row["method"] for row in klaviyo.requests()[before:]} == {"GET"}


def test_the_log_says_once_that_a_scheduled_campaign_is_looked_at_seldom(
    connect: Connect, capsys: pytest.CaptureFixture[str]
) -> None:
    with OneCampaign("Scheduled", send_time="2099-05-01T08:00:00+00:00") as server:
        connect(server.url)
        event = fire(KlaviyoCampaignStatusTrigger(**soon(2)))
    assert event["outcome"] == "timeout"
    [line] = [line for line in capsys.readouterr().out.splitlines() if "Looking" in line]
    assert f"Campaign {CAMPAIGN}: Scheduled, to be sent at 2099-05-01 08:00:00 UTC." in line
    assert "Looking seldom until then, and every 0.02 s after" in line
