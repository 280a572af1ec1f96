"""Each operator's way to its end, in a worker and in the triggerer, over the sandbox."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_klaviyo.campaigns import email, immediate, push, sms, static, throttled, tracking_options
from airflow_provider_klaviyo.compat import AirflowSkipException, TaskDeferred
from airflow_provider_klaviyo.exceptions import (
    KlaviyoCampaignFailed,
    KlaviyoError,
    KlaviyoNotFoundError,
    KlaviyoRecipientCountError,
    KlaviyoRefusedError,
    KlaviyoValidationError,
    KlaviyoWaitTimeoutError,
    RefusalReason,
)
from tests.conftest import KEY
from tests.support.context import dag_run, fire
from tests.support.refusals import refused
from tests.support.sandbox import (
    DRAFT_EMAIL,
    DRAFT_PAST_STATIC,
    DRAFT_SMS,
    LIST,
    NOBODY,
    OTHER_LIST,
    SENT,
    TEMPLATE,
    Klaviyo,
)
from tests.support.scripted import Scripted, error, json_api
from tests.support.tasks import NAME, assign, cancel, clone, create, estimate, send

MODES = pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "deferrable"])
LINK = "klaviyo_campaign_link"


def ahead(**delta: float) -> str:
    return (datetime.now(UTC) + timedelta(**delta)).isoformat(timespec="seconds")


# --- the whole --------------------------------------------------------------------------------------------------------


@MODES
@pytest.mark.parametrize("durable", [True, False], ids=["store", "no store"])
def test_a_campaigns_life_from_create_to_sent(klaviyo: Klaviyo, deferrable: bool, durable: bool) -> None:
    campaign_id = create(durable=durable).run()
    assert assign(campaign_id=campaign_id, durable=durable).run() == campaign_id
    assert estimate(campaign_id=campaign_id, minimum=5, maximum=20, deferrable=deferrable).run() == 11
    assert send(campaign_id=campaign_id, deferrable=deferrable, durable=durable).run() == campaign_id
    (row,) = klaviyo.sends()
    assert (row["campaign_id"], row["name"], row["recipients"]) == (campaign_id, NAME, 11)


# --- create -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "channel"),
    [
        (email(subject="Hello", preview_text="There"), "email"),
        (sms(body="Hello"), "sms"),
        (push(body="Hello", title="There"), "mobile_push"),
    ],
    ids=["email", "sms", "push"],
)
def test_create_makes_a_draft_as_told(klaviyo: Klaviyo, message: dict[str, Any], channel: str) -> None:
    when = ahead(days=2)
    strategy = throttled(when, throttle_percentage=25)
    task = create(
        messages=[message],
        audiences={"included": [LIST], "excluded": [OTHER_LIST]},
        send_strategy=strategy,
        send_options={"use_smart_sending": False},
    )
    campaign_id = task.run()
    made = klaviyo.campaign(campaign_id)
    assert made["status"] == "Draft"
    assert made["audiences"] == {"included": [LIST], "excluded": [OTHER_LIST]}
    assert made["send_strategy"]["throttle_percentage"] == 25
    assert made["send_options"]["use_smart_sending"] is False
    assert klaviyo.message(campaign_id)["attributes"]["definition"]["channel"] == channel
    assert task.ti.xcoms[LINK] == f"{klaviyo.url}/#{campaign_id}"
    assert klaviyo.counted()["create_campaign"] == 1


def test_what_is_templated_is_rendered_before_it_is_sent(klaviyo: Klaviyo) -> None:
    task = create(
        name="News of {{ run_id }}",
        audiences={"included": ["{{ 'Y6n' ~ 'RLr' }}"]},
        messages=[email(subject="{{ 1 + 1 }} offers")],
        send_options={"use_smart_sending": "{{ True }}"},
    )
    campaign_id = task.run()
    made = klaviyo.campaign(campaign_id)
    assert made["name"] == f"News of {task.run_of_dag.run_id}"
    assert made["audiences"]["included"] == [LIST]
    assert made["send_options"]["use_smart_sending"] is True
    assert klaviyo.message(campaign_id)["attributes"]["definition"]["content"]["subject"] == "2 offers"


# --- clone ------------------------------------------------------------------------------------------------------------


def source(klaviyo: Klaviyo, **arguments: Any) -> str:
    """A campaign to clone, with settings that Klaviyo's clone would lose."""
    settings = {
        "name": "The source",
        "audiences": {"included": [LIST], "excluded": [NOBODY]},
        "send_strategy": static(ahead(days=30)),
        "send_options": {"use_smart_sending": False},
        "tracking_options": tracking_options(is_tracking_clicks=False, is_tracking_opens=True),
        **arguments,
    }
    campaign_id: str = create(**settings).run()
    assign(campaign_id=campaign_id).run()
    return campaign_id


