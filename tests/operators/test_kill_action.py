"""What becomes of a send when its task is killed in a worker: the decision, and what Klaviyo is asked."""

from __future__ import annotations

import io
import itertools
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

from airflow_provider_klaviyo.campaigns import CampaignStatus, static
from airflow_provider_klaviyo.exceptions import KlaviyoError, KlaviyoRefusedError, KlaviyoValidationError
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.never_twice.kill import IN_WORKER, reason_to_keep
from airflow_provider_klaviyo.operators.campaigns import KlaviyoSendCampaignOperator
from tests.support.context import Task, TaskInstance
from tests.support.sandbox import DRAFT_EMAIL, Klaviyo
from tests.support.tasks import send

EVERY_STATUS = [*CampaignStatus, "A status of next year"]
TASK_STATES = [None, "scheduled", "queued", "running", "restarting", "deferred", "up_for_retry", "success", "skipped"]
BEFORE_SENDING = {
    "Queued without Recipients",
    "Adding Recipients",
    "Preparing to schedule",
    "Scheduled",
    "Preparing to send",
}
AT_AN_END = {status for status in EVERY_STATUS if status in ("Draft", "Sent") or status.startswith("Cancelled")}


@pytest.mark.parametrize(("action", "state"), itertools.product(["revert", "cancel"], TASK_STATES))
def test_a_task_that_was_not_marked_failed_stops_nothing(action: Any, state: str | None) -> None:
    for status in EVERY_STATUS:
        assert "not marked as failed" in str(reason_to_keep(action, state, status))


@pytest.mark.parametrize("status", EVERY_STATUS)
def test_a_failed_task_reverts_what_is_not_being_sent_yet(status: str) -> None:
    assert (reason_to_keep("revert", "failed", status) is None) == (status in BEFORE_SENDING)


@pytest.mark.parametrize("status", EVERY_STATUS)
def test_a_failed_task_cancels_whatever_is_on_its_way(status: str) -> None:
    assert (reason_to_keep("cancel", "failed", status) is None) == (status not in AT_AN_END)


class Killed(BaseException):
    """Ends the process of a task for good, as SIGKILL does."""


class Worker:
    """Runs a send task that gets SIGTERM, as from Airflow's supervisor, at some moment.

    ``state`` is what Airflow says of the task then, by way of ``say``; ``ends``: whether the process ends at once, or
    runs on until SIGKILL comes; ``took``: how long the task's ``on_kill`` took.
    """

    def __init__(self) -> None:
        self.state: str | None = "failed"
        self.say: Callable[[], Any] = lambda: self.state
        self.ends = True
        self.took = 0.0
        self._operators: list[Any] = []

    def states(self, *, dag_id: str, task_ids: list[str], run_ids: list[str]) -> dict[str, Any]:
        """Airflow's answer; another mapped task of the same name waits on."""
        assert (dag_id, task_ids, run_ids) == ("d", ["task"], ["r"])
        return {"r": {"task": self.say(), "task_0": "running"}}

    def run(self, task: Task, kill: AbstractContextManager[None]) -> None:
        self._operators.clear()
        make = task.make
        task.make = lambda: self._operators.append(make()) or self._operators[-1]  # type: ignore[func-returns-value]
        before = signal.signal(signal.SIGTERM, self._on_term)
        try:
            with kill:
                task.run()
        finally:
            signal.signal(signal.SIGTERM, before)

    def _on_term(self, *_: Any) -> None:
        began = time.monotonic()
        self._operators[0].on_kill()
        self.took = time.monotonic() - began
        if self.ends:
            raise Killed


@contextmanager
def in_a_pause(when: Callable[[], bool]) -> Iterator[None]:
    """The kill comes in the first pause in which something holds: the task holds no lock then, as that of a log."""
    sleep = time.sleep

    def sleep_or_be_killed(seconds: float) -> None:
        until = time.monotonic() + min(seconds, 10)
        while time.monotonic() < until:
            if when():
                signal.raise_signal(signal.SIGTERM)
            sleep(0.01)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "sleep", sleep_or_be_killed)
        yield


@contextmanager
def during(klaviyo: Klaviyo, operation: str) -> Iterator[None]:
    """The kill comes while the task waits for Klaviyo's answer to its first call of an operation."""
    klaviyo.fail(operation, "delay", seconds=1, times=1)

    def kill() -> None:
        until = time.monotonic() + 10
        while not klaviyo.requests(operation) and time.monotonic() < until:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield
    finally:
        killer.join()


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Worker:
    worker = Worker()
    monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", staticmethod(worker.states))
    for name, value in {"dag_id": "d", "run_id": "r", "task_id": "task", "map_index": -1}.items():
        monkeypatch.setattr(TaskInstance, name, value, raising=False)
    return worker


