"""Answers of the right status with parts of the wrong shape: every typed method raises an error of ours, or copes."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_klaviyo.api import filters
from airflow_provider_klaviyo.api.calls import Call
from airflow_provider_klaviyo.api.document import Answer, Resource, read
from airflow_provider_klaviyo.api.errors import (
    KlaviyoAmbiguousWriteError,
    KlaviyoApiError,
    KlaviyoTransientError,
)
from airflow_provider_klaviyo.api.operations import DEFAULT_REVISION, OMNICHANNEL
from airflow_provider_klaviyo.api.request import Request, absolute_url, build
from airflow_provider_klaviyo.campaigns import omnichannel
from airflow_provider_klaviyo.campaigns.status import Outcome
from airflow_provider_klaviyo.campaigns.wait import (
    look_at_campaign,
    look_at_estimation,
    look_at_send_job,
)
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoMethods, Method
from airflow_provider_klaviyo.triggers.campaigns import (
    KlaviyoCampaignStatusEventTrigger,
    KlaviyoCampaignStatusTrigger,
)
from airflow_provider_klaviyo.triggers.recent import (
    RecentCampaigns,
    RecentCampaignsOfChannels,
    RecentOmnichannelCampaigns,
)
from tests.support.driven import ATTRIBUTES, C, M, T, drive, resource, right

ARGUMENTS: dict[str, dict[str, Any]] = {
    "call": {"operation": "get_campaign", "path_params": {"id": C}},
    "paginate": {"operation": "get_campaigns"},
    "collect": {"operation": "get_campaigns"},
    "find_campaigns": {"channel": "email", "name": "One"},
    "list_campaigns": {"channels": ["email"], "include": ["campaign-messages", "tags"], "fields": ["name", "status"]},
    "omnichannel.list_campaigns": {"include": ["campaign-messages", "tags"], "fields": ["name", "status"]},
    "omnichannel.get_contents": {"message_ids": [M]},
    "omnichannel.campaigns_of_messages": {"wanted": filters.equals("status", "sent")},
    "create_campaign": {"attributes": {"name": "One"}, "messages": []},
    "clone_campaign": {"campaign_id": C, "new_name": "One"},
    "update_campaign": {"campaign_id": C, "attributes": {"name": "One"}},
    "update_message": {"message_id": M, "message": {}},
    "set_image": {"message_id": M, "image_id": "I1"},
    "assign_template": {"message_id": M, "template_id": T},
    "cancel_send": {"campaign_id": C, "action": "cancel"},
    "find_tags": {"name": "One"},
    "create_tag": {"name": "One"},
    "tag_campaigns": {"tag_id": T, "campaign_ids": [C]},
    "untag_campaigns": {"tag_id": T, "campaign_ids": [C]},
    "find_lists": {"name": "One"},
    "create_list": {"name": "One"},
    "find_segments": {"name": "One"},
    "create_segment": {"name": "One", "definition": {}},
    "add_profiles_to_list": {"list_id": T, "profile_ids": ["P1"]},
    "remove_profiles_from_list": {"list_id": T, "profile_ids": ["P1"]},
    "members_by": {"list_id": T, "field": "email", "values": ["ada@example.com"]},
    "subscribe": {"rows": [{"email": "ada@example.com", "channels": ["email"]}]},
    "unsubscribe": {"rows": [{"email": "ada@example.com", "channels": ["email"]}]},
    "suppress": {"emails": ["ada@example.com"]},
    "unsuppress": {"emails": ["ada@example.com"]},
    "create_event": {"profile": {"email": "ada@example.com"}, "event": {"metric": "Sold", "properties": {}}},
    "get_campaign_figures": {
        "campaign_ids": [C],
        "statistics": ["opens"],
        "timeframe": {"key": "last_30_days"},
        "conversion_metric_id": "M1",
        "group_by": ["campaign_id"],
    },
    "find_profile": {"email": "ada@example.com"},
    "find_templates": {"name": "One"},
    "create_template": {"name": "One", "html": "<p>Hi</p>"},
    "update_template": {"template_id": T, "html": "<p>Hi</p>"},
    "render_template": {"template_id": T, "context": {"first_name": "Ada"}},
    "import_events": {"of_profiles": [({"email": "ada@example.com"}, [{"metric": "Sold", "properties": {}}])]},
}
METHODS: dict[str, Callable[..., Call[Any]]] = {
    **{name: method.call for name, method in vars(KlaviyoMethods).items() if isinstance(method, Method)},
    "omnichannel.list_campaigns": omnichannel.list_campaigns,
    "omnichannel.get_campaign": omnichannel.get_campaign,
    "omnichannel.get_contents": omnichannel.get_contents,
    "omnichannel.campaigns_of_messages": omnichannel.campaigns_of_messages,
    "omnichannel.last_sent": omnichannel.last_sent,
}

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 10**30),
    st.floats(),
    st.just([]),
    st.just({}),
    st.just([None, 1, "x"]),
    st.just({"data": 5}),
    st.sampled_from(["", " ", "\0", "\ud800", "x\0y", "https://a\\@b/", "http://[::1", "//evil", "/a b", "é"]),
)
MISSING = object()


def paths(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where the parts of a document are."""
    yield at
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        yield from paths(part, (*at, key))