def test_a_clone_keeps_what_klaviyo_would_change(klaviyo: Klaviyo) -> None:
    original = source(klaviyo)
    copy = clone(campaign_id=original).run()
    one, other = klaviyo.campaign(original), klaviyo.campaign(copy)
    for kept in ("audiences", "send_strategy", "send_options", "tracking_options"):
        assert other[kept] == one[kept], kept
    assert other["name"] == NAME
    assert other["status"] == "Draft"
    assert klaviyo.template_of(copy) not in (None, klaviyo.template_of(original))


def test_a_clone_takes_what_it_is_given_instead(klaviyo: Klaviyo) -> None:
    copy = clone(
        campaign_id=source(klaviyo),
        audiences={"included": [OTHER_LIST], "excluded": []},
        send_strategy=immediate(),
        send_options={"use_smart_sending": True},
        tracking_options=tracking_options(is_tracking_clicks=True, is_tracking_opens=False),
    ).run()
    made = klaviyo.campaign(copy)
    assert made["audiences"] == {"included": [OTHER_LIST], "excluded": []}
    assert made["send_strategy"]["method"] == "immediate"
    assert made["send_options"]["use_smart_sending"] is True
    assert (made["tracking_options"]["is_tracking_clicks"], made["tracking_options"]["is_tracking_opens"]) == (
        True,
        False,
    )


def test_audiences_given_to_a_clone_replace_the_sources_as_a_whole(klaviyo: Klaviyo) -> None:
    copy = clone(campaign_id=source(klaviyo), audiences={"included": [OTHER_LIST]}).run()
    assert klaviyo.campaign(copy)["audiences"] == {"included": [OTHER_LIST], "excluded": []}


@pytest.mark.parametrize("original", [SENT, DRAFT_EMAIL, DRAFT_SMS])
def test_a_clone_of_any_status_and_channel_can_be_sent(klaviyo: Klaviyo, original: str) -> None:
    copy = clone(campaign_id=original).run()
    send(campaign_id=copy).run()
    assert [row["campaign_id"] for row in klaviyo.sends()] == [copy]


def test_a_source_whose_time_has_passed_is_refused_before_anything_is_cloned(klaviyo: Klaviyo) -> None:
    before = klaviyo.all_ids()
    with pytest.raises(KlaviyoValidationError, match=rf"{DRAFT_PAST_STATIC}.*immediate\(\)") as caught:
        clone(campaign_id=DRAFT_PAST_STATIC).run()
    assert str(caught.value.pointer).startswith("/send_strategy")
    assert klaviyo.all_ids() == before
    clone(campaign_id=DRAFT_PAST_STATIC, send_strategy=immediate()).run()


def test_a_clone_whose_settings_could_not_be_written_is_named_and_finished_by_the_next_try(klaviyo: Klaviyo) -> None:
    klaviyo.fail("update_campaign", "status_before_commit", status=409)
    task = clone(campaign_id=source(klaviyo))
    with pytest.raises(KlaviyoError) as caught:
        task.run()
    assert klaviyo.fired() == [1]
    (copy,) = klaviyo.named(NAME)
    assert copy in str(caught.value)
    assert task.run() == copy
    assert klaviyo.campaign(copy)["tracking_options"]["is_tracking_clicks"] is False


def test_a_clone_that_is_there_is_not_denied_when_the_sources_time_passes_between_two_tries(klaviyo: Klaviyo) -> None:
    original = source(klaviyo, send_strategy=static(ahead(seconds=2)))
    klaviyo.fail("update_campaign", "status_before_commit", status=409)
    task = clone(campaign_id=original)
    with pytest.raises(KlaviyoError):
        task.run()
    (copy,) = klaviyo.named(NAME)
    passes = datetime.fromisoformat(klaviyo.campaign(original)["send_strategy"]["datetime"])
    time.sleep(max(0.0, (passes - datetime.now(UTC)).total_seconds()) + 0.01)
    with pytest.raises(KlaviyoValidationError) as caught:
        task.run()
    assert copy in str(caught.value) or "Nothing was cloned" not in str(caught.value)


def test_an_option_that_the_sources_channel_does_not_take_is_refused_before_anything_is_cloned(
    klaviyo: Klaviyo,
) -> None:
    before = klaviyo.all_ids()
    with pytest.raises(KlaviyoValidationError, match="SMS"):
        clone(campaign_id=DRAFT_SMS, tracking_options={"is_tracking_clicks": True}).run()
    assert klaviyo.all_ids() == before


