from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pendulum
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.api.schemas import request_errors
from airflow_provider_klaviyo.campaigns.strategies import (
    check_strategy,
    immediate,
    smart_send_time,
    static,
    throttled,
    window,
)

OLDER, NEWEST = "2026-04-15", "2026-07-15"
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def schema_problems(strategy: dict[str, Any], revision: str = NEWEST) -> list[str]:
    message = {"type": "campaign-message", "attributes": {"definition": {"channel": "email"}}}
    attributes = {
        "name": "Sale",
        "audiences": {"included": ["Y6nRLr"]},
        "campaign-messages": {"data": [message]},
        "send_strategy": strategy,
    }
    body = {"data": {"type": "campaign", "attributes": attributes}}
    return [str(problem) for problem in request_errors("create_campaign", body=body, revision=revision)]


def refusal(call: Callable[[], object]) -> KlaviyoValidationError:
    with pytest.raises(KlaviyoValidationError) as refused:
        call()
    return refused.value


zones = st.integers(-14 * 60 * 60, 14 * 60 * 60).map(lambda seconds: timezone(timedelta(seconds=seconds)))
moments = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=zones)
utc_moments = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
percentages = st.sampled_from([1, 2, 5, 10, 11, 13, 14, 17, 20, 25, 33, 50])
days = st.dates(date(2000, 1, 1), date(2100, 1, 1))
made = (
    st.builds(immediate)
    | st.builds(static, moments | moments.map(str) | moments.map(pendulum.instance))
    | st.builds(static, utc_moments, is_local=st.just(True), send_past_recipients_immediately=st.booleans())
    | st.builds(throttled, moments, throttle_percentage=percentages)
    | st.builds(smart_send_time, days | moments | days.map(str))
)


@given(made)
def test_whatever_the_builders_make_follows_the_published_schema(strategy: dict[str, Any]) -> None:
    assert schema_problems(strategy) == []


@given(made)
def test_a_strategy_survives_json_and_a_second_check_unchanged(strategy: dict[str, Any]) -> None:
    again = json.loads(json.dumps(strategy))
    assert again == strategy
    assert check_strategy(again, revision=NEWEST, now=datetime(1999, 1, 1, tzinfo=UTC)) == strategy


@given(moments)
def test_the_instant_is_kept(moment: datetime) -> None:
    for given_as in (moment, str(moment), moment.isoformat(), pendulum.instance(moment)):
        assert datetime.fromisoformat(static(given_as)["datetime"]) == moment


@pytest.mark.parametrize("revision", [OLDER, NEWEST])
def test_exactly_the_percentages_that_the_schema_of_the_revision_takes_are_taken(revision: str) -> None:
    taken = []
    for percentage in range(-1, 102):
        strategy = {"method": "throttled", "datetime": NOON.isoformat(), "throttle_percentage": percentage}
        if schema_problems(strategy, revision):
            error = refusal(lambda strategy=strategy: check_strategy(strategy, revision=revision))
            assert error.pointer == "/send_strategy/throttle_percentage"
        else:
            taken.append(percentage)
            assert check_strategy(strategy, revision=revision) == strategy
    assert taken[-9:] == [10, 11, 13, 14, 17, 20, 25, 33, 50]


def test_a_slow_percentage_is_refused_below_the_revision_that_has_it_and_says_so() -> None:
    error = refusal(lambda: check_strategy(throttled(NOON, throttle_percentage=2), revision=OLDER))
    assert error.message == (
        "send_strategy.throttle_percentage is 2. Allowed: 10, 11, 13, 14, 17, 20, 25, 33, 50. "
        "Revision 2026-07-15 also takes 1, 2 and 5."
    )


def test_strategies_have_klaviyos_shape() -> None:
    assert immediate() == {"method": "immediate"}
    assert static("2026-05-01T09:00:00Z") == {"method": "static", "datetime": "2026-05-01T09:00:00+00:00"}
    assert static(NOON, is_local=True) == {
        "method": "static",
        "datetime": "2026-05-01T12:00:00+00:00",
        "options": {"is_local": True, "send_past_recipients_immediately": False},
    }
    assert throttled(pendulum.datetime(2026, 5, 1, 9, tz="Europe/Berlin"), throttle_percentage=25) == {
        "method": "throttled",
        "datetime": "2026-05-01T09:00:00+02:00",
        "throttle_percentage": 25,
    }
    assert smart_send_time(date(2026, 5, 1)) == {"method": "smart_send_time", "date": "2026-05-01"}
    assert smart_send_time(NOON) == smart_send_time("2026-05-01")


