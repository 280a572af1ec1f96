"""What crosses from the triggerer to the worker: strict on the way in, the same exception on the way out."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_klaviyo import exceptions
from airflow_provider_klaviyo.api.errors import KlaviyoApiError, KlaviyoAuthError
from airflow_provider_klaviyo.campaigns.wait import Wait, parse
from airflow_provider_klaviyo.exceptions import (
    KlaviyoCampaignFailed,
    KlaviyoError,
    KlaviyoRecipientCountError,
    KlaviyoRefusedError,
    KlaviyoWaitTimeoutError,
    RefusalReason,
)
from airflow_provider_klaviyo.tasks import raise_or_return
from tests.support.refusals import refused

GOOD = {"campaign_id": "C1", "outcome": "done", "status": "Sent"}
FACTS = {"kind": "KlaviyoAuthError", "message": "m", "status": 401, "code": None, "pointer": None, "request_id": None}


@pytest.mark.parametrize(
    "event",
    [
        None,
        "done",
        [],
        {},
        {**GOOD, "outcome": "success"},
        {**GOOD, "outcome": None},
        {**GOOD, "outcome": ["done"]},
        {**GOOD, "campaign_id": None},
        {"outcome": "done", "status": "Sent"},
        {**GOOD, "status": 3},
        {**GOOD, "outcome": "error"},
        {**GOOD, "outcome": "error", "error": "boom"},
        {**GOOD, "outcome": "error", "error": {}},
        {**GOOD, "outcome": "error", "error": {"kind": "KlaviyoAuthError"}},
        {**GOOD, "outcome": "error", "error": {**FACTS, "kind": 7}},
        {**GOOD, "outcome": "error", "error": {**FACTS, "errors": "x"}},
        {**GOOD, "outcome": "error", "error": {**FACTS, "errors": ["x"]}},
        {**GOOD, "outcome": "failed", "reason": ["x"]},
        {**GOOD, "count": "many"},
    ],
)
def test_what_is_not_an_event_of_ours_is_refused_and_nothing_concluded(event: Any) -> None:
    with pytest.raises(KlaviyoError):
        raise_or_return(parse(event))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            name: JSON | st.sampled_from(["done", "failed", "timeout", "error"])
            for name in ("campaign_id", "outcome", "status", "reason", "error", "count")
        },
    )
)
def test_any_event_is_a_value_or_an_error_of_ours(event: Any) -> None:
    try:
        found = raise_or_return(parse(event))
    except KlaviyoError:
        return
    assert found["outcome"] == "done"


def test_a_good_end_is_passed_on() -> None:
    assert raise_or_return(parse({**GOOD, "count": 5}))["count"] == 5


def test_a_bad_end_says_how_and_why() -> None:
    with pytest.raises(KlaviyoCampaignFailed, match=r"C1.*Cancelled: No Recipients.*lists") as caught:
        raise_or_return(
            parse({**GOOD, "outcome": "failed", "status": "Cancelled: No Recipients", "reason": "Check lists."})
        )
    assert (caught.value.campaign_id, caught.value.status) == ("C1", "Cancelled: No Recipients")


@pytest.mark.parametrize(("status", "words"), [("Sending", "'Sending'"), ("", "never seen")])
def test_a_timeout_says_what_was_seen_last(status: str, words: str) -> None:
    with pytest.raises(KlaviyoWaitTimeoutError, match=words):
        raise_or_return(parse({**GOOD, "outcome": "timeout", "status": status}))


KINDS = [value for value in vars(exceptions).values() if isinstance(value, type) and issubclass(value, KlaviyoApiError)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_comes_out_as_it_went_in(kind: type[KlaviyoApiError]) -> None:
    errors = [{"code": "teapot", "title": "T", "detail": "D", "meta": {"duplicate_profile_id": "P1"}}, {"code": "x"}]
    error = kind("what", status=418, code="teapot", pointer="/data/id", request_id="req-9", errors=errors)
    wait = Wait("C1", deadline=0, interval=1)
    event = wait.after_failure(error, now=1.0)
    if event is not None and event["outcome"] == "timeout":
        return
    with pytest.raises(KlaviyoApiError) as caught:
        raise_or_return(parse(json.loads(json.dumps(event))))
    found = caught.value
    assert type(found) is kind
    assert found.__dict__ == error.__dict__
    assert found.meta == {"duplicate_profile_id": "P1"}


def test_a_refusal_comes_out_with_its_reason_and_its_campaign() -> None:
    error = KlaviyoRefusedError("no", reason=RefusalReason.READ_ONLY, campaign_id="C9")
    event = Wait("C1", deadline=9, interval=1).after_failure(error, now=1.0)
    with refused(RefusalReason.READ_ONLY, campaign_id="C9", match="no"):
        raise_or_return(parse(json.loads(json.dumps(event))))


@pytest.mark.parametrize("reason", ["", "a reason of a later version", 5])
def test_a_refusal_for_a_reason_that_is_not_known_still_fails(reason: Any) -> None:
    facts = {**FACTS, "kind": "KlaviyoRefusedError", "reason": reason}
    with pytest.raises(KlaviyoError):
        raise_or_return(parse({**GOOD, "outcome": "error", "error": facts}))


@pytest.mark.parametrize(
    ("error", "facts"),
    [
        (KlaviyoWaitTimeoutError("C1", "Sending"), {"campaign_id": "C1", "status": "Sending"}),
        (KlaviyoCampaignFailed("C1", "Cancelled"), {"campaign_id": "C1", "status": "Cancelled", "reason": ""}),
        (
            KlaviyoRecipientCountError(5, 10, None, campaign_id="C1"),
            {"count": 5, "minimum": 10, "maximum": None, "campaign_id": "C1"},
        ),
        (KlaviyoRecipientCountError(5, maximum=3), {"count": 5, "minimum": None, "maximum": 3, "campaign_id": None}),
    ],
)
def test_an_error_has_its_facts_after_pickling_and_copying(error: KlaviyoError, facts: dict[str, Any]) -> None:
    for one in (error, copy.copy(error), copy.deepcopy(error), pickle.loads(pickle.dumps(error))):
        assert type(one) is type(error)
        assert str(one) == str(error)
        assert {name: getattr(one, name) for name in facts} == facts


def test_what_a_database_does_not_take_is_left_out_of_the_event() -> None:
    plain = {"code": "a", "detail": "x" * 5_000}
    for odd in ({"code": "\0"}, {"code": "\ud800"}, {"code": float("nan")}, {"code": "x" * 6_000}):
        event = Wait("C1", deadline=9, interval=1).after_failure(
            KlaviyoApiError("what", errors=[plain, odd, plain]), now=1.0
        )
        assert event is not None
        assert event["error"]["errors"] == [plain]


def test_an_event_of_an_older_version_has_no_errors() -> None:
    with pytest.raises(KlaviyoAuthError) as caught:
        raise_or_return(parse({**GOOD, "outcome": "error", "error": FACTS}))
    assert (caught.value.errors, caught.value.meta) == ([], {})


@pytest.mark.parametrize("kind", ["Exception", "annotations", "__doc__", "KlaviyoError", "os.system", ""])
def test_a_kind_of_error_that_is_not_known_is_a_plain_api_error(kind: str) -> None:
    with pytest.raises(KlaviyoApiError, match="m") as caught:
        raise_or_return(parse({**GOOD, "outcome": "error", "error": {**FACTS, "kind": kind}}))
    assert type(caught.value) is KlaviyoApiError
