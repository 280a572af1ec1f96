"""A wait, step by step, on a clock of its own: what ends it, and how often it looks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_klaviyo.api.errors import (
    KlaviyoApiError,
    KlaviyoAuthError,
    KlaviyoConflictError,
    KlaviyoError,
    KlaviyoNotFoundError,
    KlaviyoRateLimitError,
    KlaviyoTransientError,
    KlaviyoValidationError,
)
from airflow_provider_klaviyo.campaigns.status import Outcome, Verdict, judge
from airflow_provider_klaviyo.campaigns.wait import GRACE, JITTER, REVERTED, Observation, Wait

START = 1_800_000_000.0
DAY = 86_400.0


def waiting(**settings: Any) -> Wait:
    return Wait(**{"campaign_id": "C1", "deadline": START + DAY, "interval": 30.0, **settings})


def seen(status: str, send_at: float | None = None) -> Observation:
    moment = None if send_at is None else datetime.fromtimestamp(send_at, UTC).isoformat()
    return Observation(judge(status, ["Sent"]), send_time=moment)


def test_a_target_ends_it_with_an_event_of_plain_values() -> None:
    assert waiting().after(seen("Sent"), START) == {"campaign_id": "C1", "outcome": "done", "status": "Sent"}


def test_a_count_is_in_the_event_zero_too() -> None:
    event = waiting().after(Observation(Verdict(Outcome.DONE, "complete"), count=0), START)
    assert event is not None
    assert event["count"] == 0


def test_another_end_ends_it_as_failed_with_its_reason() -> None:
    event = waiting().after(seen("Cancelled: No Recipients"), START)
    assert event is not None
    assert event["outcome"] == "failed"
    assert "lists and segments" in event["reason"]


@pytest.mark.parametrize("status", ["Draft", "Scheduled", "Sending", "Something new"])
def test_it_goes_on_before_the_deadline_and_ends_at_it(status: str) -> None:
    wait = waiting()
    assert wait.after(seen(status), START + DAY - 0.001) is None
    event = wait.after(seen(status), START + DAY)
    assert event is not None
    assert (event["outcome"], event["status"]) == ("timeout", status)


def test_a_target_seen_after_the_deadline_is_still_the_target() -> None:
    event = waiting().after(seen("Sent"), START + 2 * DAY)
    assert event is not None
    assert event["outcome"] == "done"


@pytest.mark.parametrize("error", [KlaviyoTransientError("x"), KlaviyoRateLimitError("x", retry_after=5)])
def test_a_passing_error_never_ends_it_before_the_deadline_however_often(error: KlaviyoError) -> None:
    wait = waiting(after_send=True)
    assert all(wait.after_failure(error, START + second) is None for second in range(0, int(DAY), 600))
    event = wait.after_failure(error, START + DAY)
    assert event is not None
    assert event["outcome"] == "timeout"


@pytest.mark.parametrize("kind", [KlaviyoAuthError, KlaviyoValidationError, KlaviyoConflictError, KlaviyoApiError])
def test_an_error_that_cannot_pass_ends_it_with_its_facts(kind: type[KlaviyoApiError]) -> None:
    error = kind("no", status=401, code="c", pointer="/p", request_id="r")
    event = waiting().after_failure(error, START)
    assert event is not None
    assert event["outcome"] == "error"
    told = {"kind": kind.__name__, "message": "no", "status": 401, "code": "c", "pointer": "/p", "request_id": "r"}
    assert event["error"].items() >= told.items()


def test_a_campaign_that_is_not_there_ends_a_plain_wait_at_once() -> None:
    event = waiting().after_failure(KlaviyoNotFoundError("gone", status=404), START)
    assert event is not None
    assert event["outcome"] == "error"


def contradiction(wait: Wait, what: str, now: float) -> Any:
    return (
        wait.after(seen("Draft"), now)
        if what == "Draft"
        else wait.after_failure(KlaviyoNotFoundError("?", status=404), now)
    )


@pytest.mark.parametrize(("what", "outcome"), [("Draft", "failed"), ("404", "error")])
def test_after_a_send_a_reading_that_contradicts_it_is_late_for_a_while_and_then_believed(
    what: str, outcome: str
) -> None:
    wait = waiting(after_send=True)
    assert contradiction(wait, what, START) is None
    assert contradiction(wait, what, START + GRACE) is None
    event = contradiction(wait, what, START + GRACE + 1)
    assert event["outcome"] == outcome
    if what == "Draft":
        assert event["reason"] == REVERTED


@pytest.mark.parametrize("what", ["Draft", "404"])
def test_a_reading_in_between_that_fits_begins_the_grace_again(what: str) -> None:
    wait = waiting(after_send=True)
    assert contradiction(wait, what, START) is None
    assert wait.after(seen("Sending"), START + 50) is None
    assert contradiction(wait, what, START + GRACE + 40) is None
    assert contradiction(wait, what, START + GRACE + 90) is None
    assert contradiction(wait, what, START + 2 * GRACE + 41) is not None


def test_a_passing_error_in_between_does_not_begin_the_grace_again() -> None:
    wait = waiting(after_send=True)
    assert contradiction(wait, "Draft", START) is None
    assert wait.after_failure(KlaviyoTransientError("x"), START + 30) is None
    assert contradiction(wait, "Draft", START + GRACE + 1) is not None


def test_who_waits_for_a_person_to_send_waits_through_a_draft() -> None:
    wait = waiting(after_send=False)
    assert all(wait.after(seen("Draft"), START + second) is None for second in range(0, 3600, 60))


@pytest.mark.parametrize("what", ["Draft", "404"])
def test_the_deadline_ends_it_within_the_grace(what: str) -> None:
    wait = waiting(after_send=True, deadline=START + 10)
    assert contradiction(wait, what, START) is None
    assert contradiction(wait, what, START + 11)["outcome"] == "timeout"


@given(interval=st.floats(0.01, 3600), left=st.floats(0, DAY))
def test_a_pause_is_the_interval_give_or_take_the_jitter_and_never_beyond_the_deadline(
    interval: float, left: float
) -> None:
    wait = waiting(interval=interval, deadline=START + left)
    wait.after(seen("Sending"), START)
    pause = wait.pause(START)
    assert 0 <= pause <= left + 1e-6
    assert pause <= interval * (1 + JITTER) + 1e-6
    if left > interval * (1 + JITTER):
        assert pause >= interval * (1 - JITTER) - 1e-6


def test_pauses_differ() -> None:
    wait = waiting()
    wait.after(seen("Sending"), START)
    assert len({wait.pause(START) for _ in range(20)}) > 15


def test_klaviyo_is_not_asked_again_before_the_time_it_named() -> None:
    wait = waiting()
    error = KlaviyoRateLimitError("x", retry_after=600)
    wait.after_failure(error, START)
    assert all(wait.pause(START, error) >= 600 for _ in range(200))


def test_a_rate_limit_for_longer_than_the_wait_pauses_until_its_end() -> None:
    wait = waiting(deadline=START + 100)
    error = KlaviyoRateLimitError("x", retry_after=67_608)
    wait.after_failure(error, START)
    assert 99 <= wait.pause(START, error) <= 100


@pytest.mark.parametrize("status", ["Scheduled", "Queued without Recipients"])
def test_a_campaign_that_goes_out_in_a_week_is_hardly_looked_at_until_then(status: str) -> None:
    """Klaviyo lets a campaign rest as queued, too, when its recipients are determined at the time of sending."""
    week = START + 7 * DAY
    wait = waiting(deadline=week + DAY)
    looks, now = 0, START
    while now < week:
        wait.after(seen(status, week), now)
        now += wait.pause(now)
        looks += 1
    assert looks < 1_000, "30 s apart it would be 20,160"
    assert now < week + 60, "the send itself is seen in time"


def test_a_send_time_that_has_passed_or_is_not_given_is_looked_at_as_usual() -> None:
    wait = waiting()
    for observation in (seen("Scheduled", START - 100), seen("Scheduled"), seen("Sending", START + DAY)):
        wait.after(observation, START)
        assert wait.pause(START) <= 30 * (1 + JITTER)
