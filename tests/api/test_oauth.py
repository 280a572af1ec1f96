"""OAuth tokens: got once for all processes of a host, renewed in time, and shown to nobody."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from airflow_provider_klaviyo.api.aio import KlaviyoAsyncClient
from airflow_provider_klaviyo.api.campaigns import get_account, send_campaign
from airflow_provider_klaviyo.api.client import KlaviyoClient
from airflow_provider_klaviyo.api.client_settings import ClientSettings
from airflow_provider_klaviyo.api.errors import (
    KlaviyoApiError,
    KlaviyoAuthError,
    KlaviyoRateLimitError,
    KlaviyoTransientError,
)
from airflow_provider_klaviyo.api.tokens import TokenFile
from tests.support.oauth import file_in, make
from tests.support.oauth_server import CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, SECRETS, OAuthServer
from tests.support.scripted import Answer, Scripted, cut_unread, http, json_api

pytestmark = pytest.mark.usefixtures("other_process")

PROCESSES = 20

IN_PROCESSES = """
import json, os, sys, time
from pathlib import Path
from airflow_provider_klaviyo.api.oauth import OAuth

url, directory, count, refused = json.loads(sys.argv[1])
at = time.time() + 0.5
pids = []
for _ in range(count):
    if not (pid := os.fork()):
        time.sleep(at - time.time())
        auth = OAuth(
            "Connection 'c'", base_url=url, client_id="the-client-id", client_secret="the-client-secret",
            refresh_token="the-refresh-token", directories=[Path(directory)],
        )
        os._exit(0 if auth.header(refused).startswith("Bearer access-") else 1)
    pids.append(pid)
