from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone

import pendulum
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_klaviyo.api import filters
from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.api.filters import Clause, Filter, parse
from airflow_provider_klaviyo.api.operations import SPEC

ALLOWED = {
    name: operation["filters"]
    for name, operation in json.loads((SPEC / "2026-07-15.json").read_text())["operations"].items()
    if "filters" in operation
}

zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=zones)
scalars = (
    st.text()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.dates(date(1000, 1, 1))
    | moments
)
fields = st.from_regex(r"[a-zA-Z_$][a-zA-Z0-9_.$-]*", fullmatch=True)
lists = st.lists(scalars, min_size=1, max_size=4)
single = st.sampled_from(
    [
        filters.equals,
        filters.less_than,
        filters.less_or_equal,
        filters.greater_than,
        filters.greater_or_equal,
        filters.contains,
        filters.starts_with,
        filters.ends_with,
    ]
)
listing = st.sampled_from([filters.equals, filters.any_of, filters.contains_any, filters.contains_all])
clauses = (
    st.builds(lambda build, field, value: build(field, value), single, fields, scalars)
    | st.builds(lambda build, field, values: build(field, values), listing, fields, lists)
    | fields.map(filters.has)
)


def joined(parts: list[Filter]) -> Filter:
    whole = parts[0]
    for part in parts[1:]:
        whole = whole & part
    return whole


@given(st.lists(clauses, min_size=1, max_size=4).map(joined))
@example(filters.equals("name", "both ' and \" and \\ and ),(["))
@example(filters.equals("name", "ends with \\"))
@example(filters.equals("and", 1.0) & filters.has("and"))
def test_what_is_written_is_read_back_equal(built: Filter) -> None:
    assert parse(str(built)) == built
    assert str(parse(str(built))) == str(built)


@given(st.text(alphabet="and(),[]'\"\\ equalshy-0123456789.Te:Z", max_size=40))
def test_any_text_is_refused_or_read_as_a_filter_that_can_be_written(text: str) -> None:
    try:
        built = parse(text)
    except KlaviyoValidationError:
        return
    assert parse(str(built)) == built


@pytest.mark.parametrize(
    ("built", "written"),
    [
        (filters.equals("messages.channel", "email"), 'equals(messages.channel,"email")'),
        (filters.contains("name", 'the "big" sale'), "contains(name,'the \"big\" sale')"),
        (filters.contains("name", "mother's"), 'contains(name,"mother\'s")'),
        (filters.any_of("id", ["A", "B"]), 'any(id,["A","B"])'),
        (filters.equals("archived", False), "equals(archived,false)"),
        (filters.greater_than("timestamp", 17.5), "greater-than(timestamp,17.5)"),
        (filters.less_than("created", date(2026, 5, 1)), "less-than(created,2026-05-01)"),
        (
            filters.greater_or_equal("created_at", pendulum.datetime(2026, 5, 1, 9, tz="Europe/Berlin")),
            "greater-or-equal(created_at,2026-05-01T07:00:00Z)",
        ),
        (filters.has("profile"), "has(profile)"),
        (
            filters.equals("a", 1) & filters.less_or_equal("b", 2) & filters.starts_with("c", "x"),
            'and(equals(a,1),less-or-equal(b,2),starts-with(c,"x"))',
        ),
    ],
)
def test_a_filter_is_written_in_klaviyos_grammar(built: Filter, written: str) -> None:
    assert str(built) == written


def test_a_filter_cannot_be_changed() -> None:
    built = filters.equals("a", [1])
    with pytest.raises(AttributeError):
        built.clauses = ()  # type: ignore[misc]
    assert built.clauses == (Clause("equals", "a", (1,)),)


@pytest.mark.parametrize(
    "text",
    [
        "and(equals(messages.channel,\"email\"),contains(name,'big sale'))",
        "equals(messages.channel,'email'),contains(name,'big sale')",
        " and ( equals( messages.channel , 'email' ) ,\n and( contains (name,\"big sale\") ) ) ",
    ],
)
def test_spaces_quotes_and_top_level_commas_mean_the_same(text: str) -> None:
    assert parse(text) == filters.equals("messages.channel", "email") & filters.contains("name", "big sale")


