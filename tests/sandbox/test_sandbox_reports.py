"""What a report counts and refuses, and what it has as time goes by."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from tests.sandbox.bodies import event, resource
from tests.sandbox.sandbox_api import STILL, Api

ORDERS, OTHER_ORDERS = "RESQ6t", "Wx8PdR"
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
FUNNEL = ("recipients", "delivered", "opens_unique", "clicks_unique", "conversion_uniques")


def sent(api: Api, name: str) -> str:
    campaign_id, _ = api.create(name, audiences={"included": ["YzykDM"], "excluded": []})
    assert api.start(campaign_id).status_code == 202
    api.advance(10)
    return campaign_id


def figures(api: Api, campaign_id: str, metric: str = ORDERS) -> dict[str, Any]:
    given = {
        "statistics": [*FUNNEL, "opens", "clicks", "bounced", "open_rate", "conversion_value", "conversions"],
        "timeframe": {"key": "last_30_days"},
        "conversion_metric_id": metric,
        "filter": f'contains-any(campaign_id,["{campaign_id}"])',
    }
    body = {"data": {"type": "campaign-values-report", "attributes": given}}
    answer = api.send("POST", "/api/campaign-values-reports", body)
    assert answer.status_code == 200, answer.text
    [row] = answer.json()["data"]["attributes"]["results"]
    statistics: dict[str, Any] = row["statistics"]
    return statistics


def test_figures_grow_after_a_send_and_no_step_of_the_funnel_has_more_than_the_one_before(api):
    campaign_id = sent(api, "Sale")
    seen = [figures(api, campaign_id)]
    for pause in (5 * MINUTE, HOUR, 3 * HOUR, DAY, 3 * DAY):
        api.advance(pause)
        seen.append(figures(api, campaign_id))
    for now in seen:
        steps = [now[name] for name in FUNNEL]
        assert steps == sorted(steps, reverse=True)
        assert 0 <= now["open_rate"] <= 1
    for name in (*FUNNEL, "opens", "clicks", "conversion_value"):
        values = [now[name] for now in seen]
        assert values == sorted(values), name
    assert seen[0]["delivered"] < seen[1]["delivered"]
    assert seen[1]["opens_unique"] < seen[3]["opens_unique"]
    assert seen[-1]["delivered"] + seen[-1]["bounced"] == seen[-1]["recipients"]
    assert seen[-1]["clicks_unique"] > 0


def test_after_five_days_nothing_happens_any_more(api):
    campaign_id = sent(api, "Sale")
    api.advance(5 * DAY + HOUR)
    at_the_end = figures(api, campaign_id)
    api.advance(10 * DAY)
    assert figures(api, campaign_id) == at_the_end


def test_the_same_campaign_has_the_same_figures_in_another_sandbox():
    seen = []
    for _ in range(2):
        with Sandbox(limits=False, speed=STILL, strict=True) as running:
            api = Api(running.url)
            campaign_id = sent(api, "Sale")
            api.advance(DAY)
            seen.append((campaign_id, figures(api, campaign_id)))
            api.http.close()
    assert seen[0] == seen[1]


def test_two_campaigns_to_the_same_people_differ(api):
    one, other = sent(api, "One"), sent(api, "Other")
    api.advance(5 * DAY)
    assert figures(api, one) != figures(api, other)


def test_orders_are_of_one_integration(api):
    ids = [sent(api, f"Sale {number}") for number in range(4)]
    api.advance(5 * DAY)
    assert sum(figures(api, one)["conversions"] for one in ids) > 0
    assert {figures(api, one, OTHER_ORDERS)["conversions"] for one in ids} == {0}
    found = api.get("/api/metrics").json()["data"]
    orders = [one["attributes"]["integration"]["name"] for one in found if one["attributes"]["name"] == "Placed Order"]
    assert orders == ["Shopify", "WooCommerce"]


def test_an_event_of_somebody_who_reacted_anyhow_is_one_person(api):
    campaign_id = sent(api, "Sale")
    api.advance(5 * DAY - HOUR)
    before = figures(api, campaign_id)
    [send] = api.sends()
    for address in send["addresses"]:
        metric = {"data": {"type": "metric", "attributes": {"name": "Opened Email"}}}
        profile = {"data": {"type": "profile", "attributes": {"email": address}}}
        attributes = {"properties": {}, "metric": metric, "profile": profile}
        assert api.send("POST", "/api/events", {"data": {"type": "event", "attributes": attributes}}).status_code == 202
    after = figures(api, campaign_id)
    assert after["opens"] == before["opens"] + send["recipients"]
    assert after["opens_unique"] == send["recipients"]


@pytest.mark.parametrize(("reactions", "delivered"), [(True, False), (False, True)])
def test_reactions_can_be_off_and_then_all_is_delivered_at_once(api, reactions, delivered):
    assert api.http.post("/sandbox/settings", json={"reactions": reactions}).status_code == 200
    campaign_id = sent(api, "Sale")
    now = figures(api, campaign_id)
    assert (now["delivered"] == now["recipients"]) is delivered
    api.advance(DAY)
    assert (figures(api, campaign_id)["opens"] > 0) is reactions


# --- what is counted, and what is refused ----------------------------------------------------------------------------


def report(api: Any, **attributes: Any) -> Any:
    given = {
        "statistics": ["recipients", "delivered", "conversions", "conversion_value", "open_rate", "delivery_rate"],
        "timeframe": {"key": "today"},
        "conversion_metric_id": ORDERS,
        **attributes,
    }
    return api.send("POST", "/api/campaign-values-reports", resource("campaign-values-report", given))


def results(answer: Any) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]["attributes"]["results"]


def test_a_report_counts_what_was_sent_and_the_events_that_followed(api):
    api.http.post("/sandbox/settings", json={"reactions": False}).raise_for_status()
    assert results(report(api)) == []
    campaign_id, message_id = api.create("Sale")
    api.start(campaign_id)
    api.advance(10)
    [sent] = api.sends()
    buyer = sent["addresses"][0]
    api.send("POST", "/api/events", event(buyer, value=30, unique_id="1"))
    api.send("POST", "/api/events", event(buyer, value=12.5, unique_id="2"))
    api.send("POST", "/api/events", event(buyer, "Opened Email"))
    api.send("POST", "/api/events", event("stranger@example.com", value=99))
    [row] = results(report(api, timeframe={"key": "last_30_days"}))
    assert row["groupings"] == {
        "campaign_id": campaign_id,
        "campaign_message_id": message_id,
        "send_channel": "email",
    }
    assert row["statistics"] == {
        "recipients": sent["recipients"],
        "delivered": sent["recipients"],
        "conversions": 2,
        "conversion_value": 42.5,
        "open_rate": 1 / sent["recipients"],
        "delivery_rate": 1.0,
    }


def test_a_report_is_filtered_grouped_and_bound_to_its_timeframe(api):
    for name in ("One", "Two"):
        api.start(api.create(name)[0])
        api.advance(10)
    first = api.sends()[0]["campaign_id"]
    week = {"key": "last_7_days"}
    assert len(results(report(api, timeframe=week))) == 2
    [row] = results(report(api, timeframe=week, filter=f'contains-any(campaign_id,["{first}"])'))
    assert row["groupings"]["campaign_id"] == first
    assert results(report(api, timeframe=week, filter='equals(send_channel,"sms")')) == []
    assert results(report(api, timeframe=week, filter='contains-any(tag_name,["sale"])')) == []
    tag = {"data": [{"type": "campaign", "id": first}]}
    api.send("POST", "/api/tags/01J0TAG000000000000000SALE/relationships/campaigns", tag)
    by_tag = ["campaign_id", "campaign_message_id", "tag_name"]
    tagged = results(report(api, timeframe=week, filter='contains-any(tag_name,["sale"])', group_by=by_tag))
    assert [row["groupings"]["tag_name"] for row in tagged] == ["sale"]
    assert results(report(api, timeframe={"key": "last_month"})) == []
    assert results(report(api, timeframe={"start": "2020-01-01T00:00:00Z", "end": "2020-12-31T00:00:00Z"})) == []


@pytest.mark.parametrize(
    ("attributes", "pointer"),
    [
        ({"group_by": ["campaign_id"]}, "/data/attributes/group_by"),
        ({"group_by": ["shoe_size"]}, "/data/attributes/group_by/0"),
        ({"statistics": ["likes"]}, "/data/attributes/statistics/0"),
        ({"conversion_metric_id": "Nope00"}, "/data/attributes/conversion_metric_id"),
        ({"timeframe": {"key": "last_7_years"}}, "/data/attributes/timeframe/key"),
        (
            {"timeframe": {"start": "2024-01-01T00:00:00Z", "end": "2026-01-01T00:00:00Z"}},
            "/data/attributes/timeframe",
        ),
        (
            {"filter": 'equals(send_channel,"sms"),equals(send_channel,"email")'},
            "/data/attributes/filter",
        ),
    ],
)
def test_a_report_that_klaviyo_does_not_make_is_refused(api, attributes, pointer):
    answer = report(api, **attributes)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["source"] == {"pointer": pointer}


@pytest.mark.parametrize("expression", ['equals(send_channel,"mobile_push")', 'contains(campaign_id,"x")', "equals("])
def test_a_reports_filter_is_checked(api, expression):
    assert report(api, filter=expression).status_code == 400
