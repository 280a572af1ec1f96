"""The page and its state are served whatever the account holds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from tests.sandbox.sandbox_api import STILL, Api

ADA, NEWSLETTER, VIP = "01J0PR0F11E000000000000001", "YzykDM", "Y6nRLr"
SMS = {"channel": "sms", "content": {"body": "Sale"}}
PUSH = {"channel": "mobile_push", "notification_type": "standard", "content": {"title": "Sale", "body": "Now"}}
SILENT = {"channel": "mobile_push", "notification_type": "silent", "kv_pairs": {"a": "b"}}
CHANNELS = {"email": None, "sms": SMS, "push": PUSH, "silent push": SILENT}


def rows(**attributes: Any) -> dict[str, Any]:
    return {"profiles": {"data": [{"type": "profile", "attributes": attributes}]}}


def consent(value: str) -> dict[str, Any]:
    return {"email": {"marketing": {"consent": value}}}


EVENT = {
    "type": "event-bulk-create",
    "attributes": {
        "profile": {"data": {"type": "profile", "attributes": {"email": "ada.alder@example.com"}}},
        "events": {
            "data": [
                {
                    "type": "event",
                    "attributes": {
                        "properties": {},
                        "metric": {"data": {"type": "metric", "attributes": {"name": "Placed Order"}}},
                    },
                }
            ]
        },
    },
}
JOBS = {
    "profile-bulk-import-jobs": ("profile-bulk-import-job", rows(email="new@example.com")),
    "profile-bulk-import-jobs that fail": ("profile-bulk-import-job", rows(first_name="Nobody")),
    "profile-suppression-bulk-create-jobs": ("profile-suppression-bulk-create-job", rows(email="a@example.com")),
    "profile-suppression-bulk-delete-jobs": ("profile-suppression-bulk-delete-job", rows(email="a@example.com")),
    "profile-subscription-bulk-create-jobs": (
        "profile-subscription-bulk-create-job",
        rows(email="a@example.com", subscriptions=consent("SUBSCRIBED")),
    ),
    "profile-subscription-bulk-delete-jobs": (
        "profile-subscription-bulk-delete-job",
        rows(email="a@example.com", subscriptions=consent("UNSUBSCRIBED")),
    ),
    "event-bulk-create-jobs": ("event-bulk-create-job", {"events-bulk-create": {"data": [EVENT]}}),
}


def check_page(api: Api) -> dict[str, Any]:
    """The page, and the state with each campaign open; the campaigns by name."""
    assert api.http.get("/").status_code == 200
    found = {}
    for row in api.http.get("/sandbox/state").json()["campaigns"]["shown"]:
        answer = api.http.get("/sandbox/state", params={"open": row["id"], "campaigns": "a", "requests": "b"})
        assert answer.status_code == 200, answer.text
        found[row["name"]] = json.loads(answer.text, parse_constant=pytest.fail)["campaign"]
    return found


def made(api: Api, channel: str, name: str = "Made", **attributes: Any) -> str:
    definition = CHANNELS[channel]
    if definition is None:
        return api.create(name, **attributes)[0]
    message = {"type": "campaign-message", "attributes": {"definition": definition}}
    return api.create(name, template=None, **{"campaign-messages": {"data": [message]}}, **attributes)[0]


@pytest.mark.parametrize("name", JOBS)
def test_a_job_over_profiles_does_not_keep_the_page_from_being_served(api, name):
    type_, attributes = JOBS[name]
    sent = made(api, "email", "Under way")
    api.start(sent)
    body = {"data": {"type": type_, "attributes": attributes}}
    answer = api.send("POST", f"/api/{name.partition(' ')[0]}", body)
    assert answer.status_code == 202, answer.text
    for seconds in (0.5, 1, 1, 1, 10):
        shown = check_page(api)["Under way"]
        assert shown["coming"] or shown["status"] == "Sent"
        api.advance(seconds)
    check_page(api)


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize(
    "strategy",
    [
        {"method": "immediate"},
        {"method": "static", "datetime": "2027-03-01T10:00:00+00:00", "options": {"is_local": True}},
        {"method": "static", "datetime": "9999-12-31T23:59:59-23:59"},
        {"method": "static", "datetime": "0001-01-01T00:00:00+23:59"},
        {"method": "throttled", "datetime": "9999-12-31T23:59:59+00:00", "throttle_percentage": 10},
        {"method": "throttled", "datetime": "2020-01-01T00:00:00+00:00", "throttle_percentage": 50},
        {"method": "smart_send_time", "date": "9999-12-31"},
    ],
    ids=lambda strategy: f"{strategy['method']} {strategy.get('datetime', '')[:4]}",
)
def test_a_campaign_of_any_channel_and_strategy_is_shown_in_each_status(api, channel, strategy):
    sent = made(api, channel, "Sent", send_strategy=strategy)
    cancelled = made(api, channel, "Cancelled", send_strategy=strategy)
    reverted = made(api, channel, "Reverted", send_strategy=strategy)
    nobody = made(api, channel, "Nobody", audiences={"included": ["NoOne0"]}, send_strategy=strategy)
    made(api, channel, "Draft", send_strategy=strategy)
    api.estimate(sent)
    seen = set()
    for id_ in (sent, cancelled, reverted, nobody):
        answer = api.start(id_)
        assert answer.status_code == 202, answer.text
    for step in range(8):
        shown = check_page(api)
        assert shown.keys() >= {"Sent", "Cancelled", "Reverted", "Nobody", "Draft"}
        seen |= {campaign["status"] for campaign in shown.values()}
        api.advance((0.5, 1, 1, 1.5, 2, 30, 3600, 7200)[step])
        if step == 1:
            assert api.stop(cancelled, "cancel").status_code == 204
            api.stop(reverted, "revert")
    assert seen >= {"Draft", "Queued without Recipients", "Adding Recipients", "Cancelled"}
    assert api.http.get("/sandbox/sends").status_code == 200


def test_what_was_deleted_under_a_campaign_leaves_a_gap_in_the_page(api):
    list_id = api.send("POST", "/api/lists", {"data": {"type": "list", "attributes": {"name": "Gone"}}}).json()["data"][
        "id"
    ]
    members = {"data": [{"type": "profile", "id": ADA}]}
    assert api.send("POST", f"/api/lists/{list_id}/relationships/profiles", members).status_code == 204
    campaign_id, message_id = api.create("Gaps", audiences={"included": [list_id], "excluded": [NEWSLETTER]})
    tag = api.send("POST", "/api/tags", {"data": {"type": "tag", "attributes": {"name": "gone"}}}).json()["data"]["id"]
    api.send("POST", f"/api/tags/{tag}/relationships/campaigns", {"data": [{"type": "campaign", "id": campaign_id}]})
    template = api.get(f"/api/campaign-messages/{message_id}/template").json()["data"]["id"]
    forgotten = {"profile": {"data": {"type": "profile", "attributes": {"email": "ada.alder@example.com"}}}}
    deletion = {"data": {"type": "data-privacy-deletion-job", "attributes": forgotten}}
    for method, path, body in (
        ("DELETE", f"/api/templates/{template}", None),
        ("DELETE", f"/api/lists/{NEWSLETTER}", None),
        ("DELETE", f"/api/tags/{tag}", None),
        ("POST", "/api/data-privacy-deletion-jobs", deletion),
        ("DELETE", f"/api/lists/{list_id}", None),
    ):
        assert api.send(method, path, body).status_code in (202, 204), path
        shown = check_page(api)["Gaps"]
    assert shown["messages"][0]["html"] is None
    assert (shown["audiences"][0]["name"], shown["excluded"][0]["name"], shown["tags"]) == (None, None, [])
    api.start(campaign_id)
    api.advance(20)
    assert check_page(api)["Gaps"]["status"] == "Cancelled: No Recipients"


def test_a_campaign_deleted_while_it_is_counted_is_gone_from_the_page(api):
    campaign_id = made(api, "email", "Gone")
    api.estimate(campaign_id)
    assert api.send("DELETE", f"/api/campaigns/{campaign_id}").status_code == 204
    api.advance(10)
    assert "Gone" not in check_page(api)
    assert api.http.get("/sandbox/state", params={"open": campaign_id}).json()["campaign"] is None


def test_an_account_with_nothing_in_it_has_a_page_and_can_be_used(tmp_path, connect):
    seed = tmp_path / "seed.json"
    seed.write_text('{"account": {"id": "Empty0"}}')
    with Sandbox(seed=seed, speed=STILL, limits=False, strict=True) as running:
        api = connect(running.url)
        assert check_page(api) == {}
        for path in ("accounts", "lists", "segments", "templates", "profiles", "tags", "tag-groups", "images"):
            answer = api.get(f"/api/{path}")
            assert answer.status_code == 200, answer.text
        assert (
            api.send("POST", "/api/tags", {"data": {"type": "tag", "attributes": {"name": "first"}}}).status_code == 201
        )
        created = api.send("POST", "/api/lists", {"data": {"type": "list", "attributes": {"name": "First"}}})
        audience = {"included": [created.json()["data"]["id"]]}
        for channel in CHANNELS:
            if channel != "email":
                made(api, channel, channel, audiences=audience)
        assert api.create("email", template=None, audiences=audience)
        assert check_page(api).keys() == set(CHANNELS)
