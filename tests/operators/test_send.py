"""A campaign is sent, and waited for; and not where it must not be."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_klaviyo.compat import AirflowSkipException, TaskDeferred
from airflow_provider_klaviyo.exceptions import (
    KlaviyoCampaignFailed,
    KlaviyoRefusedError,
    KlaviyoValidationError,
    KlaviyoWaitTimeoutError,
    RefusalReason,
)
from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from tests.conftest import QUICK, Connect
from tests.support.context import dag_run, fire
from tests.support.refusals import refused
from tests.support.sandbox import (
    DRAFT_EMAIL,
    DRAFT_PAST_STATIC,
    NOBODY,
    SENT,
    Klaviyo,
)
from tests.support.scripted import Scripted, error, json_api
from tests.support.tasks import NAME, assign, create, send, source

MODES = pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "deferrable"])
LINK = "klaviyo_campaign_link"


# --- send -------------------------------------------------------------------------------------------------------------


@MODES
def test_send_waits_until_the_campaign_is_sent(klaviyo: Klaviyo, deferrable: bool) -> None:
    task = send(deferrable=deferrable)
    assert task.run() == DRAFT_EMAIL
    assert klaviyo.status(DRAFT_EMAIL) == "Sent"
    assert len(klaviyo.sends()) == 1
    assert task.ti.xcoms[LINK].endswith(DRAFT_EMAIL)
    assert len(task.deferrals) == deferrable


def test_the_link_is_there_while_the_task_still_waits(klaviyo: Klaviyo) -> None:
    task = send(deferrable=True)
    operator, context = task.make(), task.context()
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(context)
    assert task.ti.xcoms[LINK].endswith(DRAFT_EMAIL)
    event = fire(deferred.value.trigger)
    assert task.resume(deferred.value, event) == DRAFT_EMAIL


@MODES
def test_wait_until_scheduled_ends_when_it_is_on_the_schedule(klaviyo: Klaviyo, deferrable: bool) -> None:
    campaign_id = source()
    assert send(campaign_id=campaign_id, wait_until="scheduled", deferrable=deferrable).run() == campaign_id
    assert klaviyo.status(campaign_id) == "Scheduled"
    assert klaviyo.sends() == []


def test_wait_until_none_ends_at_once(klaviyo: Klaviyo) -> None:
    task = send(wait_until=None, deferrable=True)
    assert task.run() == DRAFT_EMAIL
    assert task.deferrals == []
    klaviyo.wait_for_sends()
    assert len(klaviyo.sends()) == 1


@MODES
def test_a_send_that_ends_as_cancelled_fails_with_the_reason(klaviyo: Klaviyo, deferrable: bool) -> None:
    campaign_id = create(audiences={"included": [NOBODY]}).run()
    assign(campaign_id=campaign_id).run()
    with pytest.raises(KlaviyoCampaignFailed, match=r"No Recipients.*audiences") as caught:
        send(campaign_id=campaign_id, deferrable=deferrable).run()
    assert caught.value.campaign_id == campaign_id


@MODES
def test_a_send_that_takes_too_long_times_out_and_the_next_try_waits_on(klaviyo: Klaviyo, deferrable: bool) -> None:
    campaign_id = source()
    klaviyo.send(campaign_id)
    task = send(campaign_id=campaign_id, timeout=0.2, deferrable=deferrable)
    with pytest.raises(KlaviyoWaitTimeoutError, match=campaign_id):
        task.run()
    klaviyo.advance(31 * 86_400)
    assert task.run() == campaign_id
    assert klaviyo.counted()["send_campaign"] == 1
    assert len(klaviyo.sends()) == 1


def test_a_campaign_that_somebody_else_sent_is_refused_and_the_time_named(klaviyo: Klaviyo) -> None:
    with refused(RefusalReason.ALREADY_SENT, campaign_id=SENT, match=r"2026-01-05T09:00:00.*[Cc]lone"):
        send(campaign_id=SENT).run()
    assert klaviyo.counted()["send_campaign"] == 0


@pytest.mark.parametrize("durable", [True, False], ids=["store", "no store"])
def test_a_retry_does_not_take_somebody_elses_earlier_send_for_its_own(klaviyo: Klaviyo, durable: bool) -> None:
    task = send(campaign_id=SENT, durable=durable)
    for _ in range(2):
        with pytest.raises(KlaviyoRefusedError):
            task.run()
    assert klaviyo.sends() == []


def test_a_campaign_that_somebody_else_put_on_its_way_is_waited_for(klaviyo: Klaviyo) -> None:
    klaviyo.send(DRAFT_EMAIL)
    assert send().run() == DRAFT_EMAIL
    assert klaviyo.counted()["send_campaign"] == 1
    assert len(klaviyo.sends()) == 1


def test_a_cancelled_campaign_is_refused(klaviyo: Klaviyo) -> None:
    campaign_id = source()
    klaviyo.send(campaign_id)
    klaviyo.stop(campaign_id, "cancel")
    with pytest.raises(KlaviyoCampaignFailed, match=r"Cancelled.*clone"):
        send(campaign_id=campaign_id).run()


def test_a_campaign_that_a_person_reverted_is_not_sent_by_a_retry_but_by_a_clear(klaviyo: Klaviyo) -> None:
    campaign_id = source()
    task = send(campaign_id=campaign_id, wait_until="scheduled")
    task.run()
    klaviyo.stop(campaign_id, "revert")
    klaviyo.wait_for_sends()
    while klaviyo.status(campaign_id) != "Draft":
        time.sleep(0.02)
    with refused(RefusalReason.REVERTED, campaign_id=campaign_id, match="clear"):
        task.run()
    assert klaviyo.counted()["send_campaign"] == 1
    task.clear()
    assert task.run() == campaign_id
    assert klaviyo.counted()["send_campaign"] == 2


def test_a_send_time_that_has_passed_is_refused_as_klaviyo_would_send_at_once(klaviyo: Klaviyo) -> None:
    with pytest.raises(KlaviyoValidationError, match="has passed") as caught:
        send(campaign_id=DRAFT_PAST_STATIC).run()
    assert caught.value.pointer == "/send_strategy/datetime"
    assert klaviyo.sends() == []


def test_a_send_time_after_the_waits_end_is_refused_before_it_is_scheduled(klaviyo: Klaviyo) -> None:
    campaign_id = source()
    with pytest.raises(KlaviyoValidationError, match=r"wait_until='scheduled'"):
        send(campaign_id=campaign_id).run()
    assert klaviyo.status(campaign_id) == "Draft"


def test_a_refusal_because_it_is_on_its_way_already_is_looked_at_again(
    connect: Callable[..., None], brief_pauses: None
) -> None:
    """An earlier try's send was carried out between this try's look and its own send."""

    def campaign(status: str) -> bytes:
        attributes = {"name": NAME, "status": status, "send_strategy": {"method": "immediate"}, "send_time": None}
        return json_api(200, {"data": {"type": "campaign", "id": "C1", "attributes": attributes}})

    message = {"type": "campaign-message", "id": "M1", "attributes": {"definition": {"channel": "sms"}}}
    with Scripted(
        campaign("Draft"),
        json_api(200, {"data": [message]}),
        error(409, "Campaign C1 is being sent."),
        campaign("Sending"),
        campaign("Sent"),
    ) as server:
        connect(server.url)
        assert send(campaign_id="C1").run() == "C1"
    assert sum(request.startswith(b"POST") for request in server.requests) == 1


# --- runs for the past ------------------------------------------------------------------------------------------------


def catch_up() -> Any:
    due = datetime.now(UTC) - timedelta(days=15)
    return dag_run("scheduled", run_after=due, data_interval_start=due - timedelta(days=7), data_interval_end=due)


RUNS = pytest.mark.parametrize("run", [lambda: dag_run("backfill"), catch_up], ids=["backfill", "catch-up"])


@RUNS
def test_a_run_for_the_past_does_not_send_unless_told(klaviyo: Klaviyo, run: Callable[[], Any]) -> None:
    with refused(RefusalReason.PAST_RUN, campaign_id=DRAFT_EMAIL, match=rf"{DRAFT_EMAIL}.*in_backfill='send'"):
        send(run=run()).run()
    with pytest.raises(AirflowSkipException, match=DRAFT_EMAIL):
        send(run=run(), in_backfill="skip").run()
    assert klaviyo.status(DRAFT_EMAIL) == "Draft"
    assert klaviyo.counted()["send_campaign"] == 0
    assert send(run=run(), in_backfill="send").run() == DRAFT_EMAIL
    assert len(klaviyo.sends()) == 1


@pytest.fixture
def unhurried(connect: Connect, brief_pauses: None) -> Iterator[Klaviyo]:
    """A sandbox in which a send takes two seconds, so that it is met on its way."""
    with Sandbox(limits=False, timing=replace(QUICK, sending=2.0), strict=True) as running:
        connect(running.url)
        klaviyo = Klaviyo(running.url)
        yield klaviyo
        klaviyo.close()


@RUNS
def test_a_run_for_the_past_still_waits_for_the_send_that_was_made(unhurried: Klaviyo, run: Callable[[], Any]) -> None:
    unhurried.send(DRAFT_EMAIL)
    assert send(run=run()).run() == DRAFT_EMAIL


def test_an_hourly_run_whose_successors_are_due_is_for_the_past_too(klaviyo: Klaviyo) -> None:
    """Airflow 3's cron schedules have no data interval: start and end are the same moment."""
    due = datetime.now(UTC) - timedelta(hours=5)
    run = dag_run("scheduled", run_after=due, data_interval_start=due, data_interval_end=due)

    def make() -> Any:
        from airflow.sdk import DAG

        from airflow_provider_klaviyo.operators.campaigns import KlaviyoSendCampaignOperator

        with DAG("hourly", schedule="@hourly", start_date=datetime(2026, 1, 1, tzinfo=UTC)):
            return KlaviyoSendCampaignOperator(task_id="send", campaign_id=DRAFT_EMAIL, poll_interval=0.02)

    task = send(run=run)
    task.make = make
    with pytest.raises(KlaviyoRefusedError):
        task.run()
    assert klaviyo.sends() == []