def replaced(document: Any, at: tuple[Any, ...], by: Any) -> Any:
    if not at:
        return None if by is MISSING else by
    document = copy.deepcopy(document)
    owner = document
    for key in at[:-1]:
        owner = owner[key]
    if by is MISSING:
        del owner[at[-1]]
    else:
        owner[at[-1]] = by
    return document


@st.composite
def mutations(draw: st.DrawFn) -> Callable[[Request], Any]:
    """Makes right documents with one or two parts replaced or left out."""
    choices = [(draw(st.integers(0, 10**6)), draw(ODD | st.just(MISSING))) for _ in range(draw(st.integers(1, 2)))]

    def answer(request: Request) -> Any:
        document = right(request)
        for number, by in choices:
            places = list(paths(document))
            document = replaced(document, places[number % len(places)], by)
        return document

    return answer


def made(name: str) -> Call[Any]:
    method: Any = METHODS[name]
    about = {"campaign_id": C, "message_id": M}
    wanted = {key: about.get(key, T) for key in method.__code__.co_varnames[: method.__code__.co_argcount]}
    return method(**ARGUMENTS.get(name, wanted))  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", METHODS)
def test_the_right_answer_is_taken(name: str) -> None:
    drive(made(name), right)


many = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("name", METHODS)
@many
@given(answer=mutations())
def test_whatever_part_of_an_answer_is_odd_nothing_but_an_error_of_ours_comes_of_it(
    name: str, answer: Callable[[Request], Any]
) -> None:
    try:
        drive(made(name), answer)
    except KlaviyoApiError as error:
        found = error
    else:
        return
    assert "\0" not in str(found)
    str(found).encode()


LOOKS: dict[str, Callable[[], Call[Any]]] = {
    "campaign": lambda: look_at_campaign(C, ["Sent"], DEFAULT_REVISION),
    "omnichannel campaign": lambda: look_at_campaign(C, ["Sent"], OMNICHANNEL),
    "send job": lambda: look_at_send_job(C),
    "estimation": lambda: look_at_estimation(C),
}


class Hook:
    """Answers looks; what it answers is odd for a time."""

    def __init__(self, answer: Callable[[Request], Any], api_revision: str) -> None:
        self.answer = answer
        self.api_revision = api_revision
        self.looks = 0

    def run(self, made: Call[Any]) -> Any:
        self.looks += 1
        return drive(made, self.answer if self.looks < 3 else right)


@pytest.mark.parametrize("revision", [DEFAULT_REVISION, OMNICHANNEL])
@many
@given(answer=mutations())
def test_a_wait_goes_on_whatever_part_of_an_answer_is_odd(revision: str, answer: Callable[[Request], Any]) -> None:
    trigger = KlaviyoCampaignStatusTrigger(campaign_id=C, poll_interval=0.0, deadline=float(2**40))
    hook: Any = Hook(answer, revision)
    assert trigger.wait_here(hook)["outcome"] == "done"
    assert hook.looks <= 3


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS.keys())
@many
@given(answer=mutations())
def test_a_look_is_an_observation_or_an_error_that_does_not_end_the_wait(
    look: Callable[[], Call[Any]], answer: Callable[[Request], Any]
) -> None:
    try:
        observation = drive(look(), answer)
    except KlaviyoTransientError:
        return
    assert isinstance(observation.verdict.outcome, Outcome)
    assert observation.count is None or observation.count >= 0


RECENT: list[Callable[[], RecentCampaigns]] = [lambda: RecentCampaignsOfChannels(["email"]), RecentOmnichannelCampaigns]


def fired(*looks: list[dict[str, Any]]) -> list[Any]:
    """What a watcher fires, whose first look saw nothing."""

    async def stream() -> AsyncIterator[list[dict[str, Any]]]:
        for rows in ([], *looks):
            yield rows

    async def events() -> list[Any]:
        watcher = KlaviyoCampaignStatusEventTrigger(name_contains="one")
        return [event.payload async for event in watcher.filter_shared_stream(stream())]

    return asyncio.run(events())


@pytest.mark.parametrize("make", RECENT, ids=["by channel", "omnichannel"])
@many
@given(odd=st.lists(mutations(), min_size=1, max_size=3))
def test_a_watcher_goes_on_and_sees_what_is_sent_once_answers_are_right(
    make: Callable[[], RecentCampaigns], odd: list[Callable[[Request], Any]]
) -> None:
    recent = make()
    now = datetime(2026, 1, 1, tzinfo=UTC)
    looks = []
    for answer in odd:
        try:
            looks.append(drive(recent.look(now.timestamp), answer))
        except KlaviyoTransientError:
            continue
    looks.append(drive(recent.look(now.timestamp), right))
    events = fired(*looks)
    assert all(isinstance(event["name"], str) for event in events)
    assert f"{C}:Sent" in [event["event_id"] for event in events]


# --- the cases that were seen -----------------------------------------------------------------------------------------


