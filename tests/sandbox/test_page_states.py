"""The page and its state are served whatever the account holds."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import httpx
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


@pytest.mark.parametrize("view", ["campaigns", "deliveries", "requests", "faults", "account", "campaign", "request"])
def test_a_view_asks_only_for_what_it_shows(api, view):
    told = api.http.get("/sandbox/state", params={"view": view}).json()
    parts = {"faults": {"faults", "limits"}, "account": {"holdings"}, "campaign": set(), "request": set()}
    assert told.keys() == {"account", "clock", "twice", "counts"} | parts.get(view, {view})


@pytest.mark.parametrize("path", ["/campaigns/none", "/requests/99", "/requests/%C2%B2", "/requests/-1"])
def test_what_is_not_there_has_a_page_that_says_so_with_a_404(api, path):
    assert api.http.get(path).status_code == 404


def opened_request(api: Api, number: int) -> Any:
    return api.http.get("/sandbox/state", params={"view": "request", "number": str(number)}).json()["request"]


def test_a_request_opens_with_its_answer_the_reason_and_the_fault_in_words(api):
    api.get("/api/lists/Y6nRLX")
    api.fault(operation="get_list", fault="status_after_commit", status=503, times=2, skip=1)
    for _ in range(2):
        api.get("/api/lists/Y6nRLr")
    missing, whole, hit = (opened_request(api, number) for number in (1, 2, 3))
    assert "Y6nRLX" in missing["reasons"][0]["detail"]
    assert missing["answer"]["errors"][0]["status"] == 404
    assert (whole["reasons"], whole["rule"], whole["answer"]["data"]["id"]) == ([], None, "Y6nRLr")
    assert hit["rule"].startswith("Writes, then answers 503, for 2 calls of get_list")
    assert (missing["older"], missing["newer"], hit["newer"]) == (None, 2, None)
    assert "authorization" not in missing["headers"]
    assert f"curl -sS -X GET {api.url}/api/lists/Y6nRLX -H 'Authorization: Klaviyo-API-Key pk_any'" in missing["curl"]
    assert opened_request(api, 99) is None


def test_requests_are_found_by_status_operation_and_campaign(api):
    mine, _ = api.create("Mine")
    other, _ = api.create("Other", template=None)
    api.fault(operation="send_campaign", fault="drop_after_commit")
    with suppress(httpx.HTTPError):
        api.start(mine)
    api.get(f"/api/campaigns/{other}")
    api.get("/api/lists/none")

    def found(**asked: str) -> list[int]:
        state = api.http.get("/sandbox/state", params={"view": "requests", **asked}).json()
        return [row["number"] for row in state["requests"]["shown"]]

    assert found(status="4xx") == [6]
    assert found(status="cut") == [4]
    assert found(status="201") == [3, 1]
    assert found(operation="get_campaign") == [5]
    assert found(campaign=mine) == [4, 2, 1]
    assert found(campaign=mine, status="2xx", requests="assign") == [2]


def test_each_person_is_named_with_the_reason(api):
    api.create("People", audiences={"included": ["YzykDM", "WEmgye"], "excluded": ["UTd5ui"]})
    people = check_page(api)["People"]["people"]
    assert people["counts"] == {"get it": 33, "excluded": 4, "without consent": 2, "suppressed": 1}
    why = {row["address"]: row["why"] for row in people["shown"]}
    assert why["ada.alder@example.com"] == "included by Newsletter, Holiday shoppers"
    liam = "excluded by Bought in the last 7 days; included by Newsletter, Holiday shoppers"
    assert why["liam.rowan@example.com"] == liam
    assert why["hugo.thorn@example.com"] == "UNSUBSCRIBED to email"
    assert why["freya.hazel@example.com"] == "suppressed: HARD_BOUNCE"
    assert people["total"] == len(people["shown"]) == 40


def test_who_has_no_address_is_named_too(api):
    made(api, "sms", "Texts", audiences={"included": ["YzykDM"]})
    profile = {"data": {"type": "profile", "attributes": {"external_id": "nowhere"}}}
    id_ = api.send("POST", "/api/profiles", profile).json()["data"]["id"]
    api.send("POST", "/api/lists/YzykDM/relationships/profiles", {"data": [{"type": "profile", "id": id_}]})
    api.create("Mails", template=None, audiences={"included": ["YzykDM"]})
    shown = check_page(api)
    assert shown["Mails"]["people"]["counts"]["without an address"] == 1
    assert shown["Texts"]["people"]["counts"]["without consent"] > 1


def findings(api: Api, html: str) -> list[tuple[str, str]]:
    attributes = {"name": "T", "editor_type": "CODE", "html": html}
    template = api.send("POST", "/api/templates", {"data": {"type": "template", "attributes": attributes}})
    api.create("Checked", template=template.json()["data"]["id"])
    (message,) = check_page(api)["Checked"]["messages"]
    return [(one["what"].partition(":")[0], one["place"]) for one in message["findings"]]


def test_a_mail_that_is_well_has_no_finding(api):
    assert findings(api, '<p>Hello {{ first_name }}</p><img src="https://a.b/c" alt=""><p>{% unsubscribe %}</p>') == []


def test_what_is_wrong_with_a_mail_is_told_with_its_place(api):
    html = '<a href="http://example.com">x</a>\n<a href="#">y</a><a href="">z</a>\n<img src="https://a.b/c">\n'
    assert findings(api, html + "{{ '{{ left }}' }}" + "x" * 103 * 1024) == [
        ("No unsubscribe link", "the whole mail"),
        ("103 kB of HTML", "the whole mail"),
        ("A link by http", "line 1"),
        ("A link that leads nowhere", "line 2"),
        ("A link that leads nowhere", "line 2"),
        ("An image without alt text", "line 3"),
        ("A tag that was not filled in", "line 4"),
    ]


def test_what_the_account_holds_is_listed_by_kind_and_found(api):
    def holdings(**asked: str) -> Any:
        return api.http.get("/sandbox/state", params={"view": "account", **asked}).json()["holdings"]

    counts = {"lists": 5, "segments": 2, "profiles": 40, "tags": 1, "images": 1, "metrics": 13}
    assert holdings()["kinds"].items() >= counts.items()
    for kind, count in holdings()["kinds"].items():
        assert holdings(kind=kind)["total"] == count, kind
    (vip,) = holdings(find="vip")["shown"]
    assert (vip["id"], vip["detail"]) == ("Y6nRLr", "12 profiles")
    (freya,) = holdings(kind="profiles", find="freya")["shown"]
    assert freya["detail"] == "email yes · SMS never asked · push never asked · suppressed: HARD_BOUNCE"


def test_the_clock_says_when_the_next_thing_happens(api):
    def upcoming() -> Any:
        return api.http.get("/sandbox/state", params={"view": "faults"}).json()["clock"]["next"]

    assert upcoming() is None
    id_, _ = api.create("Next")
    api.start(id_)
    seen = set()
    while (coming := upcoming()) is not None:
        api.advance(coming["seconds"])
        seen.add(api.status(id_))
    assert seen == {"Adding Recipients", "Sending", "Sent"}