# --- assign template --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["campaign_id", "message_id"])
def test_assigning_keeps_both_template_ids(klaviyo: Klaviyo, by: str) -> None:
    campaign_id = create().run()
    message_id = klaviyo.message(campaign_id)["id"]
    task = assign(**{by: campaign_id if by == "campaign_id" else message_id})
    assert task.run() == campaign_id
    copy = klaviyo.template_of(campaign_id)
    assert task.ti.xcoms["template"] == {
        "message_id": message_id,
        "template_id": TEMPLATE,
        "assigned_template_id": copy,
    }
    assert copy != TEMPLATE
    assert task.ti.xcoms[LINK].endswith(campaign_id)


def test_a_retry_keeps_the_template_and_a_clear_assigns_it_again(klaviyo: Klaviyo) -> None:
    campaign_id = create().run()
    task = assign(campaign_id=campaign_id)
    task.run()
    first = klaviyo.template_of(campaign_id)
    task.run()
    assert klaviyo.template_of(campaign_id) == first
    task.clear()
    task.run()
    assert klaviyo.template_of(campaign_id) != first


def test_after_the_send_the_same_task_again_keeps_the_template(klaviyo: Klaviyo) -> None:
    campaign_id = create().run()
    task = assign(campaign_id=campaign_id)
    task.run()
    send(campaign_id=campaign_id).run()
    task.clear()
    assert task.run() == campaign_id


def test_a_template_for_a_campaign_that_is_not_a_draft_is_refused_before_the_call(klaviyo: Klaviyo) -> None:
    with pytest.raises(KlaviyoRefusedError, match=SENT):
        assign(campaign_id=SENT).run()
    assert klaviyo.counted()["assign_template_to_campaign_message"] == 0


def test_only_email_takes_a_template(klaviyo: Klaviyo) -> None:
    with pytest.raises(KlaviyoValidationError, match="'sms'"):
        assign(campaign_id=DRAFT_SMS).run()
    assert klaviyo.counted()["assign_template_to_campaign_message"] == 0


# --- estimate ---------------------------------------------------------------------------------------------------------


@MODES
@pytest.mark.parametrize(
    ("bounds", "fits"),
    [
        ({}, True),
        ({"minimum": 11, "maximum": 11}, True),
        ({"minimum": "11", "maximum": "{{ 10 + 1 }}"}, True),
        ({"minimum": 12}, False),
        ({"maximum": 10}, False),
        ({"minimum": "{{ 12 }}"}, False),
        ({"minimum": None}, True),
    ],
)
def test_an_estimate_outside_the_bounds_stops_before_anything_is_sent(
    klaviyo: Klaviyo, bounds: dict[str, Any], fits: bool, deferrable: bool
) -> None:
    campaign_id = create().run()
    task = estimate(campaign_id=campaign_id, deferrable=deferrable, **bounds)
    if fits:
        assert task.run() == 11
    else:
        with pytest.raises(KlaviyoRecipientCountError, match=r"would reach 11 recipients.*Nothing was sent"):
            task.run()
    assert klaviyo.sends() == []


@pytest.mark.parametrize("nothing", ["{{ None }}", "{{ '' }}", "{{ missing_variable }}"])
def test_a_bound_that_renders_to_nothing_does_not_take_the_bound_away(klaviyo: Klaviyo, nothing: str) -> None:
    """The number came from an upstream task that returned nothing: the guard must not vanish with it."""
    for bound in ("minimum", "maximum"):
        with pytest.raises(KlaviyoValidationError, match=bound):
            estimate(**{bound: nothing}).run()


@MODES
def test_by_default_an_empty_audience_is_stopped(klaviyo: Klaviyo, deferrable: bool) -> None:
    campaign_id = create(audiences={"included": [NOBODY]}).run()
    with pytest.raises(KlaviyoRecipientCountError, match=r"0 recipients.*at least 1"):
        estimate(campaign_id=campaign_id, deferrable=deferrable).run()


def test_every_run_counts_afresh(klaviyo: Klaviyo) -> None:
    task = estimate()
    task.run()
    task.run()
    assert klaviyo.counted()["refresh_campaign_recipient_estimation"] == 2


def test_a_count_that_is_running_is_waited_for(klaviyo: Klaviyo) -> None:
    klaviyo.post("/api/campaign-recipient-estimation-jobs", "campaign-recipient-estimation-job", DRAFT_EMAIL)
    assert estimate().run() > 0


def test_an_estimate_without_a_count_in_its_event_is_an_error_of_ours(klaviyo: Klaviyo) -> None:
    event = {"campaign_id": DRAFT_EMAIL, "outcome": "done", "status": "complete"}
    operator = estimate().make()
    with pytest.raises(KlaviyoError):
        operator.resume_execution("execute_complete", {"event": event}, estimate().context())


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
    campaign_id = source(klaviyo)
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
    campaign_id = source(klaviyo)
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
    campaign_id = source(klaviyo)
    klaviyo.send(campaign_id)
    klaviyo.stop(campaign_id, "cancel")
    with pytest.raises(KlaviyoCampaignFailed, match=r"Cancelled.*clone"):
        send(campaign_id=campaign_id).run()


