"""What the two transports make of answers that no sane server gives. Real sockets; one table for both."""

from __future__ import annotations

import logging
import pickle
import socket
import threading
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from airflow_provider_klaviyo.api import retry
from airflow_provider_klaviyo.api.calls import Call, call, paginate
from airflow_provider_klaviyo.api.errors import (
    KlaviyoAmbiguousWriteError,
    KlaviyoApiError,
    KlaviyoAuthError,
    KlaviyoConflictError,
    KlaviyoNotFoundError,
    KlaviyoRateLimitError,
    KlaviyoTransientError,
    KlaviyoValidationError,
)
from airflow_provider_klaviyo.api.request import Departure, departing
from tests.support.scripted import Answer, Scripted, cut_unread, error, hang, http, json_api, reset
from tests.support.transports import SECRET, TRANSPORTS, get, post, settings

READ_TIMEOUT = 0.2
OK = json_api(200, {"data": {"type": "campaign", "id": "C1", "attributes": {"status": "Draft"}}})
CDN = http(403, b"<html><h1>Access denied</h1> cf-ray 123</html>", Content_Type="text/html")

Run = Callable[[str, Call[Any]], Any]
pytestmark = pytest.mark.usefixtures("brief_pauses")


@pytest.fixture(params=TRANSPORTS)
def run(request: pytest.FixtureRequest) -> Run:
    """Makes one call."""
    return lambda url, made: TRANSPORTS[request.param](settings(url, READ_TIMEOUT, connect_timeout=10), made)[0]


def patch() -> Call[Any]:
    return call("update_campaign", path_params={"id": "C1"}, body={"data": {}})


def failure(run: Run, url: str, made: Call[Any]) -> KlaviyoApiError:
    with pytest.raises(KlaviyoApiError) as caught:
        run(url, made)
    return caught.value


ODD: dict[str, Answer] = {
    "HTML 403 of a CDN": CDN,
    "404 that is not Klaviyo's": http(404, b"<html>nothing here</html>"),
    "500": error(500),
    "503": error(503),
    "504 of a gateway": http(504, b"<html>gateway</html>"),
    "10 MB error body": http(500, b"x" * 10_000_000),
    "10 MB error in Klaviyo's format": error(500, "y" * 10_000_000),
    "truncated body": http(200, b'{"data": {"type"', claims=5_000),
    "not HTTP": b"220 mail.example.com ESMTP\r\n",
    "body that is not JSON": http(200, b"<<< this is not JSON"),
    "body that is not an object": http(200, b"[1, 2]"),
    "broken compression": http(200, b"not gzip", Content_Encoding="gzip"),
    "hang": hang,
    "reset after the request": reset,
}


EMPTY: dict[str, Answer] = {
    "nothing at all": b"",
    "a head cut short": b"HTTP/1.1 200 OK\r\nContent-Le",
    "200 without a body": http(200),
}


@pytest.mark.parametrize("answer", [*ODD.values(), *EMPTY.values()], ids=[*ODD.keys(), *EMPTY.keys()])
def test_a_read_without_a_usable_answer_is_repeated_and_then_transient(run: Run, answer: Answer) -> None:
    with Scripted(answer) as server:
        found = failure(run, server.url, get())
    assert type(found) is KlaviyoTransientError
    assert "get_campaign (GET /api/campaigns/C1)" in str(found)
    assert len(server.requests) == retry.ATTEMPTS


@pytest.mark.parametrize("answer", ODD.values(), ids=ODD.keys())
def test_a_post_without_a_usable_answer_is_ambiguous_and_never_repeated(run: Run, answer: Answer) -> None:
    with Scripted(answer) as server:
        found = failure(run, server.url, post())
    assert type(found) is KlaviyoAmbiguousWriteError
    assert "not known" in str(found)
    assert len(str(found)) < 2_000
    assert len(server.requests) == 1


@pytest.mark.parametrize("answer", [error(503), reset, hang], ids=["503", "reset", "hang"])
@pytest.mark.parametrize("made", [get, patch], ids=["GET", "PATCH"])
def test_what_may_be_repeated_succeeds_once_the_server_does(
    run: Run, made: Callable[[], Call[Any]], answer: Answer
) -> None:
    with Scripted(answer, answer, OK) as server:
        assert run(server.url, made()).resource.id == "C1"
    assert len(server.requests) == 3


