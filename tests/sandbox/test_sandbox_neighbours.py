"""What the sandbox remembers besides campaigns: events, jobs over profiles, consent, tag groups."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.bodies import event, resource

ADA, BEN = "01J0PR0F11E000000000000001", "01J0PR0F11E000000000000002"
NEWSLETTER, EMPTY, ORDERS = "YzykDM", "NoOne0", "RESQ6t"


def profiles(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"profiles": {"data": [{"type": "profile", "attributes": row} for row in rows]}}


def to_list(id_: str) -> dict[str, Any]:
    return {"list": {"data": {"type": "list", "id": id_}}}


def subscriptions(api: Any, id_: str) -> Any:
    answer = api.get(f"/api/profiles/{id_}", **{"additional-fields[profile]": "subscriptions"})
    return answer.json()["data"]["attributes"]["subscriptions"]


def found(api: Any, email: str) -> list[Any]:
    rows: list[Any] = api.query("/api/profiles", {"filter": f'equals(email,"{email}")'}).json()["data"]
    return rows


# --- import ------------------------------------------------------------------------------------------------------


def test_an_import_moves_along_on_the_clock_and_puts_profiles_on_the_list(api):
    rows = profiles(
        {"email": "new@example.com", "first_name": "New"}, {"email": "ada.alder@example.com", "title": "Dr"}
    )
    body = resource("profile-bulk-import-job", rows, relationships={"lists": {"data": [{"type": "list", "id": EMPTY}]}})
    job = api.send("POST", "/api/profile-bulk-import-jobs", body)
    assert job.status_code == 202, job.text
    path = f"/api/profile-bulk-import-jobs/{job.json()['data']['id']}"
    seen = [job.json()["data"]["attributes"]["status"]]
    api.advance(1.5)
    seen.append(api.get(path).json()["data"]["attributes"]["status"])
    assert seen == ["queued", "processing"]
    assert found(api, "new@example.com") == []
    api.advance(2)
    done = api.get(path).json()["data"]["attributes"]
    assert (done["status"], done["total_count"], done["completed_count"], done["failed_count"]) == ("complete", 2, 2, 0)
    [new] = found(api, "new@example.com")
    assert new["attributes"]["first_name"] == "New"
    [ada] = found(api, "ada.alder@example.com")
    assert (ada["id"], ada["attributes"]["title"], ada["attributes"]["first_name"]) == (ADA, "Dr", "Ada")
    members = api.get(f"/api/lists/{EMPTY}/profiles").json()["data"]
    assert {member["id"] for member in members} == {ADA, new["id"]}
    assert [group["id"] for group in api.get(f"{path}/lists").json()["data"]] == [EMPTY]
    assert {row["id"] for row in api.get(f"{path}/profiles").json()["data"]} == {ADA, new["id"]}
    listed = api.query("/api/profile-bulk-import-jobs", {"filter": 'equals(status,"complete")'}).json()["data"]
    assert [row["id"] for row in listed] == [job.json()["data"]["id"]]


def test_rows_that_are_no_profiles_are_told_as_import_errors(api):
    rows = profiles({"email": "good@example.com"}, {"email": "no address"}, {"first_name": "Nobody"})
    job = api.send("POST", "/api/profile-bulk-import-jobs", resource("profile-bulk-import-job", rows)).json()["data"]
    api.advance(10)
    path = f"/api/profile-bulk-import-jobs/{job['id']}"
    done = api.get(path).json()["data"]["attributes"]
    assert (done["status"], done["completed_count"], done["failed_count"]) == ("complete", 1, 2)
    errors = [row["attributes"] for row in api.get(f"{path}/import-errors").json()["data"]]
    assert [error["source"]["pointer"] for error in errors] == [
        "/data/attributes/profiles/data/1/attributes/email",
        "/data/attributes/profiles/data/2/attributes",
    ]
    assert errors[0]["original_payload"]["attributes"] == {"email": "no address"}


def test_ten_thousand_profiles_are_imported_and_one_more_is_refused(api):
    rows = [{"email": f"person{number}@example.com"} for number in range(10_001)]
    refused = api.send("POST", "/api/profile-bulk-import-jobs", resource("profile-bulk-import-job", profiles(*rows)))
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["source"] == {"pointer": "/data/attributes/profiles/data"}
    body = resource("profile-bulk-import-job", profiles(*rows[1:]))
    assert api.send("POST", "/api/profile-bulk-import-jobs", body).status_code == 202
    api.advance(10)
    assert len(found(api, "person10000@example.com")) == 1


# --- consent -----------------------------------------------------------------------------------------------------


def subscribe(api: Any, row: dict[str, Any], list_id: str | None = None, **attributes: Any) -> Any:
    given = {**row, "subscriptions": {"email": {"marketing": {"consent": "SUBSCRIBED", **attributes.pop("at", {})}}}}
    related = {"relationships": to_list(list_id)} if list_id else {}
    body = resource("profile-subscription-bulk-create-job", {**profiles(given), **attributes}, **related)
    answer = api.send("POST", "/api/profile-subscription-bulk-create-jobs", body)
    api.advance(5)
    return answer


def unsubscribe(api: Any, email: str, list_id: str | None = None) -> Any:
    given = {"email": email, "subscriptions": {"email": {"marketing": {"consent": "UNSUBSCRIBED"}}}}
    related = {"relationships": to_list(list_id)} if list_id else {}
    body = resource("profile-subscription-bulk-delete-job", profiles(given), **related)
    answer = api.send("POST", "/api/profile-subscription-bulk-delete-jobs", body)
    api.advance(5)
    return answer


def test_subscribing_makes_the_profile_consents_and_joins_the_list(api):
    answer = subscribe(api, {"email": "new@example.com"}, EMPTY)
    assert (answer.status_code, answer.content) == (202, b"")
    [new] = found(api, "new@example.com")
    assert subscriptions(api, new["id"])["email"]["marketing"]["consent"] == "SUBSCRIBED"
    assert [row["id"] for row in api.get(f"/api/lists/{EMPTY}/profiles").json()["data"]] == [new["id"]]


def test_who_is_on_the_list_named_is_taken_off_it_and_who_is_not_is_unsubscribed(api):
    assert unsubscribe(api, "ben.hazel@example.com", NEWSLETTER).status_code == 202
    assert subscriptions(api, BEN)["email"]["marketing"]["consent"] == "SUBSCRIBED"
    assert BEN not in [row["id"] for row in api.get(f"/api/lists/{NEWSLETTER}/relationships/profiles").json()["data"]]
    unsubscribe(api, "ben.hazel@example.com", NEWSLETTER)
    assert subscriptions(api, BEN)["email"]["marketing"]["consent"] == "UNSUBSCRIBED"


def test_an_unsubscribed_profile_gets_no_campaign(api):
    unsubscribe(api, "ben.hazel@example.com")
    campaign_id, _ = api.create(audiences={"included": [NEWSLETTER]})
    api.start(campaign_id)
    api.advance(10)
    assert "ben.hazel@example.com" not in api.sends()[0]["addresses"]


def test_nobody_confirms_on_a_list_with_double_opt_in_but_a_historical_import_needs_no_confirmation(api):
    body = resource("list", {"name": "Careful", "opt_in_process": "double_opt_in"})
    list_id = api.send("POST", "/api/lists", body).json()["data"]["id"]
    subscribe(api, {"email": "new@example.com"}, list_id)
    assert found(api, "new@example.com") == []
    undated = subscribe(api, {"email": "new@example.com"}, list_id, historical_import=True)
    assert undated.status_code == 400
    assert undated.json()["errors"][0]["source"]["pointer"].endswith("/consented_at")
    at = {"consented_at": "2026-01-01T00:00:00Z"}
    assert subscribe(api, {"email": "new@example.com"}, list_id, historical_import=True, at=at).status_code == 202
    assert len(found(api, "new@example.com")) == 1


def test_suppression_stops_email_and_subscribing_lifts_it(api):
    rows = profiles({"email": "ben.hazel@example.com"}, {"email": "freya.hazel@example.com"})
    body = resource("profile-suppression-bulk-create-job", rows)
    job = api.send("POST", "/api/profile-suppression-bulk-create-jobs", body).json()["data"]
    assert job["attributes"]["status"] == "queued"
    api.advance(10)
    done = api.get(f"/api/profile-suppression-bulk-create-jobs/{job['id']}").json()["data"]["attributes"]
    assert (done["status"], done["total_count"], done["completed_count"], done["skipped_count"]) == (
        "complete",
        2,
        1,
        1,
    )
    shown = subscriptions(api, BEN)["email"]["marketing"]
    assert (shown["can_receive_email_marketing"], shown["suppression"][0]["reason"]) == (False, "USER_SUPPRESSED")
    query = {"filter": 'equals(subscriptions.email.marketing.suppression.reason,"USER_SUPPRESSED")'}
    assert [row["id"] for row in api.query("/api/profiles", query).json()["data"]] == [BEN]
    subscribe(api, {"email": "ben.hazel@example.com"})
    assert subscriptions(api, BEN)["email"]["marketing"]["suppression"] == []


def test_suppression_is_lifted_for_the_members_of_a_list(api):
    for kind in ("create", "delete"):
        body = resource(f"profile-suppression-bulk-{kind}-job", {}, relationships=to_list(NEWSLETTER))
        job = api.send("POST", f"/api/profile-suppression-bulk-{kind}-jobs", body).json()["data"]
        api.advance(10)
        done = api.get(f"/api/profile-suppression-bulk-{kind}-jobs/{job['id']}").json()["data"]["attributes"]
        assert (done["total_count"], done["completed_count"], done["skipped_count"]) == (40, 39, 1)
        assert bool(subscriptions(api, BEN)["email"]["marketing"]["suppression"]) is (kind == "create")


@pytest.mark.parametrize(
    ("path", "type_", "most"),
    [
        ("profile-subscription-bulk-create-jobs", "profile-subscription-bulk-create-job", 1000),
        ("profile-subscription-bulk-delete-jobs", "profile-subscription-bulk-delete-job", 100),
        ("profile-suppression-bulk-create-jobs", "profile-suppression-bulk-create-job", 100),
    ],
)
def test_one_profile_too_many_is_refused(api, path, type_, most):
    consent = "SUBSCRIBED" if "create" in path else "UNSUBSCRIBED"
    more = {"subscriptions": {"email": {"marketing": {"consent": consent}}}} if "subscription" in path else {}
    rows = [{"email": f"person{number}@example.com", **more} for number in range(most + 1)]
    assert api.send("POST", f"/api/{path}", resource(type_, profiles(*rows))).status_code == 400
    assert api.send("POST", f"/api/{path}", resource(type_, profiles(*rows[1:]))).status_code == 202


# --- profiles ----------------------------------------------------------------------------------------------------


def test_an_upsert_makes_a_profile_once_and_changes_it_then(api):
    given = {"email": "new@example.com", "properties": {"colour": "red"}}
    made = api.send("POST", "/api/profile-import", resource("profile", given))
    again = api.send("POST", "/api/profile-import", resource("profile", {**given, "properties": {"size": 4}}))
    assert (made.status_code, again.status_code) == (201, 200)
    assert made.json()["data"]["id"] == again.json()["data"]["id"]
    assert again.json()["data"]["attributes"]["properties"] == {"colour": "red", "size": 4}


def test_merging_moves_lists_and_events_and_deletes_the_source(api):
    source = api.send("POST", "/api/profiles", resource("profile", {"email": "a@example.com", "title": "Dr"}))
    source_id = source.json()["data"]["id"]
    members = {"data": [{"type": "profile", "id": source_id}]}
    api.send("POST", f"/api/lists/{EMPTY}/relationships/profiles", members)
    api.send("POST", "/api/events", event("a@example.com"))
    body = {"data": {"type": "profile-merge", "id": ADA, "relationships": {"profiles": members}}}
    assert api.send("POST", "/api/profile-merge", body).status_code == 201
    assert api.get(f"/api/profiles/{source_id}").status_code == 404
    ada = api.get(f"/api/profiles/{ADA}").json()["data"]["attributes"]
    assert (ada["email"], ada["title"]) == ("ada.alder@example.com", "Dr")
    assert [row["id"] for row in api.get(f"/api/lists/{EMPTY}/profiles").json()["data"]] == [ADA]
    assert len(api.query("/api/events", {"filter": f'equals(profile_id,"{ADA}")'}).json()["data"]) == 1


def test_a_deleted_profile_is_on_no_list(api):
    given = {"profile": {"data": {"type": "profile", "attributes": {"email": "ada.alder@example.com"}}}}
    assert (
        api.send("POST", "/api/data-privacy-deletion-jobs", resource("data-privacy-deletion-job", given)).status_code
        == 202
    )
    assert api.get(f"/api/profiles/{ADA}").status_code == 404
    api.advance(3)  # the count lags
    shown = api.get(f"/api/lists/{NEWSLETTER}", **{"additional-fields[list]": "profile_count"}).json()["data"]
    assert shown["attributes"]["profile_count"] == 39


def test_a_lists_name_and_a_members_email_may_be_equal_to_one_value(api):
    lists = api.query("/api/lists", {"filter": 'equals(name,"Newsletter")'}).json()["data"]
    assert [row["id"] for row in lists] == [NEWSLETTER]
    query = {"filter": 'equals(email,"ben.hazel@example.com")'}
    assert [row["id"] for row in api.query(f"/api/lists/{NEWSLETTER}/profiles", query).json()["data"]] == [BEN]


# --- events ------------------------------------------------------------------------------------------------------


def test_an_event_brings_its_profile_and_its_metric_and_counts_once(api):
    for _ in range(2):
        body = event("new@example.com", "Joined Club", unique_id="1", value=9.5, time="2026-03-01T10:00:00Z")
        assert api.send("POST", "/api/events", body).status_code == 202
    [metric] = [row for row in api.get("/api/metrics").json()["data"] if row["attributes"]["name"] == "Joined Club"]
    answer = api.query("/api/events", {"filter": f'equals(metric_id,"{metric["id"]}")', "include": "profile,metric"})
    [shown] = answer.json()["data"]
    assert shown["attributes"]["event_properties"] == {"$value": 9.5}
    assert shown["attributes"]["datetime"].startswith("2026-03-01T10:00:00")
    assert {row["type"] for row in answer.json()["included"]} == {"profile", "metric"}
    profile = api.get(f"/api/events/{shown['id']}/profile").json()["data"]
    assert profile["attributes"]["email"] == "new@example.com"
    assert profile["attributes"]["last_event_date"].startswith("2026-03-01")
    assert api.get(f"/api/events/{shown['id']}/metric").json()["data"]["id"] == metric["id"]


def test_many_events_are_recorded_all_or_none(api):
    def bulk(*unique_ids: str) -> dict[str, Any]:
        one = event("new@example.com")["data"]["attributes"]
        events = [
            {"type": "event", "attributes": {"properties": {}, "metric": one["metric"], "unique_id": id_}}
            for id_ in unique_ids
        ]
        row = {"type": "event-bulk-create", "attributes": {"profile": one["profile"], "events": {"data": events}}}
        return resource("event-bulk-create-job", {"events-bulk-create": {"data": [row]}})

    assert api.send("POST", "/api/event-bulk-create-jobs", bulk("1", "2", "1")).status_code == 400
    assert api.get("/api/events").json()["data"] == []
    assert api.send("POST", "/api/event-bulk-create-jobs", bulk("1", "2")).status_code == 202
    assert len(api.get("/api/events").json()["data"]) == 2
    assert api.send("POST", "/api/event-bulk-create-jobs", bulk(*map(str, range(1001)))).status_code == 400


# --- the rest ----------------------------------------------------------------------------------------------------


def test_a_tag_group_goes_with_its_tags_but_the_default_one_stays(api):
    group_id = api.send("POST", "/api/tag-groups", resource("tag-group", {"name": "Season"})).json()["data"]["id"]
    related = {"tag-group": {"data": {"type": "tag-group", "id": group_id}}}
    tag_id = api.send("POST", "/api/tags", resource("tag", {"name": "spring"}, relationships=related)).json()["data"][
        "id"
    ]
    renamed = resource("tag-group", {"name": "Seasons"}, id=group_id)
    assert api.send("PATCH", f"/api/tag-groups/{group_id}", renamed).status_code == 204
    assert api.get(f"/api/tag-groups/{group_id}").json()["data"]["attributes"]["name"] == "Seasons"
    assert api.send("DELETE", f"/api/tag-groups/{group_id}").status_code == 204
    assert api.get(f"/api/tags/{tag_id}").status_code == 404
    assert api.send("DELETE", "/api/tag-groups/01J0TAGGR0UP0000000000DFLT").status_code == 409


def test_universal_content_is_made_changed_and_deleted(api):
    block = {"content_type": "block", "type": "html", "data": {"content": "<p>Bye</p>", "display_options": {}}}
    body = resource("template-universal-content", {"name": "Footer", "definition": block})
    id_ = api.send("POST", "/api/template-universal-content", body).json()["data"]["id"]
    path = f"/api/template-universal-content/{id_}"
    change = resource("template-universal-content", {"name": "Foot"}, id=id_)
    changed = api.send("PATCH", path, change).json()["data"]["attributes"]
    assert (changed["name"], changed["definition"]) == ("Foot", block)
    assert api.send("DELETE", path).status_code == 204
    assert api.get(path).status_code == 404


def test_a_made_up_answer_says_so_and_takes_over_what_was_posted(api):
    attributes = {
        "external_id": "SHOE-1",
        "title": "Shoe",
        "description": "A shoe",
        "url": "https://shop.example.com/1",
    }
    made = api.send("POST", "/api/catalog-items", resource("catalog-item", attributes))
    assert made.status_code == 201, made.text
    assert made.headers["x-klaviyo-sandbox"] == "example"
    assert made.json()["data"]["attributes"].items() >= attributes.items()
    id_ = made.json()["data"]["id"]
    shown = api.get(f"/api/catalog-items/{id_}", **{"fields[catalog-item]": "title"})
    assert (shown.json()["data"]["id"], list(shown.json()["data"]["attributes"])) == (id_, ["title"])
    assert "x-klaviyo-sandbox" not in api.get("/api/lists").headers


def test_a_part_can_be_asked_for_beside_the_whole_that_is_null(api):
    [setting] = api.get("/api/tracking-settings").json()["data"]
    empty = next(name for name, value in setting["attributes"].items() if value is None)
    answer = api.get("/api/tracking-settings", **{"fields[tracking-setting]": f"{empty},{empty}.flow"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"][0]["attributes"] == {empty: None}


def test_examples_point_at_each_other(api):
    [flow] = api.get("/api/flows").json()["data"]
    answer = api.get(f"/api/flows/{flow['id']}", include="flow-actions").json()
    [action] = answer["data"]["relationships"]["flow-actions"]["data"]
    assert [(row["type"], row["id"]) for row in answer["included"]] == [("flow-action", action["id"])]
    assert api.get(f"/api/flow-actions/{action['id']}/flow").json()["data"]["id"] == flow["id"]


def test_what_hangs_on_something_unknown_is_not_made_up(api):
    assert api.get("/api/profiles/01J0PR0F11E000000000000099/conversation").status_code == 404
    assert api.get(f"/api/profiles/{ADA}/conversation").status_code == 200


def test_client_operations_take_no_key(api):
    body = event("browser@example.com", "Viewed Product")
    answer = api.http.post("/client/events", params={"company_id": "Sandb0"}, json=body, headers={"Authorization": ""})
    assert answer.status_code == 202, answer.text
    assert len(found(api, "browser@example.com")) == 1
