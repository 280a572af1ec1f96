"""What live accounts were reported to refuse, and what the sandbox refuses with it by choice."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

ADA, CARLA = "01J0PR0F11E000000000000001", "01J0PR0F11E000000000000003"
ADA_EMAIL, CARLA_EMAIL = "ada.alder@example.com", "carla.oak@example.com"
ADA_PHONE, CARLA_PHONE, NEW_PHONE = "+15550100000", "+15550100002", "+15550190009"
SUBSCRIBED = {"marketing": {"consent": "SUBSCRIBED"}}
NEWSLETTER = "YzykDM"
ROW = "/data/attributes/profiles/data/0/attributes"


def profile(api: Any, id_: str) -> Any:
    answer = api.get(f"/api/profiles/{id_}", **{"additional-fields[profile]": "subscriptions"})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]["attributes"]


def named(api: Any, **attributes: str) -> Any:
    [(name, value)] = attributes.items()
    return api.query("/api/profiles", {"filter": f'equals({name},"{value}")'}).json()["data"]


def rows(*attributes: dict[str, Any]) -> dict[str, Any]:
    return {"profiles": {"data": [{"type": "profile", "attributes": row} for row in attributes]}}


def post(api: Any, path: str, attributes: dict[str, Any], **more: Any) -> Any:
    return api.send(
        "POST", f"/api/{path}", {"data": {"type": path.removesuffix("s"), "attributes": attributes, **more}}
    )


# --- consent needs an address ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "channels", "missing"),
    [
        ({"email": "new@example.com"}, ("sms",), "phone_number"),
        ({"email": "new@example.com"}, ("email", "sms"), "phone_number"),
        ({"email": "new@example.com", "phone_number": None}, ("sms",), "phone_number"),
        ({"email": "new@example.com", "phone_number": ""}, ("sms",), "phone_number"),
        ({"email": ADA_EMAIL}, ("sms",), "phone_number"),
        ({"phone_number": NEW_PHONE}, ("email",), "email"),
    ],
)
@pytest.mark.parametrize("kind", ["create", "delete"])
def test_a_channel_without_its_address_is_refused(api, kind, given, channels, missing):
    consent = {"marketing": {"consent": "SUBSCRIBED" if kind == "create" else "UNSUBSCRIBED"}}
    row = {**given, "subscriptions": dict.fromkeys(channels, consent)}
    before = len(api.get("/api/profiles").json()["data"])
    answer = post(api, f"profile-subscription-bulk-{kind}-jobs", rows(row))
    assert answer.status_code == 400, answer.text
    [error] = answer.json()["errors"]
    assert error["source"] == {"pointer": f"{ROW}/{missing}"}
    assert f"'{missing}' must not be empty" in error["detail"]
    api.advance(10)
    assert len(api.get("/api/profiles").json()["data"]) == before


def test_a_channel_with_its_address_is_taken(api):
    row = {"phone_number": NEW_PHONE, "subscriptions": {"sms": SUBSCRIBED}}
    assert post(api, "profile-subscription-bulk-create-jobs", rows(row)).status_code == 202
    known = {"type": "profile", "id": ADA, "attributes": {"subscriptions": {"sms": SUBSCRIBED, "email": SUBSCRIBED}}}
    assert post(api, "profile-subscription-bulk-create-jobs", {"profiles": {"data": [known]}}).status_code == 202
    api.advance(10)
    [new] = named(api, phone_number=NEW_PHONE)
    assert profile(api, new["id"])["subscriptions"]["sms"]["marketing"]["consent"] == "SUBSCRIBED"
    assert profile(api, ADA)["subscriptions"]["email"]["marketing"]["consent"] == "SUBSCRIBED"


def test_a_form_in_a_browser_needs_the_address_too(api):
    row = {"type": "profile", "attributes": {"email": "new@example.com", "subscriptions": {"sms": SUBSCRIBED}}}
    related = {"list": {"data": {"type": "list", "id": NEWSLETTER}}}
    body = {"data": {"type": "subscription", "attributes": {"profile": {"data": row}}, "relationships": related}}
    answer = api.send("POST", "/client/subscriptions", body, params={"company_id": "Sandb0"})
    assert answer.status_code == 400, answer.text
    assert "'phone_number' must not be empty" in answer.json()["errors"][0]["detail"]


# --- identifiers are one person's --------------------------------------------------------------------------------


def imported(api: Any, *given: dict[str, Any]) -> tuple[Any, list[Any]]:
    """The finished job's attributes, and its import errors."""
    job = post(api, "profile-bulk-import-jobs", rows(*given)).json()["data"]
    api.advance(10)
    path = f"/api/profile-bulk-import-jobs/{job['id']}"
    errors = [row["attributes"] for row in api.get(f"{path}/import-errors").json()["data"]]
    return api.get(path).json()["data"]["attributes"], errors


