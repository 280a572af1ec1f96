from __future__ import annotations

from datetime import UTC, datetime

import pytest

from airflow_provider_klaviyo.campaigns import static
from airflow_provider_klaviyo.exceptions import KlaviyoNotFoundError, KlaviyoRefusedError, KlaviyoValidationError
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.operators.campaigns import KlaviyoDeleteCampaignOperator
from tests.support.context import Task
from tests.support.sandbox import DRAFT_EMAIL, SENT


def delete(campaign_id: str) -> Task:
    return Task(lambda: KlaviyoDeleteCampaignOperator(task_id="delete", campaign_id=campaign_id))


def is_gone(campaign_id: str) -> bool:
    return all(row["id"] != campaign_id for row in KlaviyoHook().list_campaigns())


def test_a_draft_is_deleted(klaviyo):
    assert delete(DRAFT_EMAIL).run() == DRAFT_EMAIL
    assert is_gone(DRAFT_EMAIL)


def test_one_that_is_gone_on_a_retry_counts_as_deleted(klaviyo):
    task = delete(DRAFT_EMAIL)
    klaviyo.fail("delete_campaign", "status_after_commit", status=400)
    with pytest.raises(KlaviyoValidationError):
        task.run()
    assert klaviyo.fired() == [1]
    assert task.run() == DRAFT_EMAIL


def test_a_delete_whose_answer_is_lost_meets_its_own_work(klaviyo):
    klaviyo.fail("delete_campaign", "drop_after_commit")
    assert delete(DRAFT_EMAIL).run() == DRAFT_EMAIL
    assert klaviyo.fired() == [1]
    assert is_gone(DRAFT_EMAIL)


def test_one_that_is_not_there_on_the_first_try_is_an_error(klaviyo):
    with pytest.raises(KlaviyoNotFoundError, match="check the id"):
        delete("nope").run()


@pytest.mark.parametrize(("advance", "words"), [(0, "Stop it first"), (60, "'Scheduled' and was not deleted.*Stop")])
def test_one_that_is_on_its_way_is_never_deleted(klaviyo, advance, words):
    KlaviyoHook().update_campaign(DRAFT_EMAIL, {"send_strategy": static(datetime(2100, 1, 1, tzinfo=UTC))})
    klaviyo.send(DRAFT_EMAIL)
    klaviyo.advance(advance)
    with pytest.raises(KlaviyoRefusedError, match=words):
        delete(DRAFT_EMAIL).run()
    assert klaviyo.requests("delete_campaign") == []


def test_a_sent_one_is_never_deleted(klaviyo):
    with pytest.raises(KlaviyoRefusedError, match="its figures would go with it"):
        delete(SENT).run()
    assert klaviyo.requests("delete_campaign") == []
