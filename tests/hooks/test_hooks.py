"""Both hooks over the sandbox: the same methods, the same results; and what the test button says."""

from __future__ import annotations

import asyncio
import inspect
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from airflow_provider_klaviyo.api.document import Document
from airflow_provider_klaviyo.api.errors import KlaviyoApiError, KlaviyoNotFoundError, KlaviyoValidationError
from airflow_provider_klaviyo.campaigns import email, static
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoAsyncHook, KlaviyoHook, KlaviyoMethods, Method
from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from tests.conftest import Connect
from tests.support.hooks import Call, asynchronous, both, synchronous
from tests.support.sandbox import DRAFT_EMAIL, LIST, SENT, TEMPLATE, Klaviyo
from tests.support.scripted import Scripted, http, json_api

NAMES = sorted(name for name, value in vars(KlaviyoMethods).items() if isinstance(value, Method))


def test_both_hooks_have_the_same_methods_with_the_same_signatures_and_documentation() -> None:
    assert "send_campaign" in NAMES
    for name in NAMES:
        one, other = getattr(KlaviyoHook(), name), getattr(KlaviyoAsyncHook(), name)
        assert inspect.signature(one) == inspect.signature(other)
        assert one.__doc__ == other.__doc__
        assert one.__doc__
        assert one.__name__ == name


READS: list[tuple[str, dict[str, Any]]] = [
    ("get_account", {}),
    ("get_campaign", {"campaign_id": DRAFT_EMAIL}),
    ("find_campaigns", {"channel": "email", "name": "Holiday Sale"}),
    ("get_messages", {"campaign_id": DRAFT_EMAIL}),
    ("get_message", {"message_id": "01H5QQV9FGJ1H66PGPER6WN9F5"}),
    ("get_campaign_of_message", {"message_id": "RNCyHC"}),
    ("get_send_job", {"campaign_id": SENT}),
    ("paginate", {"operation": "get_lists"}),
    ("call", {"operation": "get_lists", "query": {"page[size]": 2, "fields[list]": ["name"]}}),
]


@pytest.mark.parametrize(("name", "arguments"), READS, ids=[name for name, _ in READS])
def test_a_read_gives_the_same_result_both_ways(klaviyo: Klaviyo, name: str, arguments: dict[str, Any]) -> None:
    one, other = synchronous(name, arguments), asynchronous(name, arguments)
    if isinstance(one, Document):
        one, other = one.body, other.body
    assert one == other
    assert one


@pytest.fixture
def standing_still(connect: Connect) -> Iterator[Klaviyo]:
    """A sandbox whose clock only moves when told."""
    with Sandbox(limits=False, speed=1e-9, strict=True) as running:
        connect(running.url)
        klaviyo = Klaviyo(running.url)
        yield klaviyo
        klaviyo.close()


@both
def test_a_campaigns_whole_life_by_method(standing_still: Klaviyo, call: Call) -> None:
    klaviyo = standing_still
    later = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    attributes = {"name": "By method", "audiences": {"included": [LIST]}, "send_strategy": static(later)}
    campaign = call("create_campaign", {"attributes": attributes, "messages": [email(subject="Hello")]})
    about = {"campaign_id": campaign.id}
    assert campaign.attributes["status"] == "Draft"
    message = call("get_messages", about)[0]
    assert message.related("template") == []
    copy = call("assign_template", {"message_id": message.id, "template_id": TEMPLATE})
    assert copy == klaviyo.template_of(campaign.id) != TEMPLATE
    clone = call("clone_campaign", {**about, "new_name": "By method, again"})
    assert clone.id != campaign.id
    renamed = call("update_campaign", {**about, "attributes": {"name": "By another method"}})
    assert renamed.attributes["name"] == "By another method"
    call("start_estimation", about)
    assert call("get_estimation_job", about) == "processing"
    klaviyo.advance(10)
    assert call("get_estimation_job", about) == "complete"
    assert call("get_estimation", about) == 11
    call("send_campaign", about)
    assert call("get_send_job", about) in ("queued", "processing", "complete")
    call("cancel_send", {**about, "action": "cancel"})
    assert klaviyo.status(campaign.id) == "Cancelled"


@both
def test_a_missing_campaign_is_reported_in_klaviyos_words(klaviyo: Klaviyo, call: Call) -> None:
    with pytest.raises(KlaviyoNotFoundError, match="NOPE") as caught:
        call("get_campaign", {"campaign_id": "NOPE"})
    assert caught.value.status == 404
    assert caught.value.request_id


@both
def test_pages_beyond_the_ceiling_are_an_error_not_a_part(klaviyo: Klaviyo, call: Call) -> None:
    arguments = {"operation": "get_lists", "query": {"page[size]": 2}}
    assert len(call("paginate", arguments)) == 5
    assert len(call("paginate", {**arguments, "max_pages": 3})) == 5
    with pytest.raises(KlaviyoApiError, match="max_pages"):
        call("paginate", {**arguments, "max_pages": 2})


