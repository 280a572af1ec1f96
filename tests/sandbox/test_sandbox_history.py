"""What has happened to a campaign is written down, and stays as it was written."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_klaviyo.sandbox import history as written
from airflow_provider_klaviyo.sandbox.controls import ControlError
from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from airflow_provider_klaviyo.sandbox.seed import seeded
from airflow_provider_klaviyo.sandbox.testing import KlaviyoSandbox
from tests.sandbox.sandbox_api import STILL, Api

SEEDED = "01H5QQV9F57XJHJDMD86RX4QM5"
SEND = ["Send accepted", "Adding Recipients", "Sending", "Sent"]


def history(api: Api, campaign_id: str) -> list[tuple[str, str]]:
    """What happened and its details; that the times ascend is checked on the way."""
    answer = api.get("/sandbox/history", campaign=campaign_id)
    assert answer.status_code == 200, answer.text
    rows = answer.json()
    assert all(list(row) == ["at", "what", "detail"] for row in rows)
    assert [row["at"] for row in rows] == sorted(row["at"] for row in rows)
    return [(row["what"], row["detail"]) for row in rows]


def whats(api: Api, campaign_id: str) -> list[str]:
    return [what for what, _ in history(api, campaign_id)]


def edit(api: Api, campaign_id: str, **attributes: Any) -> int:
    body = {"data": {"type": "campaign", "id": campaign_id, "attributes": attributes}}
    return api.send("PATCH", f"/api/campaigns/{campaign_id}", body).status_code


def clone(api: Api, campaign_id: str) -> str:
    body = {"data": {"type": "campaign", "id": campaign_id, "attributes": {"new_name": "Copy"}}}
    return str(api.send("POST", "/api/campaign-clone", body).json()["data"]["id"])


def in_an_hour(api: Api) -> str:
    now = datetime.fromisoformat(api.http.get("/sandbox/clock").json()["now"])
    return (now + timedelta(hours=1)).astimezone(UTC).isoformat()


def test_a_campaigns_whole_life_is_written_down(api):
    campaign_id, message_id = api.create("Sale")
    edit(api, campaign_id, name="New", send_options={"use_smart_sending": False})
    edit(api, campaign_id, name="New")
    definition = {"channel": "email", "label": "Sale", "content": {"subject": "Hello"}}
    data = {"type": "campaign-message", "id": message_id, "attributes": {"definition": definition}}
    assert api.send("PATCH", f"/api/campaign-messages/{message_id}", {"data": data}).status_code == 200
    api.estimate(campaign_id)
    api.advance(5)
    api.start(campaign_id)
    api.advance(10)
    assert history(api, campaign_id) == [
        ("Created", "'Sale'"),
        ("Template assigned", "'Holiday sale' (RipRmi)"),
        ("Edited", "name, send_options"),
        ("Edited", "nothing changed"),
        ("Edited", "message: subject"),
        ("Recipients estimated", "11 recipients"),
        ("Send accepted", "send 1, at once"),
        ("Adding Recipients", "send 1"),
        ("Sending", "send 1, to 11 recipients"),
        ("Sent", "send 1, to 11 recipients"),
    ]


def test_after_a_second_send_the_first_still_shows_whole(api):
    campaign_id, _ = api.create()
    api.start(campaign_id)
    api.advance(10)
    first = api.get("/sandbox/history", campaign=campaign_id).json()
    api.start(campaign_id)
    api.advance(10)
    both = api.get("/sandbox/history", campaign=campaign_id).json()
    assert both[: len(first)] == first
    assert [row["what"] for row in both[2:]] == SEND * 2
    assert [row["detail"][:6] for row in both[2:]] == ["send 1"] * 4 + ["send 2"] * 4


def test_two_sends_on_their_way_at_once_are_told_apart(api):
    campaign_id, _ = api.create()
    for _ in range(2):
        api.start(campaign_id)
    api.advance(10)
    rows = history(api, campaign_id)
    for run in ("send 1", "send 2"):
        assert [what for what, detail in rows if detail.startswith(run)] == SEND


def test_a_clone_names_what_it_is_of(api):
    assert history(api, clone(api, SEEDED)) == [("Cloned", f"from 'Holiday Sale: Email Campaign' ({SEEDED})")]


def test_a_picture_is_written_down_each_time_it_is_set(api):
    attributes = {"import_from_url": "https://example.com/shoe.png", "name": "shoe"}
    image = api.send("POST", "/api/images", {"data": {"type": "image", "attributes": attributes}}).json()["data"]["id"]
    definition = {"channel": "sms", "content": {"body": "Hi"}}
    message = {"type": "campaign-message", "attributes": {"definition": definition}}
    campaign_id, message_id = api.create(template=None, **{"campaign-messages": {"data": [message]}})
    link = {"data": {"type": "image", "id": image}}
    assert api.send("PATCH", f"/api/campaign-messages/{message_id}/relationships/image", link).status_code == 204
    data = {"type": "campaign-message", "id": message_id, "attributes": {}, "relationships": {"image": link}}
    assert api.send("PATCH", f"/api/campaign-messages/{message_id}", {"data": data}).status_code == 200
    assert history(api, campaign_id)[1:] == [("Image set", f"'shoe' ({image})")] * 2


def test_a_send_that_is_taken_back_and_one_that_is_cancelled(api):
    at = in_an_hour(api)
    campaign_id, _ = api.create(send_strategy={"method": "static", "datetime": at})
    api.start(campaign_id)
    api.advance(30)
    assert api.stop(campaign_id, "revert").status_code == 204
    api.advance(5)
    api.start(campaign_id)
    assert api.stop(campaign_id, "cancel").status_code == 204
    api.advance(7200)
    rows = history(api, campaign_id)[2:]
    accepted = rows[0][1]
    assert accepted.startswith("send 1, for ")
    assert rows == [
        ("Send accepted", accepted),
        ("Adding Recipients", "send 1"),
        ("Scheduled", "send 1"),
        ("Revert accepted", "send 1"),
        ("Reverted to draft", ""),
        ("Send accepted", accepted.replace("send 1", "send 2")),
        ("Cancelled", "send 2"),
    ]


def test_a_throttled_send_tells_how_many_it_has_reached(api):
    strategy = {"method": "throttled", "datetime": "2020-01-01T00:00:00Z", "throttle_percentage": 50}
    campaign_id, _ = api.create(send_strategy=strategy)
    api.start(campaign_id)
    api.advance(7200)
    assert history(api, campaign_id)[-3:] == [
        ("Sending", "send 1, to 6 of 11 recipients"),
        ("Sending", "send 1, to 11 recipients"),
        ("Sent", "send 1, to 11 recipients"),
    ]


def test_a_campaign_to_nobody_ends_cancelled(api):
    campaign_id, _ = api.create(audiences={"included": ["NoOne0"]})
    api.start(campaign_id)
    api.advance(10)
    assert history(api, campaign_id)[-1] == ("Cancelled: No Recipients", "send 1")
    assert "Sending" not in whats(api, campaign_id)


def test_a_deleted_campaign_is_remembered_and_one_that_never_was_is_not(api):
    campaign_id, _ = api.create()
    assert api.send("DELETE", f"/api/campaigns/{campaign_id}").status_code == 204
    assert whats(api, campaign_id) == ["Created", "Template assigned", "Deleted"]
    assert api.get("/sandbox/history", campaign="nope").status_code == 404
    assert "nope" in api.get("/sandbox/history", campaign="nope").json()["error"]
    assert api.get("/sandbox/history").status_code == 400


def test_what_is_refused_or_cannot_be_saved_is_not_written_down(tmp_path, connect):
    data = tmp_path / "gone" / "state.json"
    data.parent.mkdir()
    with Sandbox(limits=False, speed=STILL, data=data) as running:
        api = connect(running.url)
        campaign_id, message_id = api.create()
        before = history(api, campaign_id)
        assert edit(api, campaign_id, name="New", audiences={"included": ["nope"]}) == 400
        assert api.assign(message_id, "nope").status_code == 404
        assert api.stop(campaign_id, "cancel").status_code == 409
        shutil.rmtree(data.parent)
        assert edit(api, campaign_id, name="New") == 500
        assert api.start(campaign_id).status_code == 500
        assert history(api, campaign_id) == before
        data.parent.mkdir()


def saved(tmp_path, connect):
    """A data file with a campaign that was sent, the campaign's id, and its history."""
    data = tmp_path / "state.json"
    with Sandbox(limits=False, speed=STILL, data=data) as first:
        api = connect(first.url)
        campaign_id, _ = api.create()
        api.start(campaign_id)
        api.advance(10)
        return data, campaign_id, history(api, campaign_id)


