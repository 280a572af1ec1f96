from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_klaviyo.exceptions import (
    KlaviyoAmbiguousWriteError,
    KlaviyoNotFoundError,
    KlaviyoValidationError,
)
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.operators.campaigns import KlaviyoTagCampaignOperator
from tests.support.context import Task
from tests.support.sandbox import DRAFT_EMAIL, DRAFT_PAST_STATIC

SALE = "01J0TAG000000000000000SALE"


def tag(**arguments: Any) -> Task:
    return Task(lambda: KlaviyoTagCampaignOperator(task_id="tag", **{"campaign_id": DRAFT_EMAIL, **arguments}))


def tags_of(campaign_id: str) -> list[str]:
    return [found.attributes["name"] for found in KlaviyoHook().get_campaign_tags(campaign_id)]


@pytest.mark.parametrize("which", [{"tag": "sale"}, {"tag_id": SALE}])
def test_a_tag_is_put_on_by_name_or_id(klaviyo, which):
    assert tag(**which).run() == DRAFT_EMAIL
    assert tags_of(DRAFT_EMAIL) == ["sale"]


@pytest.mark.parametrize("which", [{"tag": "sale"}, {"tag_id": SALE}])
def test_a_tag_is_taken_off_by_name_or_id(klaviyo, which):
    tag(campaign_id=DRAFT_PAST_STATIC, action="remove", **which).run()
    assert tags_of(DRAFT_PAST_STATIC) == []


def test_what_is_as_asked_is_left_as_it_is(klaviyo):
    tag(campaign_id=DRAFT_PAST_STATIC, tag_id=SALE).run()
    tag(tag_id=SALE, action="remove").run()
    assert not {"tag_campaigns", "remove_tag_from_campaigns"} & set(klaviyo.counted())


def test_an_unknown_name_is_an_error_that_names_the_nearest(klaviyo):
    with pytest.raises(KlaviyoValidationError, match=r"no tag 'sales'.*Did you mean 'sale'"):
        tag(tag="sales").run()
    with pytest.raises(KlaviyoValidationError, match="missing='create'"):
        tag(tag="quite another").run()
    assert tags_of(DRAFT_EMAIL) == []


def test_an_unknown_name_is_made_if_asked_for_and_made_once(klaviyo):
    for _ in range(2):
        tag(tag="run {{ run_id }}", missing="create").run()
    assert tags_of(DRAFT_EMAIL) == ["run manual__now"]
    assert len(klaviyo.requests("create_tag")) == 1


def test_a_tag_whose_making_was_not_answered_is_found(klaviyo):
    klaviyo.fail("create_tag", "drop_after_commit")
    tag(tag="new", missing="create").run()
    assert klaviyo.fired() == [1]
    assert tags_of(DRAFT_EMAIL) == ["new"]
    assert len(klaviyo.requests("create_tag")) == 1


def test_a_tag_that_somebody_makes_at_the_same_time_is_taken(klaviyo):
    klaviyo.fail("create_tag", "status_after_commit", status=409)
    tag(tag="new", missing="create").run()
    assert klaviyo.fired() == [1]
    assert tags_of(DRAFT_EMAIL) == ["new"]


def test_tagging_whose_answer_is_lost_is_looked_up(klaviyo):
    klaviyo.fail("tag_campaigns", "drop_after_commit")
    tag(tag="sale").run()
    assert klaviyo.fired() == [1]
    assert len(klaviyo.requests("tag_campaigns")) == 1


def test_tagging_that_was_not_carried_out_fails_and_the_retry_does_it(klaviyo):
    klaviyo.fail("tag_campaigns", "drop_before_commit")
    task = tag(tag="sale")
    with pytest.raises(KlaviyoAmbiguousWriteError):
        task.run()
    assert klaviyo.fired() == [1]
    task.run()
    assert tags_of(DRAFT_EMAIL) == ["sale"]


def test_an_unknown_tag_id_or_campaign_is_not_found(klaviyo):
    with pytest.raises(KlaviyoNotFoundError):
        tag(tag_id="nope").run()
    with pytest.raises(KlaviyoNotFoundError):
        tag(campaign_id="nope", tag="sale").run()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "give exactly one of them"),
        ({"tag": "a", "tag_id": "b"}, "give exactly one of them"),
        ({"tag": " "}, "tag is ' '"),
        ({"tag": "a", "action": "delete"}, "action is 'delete'"),
        ({"tag": "a", "missing": "ignore"}, "missing is 'ignore'"),
        ({"tag": "a", "missing": "create", "action": "remove"}, "missing is 'create'"),
        ({"tag_id": "a", "missing": "create"}, "missing is 'create'"),
    ],
)
def test_a_wrong_setting_is_an_error_of_the_dags_import(arguments, words):
    with pytest.raises(KlaviyoValidationError, match=words):
        KlaviyoTagCampaignOperator(task_id="tag", campaign_id="A", **arguments)
