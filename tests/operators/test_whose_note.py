"""A note is used for the campaign that it is about, where one task makes several calls."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import BaseOperator

from airflow_provider_klaviyo.campaigns import sms
from airflow_provider_klaviyo.exceptions import KlaviyoError, KlaviyoRefusedError, RefusalReason
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.operators.api import KlaviyoApiOperator
from tests.support.brands import FORGETS, Make, assign, clone, create, makers, named, send
from tests.support.context import InOneTask, MemoryStore, Task
from tests.support.refusals import refused
from tests.support.sandbox import DRAFT_EMAIL, DRAFT_PAST_STATIC, LIST, OTHER_LIST, Klaviyo

SMS_LIST = "TUeZtq"
STORES = pytest.mark.parametrize("durable", [True, False], ids=["store", "no store"])


def post(name: str) -> KlaviyoApiOperator:
    body = {"data": {"type": "list", "attributes": {"name": name}}}
    return KlaviyoApiOperator(task_id="post", operation="create_list", body=body)


# --- several calls in one task ----------------------------------------------------------------------------------------


class TaskFailedError(Exception):
    """What comes after the calls in the same task fails."""


def failing() -> BaseOperator:
    class Fails(BaseOperator):
        def execute(self, context: Any) -> Any:
            raise TaskFailedError

    return Fails(task_id="fails")


def in_one_task(calls: Callable[[], Sequence[BaseOperator]], **about: Any) -> Task:
    """A task that makes several calls. Which they are is asked again for each try."""
    return Task(lambda: InOneTask(task_id="several", calls=[lambda one=one: one for one in calls()]), **about)


def assert_two(klaviyo: Klaviyo, ids: Sequence[str], brands: str = "AB") -> None:
    for campaign_id, brand in zip(ids, brands, strict=True):
        assert klaviyo.named(named(brand)) == [campaign_id]


@makers
@STORES
def test_two_made_in_one_task_are_two_with_each_its_own_content(klaviyo: Klaviyo, make: Make, durable: bool) -> None:
    ids = in_one_task(lambda: [make("A"), make("B")], durable=durable).run()
    assert_two(klaviyo, ids)
    if make is create:
        subjects = [klaviyo.message(one)["attributes"]["definition"]["content"]["subject"] for one in ids]
        assert subjects == ["For A", "For B"]


@makers
@STORES
@pytest.mark.parametrize("again", ["retry", "clear", "clear that forgets"])
@pytest.mark.parametrize("order", ["AB", "BA"])
def test_two_made_in_one_task_are_the_same_two_in_another_try(
    klaviyo: Klaviyo, make: Make, durable: bool, again: str, order: str
) -> None:
    brands = ["AB"]
    task = in_one_task(lambda: [make(brand) for brand in brands[-1]], durable=durable)
    made = dict(zip("AB", task.run(), strict=True))
    if again != "retry":
        task.clear(forgets=again.endswith("forgets"))
    brands.append(order)
    assert task.run() == [made[brand] for brand in order]
    assert_two(klaviyo, [made["A"], made["B"]])


@makers
def test_a_try_that_failed_between_two_makes_only_the_second_in_the_next(klaviyo: Klaviyo, make: Make) -> None:
    tries: list[list[BaseOperator]] = [[make("A"), failing(), make("B")], [make("A"), make("B")]]
    task = in_one_task(lambda: tries.pop(0))
    with pytest.raises(TaskFailedError):
        task.run()
    (first,) = klaviyo.named(named("A"))
    ids = task.run()
    assert ids[0] == first
    assert_two(klaviyo, ids)


@makers
@pytest.mark.parametrize("fault", ["drop_after_commit", "drop_before_commit"])
@pytest.mark.parametrize("skip", [0, 1], ids=["first", "second"])
@FORGETS
def test_of_two_in_one_task_one_is_cut_off(klaviyo: Klaviyo, make: Make, fault: str, skip: int, forgets: bool) -> None:
    operation = "create_campaign" if make is create else "create_campaign_clone"
    task = in_one_task(lambda: [make("A"), make("B")])
    klaviyo.fail(operation, fault, skip=skip)
    klaviyo.fail("get_campaigns", "status_before_commit", status=503, times=None)
    with pytest.raises(KlaviyoError):
        task.run()
    assert klaviyo.fired()[0] == 1
    klaviyo.mend()
    if forgets:
        task.clear(forgets=True)
    assert_two(klaviyo, task.run())


@makers
def test_three_in_one_task_are_three(klaviyo: Klaviyo, make: Make) -> None:
    task = in_one_task(lambda: [make("A"), make("B"), make("C")])
    ids = task.run()
    assert task.run() == ids
    assert_two(klaviyo, ids, "ABC")


@makers
def test_the_same_name_twice_in_one_try_is_refused(klaviyo: Klaviyo, make: Make) -> None:
    task = in_one_task(lambda: [make("A"), make("A")])
    with refused(RefusalReason.MADE_BEFORE, match="Sale of A"):
        task.run()
    assert len(klaviyo.named(named("A"))) == 1
    with pytest.raises(KlaviyoRefusedError, match="Sale of A"):
        task.run()
    assert len(klaviyo.named(named("A"))) == 1


def test_the_same_name_for_others_in_the_same_try_is_refused(klaviyo: Klaviyo) -> None:
    task = in_one_task(lambda: [create("A"), create("A", audiences={"included": [OTHER_LIST]})])
    with pytest.raises(KlaviyoRefusedError, match="Sale of A"):
        task.run()
    (made,) = klaviyo.named(named("A"))
    assert klaviyo.campaign(made)["audiences"]["included"] == [LIST]


def test_two_channels_of_one_name_are_two(klaviyo: Klaviyo) -> None:
    text = {"audiences": {"included": [SMS_LIST]}, "messages": [sms(body="Hello")]}
    task = in_one_task(lambda: [create("A"), create("A", **text)])
    ids = task.run()
    assert klaviyo.named(named("A")) == [ids[0]]
    assert klaviyo.named(named("A"), "sms") == [ids[1]]
    assert task.run() == ids
    task.clear(forgets=True)
    assert task.run() == ids


CLONES: Callable[[], list[BaseOperator]] = lambda: [  # noqa: E731
    clone("A", audiences={"included": [LIST]}, send_strategy={"method": "immediate"}, campaign_id=source)
    for source in (DRAFT_EMAIL, DRAFT_PAST_STATIC)
]
"""Two clones of one name for the same people, of different sources."""


def test_clones_of_two_sources_are_two(klaviyo: Klaviyo) -> None:
    task = in_one_task(CLONES)
    ids = task.run()
    assert sorted(klaviyo.named(named("A"))) == sorted(ids)
    assert len(set(ids)) == 2
    subjects = [klaviyo.message(one)["attributes"]["definition"]["content"]["subject"] for one in ids]
    assert len(set(subjects)) == 2
    assert task.run() == ids
    task.clear()
    assert task.run() == ids


def test_what_is_noted_as_anothers_is_not_taken_for_a_lost_one(klaviyo: Klaviyo) -> None:
    task = in_one_task(CLONES)
    klaviyo.fail("create_campaign_clone", "drop_after_commit", skip=1)
    ids = task.run()
    assert klaviyo.fired() == [1]
    assert sorted(klaviyo.named(named("A"))) == sorted(ids)
    assert len(set(ids)) == 2


def test_another_source_under_the_same_name_after_a_clear_is_another_clone(klaviyo: Klaviyo) -> None:
    sources = [DRAFT_EMAIL]
    task = Task(lambda: clone("A", campaign_id=sources[-1], send_strategy={"method": "immediate"}))
    first = task.run()
    sources.append(DRAFT_PAST_STATIC)
    task.clear()
    second = task.run()
    assert second != first
    subject = klaviyo.message(second)["attributes"]["definition"]["content"]["subject"]
    assert subject == klaviyo.message(DRAFT_PAST_STATIC)["attributes"]["definition"]["content"]["subject"]


# --- notes that do not say whose they are -----------------------------------------------------------------------------


def test_a_note_that_does_not_say_whose_it_is_is_used_for_what_the_task_makes(klaviyo: Klaviyo) -> None:
    task = Task(lambda: create("A"))
    assert task.store
    note = {"id": DRAFT_EMAIL, "at": "2026-11-20T09:00:00+00:00", "generation": 3}
    task.store.set("klaviyo_campaign", note, retention=timedelta.max)
    assert task.run() == DRAFT_EMAIL
    assert task.run() == DRAFT_EMAIL
    assert klaviyo.counted()["create_campaign"] == 0


def test_an_intent_of_an_older_version_is_looked_up(klaviyo: Klaviyo) -> None:
    made = Task(lambda: create("A")).run()
    task = Task(lambda: create("A"))
    assert task.store
    note = {"name": named("A"), "at": "2026-11-20T09:00:00+00:00", "generation": 3}
    task.store.set("klaviyo_intent", note, retention=timedelta.max)
    assert task.run() == made
    assert klaviyo.counted()["create_campaign"] == 1


# --- several sends, assignments and posts in one task -----------------------------------------------------------------


def two_drafts() -> list[str]:
    ids = [str(Task(lambda brand=brand: create(brand)).run()) for brand in "AB"]
    for campaign_id in ids:
        Task(lambda campaign_id=campaign_id: assign(campaign_id)).run()
    return ids


@STORES
@pytest.mark.parametrize("again", ["retry", "clear", "clear that forgets"])
def test_two_sent_in_one_task_are_sent_once_each(klaviyo: Klaviyo, durable: bool, again: str) -> None:
    ids = two_drafts()
    task = in_one_task(lambda: [send(one) for one in ids], durable=durable)
    assert task.run() == ids
    if again != "retry":
        task.clear(forgets=again.endswith("forgets"))
    assert task.run() == ids
    assert klaviyo.counted()["send_campaign"] == 2
    assert sorted(row["campaign_id"] for row in klaviyo.sends()) == sorted(ids)


@pytest.mark.parametrize("skip", [0, 1], ids=["first", "second"])
@pytest.mark.parametrize("fault", ["drop_after_commit", "drop_before_commit"])
def test_of_two_sends_in_one_task_one_is_cut_off(klaviyo: Klaviyo, skip: int, fault: str) -> None:
    ids = two_drafts()
    task = in_one_task(lambda: [send(one, wait_until=None) for one in ids])
    klaviyo.fail("send_campaign", fault, skip=skip)
    try:
        task.run()
    except KlaviyoError:
        task.run()
    assert klaviyo.fired() == [1]
    klaviyo.wait_for_sends()
    assert sorted(row["campaign_id"] for row in klaviyo.sends()) == sorted(ids)


def test_a_person_took_the_first_of_two_sends_back_and_no_retry_sends_it(
    klaviyo: Klaviyo,
) -> None:
    ids = two_drafts()
    for one in ids:
        later = {"method": "static", "datetime": "2030-01-01T10:00:00+00:00"}
        KlaviyoHook().update_campaign(one, {"send_strategy": later})
    task = in_one_task(lambda: [send(one, wait_until="scheduled", if_edited="send") for one in ids])
    assert task.run() == ids
    klaviyo.stop(ids[0], "revert")
    while klaviyo.status(ids[0]) != "Draft":
        time.sleep(0.02)
    with pytest.raises(KlaviyoRefusedError, match=ids[0]):
        task.run()
    assert klaviyo.counted()["send_campaign"] == 2


@pytest.mark.parametrize("again", ["retry", "clear"])
def test_two_templates_assigned_in_one_task_are_each_ones_own(klaviyo: Klaviyo, again: str) -> None:
    ids = [str(Task(lambda brand=brand: create(brand)).run()) for brand in "AB"]
    task = in_one_task(lambda: [assign(one) for one in ids])
    task.run()
    copies = [klaviyo.template_of(one) for one in ids]
    assert len(set(copies)) == 2
    for one in ids:
        Task(lambda one=one: send(one)).run()
    if again == "clear":
        task.clear()
    assert task.run() == ids
    assert [klaviyo.template_of(one) for one in ids] == copies


def lists(klaviyo: Klaviyo) -> list[str]:
    return [row["body"]["data"]["attributes"]["name"] for row in klaviyo.requests("create_list")]


@STORES
def test_two_posts_of_different_content_in_one_task_are_two(klaviyo: Klaviyo, durable: bool) -> None:
    task = in_one_task(lambda: [post("A"), post("B")], durable=durable)
    task.run()
    assert lists(klaviyo) == ["A", "B"]
    with pytest.raises(KlaviyoRefusedError, match="create_list"):
        task.run()
    assert lists(klaviyo) == ["A", "B"]
    task.clear()
    task.run()
    assert lists(klaviyo) == ["A", "B", "A", "B"]


def test_the_same_post_twice_in_one_task_is_refused(klaviyo: Klaviyo) -> None:
    task = in_one_task(lambda: [post("A"), post("A")])
    with pytest.raises(KlaviyoRefusedError, match="create_list"):
        task.run()
    assert lists(klaviyo) == ["A"]


@pytest.mark.parametrize("lost", [0, 1], ids=["first", "second"])
def test_of_two_posts_one_was_cut_off_and_no_retry_posts_either(klaviyo: Klaviyo, lost: int) -> None:
    task = in_one_task(lambda: [post("A"), post("B")])
    klaviyo.fail("create_list", "drop_after_commit", skip=lost)
    with pytest.raises(KlaviyoError):
        task.run()
    posted = lists(klaviyo)
    assert posted == ["A", "B"][: lost + 1]
    with pytest.raises(KlaviyoRefusedError, match="create_list"):
        task.run()
    assert lists(klaviyo) == posted


def test_a_post_whose_content_changes_with_each_try_is_not_made_by_a_retry(klaviyo: Klaviyo) -> None:
    tries = ["A", "B"]
    task = in_one_task(lambda: [post(tries.pop(0)), failing()])
    with pytest.raises(TaskFailedError):
        task.run()
    with pytest.raises(KlaviyoRefusedError, match="create_list"):
        task.run()
    assert lists(klaviyo) == ["A"]


def test_the_store_is_asked_for_each_try(klaviyo: Klaviyo, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that cannot be read is not an empty one."""
    task = Task(lambda: create("A"))
    task.run()
    monkeypatch.setattr(MemoryStore, "get", _unreadable)
    with pytest.raises(ConnectionError):
        task.run()
    assert len(klaviyo.named(named("A"))) == 1


def _unreadable(*_: Any, **__: Any) -> Any:
    raise ConnectionError("Airflow's API server does not answer (made up)")
