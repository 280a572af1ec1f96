"""A person sends, or edits, the draft between the task's reading of it and its call, because something takes long."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_klaviyo.api import retry
from airflow_provider_klaviyo.exceptions import KlaviyoError, KlaviyoRateLimitError, KlaviyoRefusedError
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from tests.conftest import Connect
from tests.operators.test_edited_drafts import Run
from tests.support.clocks import Hours
from tests.support.context import MemoryStore, Task, TaskInstance
from tests.support.sandbox import DRAFT_EMAIL, Klaviyo
from tests.support.tasks import send

SLOW = 16.0
"""Seconds that Airflow's client repeats a request while the API server restarts."""

Act = Callable[[], Any]


@pytest.fixture(autouse=True)
def _full_time_to_begin(brief_pauses: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call may begin as late after its note as it may in earnest."""
    monkeypatch.setattr(retry, "LONGEST", 180.0)


@pytest.fixture
def draft(klaviyo: Klaviyo) -> tuple[Run, str]:
    run = Run()
    return run, run.email()


def slow(owner: Any, function: str, hours: Hours, act: Act, monkeypatch: pytest.MonkeyPatch, *, nth: int = 0) -> Any:
    """A request to Airflow takes long, and somebody acts meanwhile. The list has what was asked for then."""
    original, calls, happened = getattr(owner, function), list[Any](), list[Any]()

    def slowly(*arguments: Any, **options: Any) -> Any:
        result = original(*arguments, **options)
        calls.append(arguments[1:])
        if len(calls) == nth + 1:
            hours.pass_by(SLOW)
            act()
            happened.append(arguments[1:])
        return result

    monkeypatch.setattr(owner, function, slowly)
    return happened


PLACES = [
    pytest.param(TaskInstance, "xcom_pull", 0, id="XComs"),
    pytest.param(MemoryStore, "get", 0, id="the first reading of the note"),
    pytest.param(MemoryStore, "get", 1, id="the second reading of the note"),
    pytest.param(MemoryStore, "set", 0, id="the writing of the note"),
]
places = pytest.mark.parametrize(("owner", "function", "nth"), PLACES)


@places
@pytest.mark.parametrize("if_edited", ["warn", "refuse"])
@pytest.mark.parametrize("sent_by_then", [True, False], ids=["sent", "on its way"])
def test_a_person_sends_while_airflow_is_slow_and_it_goes_out_once(
    klaviyo: Klaviyo,
    hours: Hours,
    draft: tuple[Run, str],
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    function: str,
    nth: int,
    if_edited: str,
    sent_by_then: bool,
) -> None:
    run, campaign_id = draft

    def person_sends() -> None:
        klaviyo.send(campaign_id)
        if sent_by_then:
            klaviyo.wait_for_sends()

    task = run.send(campaign_id, if_edited=if_edited)
    happened = slow(owner, function, hours, person_sends, monkeypatch, nth=nth)
    with contextlib.suppress(KlaviyoRefusedError):  # it is the person's send, and may be through by then
        assert task.run() == campaign_id
    klaviyo.wait_for_sends()
    assert len(happened) == 1
    assert klaviyo.counted()["send_campaign"] == 1, "the person's"
    assert len(klaviyo.sends()) == 1


@places
def test_a_person_sent_what_a_retry_must_not_take_for_its_own(
    klaviyo: Klaviyo, hours: Hours, monkeypatch: pytest.MonkeyPatch, owner: Any, function: str, nth: int
) -> None:
    """Nothing was posted, so nothing is noted; the next try sees a campaign that somebody else has sent."""
    if owner is TaskInstance:
        pytest.skip("the task reads no XComs: nothing before it writes")

    def person_sends() -> None:
        klaviyo.send(DRAFT_EMAIL)
        klaviyo.wait_for_sends()

    task = send()
    slow(owner, function, hours, person_sends, monkeypatch, nth=nth)
    for _ in range(2):
        with pytest.raises(KlaviyoRefusedError, match="not by this task"):
            task.run()
    assert len(klaviyo.sends()) == 1


@places
def test_a_person_edits_while_airflow_is_slow_and_it_is_not_sent_if_that_is_refused(
    klaviyo: Klaviyo,
    hours: Hours,
    draft: tuple[Run, str],
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    function: str,
    nth: int,
) -> None:
    run, campaign_id = draft
    task = run.send(campaign_id, if_edited="refuse")
    person = KlaviyoHook()
    happened = slow(
        owner, function, hours, lambda: person.update_campaign(campaign_id, {"name": "Edited"}), monkeypatch, nth=nth
    )
    with pytest.raises(KlaviyoRefusedError, match="name"):
        task.run()
    assert len(happened) == 1
    assert klaviyo.counted()["send_campaign"] == 0
    assert task.store is not None
    assert task.store.notes == {}


def test_a_machine_that_was_suspended_in_between_reads_again(
    klaviyo: Klaviyo, hours: Hours, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a machine sleeps, its monotonic clock may stand still; the time of day does not."""
    task, note, acted = send(), MemoryStore.set, list[str]()

    def set_(store: MemoryStore, key: str, value: Any, **options: Any) -> None:
        note(store, key, value, **options)
        if not acted:
            acted.append(key)
            hours.worker_is_ahead(60)
            klaviyo.send(DRAFT_EMAIL)
            klaviyo.wait_for_sends()

    monkeypatch.setattr(MemoryStore, "set", set_)
    with pytest.raises(KlaviyoError):
        task.run()
    assert acted
    assert klaviyo.counted()["send_campaign"] == 1, "the person's"


def throttled(klaviyo: Klaviyo, seconds: int) -> None:
    """Another task was throttled: nobody of this account sends for a while."""
    klaviyo.fail("send_campaign", "throttle", retry_after=seconds)
    with pytest.raises(KlaviyoRateLimitError):
        KlaviyoHook().send_campaign(DRAFT_EMAIL)


def person_sends_during_a_sleep(
    klaviyo: Klaviyo, campaign_id: str, hours: Hours, monkeypatch: pytest.MonkeyPatch, longer_than: float
) -> list[float]:
    """Sleeping takes no time; in the first sleep that is so long, a person sends. The list has how long it was."""
    slept: list[float] = []
    real = time.sleep

    def sleep(seconds: float) -> None:
        if seconds < 1:
            real(seconds)
            return
        hours.pass_by(seconds)
        if seconds >= longer_than and not slept:
            slept.append(seconds)
            klaviyo.send(campaign_id)
            klaviyo.wait_for_sends()

    monkeypatch.setattr(time, "sleep", sleep)
    return slept


def test_a_person_sends_in_the_minute_for_which_the_call_waits_for_its_turn(
    klaviyo: Klaviyo, connect: Connect, hours: Hours, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    connect(klaviyo.url, rate_limit={"max_wait": 120})
    throttled(klaviyo, 70)
    slept = person_sends_during_a_sleep(klaviyo, DRAFT_EMAIL, hours, monkeypatch, longer_than=30)
    task = send()
    with pytest.raises(KlaviyoRefusedError, match="already sent"):
        task.run()
    assert len(slept) == 1
    assert klaviyo.counted()["send_campaign"] == 2, "the one that was throttled, and the person's"
    assert len(klaviyo.sends()) == 1
    assert task.store is not None
    assert task.store.notes == {}


def test_a_person_sends_while_the_call_waits_as_klaviyo_asked(
    klaviyo: Klaviyo, hours: Hours, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "pause", lambda _: 50.0)
    klaviyo.fail("send_campaign", "throttle", retry_after=50)
    slept = person_sends_during_a_sleep(klaviyo, DRAFT_EMAIL, hours, monkeypatch, longer_than=30)
    with pytest.raises(KlaviyoRefusedError, match="already sent"):
        send().run()
    assert slept == [50.0]
    assert klaviyo.counted()["send_campaign"] == 2, "the one that was throttled, and the person's"
    assert len(klaviyo.sends()) == 1


def test_a_draft_that_was_read_just_now_is_not_read_again(klaviyo: Klaviyo) -> None:
    send(wait_until=None).run()
    assert klaviyo.counted()["get_campaign"] == 2, "before and after the call"


def test_a_draft_that_waited_long_is_sent_once_all_the_same(
    klaviyo: Klaviyo, hours: Hours, draft: tuple[Run, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, campaign_id = draft
    happened = slow(MemoryStore, "set", hours, lambda: None, monkeypatch)
    assert run.send(campaign_id).run() == campaign_id
    assert happened
    assert len(klaviyo.sends()) == klaviyo.counted()["send_campaign"] == 1


# --- XComs that cannot be read ----------------------------------------------------------------------------------------


def unreadable(times: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Airflow does not return XComs, so many times. The list has an entry for each time that it was asked."""
    pull, asked = TaskInstance.xcom_pull, list[int]()

    def xcom_pull(ti: TaskInstance, **what: Any) -> Any:
        asked.append(len(asked))
        if len(asked) <= times:
            raise ConnectionError("Airflow's API server does not answer (made up)")
        return pull(ti, **what)

    monkeypatch.setattr(TaskInstance, "xcom_pull", xcom_pull)
    return asked


def edited(draft: tuple[Run, str], if_edited: str) -> Task:
    run, campaign_id = draft
    KlaviyoHook().update_campaign(campaign_id, {"name": "Edited"})
    return run.send(campaign_id, if_edited=if_edited)


def test_xcoms_are_asked_for_again_before_an_edit_goes_unseen(
    klaviyo: Klaviyo, draft: tuple[Run, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    task = edited(draft, "warn")
    asked = unreadable(1, monkeypatch)
    with caplog.at_level(logging.WARNING):
        task.run()
    assert len(asked) > 1
    assert "was changed since this run's tasks wrote it" in caplog.text
    assert len(klaviyo.sends()) == 1


def test_an_edit_is_refused_though_xcoms_could_not_be_read_at_first(
    klaviyo: Klaviyo, draft: tuple[Run, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = edited(draft, "refuse")
    unreadable(1, monkeypatch)
    with pytest.raises(KlaviyoRefusedError, match="name"):
        task.run()
    assert klaviyo.counted()["send_campaign"] == 0


def test_if_nothing_can_be_read_the_log_has_that_it_was_sent_unseen(
    klaviyo: Klaviyo, draft: tuple[Run, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    task = edited(draft, "warn")
    asked = unreadable(1_000, monkeypatch)
    with caplog.at_level(logging.WARNING):
        task.run()
    assert len(asked) > 1
    assert "without looking" in caplog.text
    assert len(klaviyo.sends()) == 1
