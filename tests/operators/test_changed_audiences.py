"""The DAG says other audiences than when its campaign was made: it is still the same campaign."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_klaviyo.exceptions import KlaviyoAmbiguousWriteError, KlaviyoTransientError
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from tests.support.context import Task
from tests.support.sandbox import DRAFT_EMAIL, LIST, OTHER_LIST, Klaviyo
from tests.support.tasks import NAME, clone, create

THEN: dict[str, Any] = {"included": [LIST]}
NOW = [
    pytest.param({"included": [OTHER_LIST]}, id="another list"),
    pytest.param({"included": [LIST, OTHER_LIST]}, id="one more list"),
    pytest.param({"included": [LIST], "excluded": [OTHER_LIST]}, id="an exclusion"),
]
MAKERS = [
    pytest.param(create, "create_campaign", id="create"),
    pytest.param(clone, "create_campaign_clone", id="clone"),
]
makers = pytest.mark.parametrize(("make", "operation"), MAKERS)


def changing(make: Callable[..., Task]) -> tuple[Task, dict[str, Any]]:
    """A task, and the audiences that its DAG file has."""
    audiences = dict(THEN)
    return make(audiences=audiences), audiences


def assert_one(klaviyo: Klaviyo, campaign_id: str, audiences: dict[str, Any]) -> None:
    assert klaviyo.named(NAME) == [campaign_id]
    told = klaviyo.campaign(campaign_id)["audiences"]
    assert sorted(told["included"]) == sorted(audiences["included"])
    assert sorted(told.get("excluded") or []) == sorted(audiences.get("excluded") or [])


@makers
@pytest.mark.parametrize("now", NOW)
@pytest.mark.parametrize("late_reads", [0, 2])
def test_a_retry_looks_for_what_the_killed_try_made_and_writes_the_new_audiences_to_it(
    klaviyo: Klaviyo, make: Callable[..., Task], operation: str, now: dict[str, Any], late_reads: int
) -> None:
    task, audiences = changing(make)
    klaviyo.fail(operation, "drop_after_commit")
    klaviyo.fail("get_campaigns", "status_before_commit", status=503, times=None)
    with pytest.raises(KlaviyoTransientError):
        task.run()
    klaviyo.mend()
    audiences.clear()
    audiences.update(now)
    if late_reads:
        klaviyo.fail("get_campaigns", "stale", reads=late_reads)
    campaign_id = task.run()
    klaviyo.mend()
    assert_one(klaviyo, campaign_id, now)
    assert klaviyo.counted()[operation] == 1


@makers
@pytest.mark.parametrize("now", NOW)
def test_what_was_not_made_is_made_by_the_retry_with_the_new_audiences(
    klaviyo: Klaviyo, make: Callable[..., Task], operation: str, now: dict[str, Any]
) -> None:
    task, audiences = changing(make)
    klaviyo.fail(operation, "drop_before_commit")
    with pytest.raises(KlaviyoAmbiguousWriteError):
        task.run()
    audiences.clear()
    audiences.update(now)
    assert_one(klaviyo, task.run(), now)


@makers
@pytest.mark.parametrize("now", NOW)
@pytest.mark.parametrize("again", ["retry", "clear"])
def test_a_noted_campaign_is_given_the_new_audiences(
    klaviyo: Klaviyo, make: Callable[..., Task], operation: str, now: dict[str, Any], again: str
) -> None:
    task, audiences = changing(make)
    made = task.run()
    audiences.clear()
    audiences.update(now)
    if again == "clear":
        task.clear()
    assert task.run() == made
    assert_one(klaviyo, made, now)


@makers
def test_audiences_that_change_at_each_of_three_tries_end_in_one_campaign(
    klaviyo: Klaviyo, make: Callable[..., Task], operation: str
) -> None:
    """The second try looks, finds nothing yet as reads lag, and cannot make it either; the third finds the first's."""
    task, audiences = changing(make)
    klaviyo.fail(operation, "drop_after_commit")
    klaviyo.fail("get_campaigns", "status_before_commit", status=503, times=None)
    for included in ([OTHER_LIST], ["UTd5ui"]):
        with pytest.raises(KlaviyoTransientError):
            task.run()
        audiences["included"] = included
    klaviyo.mend()
    assert_one(klaviyo, task.run(), audiences)


def test_a_clone_whose_source_got_other_audiences_meanwhile_is_found(klaviyo: Klaviyo) -> None:
    task = clone()
    klaviyo.fail("create_campaign_clone", "drop_after_commit")
    klaviyo.fail("get_campaigns", "status_before_commit", status=503, times=None)
    with pytest.raises(KlaviyoTransientError):
        task.run()
    klaviyo.mend()
    KlaviyoHook().update_campaign(DRAFT_EMAIL, {"audiences": {"included": [OTHER_LIST], "excluded": []}})
    assert_one(klaviyo, task.run(), {"included": [OTHER_LIST]})
