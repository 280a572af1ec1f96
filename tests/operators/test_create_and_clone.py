"""A campaign is made as told: created, cloned, and given its template."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_klaviyo.campaigns import email, immediate, push, sms, static, throttled, tracking_options
from airflow_provider_klaviyo.exceptions import (
    KlaviyoError,
    KlaviyoRefusedError,
    KlaviyoValidationError,
)
from tests.support.sandbox import (
    DRAFT_EMAIL,
    DRAFT_PAST_STATIC,
    DRAFT_SMS,
    LIST,
    OTHER_LIST,
    SENT,
    TEMPLATE,
    Klaviyo,
)
from tests.support.tasks import NAME, ahead, assign, clone, create, send, source

LINK = "klaviyo_campaign_link"


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


def test_a_clone_keeps_what_klaviyo_would_change(klaviyo: Klaviyo) -> None:
    original = source()
    copy = clone(campaign_id=original).run()
    one, other = klaviyo.campaign(original), klaviyo.campaign(copy)
    for kept in ("audiences", "send_strategy", "send_options", "tracking_options"):
        assert other[kept] == one[kept], kept
    assert other["name"] == NAME
    assert other["status"] == "Draft"
    assert klaviyo.template_of(copy) not in (None, klaviyo.template_of(original))


def test_a_clone_takes_what_it_is_given_instead(klaviyo: Klaviyo) -> None:
    copy = clone(
        campaign_id=source(),
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
    copy = clone(campaign_id=source(), audiences={"included": [OTHER_LIST]}).run()
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
    task = clone(campaign_id=source())
    with pytest.raises(KlaviyoError) as caught:
        task.run()
    assert klaviyo.fired() == [1]
    (copy,) = klaviyo.named(NAME)
    assert copy in str(caught.value)
    assert task.run() == copy
    assert klaviyo.campaign(copy)["tracking_options"]["is_tracking_clicks"] is False


def test_a_clone_that_is_there_is_not_denied_when_the_sources_time_passes_between_two_tries(klaviyo: Klaviyo) -> None:
    original = source(send_strategy=static(ahead(seconds=2)))
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
