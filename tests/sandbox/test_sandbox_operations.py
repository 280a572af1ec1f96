"""Every campaign operation, in every revision: a good call, an answer that follows the published schema, a bad call."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_klaviyo.api.operations import operations, revisions
from airflow_provider_klaviyo.api.schemas import answer_errors
from airflow_provider_klaviyo.sandbox.handlers import HANDLERS

REVISIONS = revisions()

EMAIL, EMAIL_MESSAGE = "01H5QQV9F57XJHJDMD86RX4QM5", "01H5QQV9FGJ1H66PGPER6WN9F5"
SMS_MESSAGE = "RNCyHC"
DEFINITION = {"channel": "email", "content": {"subject": "Sale"}}
MESSAGE = {"type": "campaign-message", "attributes": {"definition": DEFINITION}}
NEW = {"name": "Sale", "audiences": {"included": ["YzykDM"]}, "campaign-messages": {"data": [MESSAGE]}}
TEMPLATE = {"template": {"data": {"type": "template", "id": "RipRmi"}}}
IMAGE = {"type": "image", "id": "12345"}
CHANNEL = {"filter": "equals(messages.channel,'email')"}

CALLS: dict[str, tuple[str, Any, dict[str, str]]] = {
    "get_campaigns": ("", None, CHANNEL),
    "create_campaign": ("", {"type": "campaign", "attributes": NEW}, {}),
    "get_campaign": (EMAIL, None, {"include": "campaign-messages,tags"}),
    "update_campaign": (EMAIL, {"type": "campaign", "id": EMAIL, "attributes": {"name": "New"}}, {}),
    "delete_campaign": (EMAIL, None, {}),
    "create_campaign_clone": ("", {"type": "campaign", "id": EMAIL, "attributes": {}}, {}),
    "get_messages_for_campaign": (EMAIL, None, {"include": "template"}),
    "get_message_ids_for_campaign": (EMAIL, None, {}),
    "get_tags_for_campaign": (EMAIL, None, {}),
    "get_tag_ids_for_campaign": (EMAIL, None, {}),
    "get_campaign_message": (EMAIL_MESSAGE, None, {"include": "campaign,template,image"}),
    "update_campaign_message": (
        EMAIL_MESSAGE,
        {"type": "campaign-message", "id": EMAIL_MESSAGE, "attributes": {"definition": DEFINITION}},
        {},
    ),
    "get_campaign_for_campaign_message": (EMAIL_MESSAGE, None, {}),
    "get_campaign_id_for_campaign_message": (EMAIL_MESSAGE, None, {}),
    "get_template_for_campaign_message": (EMAIL_MESSAGE, None, {}),
    "get_template_id_for_campaign_message": (EMAIL_MESSAGE, None, {}),
    "get_image_for_campaign_message": (SMS_MESSAGE, None, {}),
    "get_image_id_for_campaign_message": (SMS_MESSAGE, None, {}),
    "update_image_for_campaign_message": (SMS_MESSAGE, IMAGE, {}),
    "assign_template_to_campaign_message": (
        "",
        {"type": "campaign-message", "id": EMAIL_MESSAGE, "relationships": TEMPLATE},
        {},
    ),
    "send_campaign": ("", {"type": "campaign-send-job", "id": EMAIL}, {}),
    "get_campaign_send_job": (EMAIL, None, {}),
    "cancel_campaign_send": (EMAIL, {"type": "campaign-send-job", "id": EMAIL, "attributes": {"action": "cancel"}}, {}),
    "refresh_campaign_recipient_estimation": ("", {"type": "campaign-recipient-estimation-job", "id": EMAIL}, {}),
    "get_campaign_recipient_estimation_job": (EMAIL, None, {}),
    "get_campaign_recipient_estimation": (EMAIL, None, {}),
}


def prepare(api: Any, name: str) -> None:
    """Bring about what an operation needs to have something to answer."""
    match name:
        case "get_campaign_send_job" | "cancel_campaign_send":
            api.start(EMAIL)
        case "get_campaign_recipient_estimation_job" | "get_campaign_recipient_estimation":
            api.estimate(EMAIL)
            api.advance(5)
        case "get_image_for_campaign_message" | "get_image_id_for_campaign_message":
            api.send("PATCH", f"/api/campaign-messages/{SMS_MESSAGE}/relationships/image", {"data": IMAGE})


def call(api: Any, name: str, **changes: Any) -> Any:
    operation = operations()[name]
    id_, data, query = CALLS[name]
    path = operation.path.replace("{id}", changes.get("id", id_))
    body = changes.get("body", {"data": data} if data else None)
    return api.send(operation.method, path, body, query)


def test_the_calls_are_the_26_campaign_operations():
    campaigns = {
        operation.id
        for operation in operations().values()
        if operation.path.startswith("/api/campaign") and not operation.path.endswith("values-reports")
    }
    assert set(CALLS) == campaigns
    assert len(CALLS) == 26


def test_every_handler_is_of_a_published_operation():
    assert set(HANDLERS) <= set(operations())


@pytest.mark.parametrize("revision", REVISIONS)
@pytest.mark.parametrize("name", CALLS)
def test_an_operation_answers_as_published(api, name, revision):
    api.http.headers["revision"] = revision
    prepare(api, name)
    answer = call(api, name)
    assert answer.status_code in operations()[name].success, answer.text
    body = answer.json() if answer.content else None
    assert answer_errors(name, answer.status_code, body, revision) == []
    assert answer.headers["x-klaviyo-api-revision"] == revision
    entry = api.requests()[-1]
    assert (entry["operation"], entry["status"], entry["revision"]) == (name, answer.status_code, revision)
    assert entry["committed"] is (operations()[name].method != "GET")


@pytest.mark.parametrize("name", [name for name, (id_, _, _) in CALLS.items() if id_])
def test_an_unknown_id_is_not_found(api, name):
    _, data, _ = CALLS[name]
    body = {"data": {**data, "id": "NOPE01" if data["type"] != "image" else data["id"]}} if data else None
    answer = call(api, name, id="NOPE01", body=body)
    assert answer.status_code == 404
    assert answer.json()["errors"][0]["code"] == "not_found"
    assert "'NOPE01' does not exist" in answer.json()["errors"][0]["detail"]


@pytest.mark.parametrize("name", [name for name, (_, data, _) in CALLS.items() if data])
def test_a_body_that_is_not_as_published_is_refused_and_not_carried_out(api, name):
    answer = call(api, name, body={"data": {"type": "nonsense"}})
    assert answer.status_code == 400
    errors = answer.json()["errors"]
    assert {error["code"] for error in errors} == {"invalid"}
    assert all(error["source"]["pointer"].startswith("/data") for error in errors)
    assert api.requests()[-1]["committed"] is False


@pytest.mark.parametrize("name", ["update_campaign", "update_campaign_message", "cancel_campaign_send"])
def test_the_id_in_the_body_must_be_the_one_in_the_path(api, name):
    answer = call(api, name, id="01HP76BB2M2R3MSXY1HPGN0ZBS")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["source"] == {"pointer": "/data/id"}


@pytest.mark.parametrize(
    ("attributes", "pointer"),
    [
        ({"audiences": {"included": ["YzykDM", "NOPE01"]}}, "/data/attributes/audiences/included/1"),
        ({"audiences": {"included": [], "excluded": ["NOPE01"]}}, "/data/attributes/audiences/excluded/0"),
        ({"campaign-messages": {"data": []}}, "/data/attributes/campaign-messages/data"),
        (
            {"tracking_options": {"custom_tracking_params": [{"type": "static", "name": "utm_source", "value": "x"}]}},
            "/data/attributes/tracking_options/custom_tracking_params",
        ),
        (
            {"campaign-messages": {"data": [{**MESSAGE, "relationships": {"image": {"data": IMAGE}}}]}},
            "/data/attributes/campaign-messages/data/0/relationships/image",
        ),
    ],
)
def test_what_the_schema_cannot_say_is_refused_too(api, attributes, pointer):
    body = {"data": {"type": "campaign", "attributes": {**NEW, **attributes}}}
    answer = api.send("POST", "/api/campaigns", body)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["source"] == {"pointer": pointer}


@pytest.mark.parametrize(
    ("definition", "told"),
    [
        ({"channel": "sms"}, {"add_info_link": True, "add_opt_out_language": False}),
        (
            {"channel": "sms", "render_options": {"add_info_link": False}},
            {"add_info_link": False, "shorten_links": True},
        ),
    ],
)
def test_a_text_message_tells_its_defaults(api, definition, told):
    message = {"type": "campaign-message", "attributes": {"definition": definition}}
    body = {"data": {"type": "campaign", "attributes": {**NEW, "campaign-messages": {"data": [message]}}}}
    campaign_id = api.send("POST", "/api/campaigns", body).json()["data"]["id"]
    [shown] = api.get(f"/api/campaigns/{campaign_id}/campaign-messages").json()["data"]
    assert shown["attributes"]["definition"]["render_options"].items() >= told.items()


@pytest.mark.parametrize(
    "definition",
    [
        {"channel": "mobile_push", "content": {"title": "Sale", "body": "Soon over"}},
        {"channel": "mobile_push", "notification_type": "silent", "kv_pairs": {"a": "b"}},
        {
            "channel": "mobile_push",
            "content": {
                "body": "Soon over",
                "action_buttons": [{"label": "Go", "action_type": "open_app", "position": 0}],
            },
            "options": {"badge": {"display": True, "badge_options": {"badge_config": "increment_one"}}},
        },
    ],
)
def test_a_push_campaign_can_be_made_and_sent(api, definition):
    message = {"type": "campaign-message", "attributes": {"definition": definition}}
    if definition.get("notification_type") != "silent":
        message["relationships"] = {"image": {"data": IMAGE}}
    body = {"data": {"type": "campaign", "attributes": {**NEW, "campaign-messages": {"data": [message]}}}}
    answer = api.send("POST", "/api/campaigns", body)
    assert answer.status_code == 201, answer.text
    assert answer.json()["data"]["attributes"]["tracking_options"] is None
    assert api.start(answer.json()["data"]["id"]).status_code == 202
    api.advance(10)
    assert [row["channel"] for row in api.sends()] == ["mobile_push"]


def test_an_email_has_no_image(api):
    answer = api.get(f"/api/campaign-messages/{EMAIL_MESSAGE}/image")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["detail"] == "Image relationships are only supported for push and SMS messages"


def test_the_channel_of_a_message_stays(api):
    data = {"type": "campaign-message", "id": EMAIL_MESSAGE, "attributes": {"definition": {"channel": "sms"}}}
    assert api.send("PATCH", f"/api/campaign-messages/{EMAIL_MESSAGE}", {"data": data}).status_code == 400


def test_updated_lists_replace_and_do_not_merge(api):
    data = {"type": "campaign", "id": EMAIL, "attributes": {"audiences": {"included": ["TUeZtq"]}}}
    answer = api.send("PATCH", f"/api/campaigns/{EMAIL}", {"data": data})
    assert answer.json()["data"]["attributes"]["audiences"] == {"included": ["TUeZtq"], "excluded": []}


def test_a_template_is_made_changed_cloned_rendered_and_deleted(api):
    attributes = {"name": "Hi", "editor_type": "CODE", "html": "<p>Hi {{ first_name|default:'there' }}</p>"}
    made = api.send("POST", "/api/templates", {"data": {"type": "template", "attributes": attributes}})
    assert made.status_code == 201
    id_ = made.json()["data"]["id"]
    clone = api.send(
        "POST", "/api/template-clone", {"data": {"type": "template", "id": id_, "attributes": {"name": "2"}}}
    )
    assert clone.json()["data"]["attributes"]["name"] == "2"
    for context, html in (({"first_name": "Ada"}, "<p>Hi Ada</p>"), ({}, "<p>Hi there</p>")):
        data = {"type": "template", "id": id_, "attributes": {"context": context}}
        answer = api.send("POST", "/api/template-render", {"data": data})
        assert answer.json()["data"]["attributes"]["html"] == html
        assert api.requests()[-1]["committed"] is False
    assert api.send("DELETE", f"/api/templates/{id_}").status_code == 204
    assert api.get(f"/api/templates/{id_}").status_code == 404


def test_a_new_profile_on_a_new_list_gets_the_campaign(api):
    attributes = {"email": "new.person@example.com", "first_name": "New"}
    profile = api.send("POST", "/api/profiles", {"data": {"type": "profile", "attributes": attributes}}).json()["data"]
    made = api.send("POST", "/api/lists", {"data": {"type": "list", "attributes": {"name": "New"}}})
    list_id = made.json()["data"]["id"]
    members = {"data": [{"type": "profile", "id": profile["id"]}]}
    assert api.send("POST", f"/api/lists/{list_id}/relationships/profiles", members).status_code == 204
    api.advance(3)  # the count lags
    shown = api.get(f"/api/lists/{list_id}", **{"additional-fields[list]": "profile_count"}).json()["data"]
    assert shown["attributes"]["profile_count"] == 1
    [member] = api.get(f"/api/lists/{list_id}/profiles").json()["data"]
    assert (member["id"], "joined_group_at" in member["attributes"]) == (profile["id"], True)
    campaign_id, _ = api.create(audiences={"included": [list_id]})
    api.start(campaign_id)
    api.advance(10)
    assert [row["addresses"] for row in api.sends()] == [["new.person@example.com"]]
    assert api.send("DELETE", f"/api/lists/{list_id}/relationships/profiles", members).status_code == 204
    assert api.get(f"/api/lists/{list_id}/profiles").json()["data"] == []


def test_a_second_profile_with_the_same_email_is_a_conflict_that_names_the_first(api):
    body = {"data": {"type": "profile", "attributes": {"email": "new.person@example.com"}}}
    first = api.send("POST", "/api/profiles", body).json()["data"]["id"]
    answer = api.send("POST", "/api/profiles", body)
    assert answer.status_code == 409
    error = answer.json()["errors"][0]
    assert (error["code"], error["meta"]) == ("duplicate_profile", {"duplicate_profile_id": first})


def test_a_tag_is_attached_to_campaigns_and_removed(api):
    made = api.send("POST", "/api/tags", {"data": {"type": "tag", "attributes": {"name": "weekly"}}})
    tag_id = made.json()["data"]["id"]
    path, body = f"/api/tags/{tag_id}/relationships/campaigns", {"data": [{"type": "campaign", "id": EMAIL}]}
    assert api.send("POST", path, body).status_code == 204
    assert [tag["attributes"]["name"] for tag in api.get(f"/api/campaigns/{EMAIL}/tags").json()["data"]] == ["weekly"]
    assert api.get(path).json()["data"] == [{"type": "campaign", "id": EMAIL}]
    included = api.get(f"/api/campaigns/{EMAIL}", include="tags").json()["included"]
    assert [item["id"] for item in included] == [tag_id]
    assert api.send("DELETE", path, body).status_code == 204
    assert api.get(f"/api/campaigns/{EMAIL}/tags").json()["data"] == []


def test_an_image_is_taken_from_a_url_and_from_a_file(api):
    attributes = {"import_from_url": "https://shop.example.com/banner.png"}
    answer = api.send("POST", "/api/images", {"data": {"type": "image", "attributes": attributes}})
    assert answer.status_code == 201, answer.text
    assert answer.json()["data"]["attributes"]["format"] == "png"
    upload = api.http.post("/api/image-upload", files={"file": ("b.gif", b"GIF89a", "image/gif")}, data={"name": "b"})
    assert upload.status_code == 201, upload.text
    assert upload.json()["data"]["attributes"].items() >= {"name": "b", "format": "gif", "size": 6}.items()


def test_the_account_is_a_test_account(api):
    [account] = api.get("/api/accounts").json()["data"]
    assert account["attributes"]["test_account"] is True
    assert api.get("/api/accounts").headers["cid"] == account["id"]
