"""What a trigger does to a send when Airflow takes it away, which it does for good reasons and for bad ones."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

from airflow_provider_klaviyo.campaigns import static
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.never_twice import kill
from airflow_provider_klaviyo.operators.campaigns import KlaviyoSendCampaignOperator
from airflow_provider_klaviyo.triggers.campaigns import KlaviyoCampaignStatusTrigger
from tests.support.airflow_versions import since_airflow
from tests.support.context import Task, over_the_database
from tests.support.sandbox import DRAFT_EMAIL, Klaviyo
from tests.support.tasks import send

Says = Callable[[str | None], None]


@pytest.fixture
def airflow_says(monkeypatch: pytest.MonkeyPatch) -> Says:
    """Sets the state that Airflow's database has for the task: here one of several mapped ones."""

    def set_state(state: str | None) -> None:
        states = {"r": {"task_3": state, "task_2": "failed", "task": "failed"}}
        monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", staticmethod(lambda **_: states))

    return set_state


@pytest.fixture
def scheduled(klaviyo: Klaviyo) -> Klaviyo:
    """The campaign is on Klaviyo's schedule, and comes no further by itself."""
    KlaviyoHook().update_campaign(DRAFT_EMAIL, {"send_strategy": static(datetime.now(UTC) + timedelta(hours=1))})
    klaviyo.send(DRAFT_EMAIL)
    klaviyo.wait_for_sends()
    assert klaviyo.status(DRAFT_EMAIL) == "Scheduled"
    return klaviyo


def trigger(action: str) -> Any:
    """The trigger as it arrives in the triggerer, with the task instance that the triggerer gives it."""
    made = KlaviyoCampaignStatusTrigger(
        campaign_id=DRAFT_EMAIL,
        deadline=time.time() + 60,
        poll_interval=0.02,
        after_send=True,
        kill_action=action,  # type: ignore[arg-type]
    )
    loaded: Any = over_the_database(made)
    loaded._task_instance = SimpleNamespace(dag_id="d", run_id="r", task_id="task", map_index=3)
    return loaded


def take_away(waiting: Any, *, kill: bool = True, cancels: int = 0) -> None:
    """What the triggerer does to a running trigger: the wait is cancelled, then it is killed.

    :param kill: whether ``on_kill`` is called then; Airflow before 3.3 does not.
    :param cancels: how often that is cancelled in turn; Airflow 3.3.2 does so about each second.
    """

    async def run() -> None:
        async def wait() -> None:
            async for event in waiting.run():
                raise AssertionError(event)

        task = asyncio.create_task(wait())
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        if not kill:
            return
        killing = asyncio.create_task(waiting.on_kill())
        for _ in range(cancels):
            await asyncio.sleep(0.05)
            assert killing.cancel()
        await killing

    asyncio.run(run())


@since_airflow("3.3", "on_kill of triggers")
@pytest.mark.parametrize(("action", "status"), [("revert", "Draft"), ("cancel", "Cancelled")])
def test_when_the_task_was_marked_failed_its_send_is_stopped(
    scheduled: Klaviyo, airflow_says: Says, action: str, status: str
) -> None:
    airflow_says("failed")
    take_away(trigger(action))
    scheduled.wait_for_sends()
    time.sleep(0.2)
    assert scheduled.counted()["cancel_campaign_send"] == 1
    assert scheduled.status(DRAFT_EMAIL) == status


@since_airflow("3.3", "on_kill of triggers")
def test_a_stop_that_is_begun_is_carried_through_though_airflow_cancels_it(
    scheduled: Klaviyo, airflow_says: Says
) -> None:
    airflow_says("failed")
    scheduled.fail("get_campaign", "delay", seconds=0.5, times=1)
    take_away(trigger("cancel"), cancels=4)
    assert scheduled.fired() == [1]
    assert scheduled.status(DRAFT_EMAIL) == "Cancelled"


@since_airflow("3.3", "on_kill of triggers")
def test_an_old_answer_of_airflow_is_not_acted_on(scheduled: Klaviyo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kill, "FRESH", 0.1)
    answers = ["failed", None]

    def slow_then_quick(**_: Any) -> Any:
        if len(answers) == 2:
            time.sleep(0.3)
        return {"r": {"task_3": answers.pop(0)}}

    monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", staticmethod(slow_then_quick))
    take_away(trigger("cancel"))
    assert answers == []
    assert scheduled.status(DRAFT_EMAIL) == "Scheduled"


@since_airflow("3.3", "on_kill of triggers")
@pytest.mark.parametrize("action", ["revert", "cancel"])
@pytest.mark.parametrize("state", [None, "scheduled", "queued", "running", "deferred", "success", "skipped"])
def test_when_another_try_may_have_adopted_the_send_it_goes_on(
    scheduled: Klaviyo, airflow_says: Says, action: str, state: str | None
) -> None:
    airflow_says(state)
    take_away(trigger(action))
    assert scheduled.counted()["cancel_campaign_send"] == 0
    assert scheduled.status(DRAFT_EMAIL) == "Scheduled"


@pytest.mark.parametrize("action", ["revert", "cancel"])
def test_an_airflow_that_only_cancels_the_wait_leaves_the_send_alone(
    scheduled: Klaviyo, airflow_says: Says, action: str
) -> None:
    """As Airflow before 3.3 does, for whatever reason the trigger is taken away."""
    airflow_says("failed")
    take_away(trigger(action), kill=False)
    assert scheduled.counted()["cancel_campaign_send"] == 0
    assert scheduled.status(DRAFT_EMAIL) == "Scheduled"


def test_by_default_not_even_a_question_is_asked(scheduled: Klaviyo, airflow_says: Says) -> None:
    airflow_says("failed")
    before = len(scheduled.requests())
    asyncio.run(trigger("keep").on_kill())
    assert len(scheduled.requests()) == before


def test_a_campaign_that_cannot_be_reached_does_not_make_on_kill_raise(
    scheduled: Klaviyo, airflow_says: Says, capsys: pytest.CaptureFixture[str]
) -> None:
    airflow_says("failed")
    scheduled.fail("get_campaign", "status_before_commit", status=404, times=1)
    asyncio.run(trigger("revert").on_kill())
    assert scheduled.fired() == [1]
    assert "Klaviyo was not asked" in capsys.readouterr().out


def test_the_send_operator_hands_its_kill_action_to_the_trigger(klaviyo: Klaviyo) -> None:
    task: Task = send(deferrable=True, kill_action="revert")
    assert isinstance(task.make(), KlaviyoSendCampaignOperator)
    task.run()
    [deferral] = task.deferrals
    assert deferral.trigger.serialize()[1]["kill_action"] == "revert"
