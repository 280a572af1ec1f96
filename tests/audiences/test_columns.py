from __future__ import annotations

import pytest

from airflow_provider_klaviyo.audiences.fields import Columns
from airflow_provider_klaviyo.exceptions import KlaviyoValidationError


@pytest.mark.parametrize(
    ("column", "target"),
    [
        ("email", ("email",)),
        ("EMAIL", ("email",)),
        (" Phone_Number ", ("phone_number",)),
        ("location.city", ("location", "city")),
        ("properties.plan", ("properties", "plan")),
        ("properties.a.b", ("properties", "a.b")),
    ],
)
def test_a_column_goes_into_the_field_of_its_name(column, target):
    assert Columns().target(column) == target


def test_a_column_goes_where_columns_says():
    columns = Columns({"mail": "email", "plan": "properties.Plan"})
    assert columns.target("mail") == ("email",)
    assert columns.target("plan") == ("properties", "Plan")


@pytest.mark.parametrize(("unmapped", "target"), [("ignore", None), ("properties", ("properties", "Plan"))])
def test_another_column_goes_where_unmapped_says(unmapped, target):
    assert Columns(unmapped=unmapped).target("Plan") == target


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("emial", "Column 'emial'.*'properties.emial'.*Did you mean 'email'"),
        ("password_hash", "Column 'password_hash' is not a field.*unmapped='ignore'"),
        (None, "named None"),
        ("", "named ''"),
        ("\ud800", "half"),
    ],
)
def test_a_column_that_is_not_known_is_refused_by_name(column, words):
    with pytest.raises(KlaviyoValidationError, match=words):
        Columns().target(column)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"a": "e-mail"}, "maps 'a' to 'e-mail'.*Did you mean 'email'"),
        ({"a": "properties."}, "maps 'a' to 'properties.'"),
        ({"a": None}, "maps 'a' to None"),
        ({"a": "email", "b": "email"}, "both 'a' and 'b' to 'email'"),
        ({"": "email"}, "name of a column"),
        ("email", "give a dict"),
    ],
)
def test_columns_that_cannot_be_are_refused(columns, words):
    with pytest.raises(KlaviyoValidationError, match=words):
        Columns(columns)


def test_two_columns_of_one_field_are_refused():
    columns = Columns()
    columns.target("EMAIL")
    with pytest.raises(KlaviyoValidationError, match="'EMAIL' and 'email' both go into 'email'"):
        columns.target("email")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["first_name"], "None of the columns.*recognised"),
        (["email"], "names 'plan', and the rows do not have it"),
    ],
)
def test_a_table_is_judged_by_its_columns(names, words):
    with pytest.raises(KlaviyoValidationError, match=words):
        Columns({"plan": "properties.plan"} if "email" in names else None).check(names)
