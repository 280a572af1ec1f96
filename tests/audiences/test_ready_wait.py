"""The wait for an audience, step by step: no clock, no Klaviyo."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_klaviyo.api.errors import KlaviyoAuthError, KlaviyoRateLimitError, KlaviyoTransientError
from airflow_provider_klaviyo.audiences.ready import Audience, ReadyWait, Size, parse
from airflow_provider_klaviyo.exceptions import KlaviyoError

LIST = Audience("list", "L1")


def waiting(**settings: Any) -> ReadyWait:
    return ReadyWait(**{"audience": LIST, "minimum": 10, "settled": 120.0, "deadline": 10_000.0, **settings})


def ends(wait: ReadyWait, looks: list[tuple[float, Size]]) -> float | None:
    """When the wait was done, by the time of the look."""
    for at, size in looks:
        if event := wait.after(size, at):
            assert event == {"audience": "list L1", "outcome": "done", "count": size.count}
            return at
    return None


def counts(*numbers: int) -> list[tuple[float, Size]]:
    """One look each minute."""
    return [(60.0 * minute, Size(number)) for minute, number in enumerate(numbers)]


@pytest.mark.parametrize(
    ("seen", "minute"),
    [
        ([10, 10, 10], 2),
        ([0, 0, 0, 0, 10, 10, 10], 6),
        ([9, 9, 9, 9], None),
        ([10, 11, 12, 13], None),
        ([10, 10, 11, 11, 11], 4),
        ([12, 12, 11, 11, 11], 4),
        ([12, 12, 9, 9, 9, 9], None),
        ([12, 9, 12, 12, 12], 4),
    ],
)
def test_it_is_done_when_the_number_is_enough_and_has_stood_still(seen: list[int], minute: int | None) -> None:
    assert ends(waiting(), counts(*seen)) == (None if minute is None else 60 * minute)


def test_an_audience_may_be_empty_with_a_minimum_of_0() -> None:
    assert ends(waiting(minimum=0), counts(0, 0, 0)) == 120


def test_processing_keeps_it_waiting_and_begins_the_quiet_period_anew() -> None:
    at_work = [(60.0 * minute, Size(10, is_processing=True)) for minute in range(10)]
    wait = waiting()
    assert ends(wait, at_work) is None
    assert ends(wait, [(600.0, Size(10)), (655.0, Size(10)), (660.0, Size(10))]) == 660


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12))
def test_it_never_ends_before_the_number_has_stood_still_for_the_whole_time(seen: list[int]) -> None:
    at = ends(waiting(minimum=1), counts(*seen))
    quiet = [
        number for number in range(2, len(seen)) if seen[number] > 0 and len(set(seen[number - 2 : number + 1])) == 1
    ]
    assert at == (60 * quiet[0] if quiet else None)


def test_a_look_that_fails_for_a_passing_reason_does_not_begin_the_quiet_period_anew() -> None:
    wait = waiting()
    assert ends(wait, counts(10, 10)) is None
    assert wait.after_failure(KlaviyoTransientError("503"), 110.0) is None
    assert ends(wait, [(120.0, Size(10))]) == 120


def test_a_refusal_ends_it_at_once_with_the_error() -> None:
    event = waiting().after_failure(KlaviyoAuthError("no", status=401), 0.0)
    assert event is not None
    assert (event["outcome"], event["error"]["kind"]) == ("error", "KlaviyoAuthError")
    assert parse(json.loads(json.dumps(event))) == event


def test_the_deadline_ends_it_with_the_last_number_and_since_when_it_stands() -> None:
    wait = waiting(deadline=200.0)
    assert ends(wait, counts(3, 4, 4)) is None
    event = wait.after_failure(KlaviyoTransientError("503"), 200.0)
    assert event is not None
    assert event["outcome"] == "timeout"
    assert "list L1 has 4 profiles, since 1970-01-01 00:01:00 UTC" in event["reason"]
    assert "10 at least, unchanged for 2 min" in event["reason"]


def test_a_timeout_before_the_first_answer_says_so() -> None:
    event = waiting(deadline=0.0).after_failure(KlaviyoTransientError("503"), 0.0)
    assert event is not None
    assert "never seen" in event["reason"]


def test_pauses_are_never_shorter_than_the_interval_and_grow_while_looks_fail() -> None:
    wait = waiting()
    assert all(60 <= wait.pause(0.0) <= 66 for _ in range(100))
    for _ in range(3):
        wait.after_failure(KlaviyoTransientError("503"), 0.0)
    assert 240 <= wait.pause(0.0) <= 264
    assert wait.pause(0.0, KlaviyoRateLimitError("429", retry_after=1_000)) >= 1_000
    assert wait.pause(9_990.0) == 10


def test_what_was_noted_is_gone_on_from() -> None:
    before = waiting()
    assert ends(before, counts(10, 10)) is None
    after = waiting()
    after.recall(json.loads(json.dumps(before.note())))
    assert ends(after, [(120.0, Size(10))]) == 120


@pytest.mark.parametrize(
    "note", [None, {}, [], {"audience": "list L2", "count": 10, "since": 0.0}, {"audience": "list L1", "count": None}]
)
def test_another_note_is_left_alone(note: Any) -> None:
    wait = waiting()
    wait.recall(note)
    assert wait.size is None
    assert ends(wait, [(1_000.0, Size(10))]) is None


@pytest.mark.parametrize(
    "event",
    [None, {}, {"audience": "list L1", "outcome": "done"}, {"audience": "list L1", "outcome": "sent", "count": 1}],
)
def test_an_event_of_another_shape_is_refused(event: Any) -> None:
    with pytest.raises(KlaviyoError, match="not one of this package's"):
        parse(event)