def test_a_datetime_as_python_and_jinja_print_it_is_read() -> None:
    moment = datetime(2026, 5, 1, 9, tzinfo=UTC)
    assert parse(f"greater-than(updated_at, {moment})") == filters.greater_than("updated_at", moment)
    assert parse(f"greater-than(updated_at,{moment.isoformat()})") == filters.greater_than("updated_at", moment)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "expected an operator at character 1, found the end"),
        ("equals(a,1", "expected ')'"),
        ("equals(a,'x)", "expected a closing '"),
        ("equals(a,email)", "a string in quotes at character 10, found 'email)'"),
        ("equals(a,1) or equals(b,2)", "expected a comma or the end at character 13"),
        ("equal(a,1)", "Did you mean 'equals'?"),
        ("or(equals(a,1),equals(b,2))", "'or' is not a filter operator"),
        ("equals(a)", "needs one value"),
        ("has(a,1)", "takes no value"),
        ("any(id,'A')", "takes a list, not 'A'"),
        ("any(id,[])", "empty list"),
        ("contains(id,['A'])", "takes one value"),
        ("less-than(created,2026-05-01T09:00:00)", "without a time zone"),
        ("equals(a," + "9" * 5000 + ")", "a number"),
    ],
)
def test_a_text_that_is_not_a_filter_is_refused_where_it_goes_wrong(text: str, says: str) -> None:
    with pytest.raises(KlaviyoValidationError) as refused:
        parse(text)
    assert says in refused.value.message


@pytest.mark.parametrize("value", [datetime(2026, 5, 1), float("nan"), float("inf"), object(), None, [], [object()]])
def test_a_value_that_klaviyo_cannot_read_is_refused(value: object) -> None:
    with pytest.raises(KlaviyoValidationError):
        filters.equals("created", value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("operation", "text"),
    [
        ("get_campaigns", "equals(messages.channel,'sms'),any(id,['A']),any(status,['Draft']),equals(archived,true)"),
        ("get_campaigns", "greater-or-equal(created_at,2026-05-01T00:00:00Z),less-than(scheduled_at,2026-05-01)"),
        ("get_events", "has(profile),less-than(timestamp,17)"),
        ("get_images", "equals(name,['a','b']),ends-with(name,'c')"),
    ],
)
def test_published_fields_and_operators_are_allowed(operation: str, text: str) -> None:
    filters.check(parse(text), ALLOWED[operation])


@pytest.mark.parametrize(
    ("operation", "text", "says"),
    [
        ("get_campaigns", "equals(name,'x')", "'equals' with one value is not allowed for 'name'. Allowed: contains"),
        ("get_campaigns", "contains(nme,'x')", "Did you mean 'name'?"),
        ("get_campaigns", "greater-than(send_time,2026-05-01)", "cannot filter by 'send_time'"),
        ("get_campaigns", "equals(id,'A')", "Allowed: any with a list"),
        ("get_campaigns", "less-than(created_at,'2026-05-01T00:00:00Z')", "a quoted string is not one"),
        ("get_campaigns", "equals(archived,'true')", "Give True or False"),
        ("get_campaigns", "any(id,['A',1])", "Give a string"),
        ("get_events", "less-than(timestamp,true)", "Give a number"),
        ("get_events", "equals(profile,'x')", "Allowed: has with no value"),
    ],
)
def test_what_an_operation_does_not_filter_by_is_refused(operation: str, text: str, says: str) -> None:
    with pytest.raises(KlaviyoValidationError) as refused:
        filters.check(parse(text), ALLOWED[operation])
    assert says in refused.value.message
    assert refused.value.pointer == "filter"


def test_every_published_filter_can_be_built_checked_and_read_back() -> None:
    samples = {"date-time": datetime(2026, 5, 1, tzinfo=UTC), "boolean": True, "number": 1.5, "integer": 3}
    for operation, allowed in ALLOWED.items():
        for field, rule in allowed.items():
            schema = rule.get("value", {})
            sample = samples.get(schema.get("format", schema.get("type")), "x")
            for kind, operators in rule["operators"].items():
                for operator in operators:
                    value = {"single": sample, "list": (sample,), "none": None}[kind]
                    built = Filter((Clause(operator, field, value),))
                    assert parse(str(built)) == built, operation
                    filters.check(built, allowed)