print(json.dumps([os.waitpid(pid, 0)[1] for pid in pids]))
"""


def client(url: str, *directories: Path) -> KlaviyoClient:
    return KlaviyoClient(ClientSettings(auth=make(url, *directories), base_url=url))


def in_processes(server: OAuthServer, directory: Path, refused: str | None = None, count: int = PROCESSES) -> list[int]:
    """Have that many processes ask for the header at the same time; their exit codes."""
    arguments = json.dumps([server.url, str(directory), count, refused])
    done = subprocess.run([sys.executable, "-c", IN_PROCESSES, arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    codes: list[int] = json.loads(done.stdout)
    return codes


# --- getting and keeping a token -------------------------------------------------------------------------------------


def test_the_token_is_asked_for_with_basic_authentication_and_a_form_and_then_kept(server: OAuthServer) -> None:
    with client(server.url) as klaviyo:
        for _ in range(3):
            assert klaviyo.run(get_account()).id == "AbC123"
    assert server.refreshes == [{"grant_type": "refresh_token", "refresh_token": REFRESH_TOKEN}]
    assert [authorization for _, _, authorization in server.calls] == ["Bearer access-1"] * 3


def test_clients_of_one_process_share_a_token_without_any_file(server: OAuthServer) -> None:
    server.delay = 0.1
    with ThreadPoolExecutor(PROCESSES) as threads:
        headers = set(threads.map(lambda _: make(server.url).header(), range(PROCESSES)))
    assert headers == {"Bearer access-1"}


def test_processes_of_one_host_that_start_together_refresh_once(server: OAuthServer, tmp_path: Path) -> None:
    server.delay = 0.2
    assert in_processes(server, tmp_path / "tokens") == [0] * PROCESSES
    assert len(server.refreshes) == 1


def test_processes_that_are_all_answered_401_refresh_once(server: OAuthServer, tmp_path: Path) -> None:
    refused = make(server.url, tmp_path).header()
    assert in_processes(server, tmp_path, refused) == [0] * PROCESSES
    assert len(server.refreshes) == 2


def test_a_later_process_uses_the_token_of_an_earlier_one(
    server: OAuthServer, tmp_path: Path, other_process: Callable[[], None]
) -> None:
    first = make(server.url, tmp_path).header()
    other_process()
    assert make(server.url, tmp_path).header() == first
    assert len(server.refreshes) == 1


def test_without_files_every_process_gets_its_own(server: OAuthServer, other_process: Callable[[], None]) -> None:
    make(server.url).header()
    other_process()
    make(server.url).header()
    assert len(server.refreshes) == 2


def test_a_token_is_refreshed_shortly_before_its_end(server: OAuthServer, tmp_path: Path) -> None:
    server.lifetime = 2.0
    auth = make(server.url, tmp_path)
    began = time.monotonic()
    while (header := auth.header()) == "Bearer access-1" and time.monotonic() < began + 5:
        time.sleep(0.02)
    assert header == "Bearer access-2"
    assert time.monotonic() - began > 1.6


def test_a_token_of_an_hour_is_not_used_in_its_last_minute(server: OAuthServer, tmp_path: Path) -> None:
    asked = time.time()
    make(server.url, tmp_path).header()
    kept = TokenFile(file_in(tmp_path)).read()
    assert kept is not None
    assert kept.good_until == pytest.approx(asked + 3540, abs=5)


def test_a_token_whose_life_is_not_given_is_used_for_some_minutes(tmp_path: Path) -> None:
    with Scripted(json_api(200, {"access_token": "access-1"})) as klaviyo:
        assert make(klaviyo.url, tmp_path).header() == make(klaviyo.url, tmp_path).header() == "Bearer access-1"
        assert len(klaviyo.requests) == 1
    kept = TokenFile(file_in(tmp_path)).read()
    assert kept is not None
    assert 200 < kept.good_until - time.time() < 300


@pytest.mark.parametrize("changed", ["refresh_token", "secret"])
def test_other_credentials_do_not_get_the_token_of_the_first(server: OAuthServer, tmp_path: Path, changed: str) -> None:
    make(server.url, tmp_path).header()
    with pytest.raises(KlaviyoAuthError):
        make(server.url, tmp_path, **{changed: "another"}).header()


# --- 401 -------------------------------------------------------------------------------------------------------------


def test_a_read_answered_401_is_made_again_with_a_new_token(server: OAuthServer) -> None:
    with client(server.url) as klaviyo:
        klaviyo.run(get_account())
        server.revoke()
        assert klaviyo.run(get_account()).id == "AbC123"
    assert [authorization for _, _, authorization in server.calls] == [
        "Bearer access-1",
        "Bearer access-1",
        "Bearer access-2",
    ]


def test_a_post_answered_401_is_made_again_and_carried_out_once(server: OAuthServer) -> None:
    with client(server.url) as klaviyo:
        klaviyo.settings.auth.header()
        server.revoke()
        klaviyo.run(send_campaign("1"))
    assert (len(server.calls), server.carried_out, len(server.refreshes)) == (2, 1, 2)


async def test_a_post_answered_401_is_made_again_and_carried_out_once_in_an_event_loop(server: OAuthServer) -> None:
    async with KlaviyoAsyncClient(ClientSettings(auth=make(server.url), base_url=server.url)) as klaviyo:
        await klaviyo.settings.auth.aheader()
        server.revoke()
        await klaviyo.run(send_campaign("1"))
    assert (len(server.calls), server.carried_out, len(server.refreshes)) == (2, 1, 2)


def test_a_second_401_is_the_end_of_it(server: OAuthServer) -> None:
    server.refuse_all = True
    with client(server.url) as klaviyo, pytest.raises(KlaviyoAuthError) as caught:
        klaviyo.run(get_account())
    assert caught.value.status == 401
    assert (len(server.calls), len(server.refreshes)) == (2, 2)


async def test_a_second_401_is_the_end_of_it_in_an_event_loop(server: OAuthServer) -> None:
    server.refuse_all = True
    async with KlaviyoAsyncClient(ClientSettings(auth=make(server.url), base_url=server.url)) as klaviyo:
        with pytest.raises(KlaviyoAuthError):
            await klaviyo.run(get_account())
    assert (len(server.calls), len(server.refreshes)) == (2, 2)


# --- a replaced refresh token ----------------------------------------------------------------------------------------


def test_a_replaced_refresh_token_is_used_from_then_on_and_logged(
    server: OAuthServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.rotate = True
    auth = make(server.url)
    for _ in range(3):
        auth.header(refused=auth.header())
    assert [form["refresh_token"] for form in server.refreshes] == [
        REFRESH_TOKEN,
        "rotated-1",
        "rotated-2",
        "rotated-3",
    ]
    told = [record.message for record in caplog.records if "replaced the refresh token" in record.message]
    assert len(told) == 4
    assert all("Connection 'c'" in text and "this process only" in text for text in told)
    assert not any(secret in text for text in told for secret in SECRETS)


def test_a_replaced_refresh_token_is_known_to_other_processes_of_the_host(
    server: OAuthServer, tmp_path: Path, caplog: pytest.LogCaptureFixture, other_process: Callable[[], None]
) -> None:
    server.rotate = True
    refused = make(server.url, tmp_path).header()
    other_process()
    assert make(server.url, tmp_path).header(refused) == "Bearer access-2"
    other_process()
    assert make(server.url, tmp_path).header("Bearer access-2") == "Bearer access-3"
    assert [form["refresh_token"] for form in server.refreshes] == [REFRESH_TOKEN, "rotated-1", "rotated-2"]
    assert str(file_in(tmp_path)) in caplog.text
    assert json.loads(file_in(tmp_path).read_text())["refresh"] == "rotated-3"


def test_a_replaced_refresh_token_that_is_lost_asks_for_a_new_authorisation(
    server: OAuthServer, other_process: Callable[[], None]
) -> None:
    server.rotate = True
    make(server.url).header()
    other_process()
    with pytest.raises(KlaviyoAuthError, match="Authorise the app again") as caught:
        make(server.url).header()
    assert caught.value.code == "invalid_grant"


# --- refusals and failures of the token endpoint ---------------------------------------------------------------------


def test_a_refused_refresh_token_is_asked_for_once_and_says_what_to_do(server: OAuthServer) -> None:
    server.refresh_token = "another"
    with client(server.url) as klaviyo, pytest.raises(KlaviyoAuthError, match="Authorise the app again") as caught:
        klaviyo.run(get_account())
    assert (caught.value.status, caught.value.code) == (400, "invalid_grant")
    assert (len(server.refreshes), server.calls) == (1, [])


def test_a_refused_app_is_asked_for_once_and_says_what_to_check(server: OAuthServer) -> None:
    with pytest.raises(KlaviyoAuthError, match=r"login .* password") as caught:
        make(server.url, secret="wrong").header()
    assert caught.value.code == "invalid_client"
    assert len(server.refreshes) == 1


@pytest.mark.parametrize(
    "answer",
    [
        http(503),
        http(502, b"<html>gateway</html>"),
        http(403, b"<html>blocked</html>"),
        http(200, b"<html>hello</html>"),
        json_api(200, {}),
        json_api(200, {"access_token": "two\r\nlines"}),
        json_api(400, {"errors": []}),
        http(200, b"x" * 1_000_000),
        http(200, b"[" * 60_000),
        http(200, b"{}", length=100),
        cut_unread,
    ],
    ids=[
        "503",
        "502",
        "cdn",
        "html",
        "no token",
        "two lines",
        "other format",
        "too long",
        "nested without end",
        "truncated",
        "connection cut",
    ],
)
def test_no_usable_answer_is_a_passing_failure(answer: Answer) -> None:
    with Scripted(answer, read=answer is not cut_unread) as klaviyo:
        with pytest.raises(KlaviyoTransientError, match="Connection 'c'"):
            make(klaviyo.url).header()
        assert len(klaviyo.requests) == 1


def test_a_redirect_is_not_followed() -> None:
    with (
        Scripted(json_api(200, {"access_token": "stolen"})) as other,
        Scripted(http(307, Location=other.url)) as klaviyo,
    ):
        with pytest.raises(KlaviyoApiError, match="redirect"):
            make(klaviyo.url).header()
        assert (len(klaviyo.requests), other.requests) == (1, [])


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_plain_http_to_this_machine_does_not_go_through_a_proxy(
    server: OAuthServer, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with Scripted(http(502)) as proxy:
        monkeypatch.setenv(name, proxy.url)
        assert make(server.url).header() == "Bearer access-1"
        assert proxy.requests == []


def test_too_many_refreshes_say_when_the_next_may_be() -> None:
    with Scripted(json_api(429, {"error": "x"}, Retry_After="17")) as klaviyo:
        with pytest.raises(KlaviyoRateLimitError) as caught:
            make(klaviyo.url).header()
        assert caught.value.retry_after == 17


def test_a_call_waits_out_a_passing_failure_and_is_carried_out_once(server: OAuthServer, brief_pauses: None) -> None:
    failures = [json_api(429, {}, Retry_After="1"), http(503), cut_unread]
    token = json_api(200, {"access_token": "access-1", "expires_in": 3600})
    job = json_api(200, {"data": {"type": "campaign-send-job", "id": "1", "attributes": {"status": "queued"}}})
    with Scripted(*failures[:2], token, job) as klaviyo, client(klaviyo.url) as calling:
        calling.run(send_campaign("1"))
        paths = [request.split(b" ")[1] for request in klaviyo.requests]
    assert paths == [b"/oauth/token"] * 3 + [b"/api/campaign-send-jobs"]


def test_a_post_does_not_leave_while_there_is_no_token(brief_pauses: None) -> None:
    with Scripted(http(503)) as klaviyo, client(klaviyo.url) as calling:
        with pytest.raises(KlaviyoTransientError):
            calling.run(send_campaign("1"))
        assert {request.split(b" ")[1] for request in klaviyo.requests} == {b"/oauth/token"}


# --- secrets ---------------------------------------------------------------------------------------------------------


def test_no_secret_is_in_a_repr(server: OAuthServer, tmp_path: Path) -> None:
    auth = make(server.url, tmp_path)
    auth.header()
    texts = [
        repr(auth),
        str(auth),
        repr(ClientSettings(auth=auth)),
        repr(auth._shared),
        repr(TokenFile(file_in(tmp_path)).read()),
    ]
    assert not any(secret in text for text in texts for secret in (CLIENT_ID, *SECRETS))


@pytest.mark.parametrize("failure", ["invalid_grant", "invalid_client", "echo", "html", "cut", "second 401"])
def test_no_secret_is_in_an_exception_a_traceback_or_the_log(
    server: OAuthServer, caplog: pytest.LogCaptureFixture, brief_pauses: None, failure: str
) -> None:
    caplog.set_level(logging.DEBUG)
    echo = json_api(400, {"error": REFRESH_TOKEN, "error_description": CLIENT_SECRET})
    answers: dict[str, Answer] = {"echo": echo, "html": http(500, REFRESH_TOKEN.encode()), "cut": cut_unread}
    with Scripted(answers.get(failure, echo), read=failure != "cut") as scripted:
        server.refuse_all = failure == "second 401"
        server.refresh_token = "another" if failure == "invalid_grant" else REFRESH_TOKEN
        url = scripted.url if failure in answers else server.url
        auth = make(url, secret=f"{CLIENT_SECRET}-wrong" if failure == "invalid_client" else CLIENT_SECRET)
        with (
            KlaviyoClient(ClientSettings(auth=auth, base_url=url)) as klaviyo,
            pytest.raises(KlaviyoApiError) as caught,
        ):
            klaviyo.run(get_account())
    texts = [str(caught.value), repr(caught.value), repr(vars(caught.value)), caplog.text]
    texts += traceback.format_exception(caught.value)
    assert not any(secret in text for text in texts for secret in SECRETS)