@pytest.mark.parametrize(
    "row",
    [
        {"email": ADA_EMAIL, "phone_number": CARLA_PHONE},
        {"email": "new@example.com", "phone_number": CARLA_PHONE},
        {"email": "new@example.com", "external_id": "carla"},
        {"phone_number": ADA_PHONE, "external_id": "carla"},
        {"phone_number": NEW_PHONE, "external_id": "carla"},
        {"email": CARLA_EMAIL, "phone_number": ADA_PHONE, "external_id": "carla"},
    ],
)
def test_a_bulk_row_that_takes_an_identifier_of_somebody_else_is_an_import_error(api, row):
    change = {"data": {"type": "profile", "id": CARLA, "attributes": {"external_id": "carla"}}}
    assert api.send("PATCH", f"/api/profiles/{CARLA}", change).status_code == 200
    people = [profile(api, id_) for id_ in (ADA, CARLA)]
    done, errors = imported(api, row, {"email": "beside@example.com"})
    assert (done["status"], done["completed_count"], done["failed_count"]) == ("complete", 1, 1)
    [error] = errors
    assert (error["code"], error["source"]) == ("duplicate_profile", {"pointer": ROW})
    assert error["original_payload"]["attributes"] == row
    assert [profile(api, id_) for id_ in (ADA, CARLA)] == people
    assert named(api, email="new@example.com") == []
    assert len(named(api, email="beside@example.com")) == 1


def test_two_rows_of_one_job_cannot_share_a_phone(api):
    done, errors = imported(
        api, *({"email": f"{name}@example.com", "phone_number": NEW_PHONE} for name in ("one", "two"))
    )
    assert (done["completed_count"], done["failed_count"]) == (1, 1)
    assert errors[0]["source"]["pointer"] == ROW.replace("/0/", "/1/")
    [owner] = named(api, phone_number=NEW_PHONE)
    assert owner["attributes"]["email"] == "one@example.com"


def test_a_bulk_row_may_complete_or_renew_what_is_its_own(api):
    imported(api, {"phone_number": NEW_PHONE})
    done, _ = imported(
        api,
        {"email": "found@example.com", "phone_number": NEW_PHONE},
        {"email": ADA_EMAIL, "phone_number": "+15550190001"},
    )
    assert (done["completed_count"], done["failed_count"]) == (2, 0)
    [found] = named(api, phone_number=NEW_PHONE)
    assert found["attributes"]["email"] == "found@example.com"
    assert profile(api, ADA)["phone_number"] == "+15550190001"
    assert named(api, phone_number=ADA_PHONE) == []


@pytest.mark.parametrize("email", [ADA_EMAIL, "new@example.com"])
def test_a_subscription_that_names_two_people_changes_neither(api, email):
    people = [profile(api, id_)["subscriptions"] for id_ in (ADA, CARLA)]
    row = {"email": email, "phone_number": CARLA_PHONE, "subscriptions": {"email": SUBSCRIBED, "sms": SUBSCRIBED}}
    own = {"email": "own@example.com", "subscriptions": {"email": SUBSCRIBED}}
    assert post(api, "profile-subscription-bulk-create-jobs", rows(row, own)).status_code == 202
    api.advance(10)
    assert [profile(api, id_)["subscriptions"] for id_ in (ADA, CARLA)] == people
    assert named(api, email="new@example.com") == []
    assert len(named(api, email="own@example.com")) == 1


