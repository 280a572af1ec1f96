from __future__ import annotations

import json
import math
import re
import uuid
from collections import OrderedDict
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pendulum
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_klaviyo.audiences.addresses import are_plain_emails, is_email
from airflow_provider_klaviyo.audiences.fields import Columns
from airflow_provider_klaviyo.audiences.plans import LARGEST
from airflow_provider_klaviyo.audiences.profiles import Profiles
from airflow_provider_klaviyo.audiences.rejected import RowError
from airflow_provider_klaviyo.exceptions import KlaviyoValidationError

ADA = "ada@example.com"


class Profile(NamedTuple):
    key: str
    others: Sequence[str]
    content: bytes
    clears: Sequence[str]


def read_all(profiles: Profiles, rows: Sequence[Any]) -> list[Profile | RowError]:
    """Of each row the profile, or why it cannot be sent."""
    sheet = profiles.read(rows)
    found = map(Profile, sheet.keys, map(tuple, sheet.others), sheet.contents, map(tuple, sheet.clears))
    by_number = {**sheet.refused, **dict(zip(sheet.numbers, found, strict=True))}
    return [by_number[number] for number in range(len(rows))]


def read_one(profiles: Profiles, row: Any) -> Profile:
    (found,) = read_all(profiles, [row])
    if isinstance(found, RowError):
        raise found
    return found


def sent(row: dict[str, Any], **settings: Any) -> Any:
    """A row as Klaviyo is to get it."""
    return json.loads(read_one(Profiles(Columns(unmapped="properties"), **settings), row).content)


def property_of(value: Any, **settings: Any) -> Any:
    return sent({"email": ADA, "plan": value}, **settings)["attributes"].get("properties", {}).get("plan")


def test_a_row_becomes_a_profile():
    row = {"id": "01A", "email": f" {ADA} ", "first_name": "Ada", "location.city": "London", "plan": "gold"}
    assert sent(row) == {
        "type": "profile",
        "id": "01A",
        "attributes": {
            "email": ADA,
            "first_name": "Ada",
            "location": {"city": "London"},
            "properties": {"plan": "gold"},
        },
    }


def test_properties_and_location_may_be_dicts_of_their_own():
    row = {"email": ADA, "properties": {"a": 1, "none": None}, "location": {"zip": 12345, "latitude": ""}, "b": 2}
    attributes = sent(row)["attributes"]
    assert attributes["properties"] == {"a": 1, "b": 2}
    assert attributes["location"] == {"zip": "12345"}


class Scalar:
    """What stands for numpy's, which need not be installed."""

    def item(self) -> float:
        return 1.5


Scalar.__module__ = "numpy"