def get(data: Any, **more: Any) -> Any:
    return read(build("get_campaigns"), Answer(200, {}, json.dumps({"data": data, **more}).encode()))


ONE = {"type": "campaign", "id": C}


@pytest.mark.parametrize("data", [None, 5, "x", {}, ONE, [None], [5], [{}], [{"id": C}], [{**ONE, "attributes": 3}]])
def test_a_list_that_is_none_is_not_an_empty_list(data: Any) -> None:
    with pytest.raises(KlaviyoTransientError, match="get_campaigns"):
        _ = get(data).resources


LINKS = [5, 0, "x", True, [1], {"next": 5}, {"next": ""}, {"next": {}}, {"next": "/a\0"}, {"next": "/\ud800"}]


@pytest.mark.parametrize("links", [*LINKS, {"next": "http://a\\@b/"}, {"next": "/a b"}])
def test_a_link_that_is_none_is_not_the_end_of_the_list(links: Any) -> None:
    with pytest.raises(KlaviyoTransientError, match="get_campaigns"):
        _ = get([], links=links).next


@pytest.mark.parametrize("links", [None, {}, [], {"next": None}])
def test_no_link_is_the_end_of_the_list(links: Any) -> None:
    assert get([], links=links).next is None


@pytest.mark.parametrize(
    "link",
    [
        "http://a\\@b",
        "https://a.klaviyo.com\\@evil.example.com/",
        "https://me@a.klaviyo.com/api",
        "https://me:secret@a.klaviyo.com/api",
        "/api/lists\0",
        "/api/lists?a=\ud800",
        "/api lists",
        "/api/\r\nX-Odd: 1",
        "",
        "https://a.klaviyo.com.evil.example.com/",
        "https://a.klaviyo.com:8443/",
        "http://a.klaviyo.com/",
    ],
)
def test_an_impossible_link_is_refused_as_an_answer_that_does_not_end_a_wait(link: str) -> None:
    with pytest.raises(KlaviyoTransientError, match="Refused to follow"):
        absolute_url("https://a.klaviyo.com", link)


def test_a_list_in_which_a_name_cannot_be_read_does_not_prove_that_there_is_no_such_campaign() -> None:
    nameless = {"data": [{**resource("campaign", C), "attributes": {**ATTRIBUTES, "name": None}}], "links": {}}
    with pytest.raises(KlaviyoTransientError, match=r"name of campaign C1 is None, not a text"):
        drive(made("find_campaigns"), lambda _: nameless)


@pytest.mark.parametrize("value", [None, 5, "\ud800", "a\0"])
def test_an_attribute_that_cannot_be_read_names_the_operation_and_what_was_odd(value: Any) -> None:
    body = {"data": {**resource("campaign", C), "attributes": {"status": value}}}
    document = read(build("get_campaign", path_params={"id": C}), Answer(200, {}, json.dumps(body).encode()))
    with pytest.raises(
        KlaviyoTransientError, match=r"status of campaign C1.* \[get_campaign \(GET /api/campaigns/C1\)"
    ):
        document.resource.text("status")
    for read_it in (document.resource.mapping, document.resource.number):
        with pytest.raises(KlaviyoTransientError, match="audiences"):
            read_it("audiences")


def test_an_attribute_of_what_a_post_answered_leaves_open_whether_it_was_carried_out() -> None:
    answer = Answer(201, {}, json.dumps({"data": ONE}).encode())
    made = read(build("create_campaign", body={"data": {}}), answer).about("campaign")
    with pytest.raises(KlaviyoAmbiguousWriteError):
        made.text("status")


def test_a_resource_that_was_not_answered_has_the_same_checks() -> None:
    with pytest.raises(KlaviyoTransientError):
        Resource("template", T).text("name")


def test_an_attribute_called_id_is_not_taken_for_the_campaigns_id() -> None:
    body = {"data": [{**ONE, "attributes": {"id": "other", "channel": 5, "status": "Sent"}}], "links": {}}
    [row] = drive(METHODS["list_campaigns"](channels=["email"]), lambda _: body)
    assert (row["id"], row["channel"]) == (C, "email")


def test_a_campaign_that_is_odd_for_a_while_is_still_seen_when_it_ends() -> None:
    """Neither forgotten as if it were deleted, nor fired for before it can be read."""
    now = datetime(2026, 1, 1, tzinfo=UTC)

    def with_status(status: Any) -> Callable[[Request], Any]:
        attributes = {**ATTRIBUTES, "status": status}
        return lambda _: {"data": [{**resource("campaign", C), "attributes": attributes}], "links": {}}

    recent = RecentCampaignsOfChannels(["email"])
    assert [row["status"] for row in drive(recent.look(now.timestamp), with_status("Sending"))] == ["Sending"]
    assert [row["status"] for row in drive(recent.look(now.timestamp), with_status(None))] == [""]
    asked: list[str] = []

    def only_by_id(request: Request) -> Any:
        asked.append(request.target)
        return with_status("Sent")(request) if "any%28id" in request.target else {"data": [], "links": {}}

    assert [row["status"] for row in drive(recent.look(now.timestamp), only_by_id)] == ["Sent"]
    assert any("any%28id" in target for target in asked)
