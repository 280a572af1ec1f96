"""The request log: what it has of requests and answers, what it never has, and how it stays small."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from airflow_provider_klaviyo.sandbox import journal as log
from airflow_provider_klaviyo.sandbox.cli import main
from airflow_provider_klaviyo.sandbox.discretion import Discretion
from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from airflow_provider_klaviyo.sandbox.journal import Entry, Journal
from tests.sandbox.sandbox_api import STILL, Api

SECRET = "pk_a_made_up_secret"


def last(api: Api) -> dict[str, Any]:
    return api.requests()[-1]


def filled(journal: Journal, rows: int, length: int = 1000) -> Journal:
    """A journal with rows whose bodies and answers hardly get smaller when compressed."""
    for number in range(rows):
        text = "".join(chr(33 + (number * 7919 + place * place * 31) % 90) for place in range(length))
        without = Discretion()
        entry = journal.begin(Entry(None, "POST", "/api/x", query={"q": "v"}), {}, {"text": text}, without=without)
        journal.end(entry, json.dumps({"text": text}).encode(), {"Cid": "A"}, without=without)
    return journal


def test_a_row_has_the_request_and_its_answer(api):
    campaign_id, _ = api.create("Logged", template=None)
    row = last(api)
    assert row["headers"] == {
        "accept": "*/*",
        "user-agent": api.http.headers["user-agent"],
        "revision": "2026-04-15",
        "content-type": "application/json",
        "content-length": row["headers"]["content-length"],
    }
    assert row["body"]["data"]["attributes"]["name"] == row["answer"]["data"]["attributes"]["name"] == "Logged"
    assert row["answer"]["data"]["id"] == campaign_id
    assert row["answer_headers"]["x-klaviyo-req-id"] == row["request_id"]
    assert row["answer_headers"]["content-type"].startswith("application/vnd.api+json")
    assert (row["rule"], row["forgotten"]) == (None, False)


def test_a_refusal_has_its_reason_in_the_log(api):
    api.get("/api/campaigns/nope")
    assert "nope" in last(api)["answer"]["errors"][0]["detail"]
    api.http.get("/api/accounts", headers={"Host": "a b"})
    assert last(api)["answer"]["errors"][0]["detail"] == "The Host header is not a host."


@pytest.mark.parametrize(
    ("fault", "settings", "answer"),
    [
        ("garbage", {}, "<<< this is not JSON"),
        ("status_before_commit", {"status": 504}, "<html><body><h1>504</h1><p>gateway</p></body></html>"),
        ("drop_before_commit", {}, None),
        ("drop_after_commit", {}, None),
    ],
)
def test_a_fault_is_there_with_all_its_fields_and_with_what_was_answered(api, fault, settings, answer):
    api.fault(operation="get_lists", fault=fault, **settings)
    try:
        api.get("/api/lists")
    except Exception:
        assert fault.startswith("drop")
    assert api.fired() == [1]
    row = last(api)
    assert (row["fault"], row["answer"]) == (fault, answer)
    assert row["rule"].items() >= {"operation": "get_lists", "fault": fault, "times": 1, "fired": 1, **settings}.items()
    assert None not in row["rule"].values()


def test_an_answer_without_a_body_is_null(api):
    campaign_id, _ = api.create()
    assert api.send("DELETE", f"/api/campaigns/{campaign_id}").status_code == 204
    assert last(api)["answer"] is None
    assert last(api)["answer_headers"]["cid"]


def test_of_a_long_body_and_a_long_answer_only_the_length_is_kept(api):
    html = "<p>" + "x" * log.LOGGED
    attributes = {"name": "Long", "editor_type": "CODE", "html": html}
    assert api.send("POST", "/api/templates", {"data": {"type": "template", "attributes": attributes}}).is_success
    row = last(api)
    assert row["body"]["omitted_bytes"] > log.LOGGED < row["answer"]["omitted_bytes"]


def test_one_row_is_read_by_its_number(api):
    api.create("First", template=None)
    api.get("/api/lists")
    for row in api.requests():
        found = api.http.get(f"/sandbox/requests/{row['number']}")
        assert (found.status_code, found.json()) == (200, row)
    for gone in ("0", "3", "9" * 18):
        answer = api.http.get(f"/sandbox/requests/{gone}")
        assert (answer.status_code, gone in answer.json()["error"]) == (404, True)
    for wrong in ("x", "-1", "1.0", "%D9%A3", "1e3", "9" * 5000, "%00", "<b>"):
        answer = api.http.get(f"/sandbox/requests/{wrong}")
        assert (answer.status_code, "number" in answer.json()["error"]) == (400, True)


def test_those_that_came_since_are_read_alone(api, monkeypatch):
    def since(number: int) -> list[int]:
        rows = api.http.get("/sandbox/requests", params={"after": number}).json()
        return [row["number"] for row in rows]

    assert since(0) == since(7) == []
    for _ in range(3):
        api.get("/api/lists")
    assert [since(number) for number in (0, 1, 2, 3, 4)] == [[1, 2, 3], [2, 3], [3], [], []]
    monkeypatch.setattr(log, "KEPT", 3)
    api.get("/api/lists")
    assert [since(number) for number in (0, 1, 3)] == [[2, 3, 4], [2, 3, 4], [4]]
    for number in ("-1", "x", "", "9" * 19):
        refused = api.http.get("/sandbox/requests", params={"after": number})
        assert (refused.status_code, "not the number of a request" in refused.json()["error"]) == (400, True)


def test_no_credential_is_in_the_log_wherever_it_was_sent(api):
    api.http.headers["authorization"] = f"Klaviyo-API-Key {SECRET}"
    api.http.headers["cookie"] = "session=a-made-up-cookie"
    api.http.headers["x-klaviyo-api-key"] = "a-made-up-header"
    api.http.headers["user-agent"] = f"me/1 {SECRET}"
    api.create(f"Sale {SECRET}", template=None)
    api.get(f"/api/lists/{SECRET}")
    api.get(f"/api/{SECRET}/nope", api_key="a-made-up-key", access_token="a-made-up-token")
    api.query("/api/lists", {"filter": f"equals(name,'{SECRET}_2')"})
    api.get("/api/lists", **{"filter": 'equals(name,"pk_0123456789abcdef0123456789abcdef01")'})
    rows = api.http.get("/sandbox/requests").text
    state = json.dumps(api.http.get("/sandbox/state").json()["requests"])
    assert len(api.requests()) == 5
    for secret in (SECRET, "0123456789abcdef", "a-made-up"):
        assert secret not in rows
        assert secret not in state
    assert api.requests()[0]["body"]["data"]["attributes"]["name"] == "Sale …"


def test_an_access_token_is_not_in_the_log(api):
    form = {"grant_type": "refresh_token", "refresh_token": "the-refresh-token"}
    del api.http.headers["authorization"]
    token = api.http.post("/oauth/token", data=form, auth=("my-app", "my-app-secret")).json()["access_token"]
    api.http.headers["authorization"] = f"Bearer {token}"
    assert api.get("/api/accounts").status_code == 200
    api.get("/api/accounts", access_token=token)
    api.create(token, template=None)
    rows = api.http.get("/sandbox/requests").text
    assert not any(secret in rows for secret in (token, "the-refresh-token", "my-app-secret"))
    refresh = api.requests()[0]
    assert refresh["answer"] == {
        "access_token": "…",
        "token_type": "Bearer",
        "expires_in": 3600,
        "refresh_token": "…",
    }
    assert refresh["body"] is None


@pytest.mark.parametrize(
    "credential", ["12345678", "answer_headers", "headers", 'null, "x": [', "false, {}", "\\u0041\\\\"]
)
def test_a_credential_that_looks_like_a_part_of_the_log_does_not_break_it(api, credential):
    api.http.headers["authorization"] = f"Bearer {credential}"
    body = {"data": {"answer_headers": 12345678, "headers": [12345678.5, credential]}}
    api.send("POST", "/api/campaigns", body)
    row = last(api)
    assert row["answer_headers"]["cid"]
    assert row["body"]["data"]["headers"][0] == 12345678.5
    assert len(credential) < 8 or credential not in row["body"]["data"]["headers"]


def test_what_is_no_text_is_in_the_log_as_text(api):
    parts = urlsplit(api.url)
    for line, body in (
        (b"POST /api/%ff%fe%00 HTTP/1.1", b""),
        (b"POST /api/campaigns HTTP/1.1", b'{"a": "\\ud800"}'),
        (b"POST /api/campaigns HTTP/1.1", b"\xff"),
        (b"GET /api/accounts?q=%ff%00 HTTP/1.1", b""),
    ):
        with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
            head = b"\r\nHost: 127.0.0.1\r\nUser-Agent: \xff\xe9\r\nRevision: 2026-04-15\r\nConnection: close\r\n"
            head += b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
            connection.sendall(line + head + body)
            while connection.recv(4096):
                pass
    rows = api.requests()
    assert [row["headers"]["user-agent"] for row in rows] == ["ÿé"] * 4
    json.dumps(rows, ensure_ascii=False).encode()


def test_while_the_log_is_read_others_are_answered(connect, monkeypatch):
    """Not a matter of speed: the log does not end before another request has been answered."""
    begun, answered = threading.Event(), threading.Event()
    with Sandbox(limits=False, speed=STILL) as running, ThreadPoolExecutor(1) as reader:
        journal = filled(running._server.journal, 120)
        pieces = journal.pieces

        def held(rows: int, **given: int) -> Iterator[bytes]:
            for piece in pieces(rows, **given):
                yield piece
                begun.set()
                while not answered.is_set():
                    yield b" "

        monkeypatch.setattr(journal, "pieces", held)
        reading = reader.submit(httpx.get, f"{running.url}/sandbox/requests", timeout=30)
        assert begun.wait(10)
        try:
            assert connect(running.url).get("/api/accounts").status_code == 200
        finally:
            answered.set()
        assert len(reading.result().json()) == 120


def test_a_piece_has_so_many_rows_and_is_made_when_it_is_asked_for():
    journal = filled(Journal(), 7, length=10)
    pieces = journal.pieces(3)
    first = next(pieces)
    journal.clear()
    filled(journal, 1)
    rows = json.loads(first + b"".join(pieces))
    assert [row["number"] for row in rows] == [1, 2, 3, 4, 5, 6, 7]
    assert [row["forgotten"] for row in rows] == [False] * 3 + [True] * 4
    assert json.loads(b"".join(Journal().pieces(3))) == []


def test_beyond_the_budget_the_oldest_rows_lose_what_they_held():
    journal = filled(Journal(budget=20_000), 100)
    rows = json.loads(b"".join(journal.pieces(50)))
    assert len(rows) == 100
    forgotten = [row["forgotten"] for row in rows]
    assert forgotten == sorted(forgotten, reverse=True)
    assert 0 < forgotten.count(False) < 100
    assert rows[0].keys() == rows[-1].keys()
    nothing = {"query": {}, "ids": [], "headers": {}, "body": None, "rule": None, "answer": None, "answer_headers": {}}
    assert rows[0].items() >= nothing.items()
    assert rows[-1]["answer"] == rows[-1]["body"] != {}
    assert sum(entry._size() for entry in islice(journal.newest_first(), forgotten.count(False))) <= 20_000


def test_a_row_that_alone_is_beyond_the_budget_is_forgotten_at_once():
    assert [entry.forgotten for entry in filled(Journal(budget=100), 3).newest_first()] == [True] * 3


def test_an_answer_that_comes_after_its_row_was_forgotten_or_dropped_is_not_kept(monkeypatch):
    monkeypatch.setattr(log, "KEPT", 5)
    journal = Journal()
    early = journal.begin(Entry(None, "GET", "/api/x"), {}, without=Discretion())
    filled(journal, 7, length=10)
    assert [entry.number for entry in journal.newest_first()] == [8, 7, 6, 5, 4]
    assert journal.find(1) is None is journal.find(3)
    assert (journal.find(4) or early).number == 4
    journal.end(early, b"{}", {}, without=Discretion())
    assert early.answer is None
    kept = journal._bytes
    journal.clear()
    assert kept > 0 == journal._bytes


def test_a_replay_says_that_a_row_was_forgotten(api, tmp_path, capsys):
    api.create("Kept", template=None)
    rows = api.requests()
    file = tmp_path / "log.json"
    file.write_text(json.dumps([{**rows[0], "forgotten": True, "body": None}, rows[0]]))
    assert main(["replay", str(file), "--json"]) == 1
    forgotten, kept = json.loads(capsys.readouterr().out)
    assert (forgotten["now"], "forgotten" in forgotten["why"]) == (None, True)
    assert (kept["now"], kept["why"]) == (201, "")


def test_the_command_prints_the_log_that_a_replay_reads(api, tmp_path, capsys):
    api.create("Printed")
    assert main(["requests", "--url", api.url, "--json"]) == 0
    file = tmp_path / "log.json"
    file.write_text(capsys.readouterr().out)
    assert json.loads(file.read_text())[0]["answer"]["data"]["type"] == "campaign"
    assert main(["replay", str(file)]) == 0


def test_a_campaigns_calls_are_found_by_a_name_that_json_escapes(api):
    campaign_id, _ = api.create('Sälé "now"')
    api.query("/api/campaigns", {"filter": f"equals(id,'{campaign_id}')"})
    calls = api.get("/sandbox/state", open=campaign_id).json()["campaign"]["calls"]["shown"]
    assert [call["operation"] for call in calls] == [
        "get_campaigns",
        "assign_template_to_campaign_message",
        "create_campaign",
    ]
