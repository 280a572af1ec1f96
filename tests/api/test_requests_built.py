"""A call as a value: what is sent is what was asked, or it is refused before."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.api.request import build


@given(st.text(min_size=1).filter(lambda text: text.strip() and text not in (".", "..")))
def test_an_id_stays_one_segment_of_the_path_whatever_it_is(value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        return
    target = build("get_campaign", path_params={"id": value}).target
    assert target.startswith("/api/campaigns/")
    assert target.count("/") == 3
    assert urlsplit(target).query == ""
    assert unquote(target.rsplit("/", 1)[1]) == value


@pytest.mark.parametrize("value", ["", "  ", None, 5, ".", "..", ["x"]])
def test_a_path_parameter_that_is_not_an_id_is_refused_by_name(value: Any) -> None:
    with pytest.raises(KlaviyoValidationError, match="'id'") as caught:
        build("get_campaign", path_params={"id": value})
    assert caught.value.pointer == "id"


def test_a_path_parameter_that_the_operation_does_not_have_is_refused_by_name() -> None:
    with pytest.raises(KlaviyoValidationError, match="'name'"):
        build("get_campaign", path_params={"id": "x", "name": "y"})


def test_query_values_are_written_as_klaviyo_reads_them() -> None:
    query = {
        "page[size]": 10,
        "fields[list]": ["name", "created"],
        "include": ("a",),
        "archived": False,
        "none": None,
        "filter": 'equals(name,"a&b=c d")',
    }
    target = build("get_lists", query=query).target
    assert parse_qs(urlsplit(target).query) == {
        "page[size]": ["10"],
        "fields[list]": ["name,created"],
        "include": ["a"],
        "archived": ["false"],
        "filter": ['equals(name,"a&b=c d")'],
    }
    assert "+" not in target


def test_only_a_post_may_not_be_repeated() -> None:
    made = {
        "GET": build("get_campaign", path_params={"id": "x"}),
        "PATCH": build("update_campaign", path_params={"id": "x"}),
        "DELETE": build("delete_campaign", path_params={"id": "x"}),
        "POST": build("create_campaign"),
    }
    assert {method: request.may_be_repeated for method, request in made.items()} == {
        "GET": True,
        "PATCH": True,
        "DELETE": True,
        "POST": False,
    }


@pytest.mark.parametrize("kind", ["list", "segment"])
def test_a_call_for_a_profile_count_is_paced_by_klaviyos_narrower_limit(kind: str) -> None:
    field = f"additional-fields[{kind}]"
    counting = build(f"get_{kind}", path_params={"id": "x"}, query={field: ["tags", "profile_count"]}).operation
    assert (counting.limits.burst, counting.limits.steady) == (1, 15)
    for query in ({}, {field: None}, {f"fields[{kind}]": "profile_count"}):
        plain = build(f"get_{kind}", path_params={"id": "x"}, query=query).operation
        assert (plain.limits.burst, plain.limits.steady) == (75, 750)
        assert plain.id == counting.id


def test_a_call_for_predictions_is_paced_by_klaviyos_narrower_limit() -> None:
    query = {"additional-fields[profile]": "subscriptions,predictive_analytics"}
    limits = build("get_profiles", query=query).operation.limits
    assert (limits.burst, limits.steady) == (10, 150)
    assert build("get_profiles", query={"additional-fields[profile]": "subscriptions"}).operation.limits.burst == 75
