"""The page and its state, over a real socket."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import Any
from urllib.parse import quote

import pytest

from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from airflow_provider_klaviyo.sandbox.page.requests import SHOWN
from tests.sandbox.sandbox_api import STILL, Api

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
TABS = ("/", "/deliveries", "/requests", "/account", "/faults")
HTML = "<p style='color:red'>Hello {{ first_name }}</p>"
STATIC = sorted(path.name for path in (files("airflow_provider_klaviyo.sandbox.page") / "static").iterdir())


def state(api: Api, **asked: str) -> dict[str, Any]:
    answer = api.http.get("/sandbox/state", params=asked)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    told: dict[str, Any] = answer.json()
    return told


def opened(api: Api, campaign_id: str, **asked: str) -> dict[str, Any]:
    campaign: dict[str, Any] = state(api, open=campaign_id, **asked)["campaign"]
    return campaign


def create(api: Api, audience: str, **definition: Any) -> str:
    message = {"type": "campaign-message", "attributes": {"definition": definition}}
    id_, _ = api.create(
        "Other channel", template=None, audiences={"included": [audience]}, **{"campaign-messages": {"data": [message]}}
    )
    return id_


def template(api: Api, html: str) -> str:
    attributes = {"name": "T", "editor_type": "CODE", "html": html}
    answer = api.send("POST", "/api/templates", {"data": {"type": "template", "attributes": attributes}})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["data"]["id"])


def send_twice(api: Api) -> str:
    id_, _ = api.create("Double")
    for _ in range(2):
        assert api.start(id_).status_code == 202
        api.advance(20)
    return id_


def test_the_first_paint_lists_everything_without_a_script(api):
    id_ = send_twice(api)
    plain = {path: re.sub(r"<[^>]+>", " ", api.http.get(path).text) for path in ("/", "/deliveries", "/requests")}
    assert "VIP customers (12)" in plain["/"]
    assert plain["/"].count("sent twice") == 1
    assert plain["/deliveries"].count("Double · sent twice") == 2
    assert "202 send_campaign" in plain["/requests"]
    assert "POST /api/campaign-send-jobs" in plain["/requests"]
    assert f'id="{id_}"' in api.http.get("/").text, "the target of /#<campaign id>"


def test_while_nothing_has_called_the_page_says_how_to_connect(api):
    page = api.http.get("/").text
    assert '<section class="card" id="connect" >' in page
    connection = f'{{"conn_type": "klaviyo", "host": "{api.url}", "password": "pk_sandbox"}}'
    assert f"export AIRFLOW_CONN_KLAVIYO_DEFAULT='{connection}'" in page
    api.get("/api/accounts")
    assert '<section class="card" id="connect" hidden>' in api.http.get("/").text


def test_hostile_text_comes_out_as_text(api):
    id_, _ = api.create(HOSTILE)
    api.start(id_)
    api.advance(20)
    api.get(f"/api/lists/{HOSTILE}")
    hostile_path = f"/campaigns/{quote(HOSTILE, safe='')}"
    for path in (*TABS, f"/campaigns/{id_}", hostile_path, f"/requests/{quote(HOSTILE, safe='')}"):
        page = api.http.get(path).text
        assert "<script>alert" not in page
        assert "<img src=x" not in page
    escaped = "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#x27;&gt;"
    assert [api.http.get(path).text.count(escaped) for path in ("/", "/deliveries", "/requests")] == [1, 1, 1]
    assert opened(api, id_)["name"] == HOSTILE


@pytest.mark.parametrize("path", [*TABS, "/campaigns/none", "/requests/1", "/page/main.js"])
def test_the_page_may_load_nothing_from_elsewhere(api, path):
    policy = api.http.get(path).headers["content-security-policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == "'self'"
    assert {source for sources in rules.values() for source in sources.split()} <= {
        "'none'",
        "'self'",
        "'unsafe-inline'",
        "data:",
    }


@pytest.mark.parametrize("name", STATIC)
def test_each_file_is_served_and_names_no_other_host(api, name):
    answer = api.http.get(f"/page/{name}")
    assert answer.status_code == 200
    kind = {"js": "javascript", "css": "text/css", "svg": "image/svg+xml"}[name.rpartition(".")[2]]
    assert kind in answer.headers["content-type"]
    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", answer.text) == []


def test_all_that_the_page_and_its_scripts_name_is_there(api):
    named = set(re.findall(r'(?:href|src)="(/page/[^"]+)"', api.http.get("/").text))
    for name in (name for name in STATIC if name.endswith(".js")):
        named |= {f"/page/{other}" for other in re.findall(r'from "\./([^"]+)"', api.http.get(f"/page/{name}").text)}
    assert named == {f"/page/{name}" for name in STATIC}


@pytest.mark.parametrize("path", ["/page/page.html", "/page/none.js", "/page/..%2Fstate.py", "/page/%2e%2e%2fhtml.py"])
def test_no_other_file_is_served(api, path):
    assert api.http.get(path).status_code == 404


def test_no_key_is_ever_shown(connect):
    with Sandbox(limits=False, speed=STILL) as running:
        api = connect(running.url, key="pk_4a8f0secret")
        id_, _ = api.create()
        api.get("/api/campaigns/pk_4a8f0secret")
        api.get("/api/campaigns", filter="equals(id,'pk_4a8f0secret')")
        paths = ("/requests", "/sandbox/state", f"/sandbox/state?open={id_}", "/sandbox/state?view=requests")
        texts = [api.http.get(path).text for path in paths]
    assert all("create_campaign" in text for text in texts)
    assert [text for text in texts if "4a8f0secret" in text or "uthorization" in text] == []


def test_a_double_send_is_told_with_how_many_got_it_again(api):
    single, _ = api.create("Single")
    api.start(single)
    api.advance(20)
    double = send_twice(api)
    told = state(api)
    assert told["twice"] == [{"id": double, "name": "Double", "times": 2, "again": 11}]
    assert [(row["campaign_id"], row["times"]) for row in told["deliveries"]["shown"]] == [
        (double, 2),
        (double, 2),
        (single, 1),
    ]
    assert {row["id"]: row["times"] for row in told["campaigns"]["shown"]}[double] == 2


def test_two_campaigns_of_one_name_are_told(api):
    for _ in range(2):
        api.create("Made twice", template=None)
    found = {row["name"]: row["namesakes"] for row in state(api)["campaigns"]["shown"]}
    assert (found["Made twice"], found["Holiday Sale"]) == (2, 1)


def test_an_email_is_shown_as_each_recipient_reads_it(api):
    id_, _ = api.create("Personal", template=template(api, HTML))
    first = opened(api, id_)
    assert first["reader"] == "elif.daisy@example.com"
    assert first["messages"][0]["html"] == "<p style='color:red'>Hello Elif</p>"
    other = opened(api, id_, reader="farid.fern@example.com")
    assert other["messages"][0]["html"] == "<p style='color:red'>Hello Farid</p>"
    stranger = opened(api, id_, reader="nobody@example.com")
    assert stranger["reader"] == first["reader"]
    message = first["messages"][0]
    assert (message["from"], message["subject"], message["preview"]) == (
        "Example Outfitters <hello@example.com>",
        "Sale",
        "Soon over",
    )


def test_an_email_without_a_template_has_nothing_to_show(api):
    id_, _ = api.create("Bare", template=None)
    assert opened(api, id_)["messages"][0]["html"] is None


def test_a_text_is_shown_with_what_klaviyo_adds(api):
    id_ = create(api, "TUeZtq", channel="sms", content={"body": "Hi {{ first_name }}!"})
    campaign = opened(api, id_)
    assert campaign["reader"] == "+15550100000"
    assert campaign["messages"][0]["body"] == "Hi Ada!"
    assert campaign["messages"][0]["options"] == ["shorten_links", "add_org_prefix", "add_info_link"]


def test_a_push_is_shown_with_its_buttons(api):
    button = {"label": "Open", "action_type": "open_app"}
    content = {"title": "For {{ first_name }}", "body": "Come back", "action_buttons": [button]}
    id_ = create(
        api, "YzykDM", channel="mobile_push", notification_type="standard", content=content, kv_pairs={"cart": "1"}
    )
    message = opened(api, id_)["messages"][0]
    assert (message["title"], message["body"], message["buttons"]) == ("For Ada", "Come back", ["Open"])
    assert message["data"] == {"cart": "1"}


def test_a_silent_push_shows_its_data_only(api):
    id_ = create(api, "YzykDM", channel="mobile_push", notification_type="silent", kv_pairs={"refresh": "1"})
    message = opened(api, id_)["messages"][0]
    assert (message["silent"], message["data"]) == (True, {"refresh": "1"})


def test_who_would_get_it_and_who_got_it(api):
    id_, _ = api.create("People", audiences={"included": ["YzykDM", "WEmgye"], "excluded": ["UTd5ui"]})
    before = opened(api, id_)
    assert before["audiences"] == [
        {"id": "YzykDM", "name": "Newsletter", "count": 40},
        {"id": "WEmgye", "name": "Holiday shoppers", "count": 16},
    ]
    assert before["excluded"] == [{"id": "UTd5ui", "name": "Bought in the last 7 days", "count": 4}]
    assert (before["recipients"]["total"], before["recipients"]["of"]) == (33, 40)
    assert before["deliveries"] == []
    api.start(id_)
    api.advance(20)
    (delivery,) = opened(api, id_)["deliveries"]
    assert (delivery["reached"], delivery["of"]) == (33, 33)
    assert delivery["addresses"] == before["recipients"]["shown"]


def test_what_is_to_come_is_told_until_it_has_happened(api):
    strategy = {"method": "throttled", "datetime": "2099-01-01T08:00:00+00:00", "throttle_percentage": 50}
    id_, _ = api.create("Later", send_strategy=strategy)
    assert opened(api, id_)["coming"] == []
    api.start(id_)
    campaign = opened(api, id_)
    assert campaign["when"] == "2099-01-01 08:00 UTC, 50 % an hour"
    assert [event["what"] for event in campaign["coming"]] == [
        "Adding Recipients",
        "Scheduled",
        "Sending, 50% reached",
        "Sending",
        "Sent",
    ]
    assert campaign["coming"][2]["at"] == "2099-01-01T08:00:00.000000+00:00"
    api.advance(60)
    campaign = opened(api, id_)
    assert [event["what"] for event in campaign["history"]] == [
        "Created",
        "Template assigned",
        "Send accepted",
        "Adding Recipients",
        "Scheduled",
    ]
    assert [event["what"] for event in campaign["coming"]] == ["Sending, 50% reached", "Sending", "Sent"]
    assert api.stop(id_, "cancel").status_code == 204
    campaign = opened(api, id_)
    assert (campaign["status"], campaign["coming"]) == ("Cancelled", [])


def test_a_campaigns_calls_are_those_that_mention_it(api):
    other, _ = api.create("Other")
    id_, _ = api.create("Mine")
    email = "equals(messages.channel,'email')"
    api.query("/api/campaigns", {"filter": f'and({email},any(id,["{id_}"]))', "fields[campaign]": "status"})
    api.query("/api/campaigns", {"filter": f"and({email},contains(name,'Mine'))"})
    api.query("/api/campaigns", {"filter": email})
    api.fault(operation="send_campaign", fault="status_after_commit", status=503)
    assert api.start(id_).status_code == 503
    api.get(f"/api/campaigns/{other}")
    calls = opened(api, id_)["calls"]
    assert [(row["operation"], row["status"], row["committed"], row["fault"]) for row in calls["shown"]] == [
        ("send_campaign", 503, True, "status_after_commit"),
        ("get_campaigns", 200, False, None),
        ("get_campaigns", 200, False, None),
        ("assign_template_to_campaign_message", 200, True, None),
        ("create_campaign", 201, True, None),
    ]
    assert calls["total"] == 5


def test_a_campaign_that_is_not_there_is_told_as_none(api):
    assert state(api, open="01NONE")["campaign"] is None
    assert "campaign" not in state(api)


def test_requests_are_found_by_any_part_of_their_row(api):
    api.create("Sought")
    api.get("/api/lists/none")
    total = state(api)["requests"]["total"]
    found = {
        text: [row["operation"] for row in state(api, requests=text)["requests"]["shown"]]
        for text in ("LISTS/none", "committed", "404", "nothing at all")
    }
    assert total == 3
    assert found == {
        "LISTS/none": ["get_list"],
        "committed": ["assign_template_to_campaign_message", "create_campaign"],
        "404": ["get_list"],
        "nothing at all": [],
    }


def test_campaigns_are_found_by_name_status_channel_and_id(api):
    id_, _ = api.create("Needle")
    for text in ("nEEdle", id_):
        assert [row["id"] for row in state(api, campaigns=text)["campaigns"]["shown"]] == [id_]
    assert {row["channel"] for row in state(api, campaigns="sms")["campaigns"]["shown"]} == {"sms"}
    assert {row["status"] for row in state(api, campaigns="sent")["campaigns"]["shown"]} == {"Sent"}


def test_long_lists_are_cut_and_say_how_long_they_are(api):
    for number in range(SHOWN + 10):
        api.create(f"Campaign {number}", template=None)
    told = state(api)
    for name, total in (("campaigns", SHOWN + 14), ("requests", SHOWN + 10)):
        assert (told[name]["total"], len(told[name]["shown"])) == (total, SHOWN)
    assert told["campaigns"]["shown"][0]["name"] == f"Campaign {SHOWN + 9}"
    assert told["requests"]["shown"][0]["number"] == SHOWN + 10
    assert "14 older ones" in api.http.get("/").text
    assert "10 older ones" in api.http.get("/requests").text


@pytest.fixture
def limited(connect: Callable[..., Api]) -> Iterator[Api]:
    with Sandbox(speed=STILL) as running:
        yield connect(running.url)


def test_limits_and_faults_are_told_as_they_are_used_up(limited):
    limited.fault(operation="get_list", fault="throttle", retry_after=1, times=2)
    limited.get("/api/accounts")
    limited.get("/api/lists/YzykDM")
    told = state(limited)
    (steady,) = [row for row in told["limits"]["windows"] if row["window"] == "steady"]
    assert told["limits"]["enforced"] is True
    assert steady.pop("last")
    assert steady == {"operation": "get_accounts", "window": "steady", "calls": 1, "allowed": 15}
    assert [(rule["fault"], rule["fired"], rule["times"]) for rule in told["faults"]] == [("throttle", 1, 2)]


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example.com"}, {"Origin": "https://evil.example.com"}, {"Origin": "null"}]
)
def test_state_and_controls_do_not_answer_to_other_web_pages(api, headers):
    before = api.http.get("/sandbox/clock").json()
    assert api.http.get("/sandbox/state", headers=headers).status_code == 403
    assert api.http.post("/sandbox/clock", json={"advance": 60}, headers=headers).status_code == 403
    assert api.http.get("/sandbox/clock").json()["now"][:19] == before["now"][:19]


def test_state_and_controls_answer_to_the_page_itself(api):
    headers = {"Origin": api.url}
    assert api.http.get("/sandbox/state", headers=headers).status_code == 200
    assert api.http.post("/sandbox/clock", json={"advance": 60}, headers=headers).status_code == 200
