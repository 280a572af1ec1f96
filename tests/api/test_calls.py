"""The 26 operations of the Campaigns API as methods of both hooks, over a real socket."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from airflow_provider_klaviyo.api import campaigns
from airflow_provider_klaviyo.api.calls import Call
from airflow_provider_klaviyo.api.checks import facts
from airflow_provider_klaviyo.api.document import Document
from airflow_provider_klaviyo.api.filters import any_of, contains, equals
from airflow_provider_klaviyo.api.operations import NEWEST_OF_CAMPAIGNS, SPEC, get, operations, revisions
from airflow_provider_klaviyo.api.request import Request
from airflow_provider_klaviyo.api.schemas import answer_errors, published, request_errors
from airflow_provider_klaviyo.campaigns import email, push, sms, static
from airflow_provider_klaviyo.exceptions import KlaviyoNotFoundError, KlaviyoValidationError
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoAsyncHook, KlaviyoHook
from tests.support.sandbox import DRAFT_EMAIL, DRAFT_PAST_STATIC, DRAFT_SMS, LIST, SENT, TEMPLATE, Klaviyo
from tests.support.scripted import Scripted, error

REVISIONS = tuple(revision for revision in revisions() if revision <= NEWEST_OF_CAMPAIGNS)

EMAIL_MESSAGE = "01H5QQV9FGJ1H66PGPER6WN9F5"
SMS_MESSAGE = "RNCyHC"
IMAGE = "12345"
TAG = "01J0TAG000000000000000SALE"
NEW = {"name": "New", "audiences": {"included": [LIST]}}
LATER = static(datetime(2100, 1, 1, 9, tzinfo=UTC))

Answers = list[tuple[Request, Document]]


def recorded(call: Call[Any], answers: Answers) -> Generator[Request, Document, Any]:
    """The same call, with every request and answer written down."""
    try:
        request = next(call)
        while True:
            document = yield request
            answers.append((request, document))
            request = call.send(document)
    except StopIteration as stop:
        return stop.value


class Recording(KlaviyoHook):
    """A hook that writes down what it asks and is answered."""

    def __init__(self, revision: str) -> None:
        super().__init__(revision=revision)
        self.answers: Answers = []

    def run(self, call: Call[Any]) -> Any:
        return super().run(recorded(call, self.answers))


class AsyncRecording(KlaviyoAsyncHook):
    """The same in an event loop."""

    def __init__(self, revision: str) -> None:
        super().__init__(revision=revision)
        self.answers: Answers = []

    async def run(self, call: Call[Any]) -> Any:
        return await super().run(recorded(call, self.answers))


def in_a_worker(revision: str, method: str, *args: Any, **kwargs: Any) -> tuple[Any, Answers]:
    hook = Recording(revision)
    return getattr(hook, method)(*args, **kwargs), hook.answers


def in_the_triggerer(revision: str, method: str, *args: Any, **kwargs: Any) -> tuple[Any, Answers]:
    async def run() -> tuple[Any, Answers]:
        async with AsyncRecording(revision) as hook:
            return await getattr(hook, method)(*args, **kwargs), hook.answers

    return asyncio.run(run())


BOTH = pytest.mark.parametrize("run", [in_a_worker, in_the_triggerer])


def image_set(klaviyo: Klaviyo) -> None:
    KlaviyoHook().set_image(SMS_MESSAGE, IMAGE)


def counted(klaviyo: Klaviyo) -> None:
    KlaviyoHook().start_estimation(DRAFT_EMAIL)
    klaviyo.advance(60)


def scheduled(klaviyo: Klaviyo) -> None:
    KlaviyoHook().update_campaign(DRAFT_EMAIL, {"send_strategy": LATER})
    klaviyo.send(DRAFT_EMAIL)
    klaviyo.advance(60)


def nothing(klaviyo: Klaviyo) -> None:
    pass


CASES: dict[str, tuple[Callable[[Klaviyo], None], str, tuple[Any, ...], dict[str, Any], Callable[[Any], bool]]] = {
    "get_campaigns": (
        nothing,
        "list_campaigns",
        (),
        {"channels": ["email"], "filter": contains("name", "Holiday"), "include": ["campaign-messages", "tags"]},
        lambda rows: {row["id"] for row in rows} == {DRAFT_EMAIL, DRAFT_PAST_STATIC},
    ),
    "get_campaign": (nothing, "get_campaign", (DRAFT_SMS,), {}, lambda campaign: campaign.id == DRAFT_SMS),
    "create_campaign": (
        nothing,
        "create_campaign",
        (NEW, [push(body="Soon over", image_id=IMAGE)]),
        {},
        lambda campaign: campaign.attributes["status"] == "Draft",
    ),
    "create_campaign_clone": (
        nothing,
        "clone_campaign",
        (SENT, "Again"),
        {},
        lambda campaign: campaign.attributes["name"] == "Again",
    ),
    "update_campaign": (
        nothing,
        "update_campaign",
        (DRAFT_EMAIL, {"name": "Renamed", "send_strategy": LATER}),
        {},
        lambda campaign: campaign.attributes["name"] == "Renamed",
    ),
    "delete_campaign": (nothing, "delete_campaign", (DRAFT_EMAIL,), {}, lambda result: result is None),
    "get_tags_for_campaign": (
        nothing,
        "get_campaign_tags",
        (DRAFT_PAST_STATIC,),
        {},
        lambda tags: [tag.attributes["name"] for tag in tags] == ["sale"],
    ),
    "get_tag_ids_for_campaign": (nothing, "get_campaign_tag_ids", (DRAFT_PAST_STATIC,), {}, lambda ids: ids == [TAG]),
    "get_messages_for_campaign": (
        nothing,
        "get_messages",
        (DRAFT_EMAIL,),
        {},
        lambda messages: [message.id for message in messages] == [EMAIL_MESSAGE] and messages[0].related("template"),
    ),
    "get_message_ids_for_campaign": (
        nothing,
        "get_message_ids",
        (DRAFT_EMAIL,),
        {},
        lambda ids: ids == [EMAIL_MESSAGE],
    ),
    "get_campaign_message": (nothing, "get_message", (SMS_MESSAGE,), {}, lambda message: message.id == SMS_MESSAGE),
    "get_campaign_for_campaign_message": (
        nothing,
        "get_campaign_of_message",
        (SMS_MESSAGE,),
        {},
        lambda campaign: campaign.id == DRAFT_SMS,
    ),
    "get_campaign_id_for_campaign_message": (
        nothing,
        "get_campaign_id_of_message",
        (SMS_MESSAGE,),
        {},
        lambda id_: id_ == DRAFT_SMS,
    ),
    "update_campaign_message": (
        nothing,
        "update_message",
        (SMS_MESSAGE, sms(body="Now!", image_id=IMAGE)),
        {},
        lambda message: message.attributes["definition"]["content"]["body"] == "Now!",
    ),
    "update_image_for_campaign_message": (
        nothing,
        "set_image",
        (SMS_MESSAGE, IMAGE),
        {},
        lambda result: result is None,
    ),
    "get_image_for_campaign_message": (
        image_set,
        "get_image_of_message",
        (SMS_MESSAGE,),
        {},
        lambda image: image.attributes["name"] == "Holiday banner",
    ),
    "get_image_id_for_campaign_message": (
        image_set,
        "get_image_id_of_message",
        (SMS_MESSAGE,),
        {},
        lambda id_: id_ == IMAGE,
    ),
    "get_template_for_campaign_message": (
        nothing,
        "get_template_of_message",
        (EMAIL_MESSAGE,),
        {},
        lambda template: "<h1>" in template.attributes["html"],
    ),
    "get_template_id_for_campaign_message": (
        nothing,
        "get_template_id_of_message",
        (EMAIL_MESSAGE,),
        {},
        lambda id_: id_ not in (None, TEMPLATE),
    ),
    "assign_template_to_campaign_message": (
        nothing,
        "assign_template",
        (EMAIL_MESSAGE, TEMPLATE),
        {},
        lambda id_: id_ not in (None, TEMPLATE),
    ),
    "refresh_campaign_recipient_estimation": (
        nothing,
        "start_estimation",
        (DRAFT_EMAIL,),
        {},
        lambda result: result is None,
    ),
    "get_campaign_recipient_estimation_job": (
        counted,
        "get_estimation_job",
        (DRAFT_EMAIL,),
        {},
        lambda status: status == "complete",
    ),
    "get_campaign_recipient_estimation": (counted, "get_estimation", (DRAFT_EMAIL,), {}, lambda count: count > 0),
    "send_campaign": (
        nothing,
        "send_campaign",
        (DRAFT_EMAIL,),
        {},
        lambda result: result is None,
    ),
    "get_campaign_send_job": (scheduled, "get_send_job", (DRAFT_EMAIL,), {}, lambda status: bool(status)),
    "cancel_campaign_send": (scheduled, "cancel_send", (DRAFT_EMAIL, "revert"), {}, lambda result: result is None),
}


@BOTH
@pytest.mark.parametrize("revision", REVISIONS)
@pytest.mark.parametrize("operation", CASES)
def test_request_and_answer_follow_the_published_schema(klaviyo, operation, revision, run):
    prepare, method, args, kwargs, is_right = CASES[operation]
    prepare(klaviyo)
    result, answers = run(revision, method, *args, **kwargs)
    assert is_right(result), result
    row = klaviyo.requests(operation)[-1]
    assert (row["revision"], row["status"]) == (revision, get(operation).success[0])
    assert request_errors(operation, row["query"], row["body"], revision) == []
    own = [document for request, document in answers if request.operation.id == operation]
    assert own
    for document in own:
        assert answer_errors(operation, document.status, document.body or None, revision) == []


def test_the_cases_are_the_whole_campaigns_api():
    """All operations below the Campaigns API's paths: 26, as Klaviyo's own document of that API has them."""
    paths = ("/api/campaigns", "/api/campaign-")
    published_there = {name for name, known in operations().items() if known.path.startswith(paths)}
    assert set(CASES) == published_there - {"query_campaign_values"}
    assert len(CASES) == 26


def test_both_hooks_have_the_same_methods_with_the_calls_own_signatures():
    for method in {case[1] for case in CASES.values()}:
        call = getattr(campaigns, method)
        assert list(inspect.signature(getattr(KlaviyoHook(), method)).parameters) == list(
            inspect.signature(call).parameters
        )
        assert getattr(KlaviyoAsyncHook(), method).__doc__ == call.__doc__


# --- what is not there ------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    ("method", "of_nothing"),
    [("get_template_of_message", None), ("get_template_id_of_message", None), ("get_image_id_of_message", None)],
)
def test_a_message_without_one_returns_none(klaviyo, run, method, of_nothing):
    created = KlaviyoHook().create_campaign(NEW, [email(subject="Hi") if "template" in method else sms(body="Hi")])
    [message] = KlaviyoHook().get_message_ids(created.id)
    assert run(REVISIONS[0], method, message)[0] is of_nothing


@BOTH
def test_a_missing_image_is_not_found(klaviyo, run):
    with pytest.raises(KlaviyoNotFoundError):
        run(REVISIONS[0], "get_image_of_message", SMS_MESSAGE)


# --- any operation, by either hook ------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("method", ["call", "paginate", "collect"])
def test_a_call_is_checked_before_it_is_made(klaviyo, run, method):
    with pytest.raises(KlaviyoValidationError, match="'page\\[sise\\]' is not a parameter") as caught:
        run(REVISIONS[0], method, "get_lists", query={"page[sise]": 1})
    assert caught.value.pointer == "page[sise]"
    assert klaviyo.requests() == []


@BOTH
def test_the_hooks_revision_decides_which_document_a_body_is_checked_against(klaviyo, run):
    strategy = {"method": "throttled", "datetime": "2100-01-01T09:00:00Z", "throttle_percentage": 5}
    body = {"data": {"type": "campaign", "id": DRAFT_EMAIL, "attributes": {"send_strategy": strategy}}}
    call = ("call", "update_campaign")
    with pytest.raises(KlaviyoValidationError, match=r"5 is not allowed\. Allowed: 10, 11") as caught:
        run("2026-04-15", *call, path_params={"id": DRAFT_EMAIL}, body=body)
    assert caught.value.pointer == "/data/attributes/send_strategy/throttle_percentage"
    document, _ = run("2026-07-15", *call, path_params={"id": DRAFT_EMAIL}, body=body)
    assert document.resource.attributes["send_strategy"] == strategy


@BOTH
def test_a_filter_value_goes_where_text_would(klaviyo, run):
    wanted = equals("messages.channel", "email") & any_of("id", [SENT])
    found, _ = run(REVISIONS[0], "paginate", "get_campaigns", query={"filter": wanted})
    assert [campaign.id for campaign in found] == [SENT]


@BOTH
def test_all_pages_are_one_document(klaviyo, run):
    wanted = equals("messages.channel", "email")
    query = {"filter": wanted, "page[size]": 1, "include": ["tags"]}
    document, answers = run(REVISIONS[0], "collect", "get_campaigns", query=query)
    assert len(answers) == len(document.resources) == 3
    assert [tag.id for tag in document.included] == [TAG]


# --- wide input -------------------------------------------------------------------------------------------------------

one_sandbox = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
campaign_fields = st.sampled_from(
    facts("get_campaigns", REVISIONS[0])["query"]["fields[campaign]"]["schema"]["items"]["enum"]
)


@one_sandbox
@given(text=st.text(min_size=1, max_size=30).filter(lambda text: text.strip() and text not in (".", "..")))
@example(text="../lists/Y6nRLr")
@example(text="a?b=c&d#e%2F")
def test_whatever_an_id_holds_stays_one_segment_of_the_path(connect, text):
    with Scripted(error(404)) as server:
        connect(server.url)
        with pytest.raises(KlaviyoNotFoundError):
            KlaviyoHook().get_campaign(text)
    target = server.requests[0].split(b" ")[1].decode("ascii")
    segment = target.removeprefix("/api/campaigns/")
    assert unquote(segment) == text
    assert not set(segment) & set("/?# ")


@one_sandbox
@given(fields=st.sets(campaign_fields, min_size=1).map(sorted))
def test_fields_chosen_here_for_rows_with_included_things_are_those_klaviyo_chooses(klaviyo, fields):
    hook = KlaviyoHook()
    here = hook.list_campaigns(channels=["email"], fields=fields, include=["tags"])
    there = hook.list_campaigns(channels=["email"], fields=fields)
    assert [without_empty({**row, "tags": {}}) for row in here] == [without_empty(row) for row in there]


def without_empty(row: dict[str, Any]) -> dict[str, Any]:
    """A row without parts of which nothing was there to be chosen."""
    inner = {name: without_empty(value) if isinstance(value, dict) else value for name, value in row.items()}
    return {name: value for name, value in inner.items() if value != {}}


def test_an_operations_own_line_says_what_the_whole_document_says():
    for revision in REVISIONS:
        document = json.loads((SPEC / f"{revision}.json").read_text(encoding="utf-8"))["operations"]
        assert {name for name, known in operations().items() if revision in known.revisions} == set(document)
        for name, said in document.items():
            assert facts(name, revision) == published(name, revision) == said