@pytest.mark.parametrize(
    ("value", "as_sent"),
    [
        ("text", "text"),
        (Scalar(), 1.5),
        (True, True),
        (7, 7),
        (1.5, 1.5),
        (Decimal("19.90"), 19.9),
        (date(2026, 11, 26), "2026-11-26"),
        (time(9, 30), "09:30:00"),
        (datetime(2026, 11, 26, 9, 30, tzinfo=UTC), "2026-11-26T09:30:00Z"),
        (datetime(2026, 11, 26, 9, 30, 0, 5, tzinfo=ZoneInfo("Asia/Kolkata")), "2026-11-26T09:30:00.000005+05:30"),
        (datetime(1880, 1, 1, tzinfo=ZoneInfo("Europe/Berlin")), "1880-01-01T00:00:00+00:53"),
        (pendulum.datetime(2026, 11, 26, 9, 30), "2026-11-26T09:30:00Z"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ([1, Decimal(2), date(2026, 1, 1)], [1, 2, "2026-01-01"]),
        ([datetime(2026, 1, 1, tzinfo=UTC)], ["2026-01-01T00:00:00Z"]),
        ({"a": {"b": date(2026, 1, 1)}}, {"a": {"b": "2026-01-01"}}),
        (None, None),
        ("", None),
        (math.nan, None),
        (Decimal("NaN"), None),
        (Decimal("sNaN"), None),
    ],
)
def test_a_value_is_sent_as_json_has_it(value, as_sent):
    assert property_of(value) == as_sent


def test_a_decimal_keeps_its_digits():
    row = {"email": ADA, "properties.x": Decimal("12345678901234567890.12")}
    content = read_one(Profiles(Columns()), row).content
    assert b'"x":12345678901234567890.12' in content


def test_a_datetime_without_a_zone_needs_one():
    moment = datetime(2026, 7, 1, 12)
    with pytest.raises(KlaviyoValidationError, match=r"properties\.plan has datetimes without a zone.*timezone="):
        property_of(moment)
    assert property_of(moment, timezone="Europe/Berlin") == "2026-07-01T12:00:00+02:00"


@pytest.mark.parametrize(
    ("row", "field", "words"),
    [
        ({"email": ADA, "x": b"bytes"}, "properties.x", "of type bytes"),
        ({"email": ADA, "x": math.inf}, "properties.x", "infinite"),
        ({"email": ADA, "x": "\ud800"}, None, "half a character"),
        ({"email": ADA, "x": [0] * 4_001}, "properties.x", "4,001 items"),
        ({"email": ADA, "x": [[[[[[[[[[[0]]]]]]]]]]]}, "properties.x", "deeper than 10"),
        ({"email": ADA, "x": "a" * 2_000_000}, "properties", "2,000,0.. bytes.*takes 100,000"),
        ({"email": ADA, "first_name": True}, "first_name", "of type bool"),
        ({"email": ADA, "first_name": ["A"]}, "first_name", "of type list"),
        ({"email": ADA, "properties": "x"}, "properties", "not an object"),
        ({"email": ADA, "location": {"town": "x"}}, "location", "'town'"),
        ({"email": ADA, "location.latitude": "north"}, "location.latitude", "not a number"),
        ({"email": ADA, "location.latitude": 10**400}, "location.latitude", "infinite"),
        ({"email": ADA, "x": Decimal("1E400")}, "properties.x", "infinite"),
        ({"first_name": "Ada"}, None, "no email, phone_number"),
        ({"email": " ", "phone_number": None}, None, "no email, phone_number"),
        ({"email": 5}, "email", "not an e-mail"),
        ({"phone_number": "020 7183 8750"}, "phone_number", "default_region"),
    ],
)
def test_a_value_that_cannot_be_sent_is_refused_with_its_field(row, field, words):
    with pytest.raises(RowError, match=words) as caught:
        sent(row)
    assert caught.value.field == field
    assert ADA not in caught.value.reason


@pytest.mark.parametrize("email", ["a@b.co", "Ada.L+x@mail.example.com", "o'brien@example.ie", "jürgen@bücher.example"])
def test_an_address_is_taken(email):
    assert sent({"email": email})["attributes"]["email"] == email


@pytest.mark.parametrize(
    "email", ["a", "a@b", "a@@b.co", "a b@c.de", "a@b..co", "a..b@c.de", "<a@b.co>", "a@b.co,c@d.ef", "@b.co"]
)
def test_what_is_not_an_address_is_refused(email):
    with pytest.raises(RowError, match="not an e-mail address"):
        sent({"email": email})


@pytest.mark.parametrize(
    ("number", "region", "as_sent"),
    [
        ("+44 20 7183-8750", None, "+442071838750"),
        ("020 7183 8750", "GB", "+442071838750"),
        ("+49 30 901820", "GB", "+4930901820"),
    ],
)
def test_a_phone_number_is_sent_as_e164(number, region, as_sent):
    assert sent({"phone_number": number}, default_region=region)["attributes"]["phone_number"] == as_sent


@pytest.mark.parametrize("number", ["nobody", "12", "+44 1"])
def test_what_is_not_a_phone_number_is_refused(number):
    with pytest.raises(RowError, match="phone number"):
        sent({"phone_number": number}, default_region="GB")


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"default_region": "UK"}, "'UK'.*two capital letters"), ({"timezone": "Berlin"}, "'Berlin'.*IANA")],
)
def test_settings_that_cannot_be_are_refused(settings, words):
    with pytest.raises(KlaviyoValidationError, match=words):
        sent({"email": ADA}, **settings)


