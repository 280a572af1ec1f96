"""What an answer proves: that a write was carried out, that it was not, or neither. Real sockets; both transports."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_klaviyo.api import campaigns, retry, tags
from airflow_provider_klaviyo.api.calls import Call, call
from airflow_provider_klaviyo.api.document import Answer, read
from airflow_provider_klaviyo.api.errors import (
    KlaviyoAmbiguousWriteError,
    KlaviyoApiError,
    KlaviyoConflictError,
    KlaviyoRateLimitError,
    KlaviyoTransientError,
    KlaviyoValidationError,
)
from airflow_provider_klaviyo.api.operations import operations
from airflow_provider_klaviyo.api.request import build
from tests.support import scripted
from tests.support.scripted import Scripted, http, json_api
from tests.support.transports import TRANSPORTS, get, post, settings

Run = Callable[[str, Call[Any]], Any]
pytestmark = pytest.mark.usefixtures("brief_pauses")

CAMPAIGN = "01H5QQV9F57XJHJDMD86RX4QM5"
MINE = {"type": "campaign-send-job", "id": CAMPAIGN, "attributes": {"status": "queued"}}
MESSAGE = {"type": "campaign-message", "id": "M1", "relationships": {"template": {"data": None}}}
TAKEN = json_api(202, {"data": MINE})


@pytest.fixture(params=TRANSPORTS)
def run(request: pytest.FixtureRequest) -> Run:
    return lambda url, made: TRANSPORTS[request.param](settings(url, 0.3, connect_timeout=10), made)[0]


def failure(run: Run, made: Call[Any], *answers: scripted.Answer) -> tuple[KlaviyoApiError, int]:
    """What came of a call, and how often it was made."""
    with Scripted(*answers) as server, pytest.raises(KlaviyoApiError) as caught:
        run(server.url, made)
    return caught.value, len(server.requests)


# --- not carried out? -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308, 399])
def test_a_redirect_does_not_prove_that_a_post_was_not_carried_out(run: Run, status: int) -> None:
    found, times = failure(run, post(), http(status, Location="https://www.klaviyo.com/login"))
    assert type(found) is KlaviyoAmbiguousWriteError
    assert "connection's host" in str(found)
    assert (found.status, times) == (status, 1)


@pytest.mark.parametrize("status", [301, 302, 307])
def test_a_redirect_of_a_read_is_raised_at_once(run: Run, status: int) -> None:
    found, times = failure(run, get(), http(status, Location="https://www.klaviyo.com/login"))
    assert type(found) is KlaviyoApiError
    assert "connection's host" in str(found)
    assert times == 1


FOREIGN: dict[str, Any] = {
    "texts": {"errors": ["slow down"]},
    "one error": {"error": {"code": "429", "title": "Too Many Requests", "detail": "Slow down."}},
    "errors that is not a list": {"errors": {"code": "throttled", "title": "T", "detail": "D"}},
    "a text": {"errors": "slow down"},
    "none": {"errors": []},
    "nothing": {"errors": None},
    "numbers": {"errors": [{"code": 1015, "message": "You are being rate limited"}], "success": False},
    "graphql": {"errors": [{"message": "Too many", "extensions": {"code": "THROTTLED"}}]},
    "another JSON:API": {"errors": [{"status": "429", "title": "Too Many Requests", "detail": "Slow down."}]},
    "no code": {"errors": [{"code": " ", "title": "T", "detail": "D"}]},
    "another status": {"errors": [{"status": 200, "code": "throttled", "title": "T", "detail": "D"}]},
    "a message": {"message": "API rate limit exceeded"},
    "one of ours and another": {"errors": [{"code": "throttled", "title": "T", "detail": "D"}, "slow down"]},
}


@pytest.mark.parametrize("status", [400, 403, 404, 409, 429])
@pytest.mark.parametrize("body", FOREIGN.values(), ids=FOREIGN.keys())
def test_a_refusal_not_in_klaviyos_own_format_does_not_prove_that_a_post_was_not_carried_out(
    status: int, body: Any
) -> None:
    with pytest.raises(KlaviyoAmbiguousWriteError) as caught:
        read(build("send_campaign"), Answer(status, {"retry-after": "1"}, json.dumps(body).encode()))
    assert caught.value.status == status


@pytest.mark.parametrize("body", [b"<html>Too many requests</html>", b"", json.dumps(FOREIGN["texts"]).encode()])
def test_a_429_of_a_gateway_is_not_repeated_for_a_post_and_waited_out_for_a_read(run: Run, body: bytes) -> None:
    found, times = failure(run, post(), http(429, body, Retry_After="0"), TAKEN)
    assert type(found) is KlaviyoAmbiguousWriteError
    assert times == 1
    found, times = failure(run, get(), http(429, body, Retry_After="0"))
    assert type(found) is KlaviyoRateLimitError
    assert times == retry.ATTEMPTS


@pytest.mark.parametrize("status", [1, 199, 600, 999])
@pytest.mark.parametrize("body", [{"data": MINE}, {"errors": [{"code": "c", "title": "T", "detail": "D"}]}])
def test_a_status_that_ends_no_call_proves_nothing(status: int, body: Any) -> None:
    answer = Answer(status, {}, json.dumps(body).encode())
    with pytest.raises(KlaviyoAmbiguousWriteError):
        read(build("send_campaign"), answer)
    with pytest.raises(KlaviyoTransientError):
        read(build("get_campaign", path_params={"id": CAMPAIGN}), answer)


@pytest.mark.parametrize("status", [101, 199, 999])
def test_a_status_that_ends_no_call_proves_nothing_over_the_wire(run: Run, status: int) -> None:
    found, times = failure(run, post(), json_api(status, {"errors": [{"code": "c", "title": "T", "detail": "D"}]}))
    assert type(found) is KlaviyoAmbiguousWriteError
    assert times == 1


# --- carried out? -----------------------------------------------------------------------------------------------------


NOT_MINE: dict[str, bytes] = {
    "empty": http(202),
    "204": http(204),
    "blank": http(200, b" \n"),
    "HTML": http(200, b"<html>Welcome</html>"),
    "another JSON": http(200, b'{"ok": true}'),
    "null": json_api(202, {"data": None}),
    "a list": json_api(202, {"data": [MINE]}),
    "a text": json_api(202, {"data": CAMPAIGN}),
    "without id": json_api(202, {"data": {"type": MINE["type"]}}),
    "without type": json_api(202, {"data": {"id": CAMPAIGN}}),
    "id is null": json_api(202, {"data": {**MINE, "id": None}}),
    "id is a number": json_api(202, {"data": {**MINE, "id": 1}}),
    "another campaign": json_api(202, {"data": {**MINE, "id": "01H5QN6TP7DTSJXBHSTW44E9PD"}}),
    "another kind": json_api(202, {"data": {**MINE, "type": "campaign"}}),
    "cut short": http(202, TAKEN.partition(b"\r\n\r\n")[2], claims=10_000),
    "errors": json_api(200, {"errors": [{"code": "c", "title": "T", "detail": "D"}]}),
}


@pytest.mark.parametrize("answer", NOT_MINE.values(), ids=NOT_MINE.keys())
def test_only_the_job_of_this_campaign_proves_that_it_was_put_on_its_way(run: Run, answer: bytes) -> None:
    found, times = failure(run, campaigns.send_campaign(CAMPAIGN), answer)
    assert type(found) is KlaviyoAmbiguousWriteError
    assert "send_campaign" in str(found)
    assert times == 1


def test_the_job_of_this_campaign_proves_it(run: Run) -> None:
    with Scripted(TAKEN) as server:
        assert run(server.url, campaigns.send_campaign(CAMPAIGN)) is None


MAKING: dict[str, tuple[Callable[[], Call[Any]], dict[str, Any]]] = {
    "create": (lambda: campaigns.create_campaign({"name": "N"}, []), {"type": "campaign", "id": ""}),
    "clone": (lambda: campaigns.clone_campaign(CAMPAIGN, "N"), {"type": "campaign", "id": 5}),
    "estimate": (lambda: campaigns.start_estimation(CAMPAIGN), {**MINE, "type": "campaign-recipient-estimation-job"}),
    "assign": (lambda: campaigns.assign_template("M1", "T1"), {**MESSAGE, "id": "M2"}),
    "tag": (lambda: tags.create_tag("N"), {"type": "tag", "id": None}),
}


@pytest.mark.parametrize(("made", "data"), MAKING.values(), ids=MAKING.keys())
def test_what_a_post_makes_must_be_in_its_answer(run: Run, made: Callable[[], Call[Any]], data: dict[str, Any]) -> None:
    wrong = {**data, "id": "other" if data["id"] == CAMPAIGN else data["id"]}
    for answer in (json_api(201, {"data": wrong}), json_api(201, {"data": {**data, "type": "list"}}), http(201)):
        found, times = failure(run, made(), answer)
        assert type(found) is KlaviyoAmbiguousWriteError
        assert times == 1


def test_an_assigned_template_that_does_not_show_is_not_known_to_be_assigned(run: Run) -> None:
    answer = json_api(200, {"data": MESSAGE})
    found, times = failure(run, campaigns.assign_template("M1", "T1"), answer, answer)
    assert type(found) is KlaviyoAmbiguousWriteError
    assert times == 2


def test_a_change_that_is_answered_with_nothing_is_made_again(run: Run) -> None:
    changed = json_api(200, {"data": {"type": "campaign", "id": "C1"}})
    with Scripted(http(200), changed) as server:
        assert run(server.url, campaigns.update_campaign("C1", {"name": "N"})).id == "C1"
    assert len(server.requests) == 2


def test_a_campaign_that_was_not_asked_for_is_not_taken_for_the_one_that_was(run: Run) -> None:
    found, _ = failure(run, campaigns.get_campaign("C1"), json_api(200, {"data": {"type": "campaign", "id": "C2"}}))
    assert type(found) is KlaviyoTransientError


def test_it_is_known_which_operations_answer_with_a_document() -> None:
    table = operations()
    with_one = ("send_campaign", "create_campaign", "create_campaign_clone", "update_campaign", "bulk_import_profiles")
    assert all(table[name].document for name in with_one)
    without = ("delete_campaign", "cancel_campaign_send", "tag_campaigns", "create_event", "bulk_subscribe_profiles")
    assert not any(table[name].document for name in without)
    assert all(known.document for known in table.values() if known.method == "GET")


# --- what Klaviyo says ------------------------------------------------------------------------------------------------


def klaviyos(count: int, **more: Any) -> list[dict[str, Any]]:
    return [
        {"id": str(n), "status": 400, "code": f"code_{n}", "title": "T.", "detail": f"Detail {n}.", **more}
        for n in range(count)
    ]


def refused(run: Run, status: int, errors: list[dict[str, Any]]) -> KlaviyoApiError:
    return failure(run, call("create_profile", body={"data": {}}), json_api(status, {"errors": errors}))[0]


def test_all_errors_are_kept_and_the_message_has_how_many_more_there_are(run: Run) -> None:
    errors = klaviyos(12)
    found = refused(run, 400, errors)
    assert type(found) is KlaviyoValidationError
    assert found.errors == errors
    assert "Detail 4." in str(found)
    assert "Detail 5." not in str(found)
    assert "And 7 more." in str(found)
    assert "more" not in str(refused(run, 400, klaviyos(5)))


def test_what_klaviyo_says_beside_an_error_is_kept(run: Run) -> None:
    meta = {"duplicate_profile_id": "01GDDKASAP8TKDDA2GRZDSVP4H"}
    found = refused(run, 409, klaviyos(1, status=409, meta=meta))
    assert type(found) is KlaviyoConflictError
    assert found.meta == meta
    assert refused(run, 409, klaviyos(1, status=409, meta=[])).meta == {}
    assert KlaviyoApiError("x").meta == {}


@pytest.mark.parametrize("status", [400, 409, 429, 503])
def test_an_error_is_pickled_and_copied_with_what_klaviyo_said(run: Run, status: int) -> None:
    errors = klaviyos(3, status=status, meta={"a": [1, None, "é"]}, source={"pointer": "/data"})
    answer = json_api(status, {"errors": errors}, Retry_After="999", **{"x-klaviyo-req-id": "r"})
    found, _ = failure(run, post(), answer)
    for back in (pickle.loads(pickle.dumps(found)), copy.copy(found), copy.deepcopy(found)):
        assert (type(back), str(back), back.errors, back.meta) == (type(found), str(found), errors, errors[0]["meta"])
        assert (back.status, back.request_id, back.retry_after) == (found.status, "r", found.retry_after)
