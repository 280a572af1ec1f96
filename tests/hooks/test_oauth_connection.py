"""A connection for OAuth: how it is written, what it does against the sandbox, and how it fails."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Connection

from airflow_provider_klaviyo.api import oauth
from airflow_provider_klaviyo.api.errors import KlaviyoApiError, KlaviyoAuthError, KlaviyoValidationError
from airflow_provider_klaviyo.hooks.connection import client_settings
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoAsyncHook, KlaviyoHook
from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from tests.support.sandbox import DRAFT_EMAIL, Klaviyo

CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN = "the-client-id", "the-client-secret", "the-refresh-token"
SECRETS = (CLIENT_SECRET, REFRESH_TOKEN)

ConnectApp = Callable[..., None]


@pytest.fixture
def connect_app(klaviyo: Klaviyo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ConnectApp:
    """Sets ``klaviyo_default`` to an OAuth app of the sandbox, in an Airflow home of its own."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.setattr(oauth, "_shared", {})

    def set_connection(password: str | None = CLIENT_SECRET, login: str | None = CLIENT_ID, **extra: Any) -> None:
        connection = {"conn_type": "klaviyo", "host": klaviyo.url, "login": login, "password": password, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_KLAVIYO_DEFAULT", json.dumps(connection))

    set_connection(oauth_refresh_token=REFRESH_TOKEN)
    return set_connection


def refreshes(klaviyo: Klaviyo) -> int:
    return sum(request["path"] == "/oauth/token" for request in klaviyo.requests())


async def send_asynchronously() -> None:
    async with KlaviyoAsyncHook() as hook:
        await hook.send_campaign(DRAFT_EMAIL)


# --- how it is written ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "extra",
    [
        {"oauth_refresh_token": REFRESH_TOKEN},
        {"oauth_refresh_token": f" {REFRESH_TOKEN}\t".strip(), "read_only": None, "timeout": None, "revision": None},
        {"oauth": {"refresh_token": REFRESH_TOKEN}},
        {"oauth": {"refresh_token": REFRESH_TOKEN, "cache": True}, "oauth_refresh_token": ""},
        {"oauth": {"cache": False}, "oauth_refresh_token": REFRESH_TOKEN},
        {"oauth": {"refresh_token": REFRESH_TOKEN}, "oauth_refresh_token": REFRESH_TOKEN},
    ],
)
def test_the_refresh_token_may_be_flat_as_in_the_form_or_nested(
    klaviyo: Klaviyo, connect_app: ConnectApp, extra: dict[str, Any]
) -> None:
    connect_app(**extra)
    assert KlaviyoHook().get_account().type == "account"
    assert refreshes(klaviyo) == 1


def test_a_uri_with_a_refresh_token_in_its_query_is_for_oauth(
    klaviyo: Klaviyo, connect_app: ConnectApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = klaviyo.url.rpartition(":")[2]
    uri = f"klaviyo://{CLIENT_ID}:{CLIENT_SECRET}@127.0.0.1:{port}/http?oauth_refresh_token={REFRESH_TOKEN}&read_only=true"
    monkeypatch.setenv("AIRFLOW_CONN_KLAVIYO_DEFAULT", uri)
    ok, message = KlaviyoHook().test_connection()
    assert ok
    assert "read-only" in message
    assert refreshes(klaviyo) == 1


@pytest.mark.parametrize(
    "extra", [{"oauth_refresh_token": REFRESH_TOKEN}, {"oauth": {"refresh_token": REFRESH_TOKEN, "cache": False}}]
)
def test_a_connection_survives_being_written_as_a_uri(
    klaviyo: Klaviyo, connect_app: ConnectApp, monkeypatch: pytest.MonkeyPatch, extra: dict[str, Any]
) -> None:
    connection = Connection(
        conn_id="klaviyo_default",
        conn_type="klaviyo",
        host=klaviyo.url,
        login=CLIENT_ID,
        password=CLIENT_SECRET,
        extra=json.dumps(extra),
    )
    monkeypatch.setenv("AIRFLOW_CONN_KLAVIYO_DEFAULT", connection.get_uri())
    assert KlaviyoHook().test_connection()[0]
    assert refreshes(klaviyo) == 1


NESTED = {"refresh_token": REFRESH_TOKEN}


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"login": None, "oauth_refresh_token": REFRESH_TOKEN}, "client id into the login"),
        ({"password": None, "oauth_refresh_token": REFRESH_TOKEN}, "client secret into the password"),
        ({"password": "pk_0123", "oauth_refresh_token": REFRESH_TOKEN}, "its password is a private key"),
        ({"password": "***", "oauth_refresh_token": REFRESH_TOKEN}, "how Airflow shows a secret"),
        ({"oauth_refresh_token": "***"}, "how Airflow shows a secret"),
        ({}, "'oauth_refresh_token' is needed"),
        ({"oauth_refresh_token": 17}, "printable"),
        ({"oauth_refresh_token": "two\nlines"}, "printable"),
        ({"oauth": NESTED, "oauth_refresh_token": "the-refresh-token-2"}, "different refresh tokens"),
    ],
)
def test_credentials_that_do_not_fit_together_say_what_to_put_where(
    klaviyo: Klaviyo, connect_app: ConnectApp, fields: dict[str, Any], says: str
) -> None:
    connect_app(**fields)
    with pytest.raises(KlaviyoAuthError, match=f"Connection 'klaviyo_default'.*{says}") as caught:
        KlaviyoHook().get_account()
    assert not any(secret in str(caught.value) for secret in SECRETS)
    assert klaviyo.requests() == []