def test_a_campaign_that_a_person_reverted_is_not_sent_by_a_retry_but_by_a_clear(klaviyo: Klaviyo) -> None:
    campaign_id = source(klaviyo)
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
    campaign_id = source(klaviyo)
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


@RUNS
def test_a_run_for_the_past_still_waits_for_the_send_that_was_made(klaviyo: Klaviyo, run: Callable[[], Any]) -> None:
    klaviyo.send(DRAFT_EMAIL)
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


# --- cancel and revert ------------------------------------------------------------------------------------------------


@MODES
@pytest.mark.parametrize(("action", "status"), [("cancel", "Cancelled"), ("revert", "Draft")])
def test_a_scheduled_campaign_is_stopped_and_waited_for(
    klaviyo: Klaviyo, action: str, status: str, deferrable: bool
) -> None:
    campaign_id = source(klaviyo)
    klaviyo.send(campaign_id)
    klaviyo.wait_for_sends()
    task = cancel(campaign_id=campaign_id, action=action, deferrable=deferrable)
    assert task.run() == campaign_id
    assert klaviyo.status(campaign_id) == status
    assert task.run() == campaign_id, "what is stopped already is left as it is"
    assert klaviyo.counted()["cancel_campaign_send"] == 1


@pytest.mark.parametrize("action", ["cancel", "revert"])
def test_a_campaign_that_is_sent_cannot_be_stopped(klaviyo: Klaviyo, action: str) -> None:
    with pytest.raises(KlaviyoCampaignFailed, match="cannot be stopped"):
        cancel(campaign_id=SENT, action=action).run()


def test_a_draft_has_no_send_to_cancel(klaviyo: Klaviyo) -> None:
    with refused(RefusalReason.NOTHING_TO_CANCEL, campaign_id=DRAFT_EMAIL, match="draft"):
        cancel(action="cancel").run()
    assert cancel(action="revert").run() == DRAFT_EMAIL


@pytest.mark.parametrize("action", ["cancel", "revert"])
@pytest.mark.parametrize(
    "rule",
    [
        {"fault": "drop_after_commit"},
        {"fault": "status_after_commit", "status": 504},
        {"fault": "drop_before_commit"},
        {"fault": "status_before_commit", "status": 500},
    ],
    ids=lambda rule: rule["fault"],
)
def test_a_stop_whose_answer_was_lost_is_a_stop(klaviyo: Klaviyo, action: str, rule: dict[str, Any]) -> None:
    """Klaviyo takes a moment to revert: asked again in between, it refuses, and the campaign still looks scheduled."""
    campaign_id = source(klaviyo)
    klaviyo.send(campaign_id)
    klaviyo.wait_for_sends()
    klaviyo.fail("cancel_campaign_send", **rule)
    assert cancel(campaign_id=campaign_id, action=action).run() == campaign_id
    assert klaviyo.fired() == [1]
    assert klaviyo.status(campaign_id) == {"cancel": "Cancelled", "revert": "Draft"}[action]


# --- the secret -------------------------------------------------------------------------------------------------------


@MODES
def test_the_key_is_in_no_log_no_xcom_no_note_no_trigger_and_no_error(
    klaviyo: Klaviyo, deferrable: bool, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    made = create()
    campaign_id = made.run()
    tasks = [
        made,
        assign(campaign_id=campaign_id),
        estimate(campaign_id=campaign_id, deferrable=deferrable),
        send(campaign_id=campaign_id, deferrable=deferrable),
    ]
    klaviyo.fail("send_campaign", "status_after_commit", status=504)
    for task in tasks[1:]:
        task.run()
    with pytest.raises(KlaviyoError) as caught:
        assign(campaign_id=campaign_id, template_id="NoTmpl").run()
    kept = [task.ti.xcoms for task in tasks] + [task.store.notes for task in tasks if task.store]
    stored = [deferred.trigger.serialize() for task in tasks for deferred in task.deferrals]
    printed = capfd.readouterr()
    told = caplog.text + printed.out + printed.err + "".join(traceback.format_exception(caught.value))
    assert "is on its way" in told, "there was something to look through"
    assert KEY not in told + repr(kept) + repr(stored) + repr([task.make().__dict__ for task in tasks])


# --- others -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [clone, assign, estimate, send, cancel])
def test_an_unknown_campaign_is_named_by_its_id(klaviyo: Klaviyo, make: Callable[..., Any]) -> None:
    with pytest.raises(KlaviyoNotFoundError, match="NOPE"):
        make(campaign_id="NOPE").run()
