"""The worker's clock and Klaviyo's are apart: what was made is found all the same."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_klaviyo.exceptions import KlaviyoAmbiguousWriteError, KlaviyoError, KlaviyoTransientError
from airflow_provider_klaviyo.never_twice import look
from tests.support.clocks import Hours, worker_clock
from tests.support.context import MemoryStore, dag_run
from tests.support.sandbox import DRAFT_EMAIL, Klaviyo
from tests.support.tasks import NAME, clone, create, send

MINUTE, HOUR = 60.0, 3600.0
MAKERS = [
    pytest.param(create, "create_campaign", id="create"),
    pytest.param(clone, "create_campaign_clone", id="clone"),
]
makers = pytest.mark.parametrize(("make", "operation"), MAKERS)
apart = pytest.mark.parametrize(
    "ahead", [6 * MINUTE, 26 * HOUR, -6 * MINUTE, -26 * HOUR], ids=["6 min", "26 h", "-6 min", "-26 h"]
)
STORES = pytest.mark.parametrize("durable", [True, False], ids=["store", "no store"])


def lost(klaviyo: Klaviyo, operation: str) -> None:
    """The answer to a write is lost, and nothing can be read after it."""
    klaviyo.fail(operation, "drop_after_commit")
    klaviyo.fail("get_campaigns", "status_before_commit", status=503, times=None)
    klaviyo.fail("get_campaign", "status_before_commit", status=503, times=None, skip=1)


@makers
@apart
@STORES
def test_a_campaign_whose_answer_was_lost_is_found(
    klaviyo: Klaviyo, make: Callable[..., Any], operation: str, ahead: float, durable: bool
) -> None:
    task = make(durable=durable)
    klaviyo.fail(operation, "drop_after_commit")
    with worker_clock(ahead):
        try:
            campaign_id = task.run()
        except KlaviyoAmbiguousWriteError:
            campaign_id = task.run()
    assert klaviyo.fired() == [1]
    assert klaviyo.named(NAME) == [campaign_id]


@makers
@apart
@STORES
def test_a_campaign_made_by_a_try_that_died_is_found_by_the_next(
    klaviyo: Klaviyo, make: Callable[..., Any], operation: str, ahead: float, durable: bool
) -> None:
    task = make(durable=durable)
    lost(klaviyo, operation)
    with worker_clock(ahead):
        with pytest.raises(KlaviyoTransientError):
            task.run()
        klaviyo.mend()
        campaign_id = task.run()
    assert klaviyo.named(NAME) == [campaign_id]


@makers
@pytest.mark.parametrize("ahead", [6 * MINUTE, -6 * MINUTE], ids=["6 min", "-6 min"])
def test_a_retry_on_another_worker_finds_it(
    klaviyo: Klaviyo, hours: Hours, make: Callable[..., Any], operation: str, ahead: float
) -> None:
    hours.sleeping_takes_none()
    task = make()
    lost(klaviyo, operation)
    hours.worker_is_ahead(ahead)
    with pytest.raises(KlaviyoTransientError):
        task.run()
    klaviyo.mend()
    hours.worker_is_ahead(-ahead)
    campaign_id = task.run()
    assert klaviyo.named(NAME) == [campaign_id]


class DiedError(BaseException):
    """The process is gone."""


@makers
@pytest.mark.parametrize("ahead", [6 * MINUTE, -6 * MINUTE], ids=["6 min", "-6 min"])
def test_a_retry_on_another_worker_makes_none_while_reads_lag_behind_the_killed_one(
    klaviyo: Klaviyo,
    hours: Hours,
    make: Callable[..., Any],
    operation: str,
    ahead: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The killed one had no answer by which it could have known Klaviyo's time; its note is by its own clock."""
    task, note = make(), MemoryStore.set

    def dying(store: MemoryStore, key: str, value: Any, **options: Any) -> None:
        if key == "klaviyo_campaign":
            raise DiedError
        note(store, key, value, **options)

    hours.worker_is_ahead(ahead)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MemoryStore, "set", dying)
        with pytest.raises(DiedError):
            task.run()
    hours.worker_is_ahead(-ahead)
    made = klaviyo.named(NAME)
    assert len(made) == 1
    klaviyo.fail("get_campaigns", "stale", reads=5)
    monkeypatch.setattr(look, "SETTLE", 60.0)
    monkeypatch.setattr(look, "PAUSE", 3.0)
    hours.sleeping_takes_none()
    assert [task.run()] == made
    assert klaviyo.fired() == [5]
    assert klaviyo.counted()[operation] == 1


@pytest.mark.parametrize("ahead", [6 * MINUTE, -6 * MINUTE], ids=["6 min", "-6 min"])
@STORES
def test_a_campaign_that_an_earlier_run_made_is_not_taken_for_the_lost_one(
    klaviyo: Klaviyo, ahead: float, durable: bool
) -> None:
    """Two hours lie between the runs; however wrong the worker's clock is, they are kept apart."""
    create().run()
    klaviyo.advance(2 * HOUR)
    later = datetime.now(UTC) + timedelta(hours=2)
    task = create(durable=durable, run=dag_run(run_after=later, start_date=later))
    klaviyo.fail("create_campaign", "drop_before_commit")
    with worker_clock(2 * HOUR + ahead):
        with pytest.raises(KlaviyoAmbiguousWriteError):
            task.run()
        task.run()
    assert klaviyo.fired() == [1]
    assert len(klaviyo.named(NAME)) == 2


@apart
@STORES
def test_a_send_whose_answer_was_lost_is_made_once(klaviyo: Klaviyo, ahead: float, durable: bool) -> None:
    task = send(durable=durable, wait_until=None)
    klaviyo.fail("send_campaign", "drop_after_commit")
    with worker_clock(ahead):
        assert task.run() == DRAFT_EMAIL
    klaviyo.wait_for_sends()
    assert klaviyo.fired() == [1]
    assert len(klaviyo.sends()) == klaviyo.counted()["send_campaign"] == 1


@pytest.mark.parametrize("ahead", [6 * MINUTE, -6 * MINUTE], ids=["6 min", "-6 min"])
@STORES
def test_a_retry_on_another_worker_does_not_send_again_while_reads_lag(
    klaviyo: Klaviyo, hours: Hours, ahead: float, durable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the first worker noted is long past or far ahead by the second's clock; the look lasts as long as ever."""
    task = send(durable=durable, wait_until=None)
    lost(klaviyo, "send_campaign")
    hours.worker_is_ahead(ahead)
    with pytest.raises(KlaviyoError):
        task.run()
    klaviyo.mend()
    hours.worker_is_ahead(-ahead)
    klaviyo.fail("get_campaign", "stale", reads=5)
    monkeypatch.setattr(look, "SETTLE", 60.0)
    monkeypatch.setattr(look, "PAUSE", 3.0)
    hours.sleeping_takes_none()
    assert task.run() == DRAFT_EMAIL
    klaviyo.wait_for_sends()
    assert klaviyo.fired() == [5]
    assert len(klaviyo.sends()) == klaviyo.counted()["send_campaign"] == 1