@both
def test_an_unknown_operation_is_refused_before_anything_is_sent(klaviyo: Klaviyo, call: Call) -> None:
    with pytest.raises(KlaviyoValidationError, match="'get_lists'"):
        call("call", {"operation": "get_list_s"})
    with pytest.raises(KlaviyoValidationError, match="'id'"):
        call("call", {"operation": "get_campaign"})
    assert klaviyo.requests() == []


def test_an_async_hook_reads_its_connection_once(klaviyo: Klaviyo, monkeypatch: pytest.MonkeyPatch) -> None:
    async def twice() -> None:
        async with KlaviyoAsyncHook() as hook:
            await hook.get_account()
            monkeypatch.delenv("AIRFLOW_CONN_KLAVIYO_DEFAULT")
            await hook.get_account()

    asyncio.run(twice())
    assert klaviyo.counted()["get_accounts"] == 2


# Klaviyo matches a part of a name; what a name may hold, people decide.
TRICKY = ["Don't miss", 'The "big" one', "a,b)('c", "100 % 🎉", "back\\slash", "'", "tab\there", "(", "any(id,[", " x "]


@hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=40))
@example(name=TRICKY[0])
@example(name=TRICKY[1])
@example(name=TRICKY[2])
@example(name=TRICKY[3])
@example(name=TRICKY[4])
@example(name=TRICKY[5])
@example(name=TRICKY[6])
@example(name=TRICKY[7])
@example(name=TRICKY[8])
@example(name=TRICKY[9])
def test_a_campaign_is_found_by_its_exact_name_whatever_that_is(klaviyo: Klaviyo, name: str) -> None:
    klaviyo.reset()
    hook = KlaviyoHook()
    began = datetime.now(UTC) - timedelta(seconds=5)
    attributes = {"audiences": {"included": [LIST]}}
    made = hook.create_campaign({**attributes, "name": name}, [email(subject="x")])
    hook.create_campaign({**attributes, "name": f"{name}{name}"}, [email(subject="x")])
    found = hook.find_campaigns(channel="email", name=name, created_since=began)
    assert [campaign.id for campaign in found] == [made.id]


# --- the test button --------------------------------------------------------------------------------------------------


def test_the_test_button_names_the_account_and_says_that_it_is_a_test_account(klaviyo: Klaviyo) -> None:
    works, says = KlaviyoHook().test_connection()
    assert works
    assert "Example Outfitters" in says
    assert "Sandb0" in says
    assert "test account" in says


def test_the_test_button_warns_of_a_live_account(klaviyo: Klaviyo, connect: Callable[..., None]) -> None:
    account = {"type": "account", "id": "Live01", "attributes": {"test_account": False, "contact_information": {}}}
    with Scripted(json_api(200, {"data": [account]})) as server:
        connect(server.url)
        works, says = KlaviyoHook().test_connection()
    assert works
    assert "live account" in says


def test_the_test_button_explains_a_wrong_key(klaviyo: Klaviyo, connect: Callable[..., None]) -> None:
    connect(klaviyo.url, password="pk_invalid")
    works, says = KlaviyoHook().test_connection()
    assert not works
    assert "password" in says
    assert "pk_invalid" not in says


def test_the_test_button_accepts_a_key_that_may_not_name_the_account(
    klaviyo: Klaviyo, connect: Callable[..., None]
) -> None:
    connect(klaviyo.url, password="pk_scopes_campaigns:read+campaigns:write")
    works, says = KlaviyoHook().test_connection()
    assert works
    assert "accounts:read" in says


def test_the_test_button_does_not_take_a_cdns_403_for_a_key_that_works(
    connect: Callable[..., None], brief_pauses: None
) -> None:
    with Scripted(http(403, b"<html>denied</html>")) as server:
        connect(server.url)
        works, says = KlaviyoHook().test_connection()
    assert not works
    assert "403" in says
    assert "proxy or CDN" in says


def test_the_test_button_says_that_nobody_is_there(connect: Callable[..., None], brief_pauses: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    connect(f"http://127.0.0.1:{port}")
    works, says = KlaviyoHook().test_connection()
    assert not works
    assert "No connection" in says


@pytest.mark.parametrize(
    ("extra", "password", "words"),
    [
        ({"nope": 1}, "pk_x", "'nope'"),
        ({}, "", "password"),
        ({}, "AbC123", "private"),
        ({"timeout": 0}, "pk_x", "timeout"),
    ],
)
def test_the_test_button_never_raises_for_a_connection_that_cannot_be_used(
    connect: Callable[..., None], extra: dict[str, Any], password: str, words: str
) -> None:
    connect("http://127.0.0.1:1", password=password, **extra)
    works, says = KlaviyoHook().test_connection()
    assert not works
    assert words in says


@pytest.mark.parametrize(
    "body", [{}, {"data": []}, {"data": None}, {"data": "x"}, {"data": [{}]}, {"message": "maintenance"}]
)
@both
def test_an_answer_of_another_shape_is_an_error_of_ours(
    connect: Callable[..., None], brief_pauses: None, call: Call, body: Any
) -> None:
    with Scripted(json_api(200, body)) as server:
        connect(server.url)
        with pytest.raises(KlaviyoApiError):
            call("get_account", {})
