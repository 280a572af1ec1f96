"""Request lines and headers that no client should send: each is answered 4xx, and nothing of it is kept."""

from __future__ import annotations

import base64
import gzip
import json
import socket

import pytest

from tests.sandbox.hostile import JSON, KEY
from tests.sandbox.sandbox_api import REVISION
from tests.sandbox.sandbox_api import campaign as campaign_body

LINES = [b"GET /", b"GET /sandbox/state", b"GET /api/accounts", b"POST /sandbox/reset", b"GET /page/main.js"]
HOSTS = [b"[", b"[::1", b"a b", b"127.0.0.1:port", b"127.0.0.1:99999", b"127.0.0.1/..", b"evil@127.0.0.1", b"\xff"]
HOSTS += [
    b"",
    b"]",
    b"[]",
    b"127.0.0.1:80:80",
    b"[127.0.0.1",
    b"::1",
    "\uff4cocalhost".encode(),
    b"a\\b",
    b"%",
    b"[v1.x]x",
]


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("host", HOSTS)
def test_a_host_that_is_no_host_is_refused(target, line, host):
    before = target.kept()
    assert 400 <= target.raw(line, KEY, host=b"Host: " + host + b"\r\n") < 500
    assert target.kept() == before


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("origin", [b"http://[", b"http://[::1", b"http://a]b", b"http://\xff/", b"http://127.0.0.1:x"])
def test_an_origin_that_is_no_origin_is_refused(target, line, origin):
    before = target.kept()
    assert 400 <= target.raw(line, KEY + b"Origin: " + origin + b"\r\n") < 500
    assert target.kept() == before


@pytest.mark.parametrize("origin", [b"null", b"", b"http://evil.example.com", b"file://", b"*"])
def test_a_control_answers_to_no_other_origin_and_the_api_does_not_care(target, origin):
    assert target.raw(b"POST /sandbox/reset", b"Origin: " + origin + b"\r\n") == 403
    assert target.raw(b"GET /api/accounts", KEY + b"Origin: " + origin + b"\r\n") == 200


@pytest.mark.parametrize(
    "value", [b"Basic \xff", "Basic é".encode(), b"Bearer \xff", b"Klaviyo-API-Key pk_\xff", b"\xff"]
)
def test_a_credential_of_any_bytes_is_judged(target, value):
    header = b"Authorization: " + value + b"\r\n"
    api = target.raw(b"GET /api/accounts", header + f"revision: {REVISION}\r\n".encode())
    assert api == (200 if b"pk_" in value else 401)
    form = b"grant_type=refresh_token&refresh_token=a"
    token = header + b"Content-Type: application/x-www-form-urlencoded\r\n"
    assert target.raw(b"POST /oauth/token", token, form) == 401


@pytest.mark.parametrize("coding", [b"gzip", b"deflate", b"br", b"zstd", b"gzip, gzip", b"\xff", b"none", b"identity"])
@pytest.mark.parametrize("line", [b"POST /api/campaigns", b"POST /sandbox/clock", b"POST /sandbox/faults"])
def test_a_body_that_is_not_in_its_content_encoding_is_refused(target, line, coding):
    before = target.kept()
    headers = KEY + JSON + b"Content-Encoding: " + coding + b"\r\n"
    assert 400 <= target.raw(line, headers, b"this is not compressed") < 500
    assert target.kept() == before


@pytest.mark.parametrize("line", [b"POST /api/campaigns", b"POST /sandbox/clock", b"POST /oauth/token"])
def test_a_body_that_unpacks_to_more_than_is_allowed_is_refused(target, line):
    before = target.kept()
    bomb = gzip.compress(b" " * 80_000_000)
    headers = KEY + JSON + b"Content-Encoding: gzip\r\n"
    assert target.raw(line, headers, bomb) in (400, 413)
    assert target.kept() == before


def test_a_body_that_is_packed_well_is_read(target):
    packed = gzip.compress(json.dumps(campaign_body("Packed")).encode())
    assert target.raw(b"POST /api/campaigns", KEY + JSON + b"Content-Encoding: gzip\r\n", packed) == 201


@pytest.mark.parametrize(
    "kind", [b"\xff", b"application/json; charset=nonsense", b"application/json; charset=\xff", b"/"]
)
def test_a_content_type_of_any_bytes_is_judged(target, kind):
    body = json.dumps(campaign_body("Typed")).encode()
    status = target.raw(b"POST /api/campaigns", KEY + b"Content-Type: " + kind + b"\r\n", body)
    assert status == (201 if b"json" in kind else 415)


