"""A change is made as a whole, or not at all."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest

from airflow_provider_klaviyo.sandbox import bulk
from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from airflow_provider_klaviyo.sandbox.model import Entity
from airflow_provider_klaviyo.sandbox.seed import seeded
from tests.sandbox.sandbox_api import STILL, Api

ADA, EMPTY, ORDERS = "01J0PR0F11E000000000000001", "NoOne0", "RESQ6t"


def test_what_a_block_changed_is_undone_when_it_fails():
    store = seeded()
    store.sends.append({"campaign_id": "C", "sent": 1})
    before = json.dumps(store.to_json())

    def fail_halfway() -> None:
        with store.whole():
            store.put(store.get("profile", ADA).having(email=None))
            store.delete("list", EMPTY)
            store.plan(0.0, what="draft", campaign="C")
            store.new_id("campaign")
            store.sends[0] = {**store.sends[0], "sent": 2}
            store.sends.append({"campaign_id": "D", "run": 1, "sent": 1})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert json.dumps(store.to_json()) == before


def test_a_write_that_cannot_be_saved_is_not_made(tmp_path, connect):
    data = tmp_path / "gone" / "state.json"
    data.parent.mkdir()
    with Sandbox(limits=False, speed=STILL, data=data) as running:
        api = connect(running.url)
        campaign_id, _ = api.create("Before")
        kept = data.read_text()
        shutil.rmtree(data.parent)
        assert (
            api.send("POST", "/api/lists", {"data": {"type": "list", "attributes": {"name": "Lost"}}}).status_code
            == 500
        )
        assert api.start(campaign_id).status_code == 500
        assert [row["status"] for row in api.requests()[-2:]] == [500, 500]
        assert "Lost" not in [row["attributes"]["name"] for row in api.get("/api/lists").json()["data"]]
        assert (api.status(campaign_id), api.http.get("/").status_code) == ("Draft", 200)
        data.parent.mkdir()
        assert api.start(campaign_id).status_code == 202
        assert json.loads(kept)["store"]["counter"] < json.loads(data.read_text())["store"]["counter"]


def test_a_refusal_in_the_middle_leaves_nothing_of_the_first_half(api):
    tags = [
        api.send("POST", "/api/tags", {"data": {"type": "tag", "attributes": {"name": str(n)}}}) for n in range(101)
    ]
    first, second = (api.create(name, template=None)[0] for name in ("One", "Two"))

    def tag(answer: Any, *campaign_ids: str) -> int:
        members = {"data": [{"type": "campaign", "id": id_} for id_ in campaign_ids]}
        path = f"/api/tags/{answer.json()['data']['id']}/relationships/campaigns"
        return int(api.send("POST", path, members).status_code)

    for answer in tags[:100]:
        assert tag(answer, second) == 204
    assert tag(tags[100], first, second) == 400
    assert api.get(f"/api/campaigns/{first}/tags").json()["data"] == []


def test_a_read_of_some_fields_changes_nothing(target):
    definition = {"content_type": "block", "type": "html", "data": {"content": "<p>Bye</p>", "display_options": {}}}
    body = {"type": "template-universal-content", "attributes": {"name": "Footer", "definition": definition}}
    made = target.api.send("POST", "/api/template-universal-content", {"data": body}).json()["data"]
    before = target.kept()
    fields = ["definition", "definition.data.display_options.content_repeat.item_alias"]
    for named in (fields, fields[::-1]):
        asked = {"fields[template-universal-content]": ",".join(named)}
        answer = target.api.query(f"/api/template-universal-content/{made['id']}", asked)
        assert answer.json()["data"]["attributes"] == {"definition": definition}
    assert target.kept() == before


def test_an_event_that_fails_is_told_once_and_leaves_nothing_of_itself(api, monkeypatch):
    def broken(store: Any, job: Any, now: str) -> Any:
        store.delete("list", EMPTY)
        raise RuntimeError("a bug")

    monkeypatch.setitem(bulk.WORK, bulk.IMPORT, broken)
    rows = {"profiles": {"data": [{"type": "profile", "attributes": {"email": "new@example.com"}}]}}
    body = {"data": {"type": "profile-bulk-import-job", "attributes": rows}}
    assert api.send("POST", "/api/profile-bulk-import-jobs", body).status_code == 202
    campaign_id, _ = api.create("Goes on")
    api.start(campaign_id)
    assert api.http.post("/sandbox/clock", json={"advance": 10}).status_code == 500
    assert api.get(f"/api/lists/{EMPTY}").status_code == 200
    assert (api.status(campaign_id), len(api.sends())) == ("Sent", 1)
    assert api.http.get("/").status_code == 200


def test_values_that_add_up_beyond_all_numbers_are_refused_one_by_one(api):
    campaign_id, _ = api.create("Report")
    api.start(campaign_id)
    api.advance(10)
    buyer = api.sends()[0]["addresses"][0]
    assert [_buy(api, buyer, value).status_code for value in (1e308, -1e308, 10**308, 1e15, -1e15)] == [400] * 3 + [
        202
    ] * 2
    given = {
        "statistics": ["conversion_value", "average_order_value"],
        "timeframe": {"key": "last_7_days"},
        "conversion_metric_id": ORDERS,
    }
    answer = api.send(
        "POST", "/api/campaign-values-reports", {"data": {"type": "campaign-values-report", "attributes": given}}
    )
    assert answer.status_code == 200
    json.loads(answer.text, parse_constant=pytest.fail)


@pytest.mark.parametrize("time", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"])
def test_an_event_at_a_time_that_cannot_be_written_is_refused(api, time):
    assert _buy(api, "ada.alder@example.com", 1, time=time).status_code == 400


def _buy(api: Api, email: str, value: float, **attributes: Any) -> Any:
    given = {
        "properties": {},
        "value": value,
        "unique_id": str(value),
        "metric": {"data": {"type": "metric", "attributes": {"name": "Placed Order"}}},
        "profile": {"data": {"type": "profile", "attributes": {"email": email}}},
        **attributes,
    }
    return api.send("POST", "/api/events", {"data": {"type": "event", "attributes": given}})


def test_who_has_an_identifier_is_undone_with_the_rest():
    store = seeded()
    ada = store.get("profile", ADA)
    email = ada.attributes["email"]

    def fail_halfway() -> None:
        with store.whole():
            store.put(ada.having(email="other@example.com"))
            store.delete("profile", ADA)
            store.put(Entity("profile", "new", {**ada.attributes, "phone_number": None}))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert store.owner("email", email) == store.owner("phone_number", ada.attributes["phone_number"]) == ADA
    assert store.owner("email", "other@example.com") is None
    assert json.dumps(store.to_json()) == json.dumps(seeded().to_json())
