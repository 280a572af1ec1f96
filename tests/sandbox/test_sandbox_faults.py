"""Failures on demand: each happens, as often as it was told, and on the right side of the commit."""

from __future__ import annotations

import threading
import time
from typing import Any

import httpx
import pytest

LIST = "equals(messages.channel,'email')"


def names(api: Any) -> list[str]:
    return [item["attributes"]["name"] for item in api.get("/api/campaigns", filter=LIST).json()["data"]]


def create(api: Any, name: str) -> httpx.Response:
    message = {"type": "campaign-message", "attributes": {"definition": {"channel": "email"}}}
    attributes = {"name": name, "audiences": {"included": ["YzykDM"]}, "campaign-messages": {"data": [message]}}
    return api.send("POST", "/api/campaigns", {"data": {"type": "campaign", "attributes": attributes}})


@pytest.mark.parametrize(("fault", "committed"), [("drop_before_commit", False), ("drop_after_commit", True)])
def test_a_cut_connection_leaves_the_write_done_or_not(api, fault, committed):
    api.fault(operation="create_campaign", fault=fault)
    with pytest.raises(httpx.TransportError):
        create(api, "Cut")
    assert api.fired() == [1]
    assert ("Cut" in names(api)) is committed
    entry = next(entry for entry in api.requests() if entry["fault"])
    assert (entry["status"], entry["committed"], entry["fault"]) == (None, committed, fault)
    assert create(api, "After").status_code == 201


@pytest.mark.parametrize("status", [500, 503, 504])
@pytest.mark.parametrize(("fault", "committed"), [("status_before_commit", False), ("status_after_commit", True)])
def test_a_made_up_status_leaves_the_write_done_or_not(api, fault, committed, status):
    api.fault(operation="create_campaign", fault=fault, status=status)
    assert create(api, "Failed").status_code == status
    assert api.fired() == [1]
    assert ("Failed" in names(api)) is committed
    entry = next(entry for entry in api.requests() if entry["fault"])
    assert (entry["status"], entry["committed"]) == (status, committed)


def test_a_gateway_answers_with_html(api):
    api.fault(operation="get_accounts", fault="status_before_commit", status=504)
    assert "html" in api.get("/api/accounts").headers["content-type"]


def test_a_made_up_status_can_say_when_to_come_back(api):
    api.fault(operation="get_accounts", fault="status_before_commit", status=503, retry_after=7)
    assert api.get("/api/accounts").headers["retry-after"] == "7"


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_client_that_gives_up_waiting_has_written_all_the_same(api, when):
    api.fault(operation="create_campaign", fault="delay", seconds=1.5, when=when)
    with pytest.raises(httpx.ReadTimeout):
        api.http.post("/api/campaigns", json=campaign_named("Late"), timeout=0.7)
    assert api.fired() == [1]
    assert ("Late" in names(api)) is (when == "after")
    time.sleep(1.6)
    assert "Late" in names(api)
    assert next(entry for entry in api.requests() if entry["fault"])["committed"] is True


def campaign_named(name: str) -> dict[str, Any]:
    message = {"type": "campaign-message", "attributes": {"definition": {"channel": "email"}}}
    attributes = {"name": name, "audiences": {"included": ["YzykDM"]}, "campaign-messages": {"data": [message]}}
    return {"data": {"type": "campaign", "attributes": attributes}}


def test_a_delay_holds_up_nobody_else(api):
    api.fault(operation="get_accounts", fault="delay", seconds=2)
    slow = threading.Thread(target=lambda: httpx.get(f"{api.url}/api/accounts", headers=api.http.headers))
    slow.start()
    time.sleep(0.1)
    began = time.monotonic()
    assert api.get("/api/lists").status_code == 200
    assert time.monotonic() - began < 1.5
    slow.join()
    assert api.fired() == [1]