@pytest.mark.parametrize(
    ("call", "field", "says"),
    [
        (lambda: static(datetime(2026, 5, 1)), "datetime", "Add an offset"),
        (lambda: static("2026-05-01T09:00:00"), "datetime", "without a time zone"),
        (lambda: static("2026-05-01"), "datetime", "a date and a time"),
        (lambda: static("tomorrow"), "datetime", "Give ISO 8601"),
        (lambda: static(17), "datetime", "Give ISO 8601"),
        (lambda: static(None), "datetime", "is missing"),
        (lambda: static("2026-05-01T09:00:00+02:00", is_local=True), "datetime", "not in UTC"),
        (lambda: static(NOON, is_local="maybe"), "options/is_local", "True or False"),
        (
            lambda: static(NOON, send_past_recipients_immediately=True),
            "options/send_past_recipients_immediately",
            "is_local=True",
        ),
        (lambda: throttled(NOON, throttle_percentage=30), "throttle_percentage", "25, 33"),
        (lambda: throttled(NOON, throttle_percentage="many"), "throttle_percentage", "a whole number"),
        (lambda: throttled(NOON, throttle_percentage=True), "throttle_percentage", "a whole number"),
        (lambda: smart_send_time("1 May"), "date", "Give ISO 8601"),
        (lambda: check_strategy({"method": "statik", "datetime": NOON}), "method", "Did you mean 'static'?"),
        (lambda: check_strategy({"datetime": NOON}), "method", "is missing"),
        (lambda: check_strategy("immediate"), "method", "is missing"),
        (lambda: check_strategy({"method": "ab_test_campaign"}), "method", "web UI"),
        (lambda: check_strategy({"method": "immediate", "datetime": NOON}), "datetime", "Allowed: method"),
        (lambda: check_strategy({"method": "static", "date_time": NOON}), "date_time", "Did you mean 'datetime'?"),
        (lambda: check_strategy({"method": "throttled", "datetime": NOON}), "throttle_percentage", "is missing"),
        (
            lambda: check_strategy({"method": "static", "datetime": NOON, "options": {"is_locale": True}}),
            "options/is_locale",
            "Did you mean 'is_local'?",
        ),
        (lambda: check_strategy(smart_send_time("2026-05-01"), channel="mobile_push"), "method", "not for push"),
    ],
)
def test_what_klaviyo_would_refuse_is_refused_with_a_remedy(call: Callable[[], object], field: str, says: str) -> None:
    error = refusal(call)
    assert error.pointer == f"/send_strategy/{field}"
    assert says in error.message


@pytest.mark.parametrize(
    ("strategy", "last_moment"),
    [
        (static(NOON), NOON),
        (static("2026-05-01T14:00:00+02:00"), NOON),
        (throttled(NOON, throttle_percentage=10), NOON),
        (static(NOON, is_local=True), NOON + timedelta(hours=12)),
        (smart_send_time("2026-05-01"), datetime(2026, 5, 2, 11, 59, 59, tzinfo=UTC)),
    ],
)
def test_a_time_is_refused_once_it_has_passed_everywhere(strategy: dict[str, Any], last_moment: datetime) -> None:
    assert check_strategy(strategy, now=last_moment) == strategy
    assert check_strategy(strategy) == strategy
    error = refusal(lambda: check_strategy(strategy, now=last_moment + timedelta(seconds=1)))
    assert error.pointer in ("/send_strategy/datetime", "/send_strategy/date")
    assert "has passed" in error.message
    assert "immediate()" in error.message


OFFSETS = [timedelta(minutes=minutes) for minutes in range(-12 * 60, 14 * 60 + 1, 15)]
"""Every time zone there is, and some that are not."""


def instants(strategy: dict[str, Any]) -> list[datetime]:
    """When the first and the last recipients may be sent to, in each zone that may be meant: by brute force."""
    if strategy["method"] == "smart_send_time":
        clocks = [datetime.fromisoformat(strategy["date"]) + span for span in (timedelta(0), ALMOST_A_DAY)]
    else:
        moment = datetime.fromisoformat(strategy["datetime"])
        if moment.tzinfo and not (strategy.get("options") or {}).get("is_local"):
            return [moment]
        clocks = [moment.astimezone(UTC) if moment.tzinfo else moment]
    return [clock.replace(tzinfo=timezone(offset)) for clock in clocks for offset in OFFSETS]


ALMOST_A_DAY = timedelta(days=1, microseconds=-1)
timed = (
    st.builds(static, moments)
    | st.builds(static, utc_moments, is_local=st.just(True), send_past_recipients_immediately=st.booleans())
    | st.builds(throttled, moments, throttle_percentage=percentages)
    | st.builds(smart_send_time, days)
)
as_klaviyo_may_tell = st.builds(
    lambda moment, method, options: {"method": method, "datetime": moment.isoformat(), "options": options},
    st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.none() | zones),
    st.sampled_from(["static", "throttled", "another", None]),
    st.sampled_from([None, {}, {"is_local": True}, {"is_local": False}]),
)
steps = st.integers(-40 * 60 * 4, 40 * 60 * 4).map(lambda quarters: timedelta(minutes=15) * quarters / 60)


