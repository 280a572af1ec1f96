from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_klaviyo.exceptions import KlaviyoNotFoundError, KlaviyoRefusedError, KlaviyoValidationError
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.operators.campaigns import KlaviyoSetMessageImageOperator
from tests.support.context import Task
from tests.support.sandbox import DRAFT_EMAIL, DRAFT_SMS

SMS_MESSAGE = "RNCyHC"
IMAGE = "12345"


def set_image(**arguments: Any) -> Task:
    return Task(lambda: KlaviyoSetMessageImageOperator(task_id="image", **{"image_id": IMAGE, **arguments}))


@pytest.mark.parametrize("subject", [{"campaign_id": DRAFT_SMS}, {"message_id": SMS_MESSAGE}])
def test_the_message_gets_the_image(klaviyo, subject):
    assert set_image(**subject).run() == DRAFT_SMS
    assert KlaviyoHook().get_image_id_of_message(SMS_MESSAGE) == IMAGE


def test_a_lost_answer_is_made_up_for(klaviyo):
    klaviyo.fail("update_image_for_campaign_message", "drop_after_commit")
    set_image(campaign_id=DRAFT_SMS).run()
    assert klaviyo.fired() == [1]
    assert KlaviyoHook().get_image_id_of_message(SMS_MESSAGE) == IMAGE


def test_an_email_is_refused_and_the_error_says_where_its_images_are(klaviyo):
    with pytest.raises(KlaviyoValidationError, match=r"is an email.*in its template"):
        set_image(campaign_id=DRAFT_EMAIL).run()
    assert klaviyo.requests("update_image_for_campaign_message") == []


def test_a_campaign_on_its_way_is_refused(klaviyo):
    klaviyo.send(DRAFT_SMS)
    with pytest.raises(KlaviyoRefusedError, match="only a draft can be changed"):
        set_image(campaign_id=DRAFT_SMS).run()
    assert klaviyo.requests("update_image_for_campaign_message") == []


def test_an_unknown_image_is_klaviyos_error(klaviyo):
    with pytest.raises(KlaviyoValidationError, match="no image with id 'nope'"):
        set_image(campaign_id=DRAFT_SMS, image_id="nope").run()


def test_an_unknown_message_is_not_found(klaviyo):
    with pytest.raises(KlaviyoNotFoundError):
        set_image(message_id="nope").run()


def test_an_empty_image_id_is_an_error_of_the_dags_import():
    with pytest.raises(KlaviyoValidationError, match="image_id is ''"):
        KlaviyoSetMessageImageOperator(task_id="image", campaign_id="A", image_id="")
