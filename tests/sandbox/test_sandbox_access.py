"""Who may call, in which revision, and what is refused before it reaches an operation."""

from __future__ import annotations

from typing import Any

import pytest

EMAIL = "01H5QQV9F57XJHJDMD86RX4QM5"
OPT_OUT = "X-Klaviyo-Revision-Fall-Forward-Opt-Out"


def ask(api: Any, path: str = "/api/accounts", **headers: str) -> Any:
    sent = {**dict(api.http.headers), **headers}
    return api.http.get(path, headers={name: value for name, value in sent.items() if value})


def error(answer: Any) -> tuple[int, str]:
    [found] = answer.json()["errors"]
    assert found["status"] == answer.status_code
    assert found["title"]
    return answer.status_code, found["code"]


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        ("Klaviyo-API-Key pk_invalid", "authentication_failed"),
        ("Klaviyo-API-Key secret", "authentication_failed"),
        ("Klaviyo-API-Key", "authentication_failed"),
        ("pk_test", "authentication_failed"),
        ("Basic cGtfdGVzdA==", "authentication_failed"),
        ("Bearer token", "authentication_failed"),
    ],
)
def test_a_wrong_credential_is_not_let_in(api, authorization, code):
    assert error(ask(api, Authorization=authorization)) == (401, code)


def test_a_missing_credential_is_told_from_a_wrong_one(api):
    del api.http.headers["authorization"]
    assert error(api.get("/api/accounts")) == (401, "not_authenticated")


def test_no_answer_and_no_log_has_the_key(api):
    api.http.headers["authorization"] = "Klaviyo-API-Key pk_secret_1234"
    texts = [api.get("/api/accounts").text, api.get("/api/nope").text, api.http.get("/sandbox/requests").text]
    texts.append(api.http.get("/").text)
    assert all("pk_secret_1234" not in text for text in texts)


def test_a_read_only_key_reads_and_renders_but_does_not_write(api):
    api.http.headers["authorization"] = "Klaviyo-API-Key pk_readonly"
    assert api.get("/api/lists").status_code == 200
    render = {"data": {"type": "template", "id": "RipRmi", "attributes": {"context": {}}}}
    assert api.send("POST", "/api/template-render", render).status_code == 201
    assert error(api.start(EMAIL)) == (403, "permission_denied")
    assert error(api.send("DELETE", f"/api/campaigns/{EMAIL}")) == (403, "permission_denied")


def test_a_key_with_scopes_may_do_what_they_say(api):
    api.http.headers["authorization"] = "Klaviyo-API-Key pk_scopes_campaigns:read+campaigns:write"
    assert api.get(f"/api/campaigns/{EMAIL}").status_code == 200
    assert api.start(EMAIL).status_code == 202
    assert error(api.get("/api/accounts")) == (403, "permission_denied")
    assert error(api.get(f"/api/campaigns/{EMAIL}/tags")) == (403, "permission_denied")


@pytest.mark.parametrize(
    ("asked", "applied"),
    [
        ("2026-04-15", "2026-04-15"),
        ("2026-07-15", "2026-07-15"),
        ("2026-05-01", "2026-04-15"),
        ("2026-10-14", "2026-07-15"),
        ("2026-10-15", "2026-10-15"),
        ("2024-10-15", "2026-04-15"),
    ],
)
def test_the_answer_says_which_revision_was_applied(api, asked, applied):
    answer = ask(api, revision=asked)
    assert answer.status_code == 200
    assert answer.headers["x-klaviyo-api-revision"] == applied


@pytest.mark.parametrize("revision", ["", "2026-10-16", "2030-01-15", "2026-07-15.pre", "tomorrow", "20260415"])
def test_a_missing_malformed_or_future_revision_is_refused(api, revision):
    if not revision:
        del api.http.headers["revision"]
    answer = ask(api, revision=revision)
    assert error(answer) == (400, "invalid")
    assert "2026-04-15" in answer.json()["errors"][0]["detail"]


def test_a_retired_revision_is_gone_when_falling_forward_is_not_wanted(api):
    assert error(ask(api, revision="2024-10-15", **{OPT_OUT: "1"})) == (410, "gone")
    assert ask(api, revision="2026-04-15", **{OPT_OUT: "1"}).status_code == 200


def test_an_operation_newer_than_the_revision_is_not_there(api):
    answer = ask(api, "/api/object-types", revision="2026-04-15")
    assert error(answer) == (404, "not_found")
    assert "before the earliest available" in answer.json()["errors"][0]["detail"]


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("PUT", f"/api/campaigns/{EMAIL}", (405, "method_not_allowed")),
        ("DELETE", "/api/campaign-send-jobs", (405, "method_not_allowed")),
        ("GET", "/api/nope", (404, "not_found")),
    ],
)
def test_a_path_or_method_that_is_not_published_is_refused(api, method, path, expected):
    assert error(api.send(method, path)) == expected


@pytest.mark.parametrize("content_type", ["application/vnd.api+json", "application/json; charset=utf-8"])
def test_both_json_media_types_are_taken(api, content_type):
    body = f'{{"data":{{"type":"campaign-send-job","id":"{EMAIL}"}}}}'
    answer = api.http.post("/api/campaign-send-jobs", content=body, headers={"content-type": content_type})
    assert answer.status_code == 202


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded"])
def test_any_other_media_type_is_refused(api, content_type):
    answer = api.http.post("/api/campaign-send-jobs", content="{}", headers={"content-type": content_type})
    assert error(answer) == (415, "unsupported_media_type")


def test_a_body_that_is_no_json_is_refused(api):
    answer = api.http.post("/api/campaign-send-jobs", content="{", headers={"content-type": "application/json"})
    assert error(answer) == (400, "invalid")


def test_every_answer_has_klaviyos_headers(api):
    for answer in (api.get("/api/accounts"), api.get("/api/nope"), api.get("/api/flows")):
        assert answer.headers["content-type"].startswith("application/vnd.api+json")
        assert answer.headers["cid"] == "Sandb0"
        assert len(answer.headers["x-klaviyo-req-id"]) == 36
    assert api.requests()[-1]["request_id"] == answer.headers["x-klaviyo-req-id"]
