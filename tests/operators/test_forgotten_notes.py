"""A note that is gone is not a thing that was not done: a clear empties the task's store from Airflow 3.4 on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_klaviyo.exceptions import (
    KlaviyoAmbiguousWriteError,
    KlaviyoRefusedError,
    KlaviyoTransientError,
    RefusalReason,
)
from airflow_provider_klaviyo.operators.api import KlaviyoApiOperator
from tests.support.context import MemoryStore, Task, dag_run
from tests.support.refusals import refused
from tests.support.sandbox import DRAFT_EMAIL, OTHER_LIST, SENT, Klaviyo
from tests.support.tasks import NAME, assign, clone, create, send

LISTS = {"data": {"type": "list", "attributes": {"name": "New"}}}
MAKERS = [
    pytest.param(create, "create_campaign", id="create"),
    pytest.param(clone, "create_campaign_clone", id="clone"),
]
makers = pytest.mark.parametrize(("make", "operation"), MAKERS)
CLEARS: list[dict[str, bool]] = [{"forgets": False}, {"forgets": True}, {"forgets": True, "running": True}]
clears = pytest.mark.parametrize("how", CLEARS, ids=["keeps", "forgets", "forgets, while it runs"])


class DiedError(BaseException):
    """The process is gone."""


def dies_before_noting(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next process dies when it is about to note something under a key: what it notes it has done."""
    note, deaths = MemoryStore.set, list[str]()

    def set_(store: MemoryStore, noted: str, value: Any, **options: Any) -> None:
        if noted == key and not deaths:
            deaths.append(noted)
            raise DiedError
        note(store, noted, value, **options)

    monkeypatch.setattr(MemoryStore, "set", set_)


def killed(task: Task) -> None:
    with pytest.raises(DiedError):
        task.run()


class Lifecycle:
    """The tasks of one run that make, fill and send a campaign."""

    def __init__(self, make: Callable[..., Task], **arguments: Any) -> None:
        self.run_of_dag = dag_run()
        self.id = ""
        self.make = make(run=self.run_of_dag, **arguments)
        self.assign = assign(campaign_id=DRAFT_EMAIL, run=self.run_of_dag)
        self.send = send(campaign_id=DRAFT_EMAIL, run=self.run_of_dag)
        for task in (self.assign, self.send):
            self._follow(task)

    def _follow(self, task: Task) -> None:
        make = task.make

        def made() -> Any:
            operator: Any = make()
            operator.campaign_id = self.id
            return operator

        task.make = made

    def run(self) -> str:
        self.id = self.make.run()
        self.assign.run()
        return str(self.send.run())

    def clear(self, **how: bool) -> None:
        for task in (self.make, self.assign, self.send):
            task.clear(**how)


# --- a run, or one of its tasks, is cleared ---------------------------------------------------------------------------


@makers
@pytest.mark.parametrize("forgets", [False, True], ids=["keeps", "forgets"])
def test_a_run_that_was_sent_is_cleared_and_sends_nothing_again(
    klaviyo: Klaviyo, make: Callable[..., Task], operation: str, forgets: bool
) -> None:
    run = Lifecycle(make)
    campaign_id = run.run()
    run.clear(forgets=forgets)
    assert run.run() == campaign_id
    assert klaviyo.named(NAME) == [campaign_id]
    assert klaviyo.counted()[operation] == klaviyo.counted()["send_campaign"] == 1
    assert len(klaviyo.sends()) == 1


@clears
def test_a_send_cleared_alone_ends_well_and_sends_nothing_again(klaviyo: Klaviyo, how: dict[str, bool]) -> None:
    task = send()
    task.run()
    task.clear(**how)
    assert task.run() == DRAFT_EMAIL
    assert klaviyo.counted()["send_campaign"] == 1
    assert len(klaviyo.sends()) == 1


@makers
@clears
@pytest.mark.parametrize("late_reads", [0, 2])
def test_a_campaign_made_before_a_clear_is_adopted(
    klaviyo: Klaviyo, make: Callable[..., Task], operation: str, how: dict[str, bool], late_reads: int
) -> None:
    task = make()
    made = task.run()
    task.clear(**how)
    if late_reads and how["forgets"]:
        klaviyo.fail("get_campaigns", "stale", reads=late_reads)
    assert task.run() == made
    assert klaviyo.named(NAME) == [made]
    assert klaviyo.counted()[operation] == 1
    assert task.run() == made


def test_an_adopted_draft_is_given_what_the_dag_says_now(klaviyo: Klaviyo) -> None:
    options = {"use_smart_sending": True}
    task = create(send_options=options)
    made = task.run()
    options["use_smart_sending"] = False
    task.clear(forgets=True)
    assert task.run() == made
    assert klaviyo.campaign(made)["send_options"]["use_smart_sending"] is False