@pytest.mark.parametrize("identifier", [{"email": CARLA_EMAIL}, {"phone_number": CARLA_PHONE}])
def test_a_single_profile_with_an_identifier_of_another_is_a_conflict_that_names_it(api, identifier):
    new = {"email": "new@example.com", **identifier}
    change = {"data": {"type": "profile", "id": ADA, "attributes": identifier}}
    answers = [post(api, "profiles", new), api.send("PATCH", f"/api/profiles/{ADA}", change)]
    if "email" not in identifier:
        body = {"data": {"type": "profile", "attributes": {"email": ADA_EMAIL, **identifier}}}
        answers.append(api.send("POST", "/api/profile-import", body))
    for answer in answers:
        assert answer.status_code == 409, answer.text
        [error] = answer.json()["errors"]
        assert (error["code"], error["meta"]) == ("duplicate_profile", {"duplicate_profile_id": CARLA})
        assert error["source"] == {"pointer": "/data/attributes"}
    assert profile(api, ADA)["phone_number"] == ADA_PHONE


def test_a_single_upsert_may_change_the_email_of_the_phone_that_it_names_as_documented(api):
    body = {"data": {"type": "profile", "attributes": {"email": "moved@example.com", "phone_number": CARLA_PHONE}}}
    answer = api.send("POST", "/api/profile-import", body)
    assert (answer.status_code, answer.json()["data"]["id"]) == (200, CARLA)
    assert profile(api, CARLA)["email"] == "moved@example.com"


def test_a_profile_deleted_before_its_subscription_happens_stops_nothing(api):
    row = {"type": "profile", "id": ADA, "attributes": {"email": "no address", "subscriptions": {"email": SUBSCRIBED}}}
    assert post(api, "profile-subscription-bulk-create-jobs", {"profiles": {"data": [row]}}).status_code == 202
    who = {"profile": {"data": {"type": "profile", "attributes": {"email": ADA_EMAIL}}}}
    assert post(api, "data-privacy-deletion-jobs", who).status_code == 202
    api.advance(10)
    assert api.get("/api/profiles").status_code == 200
    assert api.http.get("/").status_code == 200


# --- times that have not come ------------------------------------------------------------------------------------


def ahead(api: Any, seconds: float) -> str:
    now = datetime.fromisoformat(api.http.get("/sandbox/clock").json()["now"])
    return (now + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


CHANNEL = "equals(messages.channel,'email'),"
PAST = [
    ("/api/campaigns", CHANNEL, "updated_at"),
    ("/api/campaigns", CHANNEL, "created_at"),
    ("/api/events", "", "datetime"),
    ("/api/profiles", "", "updated"),
    ("/api/lists", "", "created"),
    ("/api/segments", "", "updated"),
    ("/api/templates", "", "created"),
    (f"/api/lists/{NEWSLETTER}/profiles", "", "joined_group_at"),
    ("/api/flows", "", "updated"),
]


@pytest.mark.parametrize(("path", "before", "field"), PAST)
def test_a_filter_on_what_has_been_with_a_time_ahead_is_refused(api, path, before, field):
    answer = api.query(path, {"filter": f"{before}greater-than({field},{ahead(api, 60)})"})
    assert answer.status_code == 400, answer.text
    [error] = answer.json()["errors"]
    assert error["detail"].startswith("End date may not be in the future")
    assert error["source"] == {"pointer": field}
    for seconds in (-60, 0):
        assert api.query(path, {"filter": f"{before}greater-than({field},{ahead(api, seconds)})"}).status_code == 200
    api.advance(120)
    assert api.query(path, {"filter": f"{before}greater-than({field},{ahead(api, -60)})"}).status_code == 200


def test_a_filter_up_to_a_time_ahead_is_refused_as_well(api):
    for field in ("created_at", "updated_at"):
        query = {"filter": f"{CHANNEL}less-or-equal({field},{ahead(api, 60)})"}
        assert api.query("/api/campaigns", query).status_code == 400


def test_a_filter_on_what_is_planned_takes_a_time_ahead(api):
    for operator in ("greater-than", "less-than"):
        query = {"filter": f"{CHANNEL}{operator}(scheduled_at,{ahead(api, 3600)})"}
        assert api.query("/api/campaigns", query).status_code == 200
    assert api.query("/api/coupon-codes", {"filter": f"less-than(expires_at,{ahead(api, 3600)})"}).status_code == 200
