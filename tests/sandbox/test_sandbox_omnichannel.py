"""Campaigns in revision 2026-10-15: read in their new shape, and not written."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.sandbox import DRAFT_EMAIL, DRAFT_SMS, SENT, Klaviyo

REVISION = "2026-10-15"


def ask(klaviyo: Klaviyo, method: str, path: str, *, revision: str = REVISION, body: Any = None, **query: str) -> Any:
    headers = {"Authorization": "Klaviyo-API-Key pk_test", "revision": revision}
    url = f"{klaviyo.url}{path}"
    return httpx.request(method, url, params=query, headers=headers, json=body, trust_env=False, timeout=10)


def got(klaviyo: Klaviyo, path: str, **query: str) -> dict[str, Any]:
    answer = ask(klaviyo, "GET", path, **query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-klaviyo-api-revision"] == REVISION
    body: dict[str, Any] = answer.json()
    return body


def refused(answer: Any, status: int, words: str) -> None:
    assert answer.status_code == status
    assert words in answer.json()["errors"][0]["detail"]


def test_campaigns_of_all_channels_are_listed_under_their_own_ids(klaviyo):
    listed = {one["id"]: one["attributes"] for one in got(klaviyo, "/api/campaigns")["data"]}
    assert set(listed) == klaviyo.all_ids()
    assert set(listed[SENT]) == {"definition", "created_at", "updated_at"}
    assert listed[SENT]["definition"]["name"] == klaviyo.campaign(SENT)["name"]


def test_a_campaigns_messages_have_its_status_and_its_send_time(klaviyo):
    klaviyo.send(DRAFT_SMS)
    klaviyo.wait_for_sends()
    body = got(
        klaviyo,
        f"/api/campaigns/{DRAFT_SMS}",
        include="campaign-messages",
        **{"fields[campaign-message]": "definition.status,definition.send_options"},
    )
    [message] = body["included"]
    assert [one["id"] for one in body["data"]["relationships"]["campaign-messages"]["data"]] == [message["id"]]
    assert set(message["attributes"]["definition"]) == {"status", "send_options"}
    assert message["attributes"]["definition"]["status"] == "sent"
    assert message["attributes"]["definition"]["send_options"]["send_time"] == klaviyo.campaign(DRAFT_SMS)["send_time"]
    assert "relationships" not in message


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (f'equals(campaign_id,"{DRAFT_EMAIL}")', {DRAFT_EMAIL}),
        ('equals(status,"draft")', None),
        ('equals(status,"sent")', {SENT}),
        ('equals(campaign_id,"NOPE")', set()),
    ],
)
def test_messages_are_listed_by_campaign_and_status(klaviyo, wanted, found):
    messages = got(klaviyo, "/api/campaign-messages", filter=wanted, **{"page[size]": "100"})["data"]
    drafts = {id_ for id_ in klaviyo.all_ids() if klaviyo.status(id_) == "Draft"}
    assert {one["relationships"]["campaign"]["data"]["id"] for one in messages} == (drafts if found is None else found)


def test_messages_are_listed_by_their_ids_with_their_variations(klaviyo):
    email, sms = klaviyo.message(DRAFT_EMAIL), klaviyo.message(DRAFT_SMS)
    wanted = f'any(id,["{email["id"]}","{sms["id"]}"])'
    body = got(klaviyo, "/api/campaign-messages", filter=wanted, include="campaign-variations")
    variations = {one["id"]: one["attributes"]["definition"]["details"] for one in body["included"]}
    content = {}
    for message in body["data"]:
        [variation] = message["relationships"]["campaign-variations"]["data"]
        content[message["id"]] = variations[variation["id"]]
    assert content[email["id"]]["subject"] == email["attributes"]["definition"]["content"]["subject"]
    assert content[email["id"]]["template_id"] == klaviyo.template_of(DRAFT_EMAIL)
    assert content[sms["id"]] == {"body": sms["attributes"]["definition"]["content"]["body"]}


def test_a_page_has_20_messages_by_default_and_100_at_most(klaviyo):
    for number in range(25):
        klaviyo.post("/api/campaign-clone", "campaign", DRAFT_SMS, new_name=f"clone {number}")
    first = got(klaviyo, "/api/campaign-messages")
    assert len(first["data"]) == 20
    path = first["links"]["next"].removeprefix(klaviyo.url).partition("?")
    second = got(klaviyo, path[0], **dict(httpx.QueryParams(path[2])))
    ids = [one["id"] for one in first["data"] + second["data"]]
    assert len(set(ids)) == len(ids) == 25 + 4
    assert len(got(klaviyo, "/api/campaign-messages", **{"page[size]": "100"})["data"]) == 29
    refused(ask(klaviyo, "GET", "/api/campaign-messages", **{"page[size]": "101"}), 400, "between 1 and 100")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"filter": "equals(messages.channel,'email')"}, "messages.channel"),
        ({"filter": 'equals(status,"Sent")'}, "status"),
        ({"sort": "scheduled_at"}, "scheduled_at"),
        ({"include": "campaign-variations"}, "campaign-variations"),
        ({"of": "x"}, "of"),
    ],
)
def test_what_campaigns_are_not_listed_by_is_refused(klaviyo, query, words):
    refused(ask(klaviyo, "GET", "/api/campaigns", **query), 400, words)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/campaigns"),
        ("PATCH", f"/api/campaigns/{DRAFT_EMAIL}"),
        ("DELETE", f"/api/campaigns/{DRAFT_EMAIL}"),
        ("POST", "/api/campaign-send-jobs"),
        ("POST", "/api/campaign-message-schedule"),
        ("POST", "/api/campaign-audiences"),
    ],
)
def test_campaigns_are_not_written(klaviyo, method, path):
    before = klaviyo.campaign(DRAFT_EMAIL)
    body = {"data": {"type": "campaign", "id": DRAFT_EMAIL, "attributes": {"name": "Mine"}}}
    refused(ask(klaviyo, method, path, body=body), 400, "does not model")
    assert klaviyo.campaign(DRAFT_EMAIL) == before
    assert not klaviyo.requests()[-1]["committed"]


def test_what_has_nothing_to_do_with_campaigns_answers_as_before(klaviyo):
    assert got(klaviyo, "/api/metrics")["data"] == klaviyo.get("/api/metrics")["data"]
    body = {"data": {"type": "tag", "attributes": {"name": "autumn"}}}
    assert ask(klaviyo, "POST", "/api/tags", body=body).status_code == 201


def test_messages_are_not_listed_in_an_older_revision(klaviyo):
    refused(ask(klaviyo, "GET", "/api/campaign-messages", revision="2026-07-15"), 404, "before the earliest available")


def test_a_campaign_that_is_not_there_is_not_found(klaviyo):
    refused(ask(klaviyo, "GET", "/api/campaigns/NOPE"), 404, "NOPE")
