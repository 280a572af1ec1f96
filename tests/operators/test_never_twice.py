"""Whatever goes wrong around a write, it takes effect once. The judge is the sandbox's ledger, not our own notes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_klaviyo.api import retry
from airflow_provider_klaviyo.drafts.ready import ReadyCheck
from airflow_provider_klaviyo.exceptions import (
    KlaviyoAmbiguousWriteError,
    KlaviyoError,
    KlaviyoRateLimitError,
    KlaviyoTransientError,
    RefusalReason,
)
from airflow_provider_klaviyo.never_twice import make as protocol
from tests.support.context import MemoryStore, Task, dag_run
from tests.support.lost_answers import COMMITTED, LOST, STORES, committed, early, lost, named
from tests.support.refusals import refused
from tests.support.sandbox import DRAFT_EMAIL, DRAFT_PAST_STATIC, LIST, OTHER_LIST, Klaviyo
from tests.support.tasks import NAME, assign, clone, create, estimate, send

MAKERS = [
    pytest.param(create, "create_campaign", id="create"),
    pytest.param(clone, "create_campaign_clone", id="clone"),
]
makers = pytest.mark.parametrize(("make", "operation"), MAKERS)


def overtaken_after(owner: Any, function: str, task: Task, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the task stand still after its next call of a function, and another try of it go through meanwhile.

    What the other one returned is in the list.
    """
    original, begun, returned = getattr(owner, function), threading.Event(), list[str]()

    def slow(*arguments: Any, **options: Any) -> Any:
        result = original(*arguments, **options)
        if not begun.is_set():
            begun.set()
            returned.append(task.run())
        return result

    monkeypatch.setattr(owner, function, slow)
    return returned