@pytest.mark.parametrize(
    "header",
    [
        b"revision: \xff",
        b"revision: 2026-99-99",
        "revision: \uff12026-04-15".encode(),
        b"revision: 2026-04-15\x0b",
        b"X-Forwarded-For: \xff",
        b"X-Forwarded-Host: [",
        b"X-Forwarded-Proto: \xff://",
        b"Forwarded: for=[",
        b"Accept-Encoding: \xff",
        b"Accept: \xff",
        b"Range: bytes=9-1",
        b"If-Modified-Since: never",
        b"Cookie: \xff=\xff",
        b"Expect: nonsense",
        b"Upgrade: nonsense\r\nConnection: upgrade",
        b"Transfer-Encoding: nonsense",
        b"Content-Length: -1",
        b"Content-Length: 1e3",
        b"X: " + b"a" * 20_000,
    ],
)
@pytest.mark.parametrize("line", LINES[:3] + LINES[4:])
def test_no_header_is_met_by_a_failure(target, line, header):
    key = b"Authorization: Klaviyo-API-Key pk_test\r\n"
    assert target.raw(line, key + header + b"\r\n") < 500


def test_a_body_shorter_than_it_says_changes_nothing(target):
    before = target.kept()
    body = json.dumps(campaign_body("Cut")).encode()
    head = (
        b"POST /api/campaigns HTTP/1.1\r\n" + target.host + KEY + JSON + b"Content-Length: %d\r\n\r\n" % (len(body) + 9)
    )
    with socket.create_connection(target.address, timeout=10) as connection:
        connection.sendall(head + body)
    assert target.kept() == before


# --- the request line --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        b"/api/campaigns/\xff",
        b"/api/campaigns/%00",
        b"/api/campaigns/%2f",
        b"/api/campaigns/%2e%2e",
        b"/api/campaigns/%ff",
        b"/api/campaigns/%ed%a0%80",
        "/api/campaigns/é".encode(),
        b"/api/campaigns/" + b"a" * 7000,
        b"/api/flows/%00%0d%0aX:%20y/",
        b"/api/flows/%ff?fields[flow]=name",
        b"/api/campaigns?filter=%ff&filter=&filter=equals(messages.channel,'email')",
        b"/api/profiles?page[size]=%EF%BC%91&page[size]=0x1",
        b"/api/profiles?page[size]=" + b"9" * 5000,
        b"/api/profiles?sort=%00&sort=-",
        b"/api//campaigns",
        b"/api/",
        b"/client/",
        b"/%2e%2e/api",
        b"//[/api/campaigns",
        b"/?%ff=%ff&=&&",
        b"/sandbox/state?open=%ff&reader=%00&campaigns=%ed%a0%80&requests=%ff",
        b"/page/%00",
        b"/page/%ff",
        b"/page/..%2f..%2fserver.py",
        b"http://[/api/campaigns",
        b"http://127.0.0.1/api/campaigns/\xff",
        b"*",
    ],
)
@pytest.mark.parametrize("method", [b"GET", b"POST", b"PATCH", b"DELETE", b"OPTIONS", b"HEAD", b"NONSENSE", b"CONNECT"])
def test_no_request_line_is_met_by_a_failure(target, method, path):
    before = target.kept()
    assert target.raw(method + b" " + path, KEY) < 500
    assert target.kept() == before


def cursor(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "query",
    [
        *(
            {"page[cursor]": cursor(text)}
            for text in ("", "[", "[1]", "[1,2,3]", '{"a":1,"b":2}', '"ab"', "[1e400, 1]")
        ),
        *({"page[cursor]": cursor(text)} for text in ("[Infinity, 1]", "[NaN, 1]", "[[], {}]", "[" * 3000)),
        *({"page[cursor]": text} for text in ("\x00", "é", "=", "a", "%", "-1")),
        *({"page[size]": text} for text in ("0", "-1", "101", "1.0", "", "ten", "1e1", "9" * 5000, "NaN", "None")),
        *({"sort": text} for text in ("-", "--created", "created,updated", "nonsense", "\x00", "")),
        *(
            {"filter": text}
            for text in (
                "and(" * 1200,
                "(" * 5000,
                "equals(" * 700,
                "[" * 5000,
                "any(id," + "[" * 1500,
                '"',
                "'",
                "\\",
                "\x00",
            )
        ),
        {"filter": f"greater-than(created,{'9' * 20}-01-01T00:00:00Z)"},
        {"filter": "greater-than(created,0001-01-01T00:00:00+23:59)"},
        {"filter": "less-than(created,NaN)"},
        {"include": "lists,lists,,"},
        {"fields[profile]": ","},
        {"additional-fields[profile]": "subscriptions,subscriptions"},
        {"": ""},
        {"\x00": "\x00"},
    ],
    ids=lambda query: str(query)[:60],
)
def test_no_query_is_met_by_a_failure(target, query):
    before = target.kept()
    answer = target.api.query("/api/profiles", query)
    assert answer.status_code in (200, 400), answer.text
    assert target.kept() == before


def test_the_last_of_repeated_parameters_counts(target):
    answer = target.api.http.get("/api/profiles?page[size]=1&page[size]=2")
    assert len(answer.json()["data"]) == 2