@given(timed | as_klaviyo_may_tell, steps)
def test_a_window_is_what_a_look_at_the_clocks_of_all_zones_finds(strategy: dict[str, Any], step: timedelta) -> None:
    found = instants(strategy)
    planned = window(strategy)
    assert planned is not None
    assert (planned.first, planned.last) == (min(found), max(found))
    for now in (max(found) + step, min(found) + step, max(found)):
        assert planned.has_passed(now) == all(instant < now for instant in found)


@given(timed, steps)
def test_what_is_created_and_what_is_sent_go_by_the_same_rule(strategy: dict[str, Any], step: timedelta) -> None:
    planned = window(strategy)
    assert planned is not None
    now = planned.last + step
    if planned.has_passed(now):
        assert "has passed" in refusal(lambda: check_strategy(strategy, now=now)).message
    else:
        assert check_strategy(strategy, now=now) == strategy


@pytest.mark.parametrize(("percentage", "hours"), [(50, 1), (33, 3), (14, 7), (10, 9), (1, 99)])
def test_batches_are_over_when_the_last_of_them_begins(percentage: int, hours: int) -> None:
    planned = window(throttled(NOON, throttle_percentage=percentage))
    assert planned is not None
    assert planned.over == NOON + timedelta(hours=hours)


@pytest.mark.parametrize("year", ["0001-01-01", "9999-12-31"])
def test_the_ends_of_the_calendar_have_windows_too(year: str) -> None:
    for strategy in (
        smart_send_time(year),
        static(f"{year}T12:00:00Z", is_local=True),
        static(f"{year}T00:00:00+14:00"),
    ):
        planned = window(strategy)
        assert planned is not None
        assert planned.first <= planned.last <= planned.over
        assert planned.has_passed(NOON) == (year < "2026")


@given(
    st.dictionaries(
        st.sampled_from(["method", "datetime", "date", "options", "throttle_percentage"]),
        st.none()
        | st.booleans()
        | st.integers()
        | st.text()
        | st.lists(st.text())
        | st.dictionaries(st.text(), st.text())
        | st.sampled_from(["static", "throttled", "smart_send_time", "2026-05-01", "2026-05-01T09:00:00Z"]),
    )
    | st.none()
    | st.text()
)
def test_whatever_klaviyo_returns_there_is_a_window_or_none_or_a_refusal(strategy: Any) -> None:
    with suppress(KlaviyoValidationError):
        planned = window(strategy)
        assert planned is None or planned.first <= planned.last <= planned.over


def test_immediate_is_never_in_the_past() -> None:
    assert check_strategy(immediate(), now=NOON) == {"method": "immediate"}


def test_jinja_is_left_alone_until_it_is_rendered() -> None:
    jinja = "{{ data_interval_end }}"
    pending = [
        static(jinja),
        static(jinja, is_local=True),
        static("2026-05-01T09:00:00+02:00", is_local=jinja),
        throttled(NOON, throttle_percentage="{{ params.p }}"),
        throttled("{% if x %}{{ ts }}{% endif %}", throttle_percentage=25),
        smart_send_time(jinja),
        {"method": jinja},
        {"method": "static", "datetime": jinja, "options": jinja},
        jinja,
    ]
    for strategy in pending:
        assert check_strategy(strategy, revision=OLDER) == strategy
        assert "after rendering" in refusal(lambda strategy=strategy: check_strategy(strategy, now=NOON)).message


@pytest.mark.parametrize("given", ["2026-11-26T10:00:00", datetime(2026, 11, 26, 10), "2026-11-26T10:00:00Z"])
def test_ten_on_each_recipients_clock_needs_no_zone(given: Any) -> None:
    strategy = static(given, is_local=True)
    assert strategy["datetime"] == "2026-11-26T10:00:00+00:00"
    assert check_strategy(strategy) == strategy
    assert schema_problems(strategy) == []


@pytest.mark.parametrize("is_local", [True, False])
def test_whose_clock_it_is_may_be_known_only_when_it_is_rendered(is_local: bool) -> None:
    text = "2026-11-26T10:00:00"
    assert static(text, is_local="{{ params.local }}")["datetime"] == text
    rendered = {"method": "static", "datetime": text, "options": {"is_local": str(is_local)}}
    if is_local:
        assert check_strategy(rendered, now=NOON) == static(text, is_local=True) | {"options": {"is_local": True}}
    else:
        assert "without a time zone" in refusal(lambda: check_strategy(rendered, now=NOON)).message


def test_what_jinja_renders_to_is_sent_in_klaviyos_types() -> None:
    rendered = {
        "method": "static",
        "datetime": str(NOON + timedelta(days=1)),
        "options": {"is_local": "True", "send_past_recipients_immediately": "False"},
    }
    cleaned = check_strategy(rendered, now=NOON)
    assert cleaned == static(NOON + timedelta(days=1), is_local=True)
    late = {"method": "throttled", "datetime": pendulum.instance(NOON), "throttle_percentage": " 25 "}
    assert check_strategy(late, now=NOON)["throttle_percentage"] == 25
    assert schema_problems(check_strategy(late, now=NOON)) == []