@pytest.mark.parametrize("make", [create, clone])
def test_a_try_that_stood_still_until_another_has_made_the_campaign_makes_none(
    klaviyo: Klaviyo, make: Callable[..., Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make()
    made = overtaken_after(MemoryStore, "set", task, monkeypatch)
    with pytest.raises(KlaviyoTransientError, match="Nothing was sent"):
        task.run()
    assert klaviyo.named(NAME) == made
    assert task.run() == made[0]


def test_a_try_that_stood_still_until_another_has_sent_sends_nothing(
    klaviyo: Klaviyo, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = send()
    sent = overtaken_after(MemoryStore, "set", task, monkeypatch)
    with pytest.raises(KlaviyoTransientError, match="Nothing was sent"):
        task.run()
    assert sent == [DRAFT_EMAIL]
    assert klaviyo.counted()["send_campaign"] == 1
    assert task.run() == DRAFT_EMAIL
    assert len(klaviyo.sends()) == 1


def test_a_try_during_whose_checks_another_has_sent_adopts_that_send(
    klaviyo: Klaviyo, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = send()
    sent = overtaken_after(ReadyCheck, "__call__", task, monkeypatch)
    assert task.run() == DRAFT_EMAIL
    assert sent == [DRAFT_EMAIL]
    assert klaviyo.counted()["send_campaign"] == 1
    assert len(klaviyo.sends()) == 1


@makers
def test_a_try_during_whose_look_another_has_made_the_campaign_adopts_it(
    klaviyo: Klaviyo, make: Callable[..., Task], operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own look has come too early to show the other's campaign."""
    klaviyo.fail(operation, "drop_before_commit")
    task = make()
    with pytest.raises(KlaviyoAmbiguousWriteError):
        task.run()
    made = overtaken_after(protocol, "_look", task, monkeypatch)
    assert [task.run()] == made
    assert klaviyo.fired() == [1]
    assert klaviyo.named(NAME) == made


@pytest.mark.parametrize("max_wait", [60, 3600])
def test_who_may_wait_long_for_its_turn_is_given_as_long_to_begin(
    klaviyo: Klaviyo, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, max_wait: int
) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    connect(klaviyo.url, rate_limit={"max_wait": max_wait})
    klaviyo.fail("create_campaign", "drop_before_commit")
    task = create()
    with pytest.raises(KlaviyoAmbiguousWriteError):
        task.run()
    assert klaviyo.fired() == [1]
    assert task.store
    intent = task.store.get("klaviyo_intent")
    given = datetime.fromisoformat(intent["until"]) - datetime.fromisoformat(intent["at"])
    assert given.total_seconds() == pytest.approx(retry.LONGEST + max_wait, abs=0.5)


@makers
@committed
@STORES
def test_a_campaign_whose_making_was_not_answered_is_found_and_used_by_the_same_try(
    klaviyo: Klaviyo, make: Callable[..., Task], operation: str, rule: dict[str, Any], durable: bool
) -> None:
    klaviyo.fail(operation, **rule)
    campaign_id = make(durable=durable).run()
    assert klaviyo.fired() == [1]
    assert klaviyo.named(NAME) == [campaign_id]


@makers
@lost
@STORES
def test_a_campaign_that_was_not_made_is_made_once_by_the_next_try(
    klaviyo: Klaviyo, make: Callable[..., Task], operation: str, rule: dict[str, Any], durable: bool
) -> None:
    klaviyo.fail(operation, **rule)
    task = make(durable=durable)
    with pytest.raises(KlaviyoAmbiguousWriteError):
        task.run()
    assert klaviyo.fired() == [1]
    assert klaviyo.named(NAME) == []
    campaign_id = task.run()
    assert klaviyo.named(NAME) == [campaign_id]


@makers
@pytest.mark.parametrize("late_reads", [0, 2])
@pytest.mark.parametrize("run", [dag_run, early], ids=["run of now", "run of half an hour ago"])
@STORES
def test_a_campaign_made_by_a_try_that_died_is_adopted_by_the_next(
    klaviyo: Klaviyo, make: Callable[..., Task], operation: str, run: Callable[[], Any], late_reads: int, durable: bool
) -> None:
    task = make(durable=durable, run=run())
    klaviyo.fail(operation, "drop_after_commit")
    klaviyo.fail("get_campaigns", "status_before_commit", status=503, times=None)
    with pytest.raises(KlaviyoTransientError):
        task.run()
    assert klaviyo.fired()[0] == 1
    klaviyo.mend()
    made = klaviyo.named(NAME)
    assert len(made) == 1
    if late_reads:
        klaviyo.fail("get_campaigns", "stale", reads=late_reads)
    campaign_id = task.run()
    if late_reads:
        assert klaviyo.fired() == [late_reads]
    klaviyo.mend()
    assert klaviyo.named(NAME) == [campaign_id] == made


@makers
@STORES
def test_a_campaign_made_after_the_answer_was_given_up_is_not_made_again(
    klaviyo: Klaviyo, connect: Callable[..., None], make: Callable[..., Task], operation: str, durable: bool
) -> None:
    """The worst gateway: it gives up at the read timeout, and the write is carried out a little later."""
    connect(klaviyo.url, timeout={"read": 0.5})
    klaviyo.fail(operation, "delay", when="before", seconds=0.7)
    task = make(durable=durable)
    try:
        campaign_id = task.run()
    except KlaviyoAmbiguousWriteError:
        campaign_id = task.run()
    klaviyo.wait_for_late_writes()
    assert klaviyo.fired() == [1]
    assert klaviyo.named(NAME) == [campaign_id]


@makers
@STORES
def test_a_throttled_making_is_repeated_and_makes_one(
    klaviyo: Klaviyo, make: Callable[..., Task], operation: str, durable: bool
) -> None:
    klaviyo.fail(operation, "throttle", retry_after=1, times=2)
    campaign_id = make(durable=durable).run()
    assert klaviyo.fired() == [2]
    assert klaviyo.named(NAME) == [campaign_id]


@makers
def test_a_long_throttle_fails_the_try_and_the_next_one_makes_it(
    klaviyo: Klaviyo, make: Callable[..., Task], operation: str
) -> None:
    klaviyo.fail(operation, "throttle", retry_after=67_608)
    task = make()
    with pytest.raises(KlaviyoRateLimitError) as caught:
        task.run()
    assert caught.value.retry_after == 67_608
    assert klaviyo.fired() == [1]
    campaign_id = task.run()
    assert klaviyo.named(NAME) == [campaign_id]


@makers
@STORES
def test_the_same_task_again_goes_on_with_its_campaign(
    klaviyo: Klaviyo, make: Callable[..., Task], operation: str, durable: bool
) -> None:
    task = make(durable=durable)
    first = task.run()
    assert task.run() == first
    assert klaviyo.named(NAME) == [first]
    assert klaviyo.counted()[operation] == 1


@makers
@STORES
def test_after_a_clear_the_campaign_is_adopted_or_made_again_as_on_clear_says(
    klaviyo: Klaviyo, make: Callable[..., Task], operation: str, durable: bool
) -> None:
    adopting = make(on_clear="adopt", durable=durable)
    first = adopting.run()
    adopting.clear()
    assert adopting.run() == first
    name = {"name" if make is create else "new_name": f"{NAME}!"}
    renewing = make(on_clear="new", durable=durable, **name)
    first = renewing.run()
    renewing.clear()
    second = renewing.run()
    assert second != first
    assert renewing.run() == second, "a retry after the clear goes on with the new one"
    assert sorted(klaviyo.named(f"{NAME}!")) == sorted([first, second])


def test_a_campaign_that_was_deleted_behind_the_tasks_back_is_not_replaced_by_a_retry(klaviyo: Klaviyo) -> None:
    task = create()
    first = task.run()
    klaviyo.delete(first)
    with refused(RefusalReason.VANISHED, campaign_id=first, match=first):
        task.run()
    assert klaviyo.named(NAME) == []
    task.clear()
    second = task.run()
    assert klaviyo.named(NAME) == [second]


def test_two_campaigns_that_could_be_the_lost_one_are_both_named_and_none_is_used(klaviyo: Klaviyo) -> None:
    twins = [create(run=dag_run()).run(), create(run=dag_run()).run()]
    klaviyo.fail("create_campaign", "drop_after_commit")
    with pytest.raises(KlaviyoError) as caught:
        create().run()
    assert klaviyo.fired() == [1]
    assert all(twin in str(caught.value) for twin in twins)


def test_a_campaign_of_the_same_name_for_others_is_not_taken_for_the_lost_one(klaviyo: Klaviyo) -> None:
    other = create(audiences={"included": [OTHER_LIST]}).run()
    klaviyo.fail("create_campaign", "drop_after_commit")
    mine = create().run()
    assert klaviyo.fired() == [1]
    assert mine != other
    assert klaviyo.campaign(mine)["audiences"]["included"] == [LIST]


def test_a_clone_whose_settings_were_written_is_still_found_by_a_later_try_without_a_store(klaviyo: Klaviyo) -> None:
    """Below Airflow 3.3 a killed try leaves no note; the clone may already have its new audience."""
    task = clone(
        campaign_id=DRAFT_PAST_STATIC,
        audiences={"included": [OTHER_LIST]},
        send_strategy={"method": "immediate"},
        durable=False,
    )
    first = task.run()
    assert task.run() == first
    assert klaviyo.named(NAME) == [first]


# --- assign and estimate ----------------------------------------------------------------------------------------------


@committed
@STORES
def test_a_template_whose_assignment_was_not_answered_is_seen(
    klaviyo: Klaviyo, rule: dict[str, Any], durable: bool
) -> None:
    campaign_id = create().run()
    klaviyo.fail("assign_template_to_campaign_message", **rule)
    task = assign(campaign_id=campaign_id, durable=durable)
    assert task.run() == campaign_id
    assert klaviyo.fired() == [1]
    assert klaviyo.counted()["assign_template_to_campaign_message"] == 1
    assert task.ti.xcoms["template"]["assigned_template_id"] == klaviyo.template_of(campaign_id)


@lost
@STORES
def test_a_template_that_was_not_assigned_is_assigned_by_the_next_try_at_the_latest(
    klaviyo: Klaviyo, rule: dict[str, Any], durable: bool
) -> None:
    campaign_id = create().run()
    klaviyo.fail("assign_template_to_campaign_message", **rule)
    task = assign(campaign_id=campaign_id, durable=durable)
    with pytest.raises(KlaviyoAmbiguousWriteError, match=campaign_id):
        task.run()
    assert klaviyo.fired() == [1]
    assert task.run() == campaign_id
    assert klaviyo.template_of(campaign_id) is not None


@pytest.mark.parametrize("rule", COMMITTED + LOST, ids=named)
def test_an_estimation_whose_start_was_not_answered_still_counts(klaviyo: Klaviyo, rule: dict[str, Any]) -> None:
    klaviyo.fail("refresh_campaign_recipient_estimation", **rule)
    count = estimate().run()
    assert klaviyo.fired() == [1]
    assert count > 0