def test_a_connection_cut_before_the_request_was_read_is_ambiguous_for_a_post(run: Run) -> None:
    with Scripted(cut_unread, read=False) as server:
        found = failure(run, server.url, post())
    assert isinstance(found, KlaviyoAmbiguousWriteError)
    assert len(server.requests) == 1


def test_a_refused_connection_sent_nothing_so_a_post_is_transient_and_repeated(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    found = failure(run, f"http://127.0.0.1:{port}", post())
    assert type(found) is KlaviyoTransientError
    assert "othing was sent" in str(found)
    assert sum("Trying again" in record.getMessage() for record in caplog.records) == retry.ATTEMPTS - 1


def test_a_post_is_made_once_the_refusing_server_listens(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = Scripted(OK)
    late: list[Scripted] = []

    def listen() -> None:
        server._listener.close()
        server._listener = socket.create_server(("127.0.0.1", port))
        late.append(server.__enter__())

    timer = threading.Timer(0.02, listen)
    timer.start()
    try:
        assert run(f"http://127.0.0.1:{port}", post()).status == 200
    finally:
        timer.join()
        late[0].__exit__(None, None, None)
    assert len(server.requests) == 1


def test_a_post_that_comes_too_late_to_its_turn_does_not_leave(run: Run) -> None:
    departure = Departure(time.time() - 1)
    with Scripted(OK) as server:
        found = failure(run, server.url, departing(post(), departure))
    assert not departure.has_left
    assert type(found) is KlaviyoTransientError
    assert "othing was sent" in str(found)
    assert server.requests == []


@pytest.mark.parametrize("made", [get, patch], ids=["GET", "PATCH"])
def test_what_may_be_repeated_is_never_too_late(run: Run, made: Callable[[], Call[Any]]) -> None:
    with Scripted(OK) as server:
        assert run(server.url, departing(made(), Departure(time.time() - 1))).status == 200


def test_a_post_repeated_until_it_is_too_late_is_repeated_no_more(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "pause", lambda _: 0.4)
    throttled = error(429, "Expected available in 0 seconds.")
    with Scripted(*[throttled] * 10) as server:
        found = failure(run, server.url, departing(post(), Departure(time.time() + 0.6)))
    assert type(found) is KlaviyoTransientError
    assert 1 <= len(server.requests) < retry.ATTEMPTS


FATAL: dict[str, tuple[bytes, type[KlaviyoApiError], str]] = {
    "400": (error(400, "bad", code="invalid", pointer="/data/id"), KlaviyoValidationError, "bad"),
    "401": (error(401, "The API key specified is invalid."), KlaviyoAuthError, "connection's password"),
    "403": (error(403, "no permission"), KlaviyoAuthError, "scope campaigns:"),
    "404": (error(404, "does not exist"), KlaviyoNotFoundError, "does not exist"),
    "409": (error(409, "wrong state"), KlaviyoConflictError, "wrong state"),
    "410": (error(410, "gone"), KlaviyoValidationError, "newer 'revision'"),
}


@pytest.mark.parametrize("made", [get, patch, post], ids=["GET", "PATCH", "POST"])
@pytest.mark.parametrize(("answer", "kind", "words"), FATAL.values(), ids=FATAL.keys())
def test_a_refusal_is_raised_at_once_with_its_facts(
    run: Run, made: Callable[[], Call[Any]], answer: bytes, kind: type[KlaviyoApiError], words: str
) -> None:
    with Scripted(answer) as server:
        found = failure(run, server.url, made())
    assert type(found) is kind
    assert words in str(found)
    assert found.status == int(answer.split()[1])
    if b"errors" in answer:
        assert found.request_id == "req-1"
        assert "request id req-1" in str(found)
    if found.status == 400:
        assert (found.code, found.pointer) == ("invalid", "/data/id")
    assert len(server.requests) == 1


def in_seconds(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


WAITS: dict[str, tuple[Callable[[], str | None], float]] = {
    "number": (lambda: "3", 3.0),
    "date": (lambda: in_seconds(30), 30.0),
    "past date": (lambda: in_seconds(-86_400), 0.0),
    "missing": (lambda: None, 1.0),
    "nonsense": (lambda: "soon", 1.0),
    "negative": (lambda: "-5", 0.0),
    "not a number": (lambda: "nan", 0.0),
    "infinite": (lambda: "inf", 1.0),
    "larger than any number": (lambda: "1e400", 1.0),
}


@pytest.mark.parametrize(("header", "seconds"), WAITS.values(), ids=WAITS.keys())
@pytest.mark.parametrize("made", [get, post], ids=["GET", "POST"])
def test_a_429_is_waited_out_and_repeated_a_post_too(
    run: Run,
    made: Callable[[], Call[Any]],
    header: Callable[[], str | None],
    seconds: float,
    caplog: pytest.LogCaptureFixture,
) -> None:
    throttled = error(429, "throttled", **({"Retry-After": text} if (text := header()) else {}))
    with Scripted(throttled, OK) as server:
        assert run(server.url, made()).status == 200
    assert len(server.requests) == 2
    told = next(record.getMessage() for record in caplog.records if "again in" in record.getMessage())
    said = float(told.split("again in ")[1].split(" s.")[0])
    assert said == pytest.approx(seconds, abs=2)


@pytest.mark.parametrize("header", ["9" * 400, "99999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_429_for_longer_than_a_day_counts_as_a_day(run: Run, header: str) -> None:
    with Scripted(error(429, "daily limit", Retry_After=header)) as server:
        found = failure(run, server.url, post())
    assert type(found) is KlaviyoRateLimitError
    assert found.retry_after == 86_400
    assert len(server.requests) == 1


@pytest.mark.parametrize("header", ["61", "67608"])
def test_a_429_for_longer_than_a_worker_should_sleep_is_raised_with_its_time(run: Run, header: str) -> None:
    with Scripted(error(429, "daily limit", Retry_After=header)) as server:
        found = failure(run, server.url, post())
    assert type(found) is KlaviyoRateLimitError
    assert found.retry_after == float(header)
    assert len(server.requests) == 1


def test_a_429_is_never_repeated_before_the_time_that_klaviyo_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pauses of these tests are scaled down; this one looks at the real ones."""
    from tenacity import Future, RetryCallState

    monkeypatch.undo()
    state = RetryCallState(None, None, (), {})  # type: ignore[arg-type]
    outcome = Future(1)
    outcome.set_exception(KlaviyoRateLimitError("x", retry_after=7.0))
    state.outcome = outcome
    assert all(7.0 <= retry.pause(state) <= 8.0 for _ in range(200))


# --- pages ------------------------------------------------------------------------------------------------------------


def page(number: int, following: str | None) -> bytes:
    data = [{"type": "list", "id": f"L{number}", "attributes": {}}]
    return json_api(200, {"data": data, "links": {"next": following}})


def test_pages_are_followed_by_the_servers_own_links(run: Run) -> None:
    with Scripted() as server:
        server.answers = [page(1, f"{server.url}/api/lists?page%5Bcursor%5D=a"), page(2, "/api/lists?b"), page(3, None)]
        found = run(server.url, paginate("get_lists", query={"page[size]": 1}))
    assert [resource.id for resource in found] == ["L1", "L2", "L3"]
    assert b"GET /api/lists?page%5Bcursor%5D=a HTTP" in server.requests[1]


ASTRAY = {
    "another host": "http://{other}/api/lists?page=2",
    "another scheme": "https://{here}/api/lists?page=2",
    "no scheme": "//{other}/api/lists",
    "user name": "http://{here}@{other}/api/lists",
    "no URL": "http://[::1",
    "a file": "file:///etc/passwd",
}


@pytest.mark.parametrize("link", ASTRAY.values(), ids=ASTRAY.keys())
def test_a_link_to_another_host_is_not_followed_and_the_key_does_not_go_there(run: Run, link: str) -> None:
    with Scripted(OK) as other, Scripted() as here:
        following = link.format(other=other.url.removeprefix("http://"), here=here.url.removeprefix("http://"))
        here.answers = [page(1, following)]
        found = failure(run, here.url, paginate("get_lists"))
    assert len(here.requests) == 1
    assert other.requests == []
    assert SECRET not in str(found)


def test_a_redirect_is_not_followed_and_the_key_does_not_go_there(run: Run) -> None:
    with Scripted(OK) as other, Scripted(http(307, Location="")) as here:
        here.answers = [http(307, Location=f"{other.url}/api/campaigns/C1")]
        failure(run, here.url, get())
    assert other.requests == []


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_plain_http_to_this_machine_does_not_go_through_a_proxy(
    run: Run, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plain http is allowed to this machine only: a proxy elsewhere would read the key in the clear."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with Scripted(OK) as proxy, Scripted(OK) as here:
        monkeypatch.setenv(variable, proxy.url)
        run(here.url, get())
    assert proxy.requests == []
    assert len(here.requests) == 1


def test_a_netrc_file_does_not_replace_the_key(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password other\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with Scripted(OK) as server:
        run(server.url, get())
    assert f"authorization: klaviyo-api-key {SECRET}".encode() in server.requests[0].lower()


# --- what is sent -----------------------------------------------------------------------------------------------------


def test_both_transports_send_the_same(caplog: pytest.LogCaptureFixture) -> None:
    def heads(transport: str, made: Callable[[], Call[Any]]) -> dict[str, str]:
        with Scripted(OK) as server:
            TRANSPORTS[transport](settings(server.url, connect_timeout=10), made())
        head, _, body = server.requests[0].decode().partition("\r\n\r\n")
        lines = head.split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        of_the_library = ("host", "accept-encoding", "connection", "transfer-encoding")
        return {"line": lines[0], "body": body, **{k: v for k, v in headers.items() if k not in of_the_library}}

    for made in (get, patch, post):
        sent = heads("requests", made)
        assert sent == heads("httpx", made)
        assert sent["revision"] == "2026-04-15"
        assert sent["x-klaviyo-revision-fall-forward-opt-out"] == "1"
        assert sent["authorization"] == f"Klaviyo-API-Key {SECRET}"
        assert sent["accept"] == "application/vnd.api+json"
        assert sent["user-agent"].startswith("airflow-provider-klaviyo/")
        assert ("content-type" in sent) == (made is not get)


@pytest.mark.parametrize("status", [200, 201, 202, 203, 206, 299])
def test_any_2xx_with_its_document_is_success_whatever_status_is_documented(run: Run, status: int) -> None:
    with Scripted(json_api(status, {"data": {"type": "campaign-send-job", "id": "C1"}})) as server:
        assert run(server.url, post()).status == status


@pytest.mark.parametrize("status", [200, 201, 202, 203, 204, 206, 299])
def test_any_2xx_is_success_where_no_document_is_published(run: Run, status: int) -> None:
    with Scripted(http(status)) as server:
        assert run(server.url, call("tag_campaigns", path_params={"id": "T1"}, body={"data": []})).status == status


def test_another_revision_than_asked_is_logged(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    answer = json_api(200, {"data": []}, **{"x-klaviyo-api-revision": "2026-07-15"})
    with Scripted(answer) as server:
        run(server.url, get())
    assert "2026-07-15" in caplog.text


# --- the secret -------------------------------------------------------------------------------------------------------


SAMPLE = [CDN, ODD["10 MB error in Klaviyo's format"], ODD["truncated body"], ODD["broken compression"], hang, reset]


@pytest.mark.parametrize("answer", [*SAMPLE, error(401), error(400), error(429, "x", Retry_After="999")])
def test_the_key_is_in_no_error_no_traceback_no_pickle_and_no_log(
    run: Run, answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with Scripted(answer) as server:
        found = failure(run, server.url, post())
    assert SECRET.encode() in server.requests[0]
    told = "".join(traceback.format_exception(found)) + repr(found) + str(found) + caplog.text
    assert SECRET not in told
    assert SECRET.encode() not in pickle.dumps(found)
    back = pickle.loads(pickle.dumps(found))
    assert (type(back), str(back), back.__dict__) == (type(found), str(found), found.__dict__)
    assert SECRET not in repr(settings(server.url))