@pytest.mark.parametrize("value", [REFRESH_TOKEN, [REFRESH_TOKEN], {**NESTED, "x": 1}, {**NESTED, "cache": "no"}])
def test_an_oauth_extra_that_is_not_understood_is_refused_without_telling_it(
    klaviyo: Klaviyo, connect_app: ConnectApp, value: Any
) -> None:
    connect_app(oauth=value)
    with pytest.raises(KlaviyoValidationError, match=r"Connection 'klaviyo_default'.*'oauth'") as caught:
        KlaviyoHook().get_account()
    assert caught.value.pointer == "oauth"
    assert REFRESH_TOKEN not in str(caught.value)


# --- what it does -----------------------------------------------------------------------------------------------------


def test_hooks_of_one_host_share_a_token_in_a_file_in_airflows_home(
    klaviyo: Klaviyo, connect_app: ConnectApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        monkeypatch.setattr(oauth, "_shared", {})
        KlaviyoHook().get_account()
    assert refreshes(klaviyo) == 1
    assert list((tmp_path / "klaviyo-oauth").glob("*.json"))


def test_a_connection_that_opts_out_leaves_no_file(klaviyo: Klaviyo, connect_app: ConnectApp, tmp_path: Path) -> None:
    connect_app(oauth={**NESTED, "cache": False})
    for _ in range(3):
        KlaviyoHook().get_account()
    assert refreshes(klaviyo) == 1
    assert list(tmp_path.iterdir()) == []


def test_without_a_usable_airflow_home_the_file_is_among_the_temporary_ones(
    klaviyo: Klaviyo, connect_app: ConnectApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    KlaviyoHook().get_account()
    assert list((tmp_path / "tmp" / f"klaviyo-oauth-{os.geteuid()}").glob("*.json"))


def test_worker_and_triggerer_share_a_token(klaviyo: Klaviyo, connect_app: ConnectApp) -> None:
    KlaviyoHook().get_account()
    asyncio.run(send_asynchronously())
    assert klaviyo.counted()["send_campaign"] == 1
    assert refreshes(klaviyo) == 1


def test_a_token_that_klaviyo_ends_early_is_renewed_and_the_campaign_sent_once(
    klaviyo: Klaviyo, connect_app: ConnectApp
) -> None:
    hook = KlaviyoHook()
    hook.get_account()
    klaviyo.advance(3601)
    hook.send_campaign(DRAFT_EMAIL)
    statuses = [request["status"] for request in klaviyo.requests("send_campaign")]
    assert statuses == [401, 202]
    assert refreshes(klaviyo) == 2
    klaviyo.wait_for_sends()
    assert len(klaviyo.sends(DRAFT_EMAIL)) == 1


def test_the_sandboxs_limit_of_refreshes_is_not_met_by_many_hooks(
    connect_app: ConnectApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Sandbox(limits=True) as limited:
        extra = {"oauth_refresh_token": REFRESH_TOKEN}
        connection = {"conn_type": "klaviyo", "host": limited.url, "login": CLIENT_ID, "password": CLIENT_SECRET}
        monkeypatch.setenv("AIRFLOW_CONN_KLAVIYO_DEFAULT", json.dumps({**connection, "extra": extra}))
        for _ in range(15):
            monkeypatch.setattr(oauth, "_shared", {})
            KlaviyoHook().get_conn().settings.auth.header()
        watcher = Klaviyo(limited.url)
        assert refreshes(watcher) == 1
        watcher.close()


def test_a_replaced_refresh_token_keeps_working_on_this_host(
    klaviyo: Klaviyo, connect_app: ConnectApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect_app(oauth_refresh_token="once_only")
    for _ in range(3):
        monkeypatch.setattr(oauth, "_shared", {})
        KlaviyoHook().get_account()
        klaviyo.advance(3601)
    assert refreshes(klaviyo) == 3
    assert {request["status"] for request in klaviyo.requests() if request["path"] == "/oauth/token"} == {200}


# --- how it fails -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"oauth_refresh_token": "invalid-1"}, "Authorise the app again"),
        ({"oauth_refresh_token": REFRESH_TOKEN, "password": "invalid"}, "check the connection's login"),
    ],
)
def test_the_test_button_says_what_is_wrong_with_the_app(
    klaviyo: Klaviyo, connect_app: ConnectApp, fields: dict[str, Any], says: str
) -> None:
    connect_app(**fields)
    ok, message = KlaviyoHook().test_connection()
    assert not ok
    assert says in message
    assert refreshes(klaviyo) == 1


def test_a_wrong_secret_is_found_at_once_though_a_token_is_kept(klaviyo: Klaviyo, connect_app: ConnectApp) -> None:
    assert KlaviyoHook().test_connection()[0]
    connect_app(password="invalid", oauth_refresh_token=REFRESH_TOKEN)
    assert not KlaviyoHook().test_connection()[0]


async def test_a_refused_app_is_an_error_of_ours_in_an_event_loop_too(
    klaviyo: Klaviyo, connect_app: ConnectApp
) -> None:
    connect_app(oauth_refresh_token="invalid-1")
    async with KlaviyoAsyncHook() as hook:
        with pytest.raises(KlaviyoAuthError, match="Authorise the app again"):
            await hook.get_account()
    assert refreshes(klaviyo) == 1


def test_no_error_and_no_repr_of_an_app_shows_its_secrets() -> None:
    def read(**fields: Any) -> Any:
        extra = {"oauth": NESTED, **fields.pop("extra", {})}
        connection = Connection(conn_id="shop", conn_type="klaviyo", login=CLIENT_ID, password=CLIENT_SECRET, **fields)
        return client_settings(connection, extra)

    assert not any(secret in repr(read()) for secret in SECRETS)
    wrong: Iterator[dict[str, Any]] = iter(
        [{"host": "x/y"}, {"extra": {"timeout": "x"}}, {"extra": {"oauth_refresh_token": "a"}}, {"extra": {"oaut": 1}}]
    )
    for fields in wrong:
        with pytest.raises(KlaviyoApiError) as caught:
            read(**fields)
        assert not any(secret in str(caught.value) + repr(caught.value) for secret in SECRETS)


def test_the_redis_of_the_rate_limit_shares_tokens_between_hosts(
    connect_app: ConnectApp, klaviyo: Klaviyo, redis_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    connect_app(oauth_refresh_token=REFRESH_TOKEN, rate_limit={"redis": redis_url})
    for host in ("one", "two"):
        monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / host))
        monkeypatch.setattr(oauth, "_shared", {})
        KlaviyoHook().get_campaign(DRAFT_EMAIL)
    assert refreshes(klaviyo) == 1


def test_without_a_cache_redis_has_no_token(
    connect_app: ConnectApp, klaviyo: Klaviyo, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rate_limit = {"redis": redis_url}
    connect_app(oauth={"refresh_token": REFRESH_TOKEN, "cache": False}, rate_limit=rate_limit)
    for _ in range(2):
        monkeypatch.setattr(oauth, "_shared", {})
        KlaviyoHook().get_campaign(DRAFT_EMAIL)
    assert refreshes(klaviyo) == 2