@pytest.fixture
def draft(klaviyo: Klaviyo) -> str:
    """A campaign that, once it is sent, stays on the schedule."""
    KlaviyoHook().update_campaign(DRAFT_EMAIL, {"send_strategy": static(datetime.now(UTC) + timedelta(hours=1))})
    return DRAFT_EMAIL


def is_scheduled(klaviyo: Klaviyo) -> Callable[[], bool]:
    return lambda: klaviyo.status(DRAFT_EMAIL) == "Scheduled"


def wait_for(klaviyo: Klaviyo, status: str) -> None:
    until = time.monotonic() + 5
    while klaviyo.status(DRAFT_EMAIL) != status:
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.usefixtures("draft")
def test_a_send_that_is_marked_failed_is_taken_back_to_a_draft(klaviyo: Klaviyo, worker: Worker) -> None:
    with pytest.raises(Killed):
        worker.run(send(kill_action="revert"), in_a_pause(is_scheduled(klaviyo)))
    assert worker.took < 5
    assert klaviyo.counted()["cancel_campaign_send"] == 1
    wait_for(klaviyo, "Draft")
    klaviyo.advance(7200)
    assert klaviyo.sends() == []


@pytest.mark.usefixtures("draft")
def test_a_task_that_is_killed_while_it_writes_to_a_log_is_stopped_too(
    klaviyo: Klaviyo, worker: Worker, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was interrupted has a log's lock; what stops the send runs in another thread, and would log each request."""
    handler = logging.StreamHandler(io.StringIO())
    root = logging.getLogger()
    before = root.level
    handler.acquire()
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        with pytest.raises(Killed):
            worker.run(send(kill_action="revert"), in_a_pause(is_scheduled(klaviyo)))
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
        handler.release()
    assert worker.took < IN_WORKER
    assert klaviyo.counted()["cancel_campaign_send"] == 1
    assert "asked Klaviyo to revert" in capsys.readouterr().out
    assert logging.root.manager.disable == logging.NOTSET


@pytest.mark.usefixtures("draft")
def test_a_send_that_is_marked_failed_is_cancelled_for_good(klaviyo: Klaviyo, worker: Worker) -> None:
    with pytest.raises(Killed):
        worker.run(send(kill_action="cancel"), in_a_pause(is_scheduled(klaviyo)))
    assert klaviyo.status(DRAFT_EMAIL) == "Cancelled"


@pytest.mark.usefixtures("draft")
def test_by_default_klaviyo_goes_on(klaviyo: Klaviyo, worker: Worker) -> None:
    with pytest.raises(Killed):
        worker.run(send(), in_a_pause(is_scheduled(klaviyo)))
    assert klaviyo.counted()["cancel_campaign_send"] == 0
    klaviyo.advance(7200)
    klaviyo.wait_for_sends()
    assert len(klaviyo.sends()) == 1


@pytest.mark.usefixtures("draft")
@pytest.mark.parametrize("state", ["running", "restarting", "success", None])
def test_a_try_that_ends_for_another_reason_leaves_its_send_to_the_next_one(
    klaviyo: Klaviyo, worker: Worker, state: str | None
) -> None:
    worker.state = state
    task = send(kill_action="revert")
    with pytest.raises(Killed):
        worker.run(task, in_a_pause(lambda: klaviyo.status(DRAFT_EMAIL) != "Draft"))
    assert klaviyo.counted()["cancel_campaign_send"] == 0
    task.make = send(kill_action="revert", wait_until="scheduled", timeout=5).make
    task.run()
    assert klaviyo.status(DRAFT_EMAIL) == "Scheduled"
    assert klaviyo.counted()["send_campaign"] == 1


@pytest.mark.usefixtures("draft")
def test_after_a_revert_a_clear_sends_again_and_a_mere_retry_does_not(klaviyo: Klaviyo, worker: Worker) -> None:
    task = send(kill_action="revert")
    with pytest.raises(Killed):
        worker.run(task, in_a_pause(is_scheduled(klaviyo)))
    wait_for(klaviyo, "Draft")
    with pytest.raises(KlaviyoRefusedError):
        task.run()
    assert klaviyo.counted()["send_campaign"] == 1
    task.clear()
    worker.state = "running"
    with pytest.raises(Killed):
        worker.run(task, in_a_pause(is_scheduled(klaviyo)))
    klaviyo.advance(7200)
    klaviyo.wait_for_sends()
    assert len(klaviyo.sends()) == 1


def test_a_kill_before_the_send_prevents_it(klaviyo: Klaviyo, worker: Worker) -> None:
    worker.ends = False
    with pytest.raises(KlaviyoError, match="was killed before the send"):
        worker.run(send(), during(klaviyo, "get_messages_for_campaign"))
    assert klaviyo.fired() == [1]
    assert klaviyo.counted()["send_campaign"] == 0


@pytest.mark.usefixtures("draft")
def test_a_kill_while_klaviyo_is_asked_to_send_stops_what_comes_of_it(klaviyo: Klaviyo, worker: Worker) -> None:
    worker.ends = False
    task = send(kill_action="cancel", wait_until=None)
    worker.run(task, during(klaviyo, "send_campaign"))
    assert klaviyo.fired() == [1]
    assert klaviyo.counted()["send_campaign"] == 1
    assert klaviyo.status(DRAFT_EMAIL) == "Cancelled"


@pytest.mark.usefixtures("draft")
def test_what_becomes_of_the_send_is_in_the_log(
    klaviyo: Klaviyo, worker: Worker, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Killed):
        worker.run(send(kill_action="revert"), in_a_pause(is_scheduled(klaviyo)))
    assert f"asked Klaviyo to revert campaign {DRAFT_EMAIL}, which was 'Scheduled'" in capsys.readouterr().out


@pytest.mark.usefixtures("draft")
def test_a_klaviyo_that_does_not_answer_holds_the_kill_up_for_less_than_airflows_five_seconds(
    klaviyo: Klaviyo, worker: Worker, capsys: pytest.CaptureFixture[str]
) -> None:
    def stalls() -> bool:
        if scheduled := is_scheduled(klaviyo)():
            klaviyo.fail("cancel_campaign_send", "delay", seconds=6)
        return scheduled

    with pytest.raises(Killed):
        worker.run(send(kill_action="revert"), in_a_pause(stalls))
    assert klaviyo.fired() == [1]
    assert worker.took < 5
    assert "Klaviyo was asked to revert it. There was no answer in time." in capsys.readouterr().out


@pytest.mark.usefixtures("draft")
def test_a_refusal_by_klaviyo_is_logged_and_not_asked_again(
    klaviyo: Klaviyo, worker: Worker, capsys: pytest.CaptureFixture[str]
) -> None:
    klaviyo.fail("cancel_campaign_send", "status_before_commit", status=409)
    with pytest.raises(Killed):
        worker.run(send(kill_action="revert"), in_a_pause(is_scheduled(klaviyo)))
    assert klaviyo.fired() == [1]
    told = capsys.readouterr().out
    assert "may go on" in told
    assert "409" in told


@pytest.mark.usefixtures("draft")
def test_when_airflow_cannot_say_why_the_task_was_killed_nothing_is_stopped(
    klaviyo: Klaviyo, worker: Worker, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise RuntimeError("No supervisor.")

    worker.say = fail
    with pytest.raises(Killed):
        worker.run(send(kill_action="revert"), in_a_pause(is_scheduled(klaviyo)))
    assert klaviyo.counted()["cancel_campaign_send"] == 0
    assert "Klaviyo was not asked to revert it. RuntimeError." in capsys.readouterr().out


@pytest.mark.usefixtures("draft")
def test_a_task_killed_while_it_talks_to_airflow_does_not_wait_for_its_own_answer(
    klaviyo: Klaviyo, worker: Worker, capsys: pytest.CaptureFixture[str]
) -> None:
    answered = threading.Event()
    worker.say = lambda: answered.wait(10) and "failed"
    with pytest.raises(Killed):
        worker.run(send(kill_action="revert"), in_a_pause(is_scheduled(klaviyo)))
    assert IN_WORKER < worker.took < 5
    answered.set()
    time.sleep(0.2)
    assert klaviyo.counted()["cancel_campaign_send"] == 0
    assert "may go on" in capsys.readouterr().out


@pytest.mark.parametrize("action", ["keep", "revert", "cancel"])
def test_a_task_killed_before_it_began_does_nothing(klaviyo: Klaviyo, action: Any) -> None:
    KlaviyoSendCampaignOperator(task_id="task", campaign_id=DRAFT_EMAIL, kill_action=action).on_kill()
    assert klaviyo.requests() == []


def test_the_kill_action_is_checked_when_the_dag_is_imported() -> None:
    with pytest.raises(KlaviyoValidationError, match=r"kill_action is 'reverse'.*'revert'"):
        send(kill_action="reverse").make()