def test_a_history_outlives_the_process_and_ends_with_a_reset(tmp_path, connect):
    data, campaign_id, before = saved(tmp_path, connect)
    with Sandbox(limits=False, speed=STILL, data=data) as second:
        api = connect(second.url)
        assert history(api, campaign_id) == before
        api.http.post("/sandbox/reset")
        assert api.get("/sandbox/history", campaign=campaign_id).status_code == 404


def test_a_data_file_from_before_there_was_a_history_gives_what_it_knows(tmp_path, connect):
    data, campaign_id, _ = saved(tmp_path, connect)
    state = json.loads(data.read_text())
    kept = [resource for resource in state["store"]["resources"] if resource["type"] != written.TYPE]
    assert len(kept) < len(state["store"]["resources"])
    state["store"]["resources"] = kept
    data.write_text(json.dumps(state))
    with Sandbox(limits=False, speed=STILL, data=data) as second:
        api = connect(second.url)
        assert history(api, campaign_id) == [("Created", ""), ("Sending", "")]
        api.start(campaign_id)
        api.advance(10)
        assert whats(api, campaign_id) == ["Created", "Sending", *SEND]
        assert history(api, SEEDED) == [("Created", "")]


def test_a_long_history_loses_edits_and_never_a_send():
    store = seeded()
    written.note(store, SEEDED, 0.0, written.CREATED)
    written.note(store, SEEDED, 1.0, written.EDITED, "the first")
    for number in range(300):
        written.note(store, SEEDED, 2.0 + number, written.ACCEPTED, f"send {number}")
    for number in range(written.KEPT + 1):
        written.note(store, SEEDED, 1000.0 + number, written.ESTIMATED)
    rows = written.history(store, SEEDED) or []
    assert sum(row["what"] == written.ACCEPTED for row in rows) == 300
    assert sum(row["what"] in written.PASSING for row in rows) == written.KEPT
    assert [row["detail"][:2] for row in rows if row["what"] == written.LEFT_OUT] == ["2 "]
    assert rows[0]["what"] == written.CREATED


def test_deleted_campaigns_are_forgotten_beyond_a_thousand():
    store = seeded()
    for number in range(written.DELETED_KEPT + 2):
        written.note(store, f"C{number}", float(number), written.CREATED)
        written.note(store, f"C{number}", float(number), written.DELETED)
    assert written.history(store, "C1") is None
    assert len(written.history(store, "C2") or ()) == 2


def test_a_test_of_ones_own_reads_it_by_id_or_name(api):
    own = KlaviyoSandbox(api.url)
    campaign_id, _ = api.create("Sale & more")
    assert own.history("Sale & more") == own.history(campaign_id)
    assert [row["what"] for row in own.history(campaign_id)] == ["Created", "Template assigned"]
    with pytest.raises(ControlError, match="nope"):
        own.history("nope")


def test_the_page_shows_it(api):
    campaign_id, _ = api.create()
    state = api.get("/sandbox/state", open=campaign_id).json()
    assert state["campaign"]["history"] == api.get("/sandbox/history", campaign=campaign_id).json()
