"""The safety switches of a connection: what they refuse never leaves this machine."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_klaviyo.api.operations import operations
from airflow_provider_klaviyo.api.request import build
from airflow_provider_klaviyo.compat import AirflowFailException
from airflow_provider_klaviyo.exceptions import (
    KlaviyoRefusedError,
    KlaviyoTransientError,
    KlaviyoValidationError,
    RefusalReason,
)
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from airflow_provider_klaviyo.sandbox.seed import DEFAULT
from tests.support.hooks import Call, both
from tests.support.refusals import refused
from tests.support.sandbox import DRAFT_EMAIL, SENT, TEMPLATE, Klaviyo

POSTS_THAT_READ = {
    "query_campaign_values",
    "query_flow_series",
    "query_flow_values",
    "query_form_series",
    "query_form_values",
    "query_metric_aggregates",
    "query_segment_series",
    "query_segment_values",
    "render_template",
}
RENDER = {"data": {"type": "template", "id": TEMPLATE, "attributes": {"context": {}}}}

Connect = Callable[..., None]


@pytest.fixture(scope="module")
def _live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Klaviyo]:
    seed = json.loads(DEFAULT.read_text(encoding="utf-8"))
    seed["account"]["test_account"] = False
    path = tmp_path_factory.mktemp("seed") / "live.json"
    path.write_text(json.dumps(seed), encoding="utf-8")
    with Sandbox(limits=False, seed=path, strict=True) as running:
        klaviyo = Klaviyo(running.url)
        yield klaviyo
        klaviyo.close()


@pytest.fixture
def live(_live: Klaviyo, connect: Connect) -> Klaviyo:
    """A sandbox whose account is live; ``klaviyo_default`` points at it."""
    _live.reset()
    connect(_live.url)
    return _live


# --- read_only --------------------------------------------------------------------------------------------------------

WRITES: list[tuple[str, dict[str, Any]]] = [
    ("send_campaign", {"campaign_id": DRAFT_EMAIL}),
    ("update_campaign", {"campaign_id": DRAFT_EMAIL, "attributes": {"name": "New"}}),
    ("cancel_send", {"campaign_id": SENT, "action": "cancel"}),
    ("start_estimation", {"campaign_id": DRAFT_EMAIL}),
    ("call", {"operation": "delete_campaign", "path_params": {"id": DRAFT_EMAIL}}),
]


@both
@pytest.mark.parametrize(("name", "arguments"), WRITES, ids=[name for name, _ in WRITES])
def test_a_read_only_connection_refuses_writes_before_they_leave(
    klaviyo: Klaviyo, connect: Connect, call: Call, name: str, arguments: dict[str, Any]
) -> None:
    connect(klaviyo.url, read_only=True)
    with refused(RefusalReason.READ_ONLY, match=r"Connection 'klaviyo_default'.*'read_only'"):
        call(name, arguments)
    assert klaviyo.requests() == []


@both
def test_a_read_only_connection_lets_reads_through_also_those_that_are_posts(
    klaviyo: Klaviyo, connect: Connect, call: Call
) -> None:
    connect(klaviyo.url, read_only=True)
    assert call("get_campaign", {"campaign_id": DRAFT_EMAIL}).id == DRAFT_EMAIL
    assert call("call", {"operation": "render_template", "body": RENDER}).status == 201
    assert list(klaviyo.counted()) == ["get_campaign", "render_template"]


def test_the_client_below_the_hook_refuses_as_well(klaviyo: Klaviyo, connect: Connect) -> None:
    connect(klaviyo.url, read_only=True)
    with pytest.raises(KlaviyoRefusedError):
        KlaviyoHook().get_conn().send(build("delete_campaign", path_params={"id": DRAFT_EMAIL}))
    assert klaviyo.requests() == []


def test_every_published_operation_but_a_get_is_a_write_save_for_queries_and_renderings() -> None:
    let_through = {operation.id for operation in operations().values() if not operation.is_write}
    gets = {operation.id for operation in operations().values() if operation.method == "GET"}
    assert let_through == gets | POSTS_THAT_READ


@pytest.mark.parametrize("value", [True, "true", "True", " TRUE ", "1", "yes", "on"])
def test_a_switch_is_on_in_these_spellings(klaviyo: Klaviyo, connect: Connect, value: Any) -> None:
    connect(klaviyo.url, read_only=value)
    with pytest.raises(KlaviyoRefusedError):
        KlaviyoHook().start_estimation(DRAFT_EMAIL)


@pytest.mark.parametrize("value", [False, "false", "False", "0", "no", "off", None])
def test_a_switch_is_off_in_these_spellings(klaviyo: Klaviyo, connect: Connect, value: Any) -> None:
    connect(klaviyo.url, read_only=value, require_test_account=value)
    KlaviyoHook().start_estimation(DRAFT_EMAIL)
    assert klaviyo.counted() == {"refresh_campaign_recipient_estimation": 1}


@pytest.mark.parametrize("value", ["ture", 1, 0, 2, 1.0, [], {}, "nein", "", " ", "yes please"])
@pytest.mark.parametrize("switch", ["read_only", "require_test_account"])
def test_a_switch_that_is_misread_is_not_off_but_an_error(
    klaviyo: Klaviyo, connect: Connect, switch: str, value: Any
) -> None:
    connect(klaviyo.url, **{switch: value})
    with pytest.raises(KlaviyoValidationError, match=f"'{switch}'.*true or false"):
        KlaviyoHook().get_account()
    assert klaviyo.requests() == []


def test_a_refusal_fails_a_task_without_further_tries() -> None:
    assert issubclass(KlaviyoRefusedError, AirflowFailException)


# --- require_test_account ---------------------------------------------------------------------------------------------


@both
def test_a_send_from_a_live_account_is_refused(live: Klaviyo, connect: Connect, call: Call) -> None:
    connect(live.url, require_test_account=True)
    words = r"Connection 'klaviyo_default'.*'require_test_account'.*live"
    with refused(RefusalReason.LIVE_ACCOUNT, match=words):
        call("send_campaign", {"campaign_id": DRAFT_EMAIL})
    assert list(live.counted()) == ["get_accounts"]


@both
def test_a_send_from_a_test_account_goes_through(klaviyo: Klaviyo, connect: Connect, call: Call) -> None:
    connect(klaviyo.url, require_test_account=True)
    call("send_campaign", {"campaign_id": DRAFT_EMAIL})
    assert list(klaviyo.counted()) == ["get_accounts", "send_campaign"]
    klaviyo.wait_for_sends()
    assert len(klaviyo.sends(DRAFT_EMAIL)) == 1


def test_other_writes_to_a_live_account_go_through(live: Klaviyo, connect: Connect) -> None:
    connect(live.url, require_test_account=True)
    KlaviyoHook().start_estimation(DRAFT_EMAIL)
    assert live.counted() == {"refresh_campaign_recipient_estimation": 1}


def test_a_message_to_a_conversation_is_a_send(live: Klaviyo, connect: Connect) -> None:
    connect(live.url, require_test_account=True)
    with pytest.raises(KlaviyoRefusedError):
        KlaviyoHook().get_conn().send(build("create_conversation_message", body={"data": {}}))
    assert list(live.counted()) == ["get_accounts"]


def test_the_account_is_asked_for_once_in_the_life_of_a_hook(live: Klaviyo, connect: Connect) -> None:
    connect(live.url, require_test_account=True)
    hook = KlaviyoHook()
    for _ in range(3):
        with pytest.raises(KlaviyoRefusedError):
            hook.send_campaign(DRAFT_EMAIL)
    assert live.counted() == {"get_accounts": 1}


@both
def test_a_send_is_refused_when_the_account_is_not_known(klaviyo: Klaviyo, connect: Connect, call: Call) -> None:
    connect(klaviyo.url, "pk_scopes_campaigns:read+campaigns:write", require_test_account=True)
    with pytest.raises(KlaviyoRefusedError, match=r"not known if this is one.*accounts:read"):
        call("send_campaign", {"campaign_id": DRAFT_EMAIL})
    assert "send_campaign" not in klaviyo.counted()


@both
def test_a_passing_failure_to_ask_is_left_to_the_next_try(klaviyo: Klaviyo, connect: Connect, call: Call) -> None:
    connect(klaviyo.url, require_test_account=True)
    klaviyo.fail("get_accounts", "status_before_commit", status=503, times=100)
    with pytest.raises(KlaviyoTransientError):
        call("send_campaign", {"campaign_id": DRAFT_EMAIL})
    assert klaviyo.fired()[0] > 0
    assert "send_campaign" not in klaviyo.counted()


# --- what the test of a connection says -------------------------------------------------------------------------------


def test_the_test_button_says_nothing_of_switches_that_are_off(klaviyo: Klaviyo, connect: Connect) -> None:
    connect(klaviyo.url, read_only=False)
    ok, message = KlaviyoHook().test_connection()
    assert ok
    assert "read-only" not in message
    assert "requires a test account" not in message


def test_the_test_button_says_that_a_connection_is_read_only(klaviyo: Klaviyo, connect: Connect) -> None:
    connect(klaviyo.url, read_only=True)
    ok, message = KlaviyoHook().test_connection()
    assert ok
    assert "read-only: writes are refused" in message


def test_the_test_button_says_that_sends_are_refused(live: Klaviyo, connect: Connect) -> None:
    connect(live.url, require_test_account=True)
    ok, message = KlaviyoHook().test_connection()
    assert ok
    assert "a live account" in message
    assert "Sends are refused: the connection requires a test account" in message


def test_the_test_button_says_that_sends_are_let_through(klaviyo: Klaviyo, connect: Connect) -> None:
    connect(klaviyo.url, require_test_account=True)
    assert "Sends are let through: the connection requires a test account" in KlaviyoHook().test_connection()[1]


def test_the_test_button_says_that_sends_are_refused_when_the_account_is_not_known(
    klaviyo: Klaviyo, connect: Connect
) -> None:
    connect(klaviyo.url, "pk_scopes_campaigns:read", require_test_account=True)
    ok, message = KlaviyoHook().test_connection()
    assert ok
    assert "accounts:read" in message
    assert "Sends are refused" in message
