from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_klaviyo.campaigns import email, push, sms, static, throttled
from airflow_provider_klaviyo.exceptions import (
    KlaviyoNotFoundError,
    KlaviyoRefusedError,
    KlaviyoValidationError,
    RefusalReason,
)
from airflow_provider_klaviyo.operators.campaigns import (
    KlaviyoUpdateCampaignMessageOperator,
    KlaviyoUpdateCampaignOperator,
)
from tests.support.context import Task
from tests.support.refusals import refused
from tests.support.sandbox import DRAFT_EMAIL, DRAFT_SMS, LIST, OTHER_LIST, SENT

EMAIL_MESSAGE = "01H5QQV9FGJ1H66PGPER6WN9F5"
LATER = static(datetime(2100, 1, 1, 9, tzinfo=UTC))


def update(**arguments: Any) -> Task:
    return Task(lambda: KlaviyoUpdateCampaignOperator(task_id="update", **arguments))


def rewrite(**arguments: Any) -> Task:
    return Task(lambda: KlaviyoUpdateCampaignMessageOperator(task_id="rewrite", **arguments))


# --- the campaign -----------------------------------------------------------------------------------------------------


def test_what_is_given_is_changed_and_the_rest_stays(klaviyo):
    before = klaviyo.campaign(DRAFT_EMAIL)
    task = update(campaign_id=DRAFT_EMAIL, name="Sale of {{ run_id }}", send_strategy=LATER)
    assert task.run() == DRAFT_EMAIL
    after = klaviyo.campaign(DRAFT_EMAIL)
    assert after["name"] == "Sale of manual__now"
    assert after["send_strategy"]["datetime"].startswith("2100-01-01T09:00")
    for unchanged in ("audiences", "send_options", "tracking_options", "status"):
        assert after[unchanged] == before[unchanged]


def test_a_list_of_audiences_is_replaced_and_the_one_left_out_stays(klaviyo):
    update(campaign_id=DRAFT_EMAIL, audiences={"included": [LIST], "excluded": [OTHER_LIST]}).run()
    update(campaign_id=DRAFT_EMAIL, audiences={"included": ["YzykDM"]}).run()
    assert klaviyo.campaign(DRAFT_EMAIL)["audiences"] == {"included": ["YzykDM"], "excluded": [OTHER_LIST]}


def test_the_link_to_the_campaign_is_there(klaviyo):
    task = update(campaign_id=DRAFT_EMAIL, name="New")
    task.run()
    assert task.ti.xcoms["klaviyo_campaign_link"] == f"{klaviyo.url}/#{DRAFT_EMAIL}"


def test_a_scheduled_campaign_is_refused_and_the_way_is_named(klaviyo):
    update(campaign_id=DRAFT_EMAIL, send_strategy=LATER).run()
    klaviyo.send(DRAFT_EMAIL)
    klaviyo.advance(60)
    way = r"'Scheduled'; only a draft.*Revert it first .*action='revert'"
    with refused(RefusalReason.NOT_A_DRAFT, campaign_id=DRAFT_EMAIL, match=way):
        update(campaign_id=DRAFT_EMAIL, name="Too late").run()
    assert klaviyo.campaign(DRAFT_EMAIL)["name"] != "Too late"
    assert len(klaviyo.requests("update_campaign")) == 1


def test_a_sent_campaign_is_refused_and_the_way_is_named(klaviyo):
    with pytest.raises(KlaviyoRefusedError, match=r"'Sent'.*clone it"):
        update(campaign_id=SENT, name="Too late").run()


def test_a_lost_answer_is_made_up_for(klaviyo):
    klaviyo.fail("update_campaign", "drop_after_commit")
    assert update(campaign_id=DRAFT_EMAIL, name="New").run() == DRAFT_EMAIL
    assert klaviyo.fired() == [1]
    assert klaviyo.campaign(DRAFT_EMAIL)["name"] == "New"


