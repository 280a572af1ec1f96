"""What the send task makes of a draft's send time, in every form it may have."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_klaviyo.campaigns import immediate
from airflow_provider_klaviyo.exceptions import KlaviyoValidationError
from tests.support.amending import Amending, amending_campaign
from tests.support.sandbox import DRAFT_EMAIL, Klaviyo
from tests.support.tasks import send

HOUR, DAY = 3600, 86_400


def at(*, zone: str = "+00:00", **delta: float) -> str:
    """A moment from now on, as a clock in UTC shows it, with or without an offset."""
    moment = datetime.now(UTC) + timedelta(**delta)
    return moment.replace(tzinfo=None).isoformat(timespec="seconds") + zone


def day(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).date().isoformat()


def local(datetime: str, **options: Any) -> dict[str, Any]:
    return {"method": "static", "datetime": datetime, "options": {"is_local": True, **options}}


PASSED: list[tuple[str, Callable[[], dict[str, Any]], str]] = [
    ("static", lambda: {"method": "static", "datetime": at(minutes=-1)}, "datetime"),
    ("throttled", lambda: {"method": "throttled", "datetime": at(minutes=-1), "throttle_percentage": 10}, "datetime"),
    ("local everywhere", lambda: local(at(hours=-12, minutes=-1)), "datetime"),
    ("local, late at once", lambda: local(at(hours=-13), send_past_recipients_immediately=True), "datetime"),
    ("smart", lambda: {"method": "smart_send_time", "date": day(-2)}, "date"),
]
ODD: list[tuple[str, Callable[[], dict[str, Any]], str]] = [
    ("no offset", lambda: {"method": "static", "datetime": at(hours=-13, zone=""), "options": None}, "datetime"),
    ("a day", lambda: {"method": "static", "datetime": day(-2)}, "datetime"),
    ("smart with a time", lambda: {"method": "smart_send_time", "date": f"{day(-2)}T23:00:00+00:00"}, "date"),
    ("another method", lambda: {"method": "carrier_pigeon", "datetime": at(hours=-1)}, "datetime"),
    ("no method", lambda: {"datetime": at(hours=-1), "options": []}, "datetime"),
    ("null method", lambda: {"method": None, "date": day(-2)}, "date"),
    ("local as text", lambda: local(at(hours=-13), is_local="true"), "datetime"),
]


@pytest.mark.parametrize(("strategy", "field"), [case[1:] for case in PASSED], ids=[case[0] for case in PASSED])
def test_a_time_that_has_passed_everywhere_is_not_sent(
    klaviyo: Klaviyo, strategy: Callable[[], dict[str, Any]], field: str
) -> None:
    klaviyo.change(DRAFT_EMAIL, send_strategy=strategy())
    with pytest.raises(KlaviyoValidationError, match=rf"{DRAFT_EMAIL} has passed.*immediate\(\)") as caught:
        send(wait_until="scheduled").run()
    assert caught.value.pointer == f"/send_strategy/{field}"
    assert klaviyo.counted()["send_campaign"] == 0


@pytest.mark.parametrize(("strategy", "field"), [case[1:] for case in ODD], ids=[case[0] for case in ODD])
def test_a_time_that_has_passed_is_known_in_whatever_form_klaviyo_returns_it(
    klaviyo: Klaviyo, connect: Callable[..., None], strategy: Callable[[], dict[str, Any]], field: str
) -> None:
    with Amending(klaviyo.url, amending_campaign(DRAFT_EMAIL, send_strategy=strategy())) as server:
        connect(server.url)
        with pytest.raises(KlaviyoValidationError, match="has passed") as caught:
            send(wait_until="scheduled").run()
        assert server.amended
    assert caught.value.pointer == f"/send_strategy/{field}"
    assert klaviyo.counted()["send_campaign"] == 0


@pytest.mark.parametrize(
    ("strategy", "field"),
    [
        ({"method": "static"}, "datetime"),
        ({"method": "static", "datetime": None, "date": None}, "datetime"),
        ({"method": "throttled", "datetime": "soon"}, "datetime"),
        ({"method": "smart_send_time", "date": 20260501}, "date"),
        ({"method": "carrier_pigeon", "datetime": {}}, "datetime"),
    ],
)
def test_a_time_that_cannot_be_read_is_not_sent(
    klaviyo: Klaviyo, connect: Callable[..., None], strategy: dict[str, Any], field: str
) -> None:
    with Amending(klaviyo.url, amending_campaign(DRAFT_EMAIL, send_strategy=strategy)) as server:
        connect(server.url)
        with pytest.raises(KlaviyoValidationError, match=f"{DRAFT_EMAIL}.*not sent.*send_strategy.{field}") as caught:
            send().run()
        assert server.amended
    assert caught.value.pointer == f"/send_strategy/{field}"
    assert klaviyo.counted()["send_campaign"] == 0


@pytest.mark.parametrize(
    "strategy",
    [
        None,
        {},
        [],
        ...,
        {"method": None},
        {"method": ["static"]},
        {"method": "unsupported"},
        {"method": "ab_test_campaign", "datetime": None},
        {"method": "immediate", "datetime": "2020-01-01T00:00:00Z"},
    ],
)
def test_a_strategy_without_a_time_is_sent(klaviyo: Klaviyo, connect: Callable[..., None], strategy: Any) -> None:
    with Amending(klaviyo.url, amending_campaign(DRAFT_EMAIL, send_strategy=strategy)) as server:
        connect(server.url)
        assert send().run() == DRAFT_EMAIL
        assert server.amended
    assert len(klaviyo.sends()) == 1


@pytest.mark.parametrize(
    "strategy",
    [
        lambda: local(at(hours=-11, minutes=-55)),
        lambda: {"method": "smart_send_time", "date": day(0)},
        lambda: {"method": "static", "datetime": at(hours=-11, minutes=-55, zone="")},
    ],
    ids=["local", "smart", "no offset"],
)
def test_what_lies_ahead_of_somebody_is_sent(
    klaviyo: Klaviyo, connect: Callable[..., None], strategy: Callable[[], dict[str, Any]]
) -> None:
    with Amending(klaviyo.url, amending_campaign(DRAFT_EMAIL, send_strategy=strategy())) as server:
        connect(server.url)
        assert send(timeout=2 * DAY).run() == DRAFT_EMAIL
        assert server.amended
    assert len(klaviyo.sends()) == 1


@pytest.mark.parametrize(
    ("strategy", "over"),
    [
        (lambda: {"method": "static", "datetime": at(hours=10)}, 10 * HOUR),
        (lambda: local(at(hours=10)), 22 * HOUR),
        (lambda: {"method": "throttled", "datetime": at(hours=1), "throttle_percentage": 10}, 10 * HOUR),
        (lambda: {"method": "smart_send_time", "date": day(9)}, None),
    ],
    ids=["static", "local", "throttled", "smart"],
)
def test_a_wait_that_would_end_before_the_last_recipients_time_is_not_begun(
    klaviyo: Klaviyo, strategy: Callable[[], dict[str, Any]], over: int | None
) -> None:
    if over is None:
        midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        over = int((midnight + timedelta(days=10, hours=12) - datetime.now(UTC)).total_seconds())
    klaviyo.change(DRAFT_EMAIL, send_strategy=strategy())
    with pytest.raises(KlaviyoValidationError, match=r"stop waiting.*wait_until='scheduled'") as caught:
        send(timeout=over - 60).run()
    assert caught.value.pointer == "timeout"
    assert klaviyo.status(DRAFT_EMAIL) == "Draft"
    send(timeout=over - 60, wait_until="scheduled").run()
    assert klaviyo.status(DRAFT_EMAIL) == "Scheduled"


def test_a_wait_that_reaches_the_last_recipients_time_is_begun(klaviyo: Klaviyo) -> None:
    klaviyo.change(DRAFT_EMAIL, send_strategy=local(at(hours=-1)))
    assert send(timeout=12 * HOUR).run() == DRAFT_EMAIL
    assert len(klaviyo.sends()) == 1


@pytest.mark.parametrize("at_once", [False, True])
def test_recipients_who_are_late_for_a_local_send_are_in_the_log(
    klaviyo: Klaviyo, at_once: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    klaviyo.change(DRAFT_EMAIL, send_strategy=local(at(hours=-1), send_past_recipients_immediately=at_once))
    send().run()
    assert ("may get it a day later, or not at all" in caplog.text) is not at_once


def test_the_way_out_of_a_time_that_has_passed_is_another_strategy(klaviyo: Klaviyo) -> None:
    klaviyo.change(DRAFT_EMAIL, send_strategy={"method": "smart_send_time", "date": day(-2)})
    with pytest.raises(KlaviyoValidationError):
        send().run()
    klaviyo.change(DRAFT_EMAIL, send_strategy=immediate())
    assert send().run() == DRAFT_EMAIL
