"""Several runs, one mail: Klaviyo's own record decides."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_klaviyo.campaigns import email, immediate, static
from airflow_provider_klaviyo.compat import AirflowSkipException
from airflow_provider_klaviyo.exceptions import KlaviyoTransientError, KlaviyoValidationError, RefusalReason
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.operators.campaigns import KlaviyoCreateCampaignOperator, KlaviyoSendCampaignOperator
from tests.support.refusals import refused
from tests.support.sandbox import DRAFT_EMAIL, LIST, OTHER_LIST
from tests.support.tasks import NAME, assign, clone, create, send

MAKERS = pytest.mark.parametrize("make", [create, clone])
HOURS = timedelta(hours=20)


def campaigns(name: str = NAME) -> list[str]:
    return [one.id for one in KlaviyoHook().find_campaigns(channel="email", name=name)]


# --- if_exists -------------------------------------------------------------------------------------------------------


@MAKERS
def test_another_run_makes_another_campaign_of_the_name_unless_told(klaviyo, make):
    assert make().run() != make().run()
    assert len(campaigns()) == 2


@MAKERS
@pytest.mark.parametrize("durable", [True, False])
def test_another_run_is_skipped_where_the_name_is_there_and_the_log_says_so(klaviyo, make, durable, caplog):
    first = make(if_exists="skip", durable=durable).run()
    with pytest.raises(AirflowSkipException, match=rf"a campaign named '{NAME}' already: {first} \(Draft\)"):
        make(if_exists="skip", durable=durable).run()
    assert f"{first} (Draft). None was made, as if_exists='skip' asks." in caplog.text
    assert campaigns() == [first]


@MAKERS
def test_another_run_is_refused_where_the_name_is_there(klaviyo, make):
    first = make(if_exists="refuse").run()
    with refused(RefusalReason.EXISTS, campaign_id=first):
        make(if_exists="refuse").run()
    assert campaigns() == [first]


@MAKERS
def test_another_run_goes_on_with_the_campaign_that_is_there(klaviyo, make):
    first = make(if_exists="adopt").run()
    task = make(if_exists="adopt", audiences={"included": [OTHER_LIST]})
    assert task.run() == first
    assert task.run() == first
    assert campaigns() == [first]
    assert KlaviyoHook().get_campaign(first).attributes["audiences"]["included"] == [OTHER_LIST]


@MAKERS
@pytest.mark.parametrize("if_exists", ["skip", "refuse", "adopt"])
@pytest.mark.parametrize("durable", [True, False])
def test_a_retry_goes_on_with_what_its_own_task_has_made(klaviyo, make, if_exists, durable):
    klaviyo.fail("create_campaign" if make is create else "create_campaign_clone", "drop_after_commit")
    task = make(if_exists=if_exists, durable=durable)
    first = task.run()
    assert klaviyo.fired() == [1]
    assert task.run() == first
    task.clear(forgets=True)
    assert task.run() == first
    assert campaigns() == [first]


@pytest.mark.parametrize("if_exists", ["skip", "refuse"])
def test_a_campaign_that_was_sent_or_cancelled_is_there_too(klaviyo, if_exists):
    first = create(if_exists=if_exists).run()
    assign(campaign_id=first).run()
    send(campaign_id=first).run()
    with pytest.raises(Exception, match=rf"{first} \(Sent\)"):
        create(if_exists=if_exists).run()


def test_a_sent_campaign_that_is_adopted_is_left_as_it_is_and_not_sent_again(klaviyo):
    first = create().run()
    assign(campaign_id=first).run()
    send(campaign_id=first).run()
    assert create(if_exists="adopt", audiences={"included": [OTHER_LIST]}).run() == first
    with refused(RefusalReason.ALREADY_SENT, campaign_id=first):
        send(campaign_id=first).run()
    assert len(klaviyo.sends(first)) == 1


def test_of_several_none_is_adopted(klaviyo):
    create().run()
    create().run()
    with refused(RefusalReason.SEVERAL_MATCH):
        create(if_exists="adopt").run()
    with pytest.raises(AirflowSkipException):
        create(if_exists="skip").run()
    assert len(campaigns()) == 2


@pytest.mark.parametrize("name", [f"{NAME} ", f"{NAME}!", NAME.upper()])
def test_another_name_is_another_campaign(klaviyo, name):
    create().run()
    assert create(name=name, if_exists="refuse").run()


def test_the_source_of_a_clone_may_have_its_name(klaviyo):
    source = create().run()
    made = clone(campaign_id=source, new_name=NAME, if_exists="refuse").run()
    assert made != source
    with refused(RefusalReason.EXISTS, campaign_id=made):
        clone(campaign_id=source, new_name=NAME, if_exists="refuse").run()


def test_a_look_that_fails_makes_nothing(klaviyo):
    klaviyo.fail("get_campaigns", "status_before_commit", status=503, times=99)
    with pytest.raises(KlaviyoTransientError):
        create(if_exists="skip").run()
    assert sum(klaviyo.fired()) > 0
    assert klaviyo.counted()["create_campaign"] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"if_exists": "ignore"}, "if_exists is 'ignore'; allowed: 'make', 'adopt', 'skip', 'refuse'"),
        ({"if_exists": None}, "if_exists is None"),
        ({"if_exists": "skip", "on_clear": "new"}, "Leave out one of them"),
    ],
)
def test_what_cannot_be_is_refused_when_the_dag_is_imported(arguments, words):
    with pytest.raises(KlaviyoValidationError, match=words):
        KlaviyoCreateCampaignOperator(
            task_id="create", name=NAME, audiences={"included": [LIST]}, messages=[email(subject="x")], **arguments
        )


# --- not_within ------------------------------------------------------------------------------------------------------


def ready(name: str, *, to: str = LIST, strategy: Any = None) -> str:
    """A draft that may be sent."""
    made = create(name=name, audiences={"included": [to]}, send_strategy=strategy or immediate()).run()
    assign(campaign_id=made).run()
    return str(made)


def scheduled(name: str, at: datetime, *, to: str = LIST) -> str:
    made = ready(name, to=to, strategy=static(at))
    send(campaign_id=made, wait_until="scheduled", timeout=30).run()
    return made


def test_a_second_campaign_to_the_same_audience_is_refused_by_name(klaviyo):
    first, second = ready("Monday's"), ready("Monday's, again")
    send(campaign_id=first, not_within=HOURS).run()
    with refused(RefusalReason.RECENT, campaign_id=second) as caught:
        send(campaign_id=second, not_within=HOURS).run()
    assert f"Campaign {first} (\"Monday's\") to the same audience is 'Sent'" in str(caught.value)
    assert [row["campaign_id"] for row in klaviyo.sends()] == [first]
    assert KlaviyoHook().get_campaign(second).attributes["status"] == "Draft"


def test_a_second_campaign_is_skipped_where_that_is_asked_for(klaviyo):
    first, second = ready("One"), ready("Two")
    send(campaign_id=first).run()
    with pytest.raises(AirflowSkipException, match=rf"campaign {second} was not sent, and is a draft"):
        send(campaign_id=second, not_within=HOURS, if_recent="skip").run()
    assert len(klaviyo.sends()) == 1


def test_a_campaign_to_others_does_not_count(klaviyo):
    first, second = ready("One"), ready("Two", to=OTHER_LIST)
    send(campaign_id=first).run()
    send(campaign_id=second, not_within=HOURS).run()
    assert len(klaviyo.sends()) == 2


def test_the_order_of_the_audiences_does_not_matter(klaviyo):
    one = create(name="One", audiences={"included": [LIST, OTHER_LIST]}).run()
    two = create(name="Two", audiences={"included": [OTHER_LIST, LIST], "excluded": []}).run()
    for made in (one, two):
        assign(campaign_id=made).run()
    send(campaign_id=one).run()
    with refused(RefusalReason.RECENT, campaign_id=two):
        send(campaign_id=two, not_within=HOURS).run()


def test_a_campaign_that_went_out_earlier_does_not_count(klaviyo, hours):
    first, second = ready("One"), ready("Two")
    send(campaign_id=first).run()
    hours.pass_by(21 * 3600)
    send(campaign_id=second, not_within=HOURS).run()
    assert len(klaviyo.sends()) == 2


@pytest.mark.parametrize(("hours", "counts"), [(2, True), (19, True), (21, False), (24 * 7, False)])
def test_a_campaign_on_the_schedule_counts_if_its_time_is_near(klaviyo, hours, counts):
    scheduled("Later", datetime.now(UTC) + timedelta(hours=hours))
    now = ready("Now")
    if counts:
        with refused(RefusalReason.RECENT, campaign_id=now):
            send(campaign_id=now, not_within=HOURS).run()
    else:
        send(campaign_id=now, not_within=HOURS).run()
    assert len(klaviyo.sends(now)) == (0 if counts else 1)


def test_a_draft_that_is_to_go_out_later_is_compared_by_its_own_time(klaviyo):
    send(campaign_id=ready("Now")).run()
    near = ready("Near", strategy=static(datetime.now(UTC) + timedelta(hours=5)))
    with refused(RefusalReason.RECENT, campaign_id=near):
        send(campaign_id=near, wait_until="scheduled", not_within=HOURS).run()
    far = ready("Far", strategy=static(datetime.now(UTC) + timedelta(hours=25)))
    send(campaign_id=far, wait_until="scheduled", not_within=HOURS, timeout=30).run()


def test_drafts_and_cancelled_campaigns_do_not_count(klaviyo):
    ready("A draft")
    cancelled = scheduled("Cancelled", datetime.now(UTC) + timedelta(hours=2))
    KlaviyoHook().cancel_send(cancelled, action="cancel")
    send(campaign_id=ready("Now"), not_within=HOURS).run()
    assert len(klaviyo.sends()) == 1


def test_a_retry_of_a_send_whose_answer_was_lost_is_not_stopped_by_itself(klaviyo):
    made = ready("One")
    klaviyo.fail("send_campaign", "drop_after_commit")
    task = send(campaign_id=made, not_within=HOURS)
    assert task.run() == made
    assert klaviyo.fired() == [1]
    assert task.run() == made
    assert len(klaviyo.sends(made)) == 1


def test_a_look_at_recent_campaigns_that_fails_sends_nothing(klaviyo):
    made = ready("One")
    klaviyo.fail("get_campaigns", "status_before_commit", status=503, times=99)
    with pytest.raises(KlaviyoTransientError):
        send(campaign_id=made, not_within=HOURS).run()
    assert sum(klaviyo.fired()) > 0
    assert klaviyo.sends() == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"not_within": 20}, "not_within is 20; give a timedelta"),
        ({"not_within": timedelta(0)}, "not_within is .*give a timedelta of more than 0"),
        ({"not_within": HOURS, "if_recent": "send"}, "if_recent is 'send'; allowed: 'refuse', 'skip'"),
    ],
)
def test_a_send_that_cannot_be_is_refused_when_the_dag_is_imported(arguments, words):
    with pytest.raises(KlaviyoValidationError, match=words):
        KlaviyoSendCampaignOperator(task_id="send", campaign_id=DRAFT_EMAIL, **arguments)
