"""An extra that cannot be read is an error, and not an extra without switches: in every form, and on both paths."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import traceback
from typing import Any
from urllib.parse import quote

import pytest
from airflow.sdk import Connection

from airflow_provider_klaviyo.exceptions import KlaviyoError, KlaviyoRefusedError, KlaviyoValidationError
from airflow_provider_klaviyo.hooks.connection import client_settings
from airflow_provider_klaviyo.hooks.extra import EXTRAS, read_extra
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoAsyncHook, KlaviyoHook
from tests.support.airflow_versions import since_airflow
from tests.support.hooks import Call, both
from tests.support.sandbox import DRAFT_EMAIL, Klaviyo

KEY = "pk_0123456789abcdef"
SECRET = "s3cret-refresh-token-0123456789"

hands_on = since_airflow("3.2", "connections whose extra Airflow hands on without having read it")

UNREADABLE = {
    "comma after the last value": '{"read_only": true,}',
    "single quotes": "{'read_only': true}",
    "byte order mark": '\ufeff{"read_only": true}',
    "no JSON": "read_only=true",
    "typographic quotes": "{“read_only”: true}",
    "Python": '{"read_only": True}',
    "no quotes": "{read_only: true}",
    "comment": '{"read_only": true} // for the interns',
    "two objects": '{"read_only": true}{}',
    "cut": '{"read_only": true',
    "list": '["read_only"]',
    "list of objects": '[{"read_only": true}]',
    "text": '"read_only"',
    "JSON within JSON": json.dumps('{"read_only": true}'),
    "null": "null",
    "number": "1",
    "true": "true",
    "byte order mark only": "\ufeff",
    "the same name twice": '{"read_only": true, "read_only": false}',
    "twice, nested": '{"read_only": true, "rate_limit": {"share": 0.1, "share": 0.9}}',
    "two spellings": '{"read_only": true, "Read_Only": true}',
    "capitals": '{"READ_ONLY": true}',
    "space in front": '{" read_only": true}',
    "space behind": '{"read_only ": true}',
    "byte order mark in front": '{"\ufeffread_only": true}',
    "hyphen": '{"read-only": true}',
    "zero-width space": '{"read_only\u200b": true}',
    "old prefix": '{"extra__klaviyo__read_only": true}',
    "empty": '{"read_only": ""}',
    "blank": '{"read_only": " "}',
    "neither yes nor no": '{"read_only": "yes please"}',
    "a number": '{"read_only": 1}',
    "a list in it": '{"read_only": []}',
    "an object in it": '{"read_only": {}}',
    "larger than any number": '{"read_only": 1e400}',
}


def as_json(extra: str) -> str:
    return json.dumps({"conn_type": "klaviyo", "password": KEY, "extra": extra})


@hands_on
@both
@pytest.mark.parametrize("extra", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_an_extra_that_cannot_be_read_stops_every_call(
    klaviyo: Klaviyo, call: Call, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = {"conn_type": "klaviyo", "password": KEY, "host": klaviyo.url, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_KLAVIYO_DEFAULT", json.dumps(connection))
    with pytest.raises(ValueError, match="extra"):
        call("start_estimation", {"campaign_id": DRAFT_EMAIL})
    with pytest.raises(ValueError, match="extra"):
        call("get_campaign", {"campaign_id": DRAFT_EMAIL})
    assert klaviyo.requests() == []


@hands_on
@pytest.mark.parametrize("extra", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_the_test_button_is_red_where_the_extra_cannot_be_read(extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_KLAVIYO_DEFAULT", as_json(extra))
    ok, message = KlaviyoHook().test_connection()
    assert not ok
    assert "extra" in message


@since_airflow("3.1", "connections that are read without Airflow's database")
@pytest.mark.parametrize(
    "extra",
    [*UNREADABLE.values(), "[" * 100_000, '{"a":' * 100_000],
    ids=[*UNREADABLE, "too deep", "objects, too deep"],
)
def test_what_cannot_be_read_is_a_validation_error_that_names_the_connection(extra: str) -> None:
    connection = Connection(conn_id="shop", conn_type="klaviyo", password=KEY, extra=extra)
    with pytest.raises(KlaviyoValidationError, match="Connection 'shop'"):
        client_settings(connection, read_extra(connection))


URIS = {
    "flag": "?read_only",
    "empty": "?read_only=",
    "blank": "?read_only=%20",
    "flag of the other switch": "?require_test_account",
    "flag among others": "?timeout=30&read_only&revision=2026-04-15",
    "two flags": "?read_only&require_test_account",
    "capitals": "?READ_ONLY=true",
    "nested, not JSON": "?__extra__=" + quote("read_only=true"),
    "nested, comma": "?__extra__=" + quote('{"read_only": true,}'),
    "nested, a list": "?__extra__=" + quote('["read_only"]'),
    "nested in the nested": "?__extra__=" + quote('{"__extra__": {"read_only": true}}'),
    "misspelt nested": "?extra=" + quote('{"read_only": true}'),
}


@hands_on
@both
@pytest.mark.parametrize("query", URIS.values(), ids=URIS.keys())
def test_a_switch_in_a_uri_that_says_nothing_stops_every_call(
    klaviyo: Klaviyo, call: Call, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = klaviyo.url.rpartition(":")[2]
    monkeypatch.setenv("AIRFLOW_CONN_KLAVIYO_DEFAULT", f"klaviyo://:{KEY}@127.0.0.1:{port}/http{query}")
    with pytest.raises(ValueError, match=r"extra|read_only"):
        call("start_estimation", {"campaign_id": DRAFT_EMAIL})
    assert klaviyo.requests() == []


@both
@pytest.mark.parametrize(
    "query",
    ["?read_only=true", "?__extra__=" + quote('{"read_only": true}'), "?read_only=True%20&timeout=30"],
)
def test_a_switch_in_a_uri_that_says_yes_refuses_writes(
    klaviyo: Klaviyo, call: Call, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = klaviyo.url.rpartition(":")[2]
    monkeypatch.setenv("AIRFLOW_CONN_KLAVIYO_DEFAULT", f"klaviyo://:{KEY}@127.0.0.1:{port}/http{query}")
    with pytest.raises(KlaviyoRefusedError, match="read-only"):
        call("start_estimation", {"campaign_id": DRAFT_EMAIL})
    assert klaviyo.requests() == []


@pytest.mark.parametrize("extra", [None, "", " ", "\n\t", "{}", " {} "])
def test_a_blank_or_empty_extra_says_nothing(extra: str | None) -> None:
    assert read_extra(Connection(conn_id="shop", conn_type="klaviyo", extra=extra)) == {}


def test_nulls_that_the_form_writes_are_not_given() -> None:
    connection = Connection(conn_id="shop", conn_type="klaviyo", password=KEY, extra=json.dumps(dict.fromkeys(EXTRAS)))
    given, plain = client_settings(connection, read_extra(connection)), client_settings(connection, {})
    assert given.auth.header() == plain.auth.header()
    assert (given.revision, given.read_timeout) == (plain.revision, plain.read_timeout)
    assert (given.pacing is None) == (plain.pacing is None)


# --- secrets ----------------------------------------------------------------------------------------------------------

LEAKY: dict[str, str] = {
    "not JSON": f"{{'oauth_refresh_token': '{SECRET}'}}",
    "bare": SECRET,
    "a key, bare": KEY,
    "list": json.dumps([SECRET]),
    "token as a name": json.dumps({SECRET: ""}),
    "key as a name": json.dumps({KEY: ""}),
    "key as a name, no digits": json.dumps({"pk_abcdefghijkl": ""}),
    "token as a name, twice": f'{{"{SECRET}": 1, "{SECRET}": 2}}',
    "as a switch": json.dumps({"read_only": SECRET}),
    "key as a switch": json.dumps({"read_only": KEY}),
    "as a list in a switch": json.dumps({"read_only": [SECRET]}),
    "as a timeout": json.dumps({"timeout": SECRET}),
    "in a timeout": json.dumps({"timeout": {"read": SECRET}}),
    "as a revision": json.dumps({"revision": SECRET}),
    "key as a revision": json.dumps({"revision": KEY}),
    "as a rate limit": json.dumps({"rate_limit": SECRET}),
    "in a rate limit": json.dumps({"rate_limit": {SECRET: 1}}),
    "as a share": json.dumps({"rate_limit": {"share": SECRET}}),
    "as a Redis URL": json.dumps({"rate_limit": {"redis": SECRET}}),
    "in a Redis URL": json.dumps({"rate_limit": {"redis": f"redis://:{SECRET}@host:port"}}),
    "in oauth": json.dumps({"oauth": [SECRET]}),
    "as a cache": json.dumps({"oauth": {"cache": SECRET}}),
}


@hands_on
@pytest.mark.parametrize("extra", LEAKY.values(), ids=LEAKY.keys())
def test_no_error_no_traceback_and_no_log_of_an_extra_holds_what_was_given(
    extra: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_KLAVIYO_DEFAULT", as_json(extra))
    caplog.set_level(logging.DEBUG)

    async def asynchronous() -> None:
        async with KlaviyoAsyncHook() as hook:
            await hook.aget_conn()

    seen = KlaviyoHook().test_connection()[1]
    for connect in (KlaviyoHook().get_conn, lambda: asyncio.run(asynchronous())):
        with pytest.raises((KlaviyoError, ValueError)) as caught:
            connect()
        told: BaseException | None = caught.value
        while told is not None:
            seen += "".join(traceback.format_exception(told)) + repr(told) + repr(vars(told))
            told = told.__cause__ or told.__context__
    seen += caplog.text + "".join(capfd.readouterr())
    for secret in (SECRET, KEY, "pk_abcdefghijkl"):
        assert secret not in seen
    assert SECRET[:12] not in seen


@since_airflow("3.2", "secrets that are masked where they are read")
def test_the_secrets_of_an_extra_that_is_read_are_masked_in_logs(tmp_path: Any) -> None:
    """In a process of its own: what is masked stays masked."""
    program = f"""
import asyncio, json, os
os.environ["AIRFLOW_CONN_SHOP"] = json.dumps({{
    "conn_type": "klaviyo", "login": "id", "password": "client-secret-1",
    "extra": {{"oauth_refresh_token": {SECRET!r}, "oauth": {{"cache": False}}}},
}})
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoAsyncHook, KlaviyoHook
from airflow.sdk.log import redact

if {{kind!r}} == "sync":
    KlaviyoHook("shop").get_conn()
else:
    asyncio.run(KlaviyoAsyncHook("shop").aget_conn())
print(redact("token {SECRET}"))
"""
    for kind in ("sync", "async"):
        command = [sys.executable, "-c", program.replace("{kind!r}", repr(kind))]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == "token ***"
