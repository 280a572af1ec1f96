"""Whatever comes over the wire is an answer or an error of ours, never a crash."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_klaviyo.api.document import Answer, Document, read
from airflow_provider_klaviyo.api.errors import KlaviyoApiError, KlaviyoTransientError
from airflow_provider_klaviyo.api.refusal import retry_after
from airflow_provider_klaviyo.api.request import absolute_url, build

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
ERRORS = st.fixed_dictionaries(
    {},
    optional={"code": JSON, "title": JSON, "detail": JSON, "source": JSON | st.fixed_dictionaries({"pointer": JSON})},
)
BODIES = JSON | st.fixed_dictionaries({"errors": JSON | st.lists(ERRORS | JSON, max_size=3)})


@given(status=st.integers(200, 599), body=BODIES, operation=st.sampled_from(["get_campaign", "send_campaign"]))
@example(status=400, body={"errors": [{"source": "x"}]}, operation="get_campaign")
@example(status=400, body={"errors": [{"detail": "a"}, {"source": ["x"]}]}, operation="send_campaign")
@example(status=429, body={"errors": "slow down"}, operation="send_campaign")
@example(status=503, body={"errors": [None]}, operation="get_campaign")
@example(status=200, body=None, operation="get_campaign")
def test_any_json_of_any_status_is_a_document_or_an_error_of_ours(status: int, body: Any, operation: str) -> None:
    path_params = {"id": "C1"} if operation == "get_campaign" else None
    found: Document | KlaviyoApiError
    try:
        found = read(build(operation, path_params=path_params), Answer(status, {}, json.dumps(body).encode()))
    except KlaviyoApiError as error:
        found = error
    assert found.status == status
    if isinstance(found, Document):
        assert 200 <= status < 300
    else:
        assert operation in str(found)


def test_json_nested_without_end_is_not_a_crash() -> None:
    deep = b"[" * 200_000
    with pytest.raises(KlaviyoApiError):
        read(build("get_lists"), Answer(200, {}, deep))


ANYTHING = JSON | st.floats() | st.integers(-(10**30), 10**30) | st.dictionaries(st.text(), st.floats(), max_size=3)


@given(ANYTHING)
@example(float("nan"))
@example(float("-inf"))
@example(2**64)
@example(-0.0)
@example("\ud800")
@example("\0")
def test_what_is_read_is_what_was_written(value: Any) -> None:
    assert repr(taken(json.dumps({"data": value}).encode())) == repr(value)


@pytest.mark.parametrize("coding", ["utf-8-sig", "utf-16", "utf-32-be"])
def test_a_body_is_read_in_each_coding_of_json(coding: str) -> None:
    assert taken('{"data": "é"}'.encode(coding)) == "é"


def test_numbers_that_are_too_large_and_half_characters_are_read_and_the_last_of_two_names_counts() -> None:
    assert taken(b'{"data": 1e400}') == float("inf")
    assert taken(b'{"data": "\xed\xa0\x80"}') == "\ud800"
    assert taken(b'{"data": 1, "data": 2}') == 2


@pytest.mark.parametrize(
    "content",
    [
        b'{"data": 1',
        b'{"data": 1} 2',
        b'{"data": 01}',
        b'{"data": "\xff"}',
        b'{"data": "\t"}',
        b'{"data": ' + b"9" * 5000 + b"}",
        b"<html>",
        b"NaN",
    ],
    ids=["cut", "more", "zero", "not UTF-8", "tab", "5,000 digits", "HTML", "NaN"],
)
def test_what_is_not_a_json_object_is_not_in_klaviyos_format(content: bytes) -> None:
    with pytest.raises(KlaviyoTransientError, match="answered 200 with something that is not in its format"):
        taken(content)


def taken(content: bytes) -> Any:
    """The ``data`` of a success with that body."""
    return read(build("get_campaigns"), Answer(200, {}, content)).body["data"]


@given(st.text(max_size=30))
@example("Wed, 21 Oct 2015 07:28:00 GMT")
@example("inf")
@example("nan")
@example("1e400")
@example("Mon, 01 Jan 0001 00:00:00 GMT")
def test_any_retry_after_is_a_number_of_seconds_not_below_zero(text: str) -> None:
    assert retry_after({"retry-after": text}) >= 0


@given(st.text(max_size=40))
@example("http://[::1")
@example("//evil.example.com/x")
@example("https://a.klaviyo.com@evil.example.com/")
@example("https://a.klaviyo.com\\@evil.example.com/")
@example("https:\\\\evil.example.com")
@example("\thttps://evil.example.com")
@example("https://a.klaviyo.com:8443/x")
def test_any_link_goes_to_the_connections_host_or_nowhere(link: str) -> None:
    from urllib.parse import urlsplit

    import requests

    try:
        url = absolute_url("https://a.klaviyo.com", link)
    except KlaviyoApiError:
        return
    assert urlsplit(url).netloc == "a.klaviyo.com"
    try:
        prepared = requests.Request("GET", url).prepare()
    except requests.exceptions.InvalidURL:
        return
    assert prepared.url is not None
    assert urlsplit(prepared.url).netloc == "a.klaviyo.com"


@pytest.mark.parametrize(
    ("base_url", "link"),
    [
        ("https://a.klaviyo.com:443", "https://a.klaviyo.com/api/lists?page=2"),
        ("https://a.klaviyo.com", "https://a.klaviyo.com:443/api/lists?page=2"),
        ("http://127.0.0.1:80", "http://127.0.0.1/api/lists?page=2"),
    ],
)
def test_a_port_that_is_the_schemes_own_is_the_same_host(base_url: str, link: str) -> None:
    assert "/api/lists?page=2" in absolute_url(base_url, link)