def test_nulls_are_left_out_unless_they_are_to_clear():
    row = {"email": ADA, "title": None, "location.city": "", "plan": None}
    assert sent(row) == {"type": "profile", "attributes": {"email": ADA}}
    profile = read_one(Profiles(Columns(unmapped="properties"), nulls="clear"), row)
    assert json.loads(profile.content)["meta"] == {"patch_properties": {"unset": ["plan"]}}
    assert profile.clears == ("title", "location.city")


def test_nulls_in_a_dict_of_properties_or_of_a_location_clear_too_and_no_dict_clears_nothing():
    profiles = Profiles(Columns(), nulls="clear")
    profile = read_one(profiles, {"email": ADA, "properties": {"plan": None, "n": 1}, "location": {"city": ""}})
    assert json.loads(profile.content)["meta"] == {"patch_properties": {"unset": ["plan"]}}
    assert profile.clears == ("location.city",)
    without = read_one(profiles, {"email": ADA, "properties": None, "location": None})
    assert (json.loads(without.content), without.clears) == ({"type": "profile", "attributes": {"email": ADA}}, ())


@pytest.mark.parametrize(
    ("row", "key"),
    [
        ({"email": "ADA@Example.com", "external_id": 7}, "email:ada@example.com"),
        ({"id": "01A", "email": ADA}, "id:01A"),
        ({"external_id": 7.0}, "external_id:7"),
    ],
)
def test_a_row_has_the_key_of_its_first_identifier(row, key):
    assert read_one(Profiles(Columns()), row).key == key


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.decimals() | st.text() | st.binary() | st.datetimes()
    | st.dates() | st.uuids(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
NAMES = st.sampled_from(["email", "phone_number", "first_name", "location", "location.zip", "properties", "plan"])


@given(st.dictionaries(NAMES, ANY))
def test_any_row_is_sent_as_json_or_refused(row):
    try:
        profile = read_one(Profiles(Columns(unmapped="properties"), timezone="UTC"), {"external_id": "1", **row})
    except RowError:
        return
    assert len(profile.content) <= LARGEST
    assert json.loads(profile.content)["attributes"]["external_id"] == "1"


class Text(str):
    """A text of a class of its own, as some drivers have them; so are those below."""


class Whole(int):
    pass


class Number(Decimal):
    pass


class Moment(datetime):
    pass


def unusual(value: Any) -> Any:
    """The same value, of a type that is not one of the common ones."""
    if type(value) is str:
        return Text(value)
    if type(value) is Decimal:
        return Number(value)
    if type(value) is datetime:
        return Moment.fromisoformat(value.isoformat()).replace(tzinfo=value.tzinfo, fold=value.fold)
    if type(value) is dict:
        return OrderedDict((name, unusual(one)) for name, one in value.items())
    return Whole(value) if type(value) is int else value


def read(profiles: Profiles, row: Any) -> Any:
    """The profile, or the reason why there is none."""
    try:
        return read_one(profiles, row)
    except (RowError, KlaviyoValidationError) as error:
        return re.sub(r"of type \w+", "of some type", str(error))


ZONES = st.sampled_from([None, UTC, ZoneInfo("UTC"), ZoneInfo("Europe/Berlin"), timezone(timedelta(seconds=3_661))])
LARGE = st.sampled_from([10**400, Decimal("1E400"), Decimal("9E308"), Decimal("sNaN"), Decimal("-Infinity")])
TEXTS = st.text(max_size=5) | st.sampled_from(
    [ADA, " b@c.de ", "a@b..co", "+442071838750", "", " ", "\t", "5.5", "nan"]
)
CELLS = TEXTS | LARGE | st.datetimes(timezones=ZONES) | ANY
PROPERTIES = st.dictionaries(st.sampled_from(["plan", "size"]), CELLS)
PLACES = st.dictionaries(st.sampled_from(["zip", "latitude", "town"]), CELLS)
ROWS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(
            ["phone_number", "external_id", "id", "title", "plan", "location.zip", "location.latitude"], CELLS
        ),
        "email": st.just(ADA) | CELLS,
        "location": PLACES | CELLS,
        "properties": PROPERTIES | CELLS,
    },
)


