"""A guard that knows what such a campaign usually has."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_klaviyo.campaigns.bounds import Bounds, bound
from airflow_provider_klaviyo.exceptions import (
    KlaviyoNotFoundError,
    KlaviyoRateLimitError,
    KlaviyoRecipientCountError,
    KlaviyoTransientError,
    KlaviyoValidationError,
)
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.operators.campaigns import KlaviyoEstimateRecipientsOperator
from proof.gateway import REPLIES
from tests.support.sandbox import DRAFT_EMAIL, DRAFT_SMS, LIST, NOBODY, OTHER_LIST, Klaviyo
from tests.support.tasks import create, estimate

REPORT = "query_campaign_values"
HOUR = 3600.0
NEWS = "Weekly news"
MODES = pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "deferrable"])


def sent(klaviyo: Klaviyo, name: str, audience: str, source: str = DRAFT_EMAIL) -> str:
    """A campaign that somebody sent, an hour before the next one."""
    campaign_id = KlaviyoHook().clone_campaign(source, name).id
    klaviyo.change(campaign_id, audiences={"included": [audience]}, send_strategy={"method": "immediate"})
    klaviyo.send(campaign_id)
    klaviyo.wait_for_sends()
    klaviyo.advance(HOUR)
    return campaign_id


def counts(klaviyo: Klaviyo) -> dict[str, int]:
    return {row["name"]: row["recipients"] for row in klaviyo.sends()}


@pytest.fixture
def three(klaviyo: Klaviyo) -> list[int]:
    """What three sends of the name had."""
    for number, audience in enumerate([OTHER_LIST, LIST, OTHER_LIST], 1):
        sent(klaviyo, f"{NEWS} {number}", audience)
    return list(counts(klaviyo).values())


@MODES
@pytest.mark.parametrize(
    ("bounds", "fits"),
    [
        ({"minimum": "50%"}, True),
        ({"minimum": "{{ 50 }}%", "maximum": " 150.5 % "}, True),
        ({"minimum": "100%"}, False),
        ({"minimum": 1, "maximum": "50%"}, False),
        ({"minimum": 11, "maximum": "100%"}, True),
    ],
)
def test_a_share_is_of_the_median_of_the_last_sends(klaviyo, three, bounds, fits, deferrable):
    assert sorted(three) == [11, three[0], three[0]]
    usual = three[0]
    campaign_id = create().run()
    task = estimate(campaign_id=campaign_id, compare_with=NEWS, deferrable=deferrable, **bounds)
    if fits:
        assert task.run() == 11
    else:
        with pytest.raises(KlaviyoRecipientCountError) as caught:
            task.run()
        assert (caught.value.count, caught.value.usual, caught.value.campaign_id) == (11, usual, campaign_id)
        fewer = round(100 * (usual - 11) / usual)
        assert f"11 recipients, {fewer}% fewer than its last sends had ({usual}, the median)" in str(caught.value)
        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    assert campaign_id not in [row["campaign_id"] for row in klaviyo.sends()]


def test_a_segment_that_has_lost_half_stops_the_send_and_one_that_has_grown_is_named_too(klaviyo, three, caplog):
    caplog.set_level("INFO")
    larger = create(audiences={"included": ["YzykDM"]}).run()
    with pytest.raises(KlaviyoRecipientCountError, match=r"\d+% more than its last sends had"):
        estimate(campaign_id=larger, minimum="50%", maximum="120%", compare_with=NEWS).run()
    assert f"The last 3 sends had a median of {three[0]} recipients: '{NEWS} 3' {three[2]}" in caplog.text


def test_only_the_latest_count(klaviyo, three):
    sent(klaviyo, f"{NEWS} 4", LIST)
    campaign_id = create().run()
    with pytest.raises(KlaviyoRecipientCountError):
        estimate(campaign_id=campaign_id, minimum="100%", compare_with=NEWS).run()
    assert estimate(campaign_id=campaign_id, minimum="100%", compare_with=NEWS, last_sends=1).run() == 11


def test_others_do_not_count(klaviyo):
    """Another name, another case, another channel, a draft, itself, one without recipients."""
    sent(klaviyo, f"{NEWS} 1", LIST)
    sent(klaviyo, "Monthly news", OTHER_LIST)
    sent(klaviyo, f"Not {NEWS}", OTHER_LIST)
    sent(klaviyo, NEWS.upper(), OTHER_LIST)
    sent(klaviyo, f"{NEWS} by SMS", "TUeZtq", DRAFT_SMS)
    sent(klaviyo, f"{NEWS} to nobody", NOBODY)
    draft = create(name=f"{NEWS} 2").run()
    assert estimate(campaign_id=draft, minimum="100%", maximum="100%", compare_with=NEWS).run() == 11


@pytest.mark.parametrize("name", ["Nothing of the kind", "Summer Sale"])
def test_a_guard_that_has_nothing_to_compare_with_stops(klaviyo, name):
    """There is no such send; or the only one was sent more than a year ago."""
    klaviyo.advance(400 * 24 * HOUR)
    campaign_id = create().run()
    with pytest.raises(KlaviyoNotFoundError, match=rf"compare_with is '{name}'.*give minimum and maximum as numbers"):
        estimate(campaign_id=campaign_id, minimum="50%", compare_with=name).run()
    assert klaviyo.requests("refresh_campaign_recipient_estimation") == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"minimum": "50%"}, "minimum is '50%', a share of earlier sends. Give compare_with"),
        ({"maximum": "150%"}, "maximum is '150%'"),
        ({"minimum": "90%", "maximum": "80%", "compare_with": NEWS}, "minimum is 90% and maximum is 80%"),
        ({"minimum": "-50%", "compare_with": NEWS}, "minimum is '-50%'; give a whole number"),
        ({"minimum": 0.5, "compare_with": NEWS}, "minimum is 0.5; give a whole number"),
        ({"minimum": "50%", "compare_with": " "}, "compare_with"),
        ({"minimum": "50%", "compare_with": NEWS, "last_sends": 0}, "last_sends is 0. Give a whole number, 1 to 100"),
        ({"minimum": "50%", "compare_with": NEWS, "last_sends": True}, "last_sends is True"),
    ],
)
def test_what_cannot_be_right_does_not_import(arguments: dict[str, Any], message: str):
    with pytest.raises(KlaviyoValidationError, match=message):
        KlaviyoEstimateRecipientsOperator(task_id="estimate", campaign_id=DRAFT_EMAIL, **arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"minimum": "{{ '50%' }}"},
        {"minimum": "50%", "compare_with": "{{ None }}"},
        {"minimum": "50%", "compare_with": "{{ '' }}"},
    ],
)
def test_what_is_rendered_to_what_cannot_be_right_fails_before_the_first_call(klaviyo, arguments):
    with pytest.raises(KlaviyoValidationError, match="compare_with"):
        estimate(**arguments).run()
    assert klaviyo.requests() == []


def test_while_the_reports_of_the_day_are_spent_the_task_waits_without_a_slot_and_counts_afresh(
    klaviyo, three, pauses, capsys
):
    klaviyo.fail(REPORT, "throttle", retry_after=600)
    task = estimate(campaign_id=create().run(), minimum="50%", compare_with=NEWS, deferrable=True)
    assert task.run() == 11
    assert klaviyo.fired() == [1]
    assert pauses[0] > 590
    assert "without a worker slot" in capsys.readouterr().out
    assert len(klaviyo.requests("refresh_campaign_recipient_estimation")) == 1


@MODES
def test_reports_that_stay_spent_for_longer_than_the_timeout_fail_the_task(klaviyo, three, pauses, deferrable):
    klaviyo.fail(REPORT, "throttle", retry_after=40_000, times=None)
    with pytest.raises(KlaviyoRateLimitError):
        estimate(campaign_id=create().run(), minimum="50%", compare_with=NEWS, deferrable=deferrable).run()
    assert klaviyo.fired() == [1]
    assert klaviyo.requests("refresh_campaign_recipient_estimation") == []


def test_a_report_that_is_not_answered_is_asked_for_again(klaviyo, three):
    klaviyo.fail(REPORT, "status_after_commit", status=504)
    assert estimate(campaign_id=create().run(), minimum="50%", compare_with=NEWS).run() == 11
    assert klaviyo.fired() == [1]


def test_a_campaign_that_klaviyo_shows_without_a_message_is_an_error_of_ours(klaviyo, gateway):
    campaign_id = create().run()
    gateway.answer("get_messages_for_campaign", REPLIES["200, data []"], committed=False)
    with pytest.raises(KlaviyoValidationError, match=rf"{campaign_id} has no message"):
        estimate(campaign_id=campaign_id, minimum="50%", compare_with=NEWS).run()
    assert gateway.fired == 1


def test_garbage_fails_the_try(klaviyo, three):
    klaviyo.fail("get_metrics", "garbage", times=None)
    with pytest.raises(KlaviyoTransientError):
        estimate(campaign_id=create().run(), minimum="50%", compare_with=NEWS).run()
    assert klaviyo.fired()[0] > 0


@given(st.integers(0, 10**9), st.integers(0, 10**6), st.integers(0, 10**9))
def test_shares_are_exact(usual: int, hundredths: int, count: int):
    """Within means within, to the recipient: no float decides over a send."""
    text = f"{hundredths // 100}.{hundredths % 100:02}%"
    low, high = Bounds(bound("minimum", text), bound("maximum", text)).of(usual)
    assert low is not None
    assert high is not None
    assert (count >= low) == (count * 10_000 >= hundredths * usual)
    assert (count <= high) == (count * 10_000 <= hundredths * usual)