@makers
def test_a_try_killed_before_a_clear_has_made_it(
    klaviyo: Klaviyo, make: Callable[..., Task], operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dies_before_noting("klaviyo_campaign", monkeypatch)
    task = make()
    killed(task)
    made = klaviyo.named(NAME)
    assert len(made) == 1
    task.clear(forgets=True)
    assert [task.run()] == made
    assert klaviyo.counted()[operation] == 1


@makers
def test_of_several_that_could_be_it_none_is_used(klaviyo: Klaviyo, make: Callable[..., Task], operation: str) -> None:
    task = make()
    twins = {task.run(), make(run=dag_run()).run()}
    task.clear(forgets=True)
    with refused(RefusalReason.SEVERAL_MATCH) as caught:
        task.run()
    assert all(twin in str(caught.value) for twin in twins)
    assert klaviyo.counted()[operation] == 2


@makers
def test_a_campaign_made_before_the_run_began_is_not_adopted(
    klaviyo: Klaviyo, make: Callable[..., Task], operation: str
) -> None:
    earlier = make().run()
    later = datetime.now(UTC) + timedelta(hours=1)
    task = make(run=dag_run(run_after=later, start_date=later))
    task.clear(forgets=True)
    assert task.run() != earlier


def test_a_campaign_of_that_name_for_others_is_not_adopted(klaviyo: Klaviyo) -> None:
    others = create(audiences={"included": [OTHER_LIST]}).run()
    task = create()
    task.clear(forgets=True)
    assert task.run() != others


def test_a_campaign_whose_name_only_begins_so_is_not_adopted(klaviyo: Klaviyo) -> None:
    longer = create(name=f"{NAME} for friends").run()
    task = create()
    task.clear(forgets=True)
    assert task.run() != longer


def test_a_first_try_in_a_run_that_was_cleared_looks_first(klaviyo: Klaviyo) -> None:
    """Another map index may have made it: this one is new, and was never cleared itself."""
    run = dag_run()
    made = create(run=run).run()
    cleared = create(run=run, name="Another")
    cleared.run()
    cleared.clear(forgets=True)
    assert create(run=run).run() == made
    assert klaviyo.named(NAME) == [made]


def test_a_campaign_sent_since_the_run_began_is_the_cleared_runs_own(klaviyo: Klaviyo) -> None:
    run = dag_run()
    send(run=run).run()
    send(campaign_id=SENT, run=run).clear()
    assert send(run=run).run() == DRAFT_EMAIL
    assert klaviyo.counted()["send_campaign"] == 1


def test_a_campaign_sent_before_the_run_began_is_somebody_elses(klaviyo: Klaviyo) -> None:
    task = send(campaign_id=SENT)
    task.clear(forgets=True)
    with pytest.raises(KlaviyoRefusedError, match="already sent"):
        task.run()
    assert klaviyo.counted()["send_campaign"] == 0


@pytest.mark.parametrize("late_reads", [0, 2])
def test_a_send_killed_before_a_clear_is_adopted(
    klaviyo: Klaviyo, late_reads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = send()
    klaviyo.fail("send_campaign", "drop_after_commit")
    klaviyo.fail("get_campaign", "status_before_commit", status=503, times=None, skip=1)
    with pytest.raises(KlaviyoTransientError):
        task.run()
    klaviyo.mend()
    task.clear(forgets=True)
    if late_reads:
        klaviyo.fail("get_campaign", "stale", reads=late_reads)
    assert task.run() == DRAFT_EMAIL
    if late_reads:
        assert klaviyo.fired() == [late_reads]
    assert klaviyo.counted()["send_campaign"] == 1
    assert len(klaviyo.sends()) == 1


def test_a_send_that_was_not_made_before_a_clear_is_made_after_it(klaviyo: Klaviyo) -> None:
    klaviyo.fail("send_campaign", "drop_before_commit")
    task = send()
    with pytest.raises(KlaviyoAmbiguousWriteError):
        task.run()
    task.clear(forgets=True)
    assert task.run() == DRAFT_EMAIL
    assert klaviyo.fired() == [1]
    assert len(klaviyo.sends()) == 1


# --- the other tasks --------------------------------------------------------------------------------------------------


@clears
def test_a_campaign_that_was_sent_keeps_the_template_that_a_cleared_task_gave_it(
    klaviyo: Klaviyo, how: dict[str, bool]
) -> None:
    campaign_id = create().run()
    task = assign(campaign_id=campaign_id)
    task.run()
    copy = klaviyo.template_of(campaign_id)
    send(campaign_id=campaign_id).run()
    task.clear(**how)
    assert task.run() == campaign_id
    assert klaviyo.template_of(campaign_id) == copy
    assert task.ti.xcoms["template"]["assigned_template_id"] == copy


@pytest.mark.parametrize("how", CLEARS[:2], ids=["keeps", "forgets"])
def test_a_draft_is_assigned_its_template_again_after_a_clear(klaviyo: Klaviyo, how: dict[str, bool]) -> None:
    campaign_id = create().run()
    task = assign(campaign_id=campaign_id)
    task.run()
    task.clear(**how)
    task.run()
    assert klaviyo.counted()["assign_template_to_campaign_message"] == 2


@pytest.mark.parametrize("how", CLEARS[:2], ids=["keeps", "forgets"])
def test_any_post_is_made_again_after_a_clear_and_not_by_the_retries_that_follow(
    klaviyo: Klaviyo, how: dict[str, bool]
) -> None:
    task = Task(lambda: KlaviyoApiOperator(task_id="call", operation="create_list", body=LISTS))
    task.run()
    task.clear(**how)
    task.run()
    with pytest.raises(KlaviyoRefusedError, match="carried out"):
        task.run()
    assert klaviyo.counted()["create_list"] == 2


# --- on_clear="new" ---------------------------------------------------------------------------------------------------


@makers
@pytest.mark.parametrize("how", CLEARS[:2], ids=["keeps", "forgets"])
def test_a_new_one_is_made_at_once_beside_the_old_one_if_that_is_asked_for(
    klaviyo: Klaviyo, make: Callable[..., Task], operation: str, how: dict[str, bool]
) -> None:
    task = make(on_clear="new")
    first = task.run()
    task.clear(**how)
    second = task.run()
    assert second != first
    assert task.run() == second, "a retry after the clear goes on with the new one"
    assert sorted(klaviyo.named(NAME)) == sorted([first, second])
    assert klaviyo.counted()["get_campaigns"] == 2, "once what is there beside it, and once by the test"


@makers
@pytest.mark.parametrize("how", CLEARS[:2], ids=["keeps", "forgets"])
def test_a_new_one_made_by_a_try_that_died_is_the_one_that_its_retry_adopts(
    klaviyo: Klaviyo, make: Callable[..., Task], operation: str, how: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make(on_clear="new")
    first = task.run()
    task.clear(**how)
    dies_before_noting("klaviyo_campaign", monkeypatch)
    killed(task)
    (second,) = set(klaviyo.named(NAME)) - {first}
    assert task.run() == second
    assert klaviyo.counted()[operation] == 2


# --- what is not slowed down ------------------------------------------------------------------------------------------


@makers
def test_a_first_try_and_a_retry_with_a_store_look_for_nothing(
    klaviyo: Klaviyo, make: Callable[..., Task], operation: str
) -> None:
    klaviyo.fail(operation, "status_before_commit", status=400)
    task = make()
    with pytest.raises(ValueError, match="400"):
        task.run()
    task.run()
    assert klaviyo.fired() == [1]
    assert klaviyo.counted()["get_campaigns"] == 0
    assert klaviyo.counted()[operation] == 2


def test_a_first_send_and_a_retry_with_a_store_read_no_more_than_they_did(klaviyo: Klaviyo) -> None:
    klaviyo.fail("send_campaign", "status_before_commit", status=400)
    task = send(wait_until=None)
    with pytest.raises(ValueError, match="400"):
        task.run()
    first = klaviyo.counted()
    assert first == {"get_campaign": 1, "get_messages_for_campaign": 1, "send_campaign": 1}
    task.run()
    assert klaviyo.counted() - first == {"get_campaign": 2, "get_messages_for_campaign": 1, "send_campaign": 1}


# --- what else may have happened to it --------------------------------------------------------------------------------


@pytest.mark.parametrize("durable", [True, False], ids=["store", "no store"])
def test_a_campaign_that_went_out_to_other_audiences_is_not_made_again_after_a_clear(
    klaviyo: Klaviyo, durable: bool
) -> None:
    """The DAG's audiences were changed before the clear: those who are in both would be mailed twice."""
    made = create(durable=durable).run()
    assign(campaign_id=made).run()
    send(campaign_id=made).run()
    task = create(audiences={"included": [OTHER_LIST]}, durable=durable)
    task.clear(forgets=True)
    words = f"{made}.*went out since this run began, to other audiences"
    with refused(RefusalReason.NAMESAKE_SENT, campaign_id=made, match=words):
        task.run()
    assert klaviyo.named(NAME) == [made]


def test_a_try_that_airflow_runs_again_after_a_reschedule_goes_on_with_its_campaign(klaviyo: Klaviyo) -> None:
    """``RetryAction.RESCHEDULE`` of Airflow 3.4 uses up no try: the number is the same."""
    task = create()
    first = task.run()
    task.try_number -= 1
    assert task.run() == first
    assert klaviyo.named(NAME) == [first]