def test_an_unknown_campaign_is_not_found(klaviyo):
    with pytest.raises(KlaviyoNotFoundError):
        update(campaign_id="nope", name="New").run()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "nothing to change"),
        ({"name": " "}, "name is ' '"),
        ({"send_strategy": {}}, "method is missing"),
        ({"audiences": {"included": []}}, "included is empty"),
        ({"audiences": {"include": [LIST]}}, "Did you mean 'included'"),
        ({"send_options": {"smart": True}}, "smart"),
        ({"tracking_options": {"is_tracking_opens": "perhaps"}}, "True or False"),
        (
            {"send_strategy": throttled(datetime(2100, 1, 1, tzinfo=UTC), throttle_percentage=5)},
            "throttle_percentage",
        ),
    ],
)
def test_a_wrong_setting_is_an_error_of_the_dags_import(arguments, words):
    with pytest.raises(KlaviyoValidationError, match=words):
        KlaviyoUpdateCampaignOperator(task_id="update", campaign_id="A", revision="2026-04-15", **arguments)


def test_a_setting_that_turns_out_wrong_when_rendered_is_refused_before_any_call(klaviyo):
    with pytest.raises(KlaviyoValidationError, match="use_smart_sending"):
        update(campaign_id=DRAFT_EMAIL, send_options={"use_smart_sending": "{{ run_id }}"}).run()
    assert klaviyo.requests() == []


# --- the message ------------------------------------------------------------------------------------------------------


def test_the_content_of_the_message_is_changed_and_the_rest_stays(klaviyo):
    assert rewrite(campaign_id=DRAFT_EMAIL, message=email(subject="Only {{ run_id }}")).run() == DRAFT_EMAIL
    content = klaviyo.message(DRAFT_EMAIL)["attributes"]["definition"]["content"]
    assert content["subject"] == "Only manual__now"
    assert content["preview_text"] == "Up to 70% off until Sunday night"


def test_the_message_may_be_named_itself(klaviyo):
    assert rewrite(message_id=EMAIL_MESSAGE, message=email(subject="New")).run() == DRAFT_EMAIL
    assert klaviyo.message(DRAFT_EMAIL)["attributes"]["definition"]["content"]["subject"] == "New"


def test_an_image_goes_beside_the_content(klaviyo):
    rewrite(campaign_id=DRAFT_SMS, message=sms(body="Now", image_id="12345")).run()
    [request] = klaviyo.requests("update_campaign_message")
    assert request["body"]["data"]["relationships"]["image"]["data"]["id"] == "12345"
    assert "image_id" not in request["body"]["data"]["attributes"]["definition"]


def test_a_message_of_another_channel_is_refused(klaviyo):
    with pytest.raises(KlaviyoValidationError, match="'mobile_push' in a 'email' campaign"):
        rewrite(campaign_id=DRAFT_EMAIL, message=push(body="Ping")).run()
    assert klaviyo.requests("update_campaign_message") == []


def test_the_message_of_a_sent_campaign_is_refused(klaviyo):
    with pytest.raises(KlaviyoRefusedError, match="'Sent'"):
        rewrite(campaign_id=SENT, message=email(subject="New")).run()
    assert klaviyo.requests("update_campaign_message") == []


@pytest.mark.parametrize("subject", [{}, {"campaign_id": "A", "message_id": "B"}])
def test_either_the_campaign_or_the_message_is_named(subject):
    with pytest.raises(KlaviyoValidationError, match="give exactly one of them"):
        KlaviyoUpdateCampaignMessageOperator(task_id="rewrite", message=email(subject="New"), **subject)


def test_content_that_klaviyo_would_refuse_is_an_error_of_the_dags_import():
    with pytest.raises(KlaviyoValidationError, match="render_options"):
        KlaviyoUpdateCampaignMessageOperator(
            task_id="rewrite", campaign_id="A", message={"channel": "email", "render_options": {}}
        )
