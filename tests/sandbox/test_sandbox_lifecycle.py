"""What becomes of a campaign: every status it passes, and what can be done in each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

EMPTY_LIST = "NoOne0"
VIP = 11


def in_hours(api: Any, hours: float) -> str:
    now = datetime.fromisoformat(api.http.get("/sandbox/clock").json()["now"])
    return (now + timedelta(hours=hours)).astimezone(UTC).isoformat()


def static(api: Any, hours: float) -> dict[str, Any]:
    return {"method": "static", "datetime": in_hours(api, hours)}


def passed(api: Any, campaign_id: str, seconds: int) -> list[str]:
    """The statuses a campaign passes in this time, each once."""
    seen = [api.status(campaign_id)]
    for _ in range(seconds):
        api.advance(1)
        status = api.status(campaign_id)
        if status != seen[-1]:
            seen.append(status)
    return seen


def test_an_immediate_campaign_is_sent_in_a_few_seconds(api):
    campaign_id, _ = api.create()
    assert api.status(campaign_id) == "Draft"
    answer = api.start(campaign_id)
    assert answer.status_code == 202
    assert answer.json()["data"]["attributes"] == {"status": "queued"}
    assert passed(api, campaign_id, 6) == ["Queued without Recipients", "Adding Recipients", "Sending", "Sent"]
    [delivery] = api.sends()
    assert (delivery["campaign_id"], delivery["channel"], delivery["recipients"]) == (campaign_id, "email", VIP)
    assert len(delivery["addresses"]) == VIP


def test_nothing_shows_as_sent_before_sending_begins(api):
    campaign_id, _ = api.create()
    api.start(campaign_id)
    api.advance(2.5)
    assert api.sends() == []


def test_a_scheduled_campaign_waits_for_its_time(api):
    campaign_id, _ = api.create(send_strategy=static(api, 1))
    api.start(campaign_id)
    attributes = api.campaign(campaign_id)
    assert attributes["scheduled_at"] is not None
    assert attributes["send_time"] == attributes["send_strategy"]["datetime"]
    assert passed(api, campaign_id, 30) == ["Queued without Recipients", "Adding Recipients", "Scheduled"]
    assert api.get(f"/api/campaign-send-jobs/{campaign_id}").json()["data"]["attributes"] == {"status": "complete"}
    api.advance(3500)
    assert api.status(campaign_id) == "Scheduled"
    assert api.sends() == []
    api.advance(75)
    assert api.status(campaign_id) == "Sent"
    assert [row["recipients"] for row in api.sends()] == [VIP]


def test_a_send_time_before_the_schedule_is_ready_is_met_without_being_scheduled(api):
    campaign_id, _ = api.create(send_strategy=static(api, 10 / 3600))
    api.start(campaign_id)
    assert passed(api, campaign_id, 30) == ["Queued without Recipients", "Adding Recipients", "Sending", "Sent"]


def test_a_static_time_in_the_past_sends_at_once(api):
    campaign_id, _ = api.create(send_strategy=static(api, -48))
    api.start(campaign_id)
    api.advance(6)
    assert api.status(campaign_id) == "Sent"


def test_a_smart_send_time_is_scheduled_for_its_day(api):
    day = in_hours(api, 72)[:10]
    campaign_id, _ = api.create(send_strategy={"method": "smart_send_time", "date": day})
    api.start(campaign_id)
    api.advance(30)
    assert api.status(campaign_id) == "Scheduled"
    assert api.campaign(campaign_id)["send_time"].startswith(day)
    api.advance(73 * 3600)
    assert api.status(campaign_id) == "Sent"


def test_a_throttled_campaign_goes_out_hour_by_hour_in_one_delivery(api):
    strategy = {"method": "throttled", "datetime": in_hours(api, 1), "throttle_percentage": 50}
    campaign_id, _ = api.create(send_strategy=strategy)
    api.start(campaign_id)
    api.advance(3605)
    assert api.status(campaign_id) == "Sending"
    assert [row["recipients"] for row in api.sends()] == [6]
    api.advance(3605)
    assert api.status(campaign_id) == "Sent"
    assert [row["recipients"] for row in api.sends()] == [VIP]


def test_an_empty_audience_ends_as_cancelled_without_recipients_though_the_job_completes(api):
    campaign_id, _ = api.create(audiences={"included": [EMPTY_LIST]})
    api.start(campaign_id)
    api.advance(10)
    assert api.status(campaign_id) == "Cancelled: No Recipients"
    assert api.get(f"/api/campaign-send-jobs/{campaign_id}").json()["data"]["attributes"] == {"status": "complete"}
    assert api.sends() == []


def test_the_send_job_is_complete_before_the_campaign_is_sent(api):
    campaign_id, _ = api.create()
    api.start(campaign_id)
    api.advance(3.5)
    assert api.get(f"/api/campaign-send-jobs/{campaign_id}").json()["data"]["attributes"] == {"status": "complete"}
    assert api.status(campaign_id) == "Sending"


def test_every_accepted_send_job_is_a_delivery_of_its_own(api):
    campaign_id, _ = api.create()
    assert api.start(campaign_id).status_code == 202
    assert api.start(campaign_id).status_code == 202
    api.advance(10)
    assert api.status(campaign_id) == "Sent"
    assert [row["recipients"] for row in api.sends()] == [VIP, VIP]


def test_a_sent_campaign_that_is_sent_again_is_delivered_again(api):
    campaign_id, _ = api.create()
    api.start(campaign_id)
    api.advance(10)
    assert api.start(campaign_id).status_code == 202
    assert api.status(campaign_id) == "Queued without Recipients"
    api.advance(10)
    assert len(api.sends()) == 2


def test_a_cancelled_campaign_is_never_delivered_and_cannot_be_sent(api):
    campaign_id, _ = api.create()
    api.start(campaign_id)
    assert api.stop(campaign_id, "cancel").status_code == 204
    assert api.status(campaign_id) == "Cancelled"
    api.advance(60)
    assert api.status(campaign_id) == "Cancelled"
    assert api.sends() == []
    assert api.start(campaign_id).status_code == 409
    assert api.stop(campaign_id, "cancel").status_code == 409


def test_cancelling_stops_all_deliveries_that_are_on_their_way(api):
    campaign_id, _ = api.create()
    api.start(campaign_id)
    api.start(campaign_id)
    api.stop(campaign_id, "cancel")
    api.advance(60)
    assert api.sends() == []


def test_cancelling_while_sending_keeps_what_was_sent(api):
    strategy = {"method": "throttled", "datetime": in_hours(api, -1), "throttle_percentage": 25}
    campaign_id, _ = api.create(send_strategy=strategy)
    api.start(campaign_id)
    api.advance(10)
    assert api.stop(campaign_id, "cancel").status_code == 204
    api.advance(36000)
    assert [row["recipients"] for row in api.sends()] == [3]


def test_a_reverted_campaign_is_a_draft_after_a_moment_and_never_sent(api):
    campaign_id, _ = api.create(send_strategy=static(api, 1))
    api.start(campaign_id)
    api.advance(30)
    assert api.stop(campaign_id, "revert").status_code == 204
    assert api.status(campaign_id) == "Scheduled"
    assert api.start(campaign_id).status_code == 409
    api.advance(3)
    attributes = api.campaign(campaign_id)
    assert (attributes["status"], attributes["send_time"], attributes["scheduled_at"]) == ("Draft", None, None)
    api.advance(7200)
    assert api.sends() == []


def test_a_reverted_campaign_can_be_changed_and_sent_again(api):
    campaign_id, _ = api.create(send_strategy=static(api, 1))
    api.start(campaign_id)
    api.stop(campaign_id, "revert")
    api.advance(3)
    change = {"data": {"type": "campaign", "id": campaign_id, "attributes": {"send_strategy": {"method": "immediate"}}}}
    assert api.send("PATCH", f"/api/campaigns/{campaign_id}", change).status_code == 200
    api.start(campaign_id)
    api.advance(10)
    assert len(api.sends()) == 1


@pytest.mark.parametrize("seconds", [2, 4, 10])
def test_an_immediate_send_cannot_be_reverted(api, seconds):
    campaign_id, _ = api.create()
    api.start(campaign_id)
    api.advance(seconds)
    assert api.stop(campaign_id, "revert").status_code == 409


@pytest.mark.parametrize("action", ["cancel", "revert"])
def test_a_draft_has_no_send_to_stop(api, action):
    campaign_id, _ = api.create()
    assert api.stop(campaign_id, action).status_code == 409


def test_only_a_draft_can_be_changed_or_deleted(api):
    campaign_id, message_id = api.create(send_strategy=static(api, 1))
    api.start(campaign_id)
    change = {"data": {"type": "campaign", "id": campaign_id, "attributes": {"name": "New"}}}
    definition = {"channel": "email", "content": {"subject": "New"}}
    message = {"data": {"type": "campaign-message", "id": message_id, "attributes": {"definition": definition}}}
    assert api.send("PATCH", f"/api/campaigns/{campaign_id}", change).status_code == 409
    assert api.send("PATCH", f"/api/campaign-messages/{message_id}", message).status_code == 409
    assert api.assign(message_id, "RipRmi").status_code == 409
    assert api.send("DELETE", f"/api/campaigns/{campaign_id}").status_code == 409
    assert api.campaign(campaign_id)["name"] == "Sale"


def test_an_email_without_a_template_cannot_be_sent(api):
    campaign_id, message_id = api.create(template=None)
    answer = api.start(campaign_id)
    assert answer.status_code == 409
    assert message_id in answer.json()["errors"][0]["detail"]
    assert api.status(campaign_id) == "Draft"


def test_a_clone_is_a_draft_with_the_known_differences(api):
    source, source_message = api.create(
        audiences={"included": ["YzykDM"], "excluded": ["UTd5ui"]}, tracking_options={"is_tracking_clicks": False}
    )
    body = {"data": {"type": "campaign", "id": source, "attributes": {"new_name": "Again"}}}
    answer = api.send("POST", "/api/campaign-clone", body)
    assert answer.status_code == 201
    clone = answer.json()["data"]
    [reference] = clone["relationships"]["campaign-messages"]["data"]
    assert clone["id"] != source
    assert reference["id"] != source_message
    assert clone["attributes"]["name"] == "Again"
    assert clone["attributes"]["status"] == "Draft"
    assert clone["attributes"]["audiences"] == {"included": ["YzykDM"], "excluded": ["UTd5ui"]}
    assert clone["attributes"]["send_strategy"]["method"] == "static"
    assert clone["attributes"]["send_strategy"]["datetime"] == clone["attributes"]["created_at"]
    assert clone["attributes"]["tracking_options"]["is_tracking_clicks"] is True
    assert api.start(clone["id"]).status_code == 202


def test_a_sent_campaign_can_be_cloned(api):
    body = {"data": {"type": "campaign", "id": "01GMRWDSA0ARTAKE1SFX8JGXAY", "attributes": {}}}
    answer = api.send("POST", "/api/campaign-clone", body)
    assert answer.status_code == 201
    assert answer.json()["data"]["attributes"]["status"] == "Draft"
    assert answer.json()["data"]["attributes"]["send_time"] is None


def test_an_assigned_template_is_a_copy_that_later_edits_do_not_reach(api):
    _, message_id = api.create(template=None)
    answer = api.assign(message_id, "RipRmi").json()
    assert set(answer["data"]["attributes"]) >= {"label", "channel", "content"}
    assert "definition" not in answer["data"]["attributes"]
    copy_id = answer["data"]["relationships"]["template"]["data"]["id"]
    assert copy_id != "RipRmi"
    assert [item["id"] for item in answer["included"]] == [copy_id]
    edit = {"data": {"type": "template", "id": "RipRmi", "attributes": {"html": "<p>new</p>"}}}
    assert api.send("PATCH", "/api/templates/RipRmi", edit).status_code == 200
    assert api.send("DELETE", "/api/templates/RipRmi").status_code == 204
    copy = api.get(f"/api/campaign-messages/{message_id}/template").json()["data"]
    assert copy["attributes"]["name"] == "Clone of RipRmi"
    assert "holiday sale" in copy["attributes"]["html"]
    assert copy_id not in [item["id"] for item in api.get("/api/templates").json()["data"]]


def test_an_estimation_has_no_result_until_its_job_is_complete(api):
    campaign_id, _ = api.create()
    job, result = (
        f"/api/campaign-recipient-estimation-jobs/{campaign_id}",
        f"/api/campaign-recipient-estimations/{campaign_id}",
    )
    for path in (job, result):
        error = api.get(path).json()["errors"][0]
        assert (error["status"], error["code"]) == (404, "not_found")
        assert error["detail"] == "No results or results were out of date. Schedule a new estimation."
    assert api.estimate(campaign_id).json()["data"]["attributes"] == {"status": "processing"}
    assert api.get(result).status_code == 404
    assert api.estimate(campaign_id).status_code == 409
    api.advance(3)
    assert api.get(job).json()["data"]["attributes"] == {"status": "complete"}
    assert api.get(result).json()["data"]["attributes"] == {"estimated_recipient_count": VIP}


def test_an_estimation_is_out_of_date_when_the_audience_changes(api):
    campaign_id, _ = api.create()
    api.estimate(campaign_id)
    api.advance(3)
    attributes = {"audiences": {"included": ["YzykDM"]}}
    change = {"data": {"type": "campaign", "id": campaign_id, "attributes": attributes}}
    api.send("PATCH", f"/api/campaigns/{campaign_id}", change)
    assert api.get(f"/api/campaign-recipient-estimations/{campaign_id}").status_code == 404


def test_an_unknown_campaign_is_told_from_a_missing_estimation_by_its_text(api):
    error = api.get("/api/campaign-recipient-estimations/NOPE01").json()["errors"][0]
    assert error["detail"] == "A campaign with id 'NOPE01' does not exist."


@pytest.mark.parametrize(
    ("audiences", "count"),
    [
        ({"included": ["YzykDM"]}, 37),  # 40, of whom two have unsubscribed and one bounced
        ({"included": ["YzykDM", "WEmgye", "Y6nRLr"]}, 37),
        ({"included": ["YzykDM"], "excluded": ["YzykDM"]}, 0),
        ({"included": ["Y6nRLr"], "excluded": ["UTd5ui"]}, 7),
        ({"included": [EMPTY_LIST]}, 0),
    ],
)
def test_recipients_are_counted_once_without_the_excluded_and_the_unsubscribed(api, audiences, count):
    campaign_id, _ = api.create(audiences=audiences)
    api.estimate(campaign_id)
    api.advance(3)
    answer = api.get(f"/api/campaign-recipient-estimations/{campaign_id}").json()
    assert answer["data"]["attributes"]["estimated_recipient_count"] == count


def test_a_text_message_goes_to_those_who_asked_for_it_only(api):
    definition = {"channel": "sms", "content": {"body": "Hi"}}
    message = {"type": "campaign-message", "attributes": {"definition": definition}}
    campaign_id, _ = api.create(
        template=None, audiences={"included": ["YzykDM"]}, **{"campaign-messages": {"data": [message]}}
    )
    api.start(campaign_id)
    api.advance(10)
    [delivery] = api.sends()
    assert (delivery["channel"], delivery["recipients"]) == ("sms", 10)
    assert all(number.startswith("+1555") for number in delivery["addresses"])