@given(
    st.lists(st.tuples(ROWS, st.randoms(use_true_random=False)), max_size=6),
    st.sampled_from(["omit", "clear"]),
    st.sampled_from([None, "UTC", "Europe/Berlin"]),
)
def test_a_row_is_read_the_same_whatever_came_before_it_and_whatever_the_classes_of_its_values(rows, nulls, zone):
    def fresh() -> Profiles:
        return Profiles(Columns(unmapped="properties"), nulls=nulls, timezone=zone)

    one_for_all = fresh()
    for given_row, shuffled in rows:
        row = dict(shuffled.sample(sorted(given_row.items()), len(given_row)))
        known = "location" in row or "properties" in row
        found = read(fresh(), row)
        assert read(one_for_all, row) == found
        assert read(one_for_all, MappingProxyType(row)) == found
        if not (known and isinstance(found, str)):  # of two things wrong, another may be found first
            assert read(one_for_all, {name: unusual(value) for name, value in row.items()}) == found


FLAT_ROWS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(["phone_number", "external_id", "id", "title", "location.zip", "location.latitude"], CELLS),
        **dict.fromkeys(["plan", "size", 'a "quoted" name', "a\\name"], CELLS),
        "email": st.just(ADA) | CELLS,
    },
)


MANY = 250
"""Rows that are too many to be sent as dicts."""


@settings(max_examples=30)
@given(
    st.lists(FLAT_ROWS, max_size=4),
    st.sampled_from(["omit", "clear"]),
    st.sampled_from([1, MANY]),
    st.randoms(use_true_random=False),
)
def test_rows_that_are_read_together_are_read_as_each_is_alone(rows, nulls, times, random):
    def found(rows: list[dict[str, Any]]) -> list[Any]:
        profiles = Profiles(Columns(unmapped="properties"), nulls=nulls, timezone="UTC")
        return [(one.reason, one.field) if isinstance(one, RowError) else one for one in read_all(profiles, rows)]

    alone = [one for row in rows for one in found([row])]
    shuffled = [dict(random.sample(sorted(row.items()), len(row))) for row in rows * times]
    assert found(shuffled) == alone * times


def test_a_column_is_read_as_one_whatever_its_gaps():
    """Of each kind of values, with and without gaps, and enough of them for a class."""
    moment = datetime(2026, 11, 26, 9, 30, tzinfo=UTC)
    kinds = {"text": "gold", "number": 1.5, "digits": Decimal("19.90"), "whole": 7, "is": True, "moment": moment}
    rows: list[dict[str, Any]] = []
    for number in range(3 * MANY):
        gaps = {name: None if number % 3 == place % 3 else value for place, (name, value) in enumerate(kinds.items())}
        rows.append({"email": f"ada{number}@example.com", "title": "" if number % 2 else "Countess", **gaps})
    for row, profile in zip(rows, read_all(Profiles(Columns(unmapped="properties")), rows), strict=True):
        assert isinstance(profile, Profile)
        attributes = json.loads(profile.content)["attributes"]
        assert attributes.pop("email") == row["email"]
        assert attributes.get("title", "") == row["title"]
        wanted = {name: value for name, value in row.items() if name in kinds and value is not None}
        assert attributes["properties"] == {
            name: "2026-11-26T09:30:00Z" if name == "moment" else float(value) if name == "digits" else value
            for name, value in wanted.items()
        }


@given(st.lists(st.from_regex(r"[a-zA-Z0-9_.+@ \n-]{1,12}", fullmatch=True), min_size=1, max_size=4))
def test_addresses_that_are_taken_together_are_each_taken(texts):
    if are_plain_emails(texts):
        assert all(map(is_email, texts))


@pytest.mark.parametrize(
    "texts",
    [["a@b.co\nc@d.ef", "g@h.ij"], ["a@b.co", ""], ["a@b..co"], ["a.@b.co"], ["a@b.co."], [f"{'a' * 250}@b.co"]],
)
def test_what_is_not_an_address_is_not_taken_among_others(texts):
    assert not are_plain_emails(["ada@example.com", *texts])
    assert are_plain_emails(["ada@example.com", "a.b.c+d@e-f.g.co.uk"])