def test_a_throttled_call_says_when_to_come_back_and_nothing_else(api):
    api.fault(operation="create_campaign", fault="throttle", retry_after=33)
    answer = create(api, "Throttled")
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "33"
    assert not [name for name in answer.headers if name.lower().startswith("ratelimit")]
    error = answer.json()["errors"][0]
    assert (error["code"], error["detail"]) == ("throttled", "Request was throttled. Expected available in 33 seconds.")
    assert api.fired() == [1]
    assert "Throttled" not in names(api)


def test_garbage_is_no_json_though_the_write_is_done(api):
    api.fault(operation="create_campaign", fault="garbage")
    answer = create(api, "Garbled")
    assert answer.status_code == 200
    with pytest.raises(ValueError, match="Expecting value"):
        answer.json()
    assert api.fired() == [1]
    assert "Garbled" in names(api)


def test_stale_reads_do_not_show_the_last_write(api):
    campaign_id, _ = api.create("Stale")
    api.start(campaign_id)
    api.fault(operation="*", fault="stale", reads=2)
    assert api.status(campaign_id) == "Draft"
    assert "Stale" in names(api)
    assert api.status(campaign_id) == "Queued without Recipients"
    assert api.fired() == [2]


def test_a_stale_list_does_not_have_the_campaign_that_was_just_made(api):
    api.fault(operation="get_campaigns", fault="stale", reads=1)
    api.create("Fresh", template=None)
    assert "Fresh" not in names(api)
    assert "Fresh" in names(api)
    assert api.fired() == [1]


def test_a_refused_write_is_not_the_last_write_of_stale_reads(api):
    campaign_id, _ = api.create("Stale", template=None)
    assert api.start(campaign_id).status_code == 409
    api.fault(operation="*", fault="stale", reads=1)
    assert api.get(f"/api/campaigns/{campaign_id}").status_code == 404
    assert api.fired() == [1]


def test_a_rule_fires_as_often_as_told_after_letting_some_pass(api):
    api.fault(operation="get_lists", fault="status_before_commit", status=500, times=2, skip=1)
    assert [api.get("/api/lists").status_code for _ in range(5)] == [200, 500, 500, 200, 200]
    assert api.fired() == [2]


def test_a_rule_without_end_fires_until_it_is_removed(api):
    api.fault(operation="*", fault="status_before_commit", status=500, times=None)
    assert {api.get("/api/lists").status_code for _ in range(5)} == {500}
    assert api.http.delete("/sandbox/faults").status_code == 200
    assert api.get("/api/lists").status_code == 200


def test_rules_take_turns_and_can_come_in_a_list(api):
    rules = [
        {"operation": "get_lists", "fault": "status_before_commit", "status": 500},
        {"operation": "*", "fault": "status_before_commit", "status": 503},
    ]
    assert api.http.post("/sandbox/faults", json=rules).status_code == 201
    assert [api.get("/api/lists").status_code for _ in range(3)] == [500, 503, 200]
    assert api.fired() == [1, 1]


def test_a_rule_may_name_an_operation_by_its_alias(api):
    api.fault(operation="create_campaign_send_job", fault="status_before_commit", status=500)
    campaign_id, _ = api.create()
    assert api.start(campaign_id).status_code == 500
    assert api.fired() == [1]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"fault": "explode"}, "drop_after_commit"),
        ({"fault": "status_after_commit"}, "needs a status"),
        ({"fault": "delay"}, "needs seconds"),
        ({"fault": "delay", "seconds": 1, "when": "never"}, "'before' or 'after'"),
        ({"fault": "garbage", "operation": "send_campain"}, "send_campaign"),
        ({"fault": "garbage", "often": 2}, "often"),
        ({"fault": "garbage", "times": "2"}, "whole numbers"),
        ({"fault": "stale", "operation": "send_campaign"}, "get_campaign and get_campaigns"),
        ("garbage", "dict"),
    ],
)
def test_a_rule_that_is_not_understood_is_refused_with_the_reason(api, rule, words):
    answer = api.http.post("/sandbox/faults", json=rule)
    assert answer.status_code == 400
    assert words in answer.json()["error"]
    assert api.fired() == []
