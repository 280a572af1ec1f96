"""The sandbox gives access tokens for refresh tokens, and takes them."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from tests.sandbox.sandbox_api import REVISION, STILL

APP = ("client-id", "client-secret")


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with (
        Sandbox(limits=True, speed=STILL, strict=True) as running,
        httpx.Client(base_url=running.url, headers={"revision": REVISION}, timeout=10) as client,
    ):
        yield client


def refresh(http: httpx.Client, token: str = "any", app: tuple[str, str] = APP, **form: str) -> httpx.Response:
    return http.post("/oauth/token", data={"grant_type": "refresh_token", "refresh_token": token, **form}, auth=app)


def status_of(http: httpx.Client, access_token: str) -> int:
    return http.get("/api/accounts", headers={"Authorization": f"Bearer {access_token}"}).status_code


def test_an_access_token_opens_the_api_for_an_hour(http: httpx.Client) -> None:
    answer = refresh(http)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/json")
    told = answer.json()
    assert (told["token_type"], told["expires_in"], told["refresh_token"]) == ("Bearer", 3600, "any")
    assert status_of(http, told["access_token"]) == 200
    http.post("/sandbox/clock", json={"advance": 3601})
    assert status_of(http, told["access_token"]) == 401


def test_an_older_access_token_holds_beside_a_new_one(http: httpx.Client) -> None:
    first, second = refresh(http).json()["access_token"], refresh(http).json()["access_token"]
    assert first != second
    assert status_of(http, first) == 200


@pytest.mark.parametrize(
    ("token", "app", "form", "status", "error"),
    [
        ("invalid", APP, {}, 400, "invalid_grant"),
        ("any", ("client-id", "invalid"), {}, 401, "invalid_client"),
        ("any", ("", ""), {}, 401, "invalid_client"),
        ("", APP, {}, 400, "invalid_request"),
        ("any", APP, {"grant_type": "client_credentials"}, 400, "unsupported_grant_type"),
    ],
)
def test_a_refusal_is_told_as_oauth_does(
    http: httpx.Client, token: str, app: tuple[str, str], form: dict[str, str], status: int, error: str
) -> None:
    answer = refresh(http, token, app, **form)
    assert (answer.status_code, answer.json()["error"]) == (status, error)


def test_a_request_without_authentication_or_form_is_refused(http: httpx.Client) -> None:
    assert http.post("/oauth/token", data={"grant_type": "refresh_token"}).json()["error"] == "invalid_client"
    assert http.post("/oauth/token", json={}, auth=APP).json()["error"] == "invalid_request"


def test_a_refresh_token_for_one_refresh_is_replaced(http: httpx.Client) -> None:
    replaced = refresh(http, "once").json()["refresh_token"]
    assert refresh(http, "once").json()["error"] == "invalid_grant"
    assert refresh(http, replaced).status_code == 200


def test_an_app_may_refresh_ten_times_a_minute(http: httpx.Client) -> None:
    answers = [refresh(http) for _ in range(21)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused, "10 in a minute, and 20 where a new minute begins"
    assert 0 < int(refused[0].headers["Retry-After"]) <= 60
    assert refresh(http, app=("other-app", "secret")).status_code == 200


def test_a_made_up_access_token_is_refused(http: httpx.Client) -> None:
    assert status_of(http, "made-up") == 401


def test_a_reset_ends_all_tokens(http: httpx.Client) -> None:
    access = refresh(http).json()["access_token"]
    http.post("/sandbox/reset")
    assert status_of(http, access) == 401


def test_the_request_log_shows_a_refresh_but_no_credential(http: httpx.Client) -> None:
    access = refresh(http, "the-refresh-token").json()["access_token"]
    log = http.get("/sandbox/requests")
    assert [(entry["path"], entry["status"]) for entry in log.json()] == [("/oauth/token", 200)]
    assert not any(secret in log.text for secret in (access, "the-refresh-token", *APP))
