"""What a connection means, and the error when it means nothing."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from airflow.sdk import Connection

from airflow_provider_klaviyo.api.client_settings import ClientSettings
from airflow_provider_klaviyo.api.errors import KlaviyoApiError, KlaviyoAuthError, KlaviyoValidationError
from airflow_provider_klaviyo.hooks.connection import client_settings
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook

KEY = "pk_0123456789abcdef"


def read(
    *, revision: str | None = None, extra: Any = None, password: str | None = KEY, **fields: Any
) -> ClientSettings:
    connection = Connection(conn_id="shop", conn_type="klaviyo", password=password, **fields)
    return client_settings(connection, extra or {}, revision=revision)


def facts(found: ClientSettings) -> tuple[Any, ...]:
    header = found.auth.header()
    return header, found.base_url, found.revision, found.connect_timeout, found.read_timeout


def test_a_key_is_all_that_a_connection_needs() -> None:
    assert facts(read()) == (f"Klaviyo-API-Key {KEY}", "https://a.klaviyo.com", "2026-04-15", 10.0, 60.0)


def test_blanks_around_a_pasted_key_do_no_harm() -> None:
    assert read(password=f" {KEY}\n").auth.header() == f"Klaviyo-API-Key {KEY}"


@pytest.mark.parametrize("password", [None, "", "  "])
def test_a_missing_key_says_where_to_put_it(password: str | None) -> None:
    with pytest.raises(KlaviyoAuthError, match=r"Connection 'shop'.*password.*pk_"):
        read(password=password)


@pytest.mark.parametrize("password", ["AbC123", "Klaviyo-API-Key pk_x", "sk_live_123", "pk_a b", "pk_é", "Bearer xyz"])
def test_what_is_not_a_private_key_is_refused_without_showing_it(password: str) -> None:
    with pytest.raises(KlaviyoAuthError, match="Connection 'shop'") as caught:
        read(password=password)
    assert password not in str(caught.value)


def test_a_key_with_control_characters_is_refused() -> None:
    with pytest.raises(KlaviyoAuthError):
        read(password="pk_a\x00b")


@pytest.mark.parametrize(
    ("fields", "base_url"),
    [
        ({}, "https://a.klaviyo.com"),
        ({"host": ""}, "https://a.klaviyo.com"),
        ({"host": "a.klaviyo.com"}, "https://a.klaviyo.com"),
        ({"host": "https://a.klaviyo.com"}, "https://a.klaviyo.com"),
        ({"host": " https://A.Klaviyo.com/ "}, "https://a.klaviyo.com"),
        ({"host": "HTTPS://a.klaviyo.com"}, "https://a.klaviyo.com"),
        ({"host": "a.klaviyo.com", "schema": "https"}, "https://a.klaviyo.com"),
        ({"host": "proxy.example.com", "port": 8443}, "https://proxy.example.com:8443"),
        ({"host": "127.0.0.1", "port": 5528, "schema": "http"}, "http://127.0.0.1:5528"),
        ({"host": "http://127.0.0.1:5528"}, "http://127.0.0.1:5528"),
        ({"host": "http://127.0.0.1", "port": 5528}, "http://127.0.0.1:5528"),
        ({"host": "http://localhost:5528"}, "http://localhost:5528"),
        ({"host": "http://[::1]:5528"}, "http://[::1]:5528"),
        ({"host": "[::1]", "port": 5528, "schema": "http"}, "http://[::1]:5528"),
        ({"host": "http://127.9.9.9:1"}, "http://127.9.9.9:1"),
    ],
)
def test_the_host_may_be_written_in_these_ways(fields: dict[str, Any], base_url: str) -> None:
    assert read(**fields).base_url == base_url


@pytest.mark.parametrize(
    "fields",
    [
        {"host": "http://example.com"},
        {"host": "example.com", "schema": "http"},
        {"host": "http://127.0.0.1.example.com"},
        {"host": "http://localhost.example.com"},
        {"host": "http://10.0.0.1"},
        {"host": "http://0.0.0.0:5528"},
    ],
)
def test_plain_http_is_refused_to_anything_but_this_machine(fields: dict[str, Any]) -> None:
    with pytest.raises(KlaviyoValidationError, match=r"Connection 'shop'.*plain http.*https://") as caught:
        read(**fields)
    assert caught.value.pointer == "host"


@pytest.mark.parametrize(
    "host",
    [
        "https://a.klaviyo.com/api",
        "https://a.klaviyo.com?x=1",
        "https://a.klaviyo.com#x",
        "https://user@a.klaviyo.com",
        "ftp://a.klaviyo.com",
        "https://",
        "https://a.klaviyo.com:https",
        "https://a.klaviyo.com:99999",
        "http://[::1",
        "::1",
    ],
)
def test_a_host_that_is_more_or_less_than_a_host_is_refused_by_name(host: str) -> None:
    with pytest.raises(KlaviyoValidationError, match="Connection 'shop'") as caught:
        read(host=host)
    assert caught.value.pointer == "host"


IMPOSSIBLE = {
    "backslash": "https://a.klaviyo.com\\@evil.example",
    "backslash before the host": "https://evil.example\\@a.klaviyo.com",
    "backslash at the end": "https://a.klaviyo.com\\",
    "backslashes for slashes": "https:\\\\a.klaviyo.com",
    "space": "https://a.klaviyo.com evil.example",
    "space within": "https://a.kla viyo.com",
    "tab": "https://a.kla\tviyo.com",
    "line break": "https://a.klaviyo.com\r\nHost: evil.example",
    "NUL": "https://a.klaviyo.com\0.evil.example",
    "escape": "https://a.klaviyo.com\x1b[31m",
    "DEL": "https://a.klaviyo.com\x7f",
    "percent-encoded dot": "https://a%2eklaviyo.com",
    "percent-encoded slash": "https://a.klaviyo.com%2fevil.example",
    "two dots": "https://a..klaviyo.com",
    "dot in front": "https://.klaviyo.com",
    "dot at the end": "https://a.klaviyo.com.",
    "dots only": "https://...",
    "hyphen in front": "https://-a.klaviyo.com",
    "hyphen before a dot": "https://a-.klaviyo.com",
    "label too long": f"https://{'a' * 64}.klaviyo.com",
    "name too long": "https://" + "a." * 127 + "com",
    "ideographic full stop": "https://a\u3002klaviyo.com",
    "full width": "https://\uff41.klaviyo.com",
    "Cyrillic a": "https://\u0430.klaviyo.com",
    "zero-width space": "https://a.kla\u200bviyo.com",
    "right to left": "https://\u202ea.klaviyo.com",
    "soft hyphen": "https://a.kla\u00adviyo.com",
    "lone surrogate": "https://a.klaviyo\ud800.com",
    "fraction slash": "https://a.klaviyo.com\u2044evil.example",
    "number": "https://2130706433",
    "hexadecimal": "https://0x7f000001",
    "short address": "https://127.1",
    "address out of range": "https://256.1.1.1",
    "octal address": "https://0177.0.0.1",
    "zone": "https://[fe80::1%25eth0]",
    "brackets": "https://[a.klaviyo.com]",
    "nothing before the at sign": "https://@a.klaviyo.com",
    "password only": "https://:x@a.klaviyo.com",
    "two ports": "https://a.klaviyo.com:443:443",
    "port zero": "https://a.klaviyo.com:0",
    "negative port": "https://a.klaviyo.com:-1",
    "asterisk": "https://*.klaviyo.com",
    "a list": "https://a.klaviyo.com,b.klaviyo.com",
    "twice a scheme": "https://https://a.klaviyo.com",
    "a key": "pk_0123456789abcdef",
}


@pytest.mark.parametrize("host", IMPOSSIBLE.values(), ids=IMPOSSIBLE.keys())
def test_a_host_that_cannot_be_one_is_refused(host: str) -> None:
    bare = host.removeprefix("https://")
    for written in (host,) if "://" in bare else (host, bare):
        with pytest.raises(KlaviyoValidationError, match="Connection 'shop'") as caught:
            read(host=written)
        assert caught.value.pointer in ("host", "port")
        assert str(caught.value).isprintable()
        assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"host": "a.klaviyo.com", "port": 0},
        {"host": "a.klaviyo.com", "port": -1},
        {"host": "a.klaviyo.com", "port": 65536},
        {"host": "a.klaviyo.com", "schema": "https://evil.example/"},
        {"host": "a.klaviyo.com", "schema": "https://x@evil.example\\"},
        {"port": 5528, "schema": "http"},
        {"port": 5528},
        {"schema": "http"},
    ],
)
def test_a_port_or_a_schema_that_makes_no_host_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(KlaviyoValidationError, match="Connection 'shop'"):
        read(**fields)


@pytest.mark.parametrize(
    "host", ["https://user:hunter2@a.klaviyo.com", "https://user:hun\nhunter2@a", "https://:hunter2@h", "pk_hunter2"]
)
def test_a_password_within_the_host_is_not_shown(host: str) -> None:
    with pytest.raises(KlaviyoValidationError) as caught:
        read(host=host)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("timeout", "expected"),
    [
        (None, (10.0, 60.0)),
        ("", (10.0, 60.0)),
        (30, (10.0, 30.0)),
        ("30", (10.0, 30.0)),
        (0.5, (10.0, 0.5)),
        ({"connect": 3}, (3.0, 60.0)),
        ({"connect": "3", "read": 20}, (3.0, 20.0)),
        (600, (10.0, 600.0)),
    ],
)
def test_the_timeout_may_be_written_in_these_ways(timeout: Any, expected: tuple[float, float]) -> None:
    found = read(extra={"timeout": timeout})
    assert (found.connect_timeout, found.read_timeout) == expected


@pytest.mark.parametrize(
    "timeout",
    [
        *(0, -1, "soon", 601, float("nan"), float("inf"), 10**400, [1, 2], {"total": 3}, {"read": None}, {"read": 0}),
        *(True, False, {"read": True}, {"connect": True}, "true"),
    ],
)
def test_a_timeout_that_is_none_is_refused(timeout: Any) -> None:
    with pytest.raises(KlaviyoValidationError, match=r"Connection 'shop'.*timeout") as caught:
        read(extra={"timeout": timeout})
    assert caught.value.pointer == "timeout"


def test_the_tasks_revision_beats_the_connections_which_beats_the_default() -> None:
    extra = {"revision": "2026-07-15"}
    assert read().revision == "2026-04-15"
    assert read(extra=extra).revision == "2026-07-15"
    assert read(extra=extra, revision="2026-04-15").revision == "2026-04-15"
    assert read(extra={"revision": ""}).revision == "2026-04-15"


@pytest.mark.parametrize("revision", ["2026", "2026-7-15", "latest", "v2026-07-15", "2026-07-15 ", 20260715, ["x"]])
def test_a_revision_that_is_none_is_refused(revision: Any) -> None:
    with pytest.raises(KlaviyoValidationError, match="revision") as caught:
        read(extra={"revision": revision})
    assert caught.value.pointer == "revision"


@pytest.mark.parametrize(("name", "hint"), [("revison", "'revision'"), ("time_out", "'timeout'"), ("xyz", "Allowed")])
def test_an_unknown_extra_is_refused_and_the_nearest_named(name: str, hint: str) -> None:
    with pytest.raises(KlaviyoValidationError, match="Connection 'shop'") as caught:
        read(extra={name: "1"})
    assert hint in str(caught.value)
    assert caught.value.pointer == name


def test_an_extra_that_is_not_an_object_is_refused() -> None:
    with pytest.raises(KlaviyoValidationError):
        read(extra=["revision"])


FORMS = {
    "JSON": json.dumps(
        {
            "conn_type": "klaviyo",
            "password": KEY,
            "host": "127.0.0.1",
            "port": 5528,
            "schema": "http",
            "extra": {"revision": "2026-07-15", "timeout": 30},
        }
    ),
    "JSON with extra as text": json.dumps(
        {
            "conn_type": "klaviyo",
            "password": KEY,
            "host": "http://127.0.0.1:5528",
            "extra": json.dumps({"revision": "2026-07-15", "timeout": "30"}),
        }
    ),
    "URI": f"klaviyo://:{KEY}@127.0.0.1:5528/http?revision=2026-07-15&timeout=30",
    "URI with scheme in the host": (
        f"klaviyo://:{KEY}@{quote('http://127.0.0.1:5528', safe='')}?revision=2026-07-15&timeout=30"
    ),
    "URI with nested extra": (
        f"klaviyo://:{KEY}@127.0.0.1:5528/http?__extra__="
        + quote(json.dumps({"revision": "2026-07-15", "timeout": {"read": 30}}))
    ),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_every_form_of_an_airflow_connection_gives_the_same_settings(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", form)
    found = KlaviyoHook("shop").get_conn().settings
    assert facts(found) == (f"Klaviyo-API-Key {KEY}", "http://127.0.0.1:5528", "2026-07-15", 10.0, 30.0)


def test_no_error_of_a_connection_shows_its_key() -> None:
    wrong: list[dict[str, Any]] = [
        {"host": "http://example.com"},
        {"host": "x/y"},
        {"extra": {"timeout": "x"}},
        {"extra": {"revision": "x"}},
        {"extra": {"nope": 1}},
    ]
    for fields in wrong:
        with pytest.raises(KlaviyoApiError) as caught:
            read(**fields)
        assert KEY not in str(caught.value) + repr(caught.value)
    assert KEY not in repr(read())
