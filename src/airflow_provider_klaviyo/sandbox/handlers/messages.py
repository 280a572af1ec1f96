"""Campaign messages. They come and go with their campaign; here they are read, changed, and given content."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_klaviyo.sandbox.documents import document, identifier, resource_object, targets
from airflow_provider_klaviyo.sandbox.handlers.reading import one, related, related_ids
from airflow_provider_klaviyo.sandbox.handlers.templates import copy_template
from airflow_provider_klaviyo.sandbox.history import EDITED, IMAGE, TEMPLATE, changed, named, note
from airflow_provider_klaviyo.sandbox.model import Entity
from airflow_provider_klaviyo.sandbox.refusals import conflict, invalid, not_found
from airflow_provider_klaviyo.sandbox.served import Handler, Reply, ServedCall
from airflow_provider_klaviyo.sandbox.store import Store

EMAIL_FIELDS = ("subject", "preview_text", "from_email", "from_label", "reply_to_email", "cc_email", "bcc_email")
SMS_RENDERING = {"shorten_links": True, "add_org_prefix": True, "add_info_link": True, "add_opt_out_language": False}
NO_IMAGE = "Image relationships are only supported for push and SMS messages"


def check(call: ServedCall, given: Mapping[str, Any], pointer: str) -> None:
    """Check a message that is to be created or changed, as far as the schema does not.

    :raises RefusedError: 400.
    """
    image_id = _image_id(given)
    if image_id is None:
        return
    image_pointer = f"{pointer}/relationships/image"
    definition = given["attributes"].get("definition") or {}
    if definition.get("channel") == "email":
        raise invalid(NO_IMAGE, pointer=image_pointer)
    if (definition.get("content") or {}).get("dynamic_image"):
        raise invalid("A message has a dynamic image or an image, not both.", pointer=image_pointer)
    if call.store.find("image", image_id) is None:
        raise invalid(f"There is no image with id '{image_id}'.", pointer=f"{image_pointer}/data/id")


def create(call: ServedCall, given: Mapping[str, Any], campaign_id: str) -> str:
    """Add a checked message to the store and return its id."""
    message = Entity(
        "campaign-message",
        call.store.new_id("campaign-message"),
        {
            "definition": message_definition(call.store, given["attributes"]["definition"]),
            "send_times": None,
            "created_at": call.time,
            "updated_at": call.time,
        },
        {"campaign": campaign_id, "template": None, "image": _image_id(given)},
    )
    return call.store.put(message).id


def update_campaign_message(call: ServedCall) -> Reply:
    call.check_ids_agree()
    message = _editable(call, call.id)
    given = call.attributes.get("definition")
    old = message.attributes["definition"]
    if given is not None and given["channel"] != old["channel"]:
        raise invalid(
            f"The channel of a message cannot be changed from {old['channel']} to {given['channel']}.",
            pointer="/data/attributes/definition/channel",
        )
    check(call, {**call.data, "attributes": {"definition": given or old}}, "/data")
    if given is not None:
        parts = {name: {**(old.get(name) or {}), **(given.get(name) or {})} for name in ("content", "render_options")}
        message = message.having(definition=message_definition(call.store, {**old, **given, **parts}))
        _note(call, message, EDITED, f"message: {_changed(old, message.attributes['definition'])}")
    if image_id := _image_id(call.data):
        message = _with_image(call, message, image_id)
    return Reply(200, document(call, call.store.put(message.having(updated_at=call.time))))


def update_image_for_campaign_message(call: ServedCall) -> Reply:
    message = _editable(call, call.id)
    definition = message.attributes["definition"]
    check(call, {"attributes": {"definition": definition}, "relationships": {"image": call.body}}, "")
    call.store.put(_with_image(call, message, call.data["id"]).having(updated_at=call.time))
    return Reply(204)


def get_image_for_campaign_message(call: ServedCall) -> Reply:
    """A message without an image answers 404 (a choice: the published answer cannot be empty)."""
    message = _may_have_image(call)
    found = targets(call.store, message, "image")
    if not found:
        raise not_found("image", f"of message {call.id}")
    return Reply(200, document(call, found[0]))


def get_image_id_for_campaign_message(call: ServedCall) -> Reply:
    found = targets(call.store, _may_have_image(call), "image")
    links = {"self": call.base + call.target}
    return Reply(200, {"data": identifier(found[0]) if found else None, "links": links})


def assign_template_to_campaign_message(call: ServedCall) -> Reply:
    """The template is copied: the message points to the copy. The answer has the flat shape of old revisions."""
    message = _editable(call, call.data["id"])
    definition = message.attributes["definition"]
    if definition["channel"] != "email":
        raise invalid(f"A template is for an email, not for {definition['channel']}.", pointer="/data/id")
    given = call.data["relationships"]["template"].get("data")
    if given is None:
        raise invalid("Name a template.", pointer="/data/relationships/template/data")
    template = call.store.get("template", given["id"])
    copy = copy_template(call, template)
    _note(call, message, TEMPLATE, named(template))
    message = call.store.put(message.related("template", copy.id).having(updated_at=call.time))
    answer = document(call, Entity(message.type, message.id, _flat(message), message.relationships))
    return Reply(200, {**answer, "included": [resource_object(call, copy)]})


def _editable(call: ServedCall, message_id: str) -> Entity:
    message = call.store.get("campaign-message", message_id)
    campaign = call.store.get("campaign", message.relationships["campaign"])
    status = campaign.attributes["status"]
    if status != "Draft":
        raise conflict(f"Campaign {campaign.id} is '{status}'. Only a message of a 'Draft' can be changed.")
    return message


def _with_image(call: ServedCall, message: Entity, image_id: str) -> Entity:
    _note(call, message, IMAGE, named(call.store.get("image", image_id)))
    return message.related("image", image_id)


def _note(call: ServedCall, message: Entity, what: str, detail: str) -> None:
    note(call.store, message.relationships["campaign"], call.now, what, detail)


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """The fields that differ in two definitions of a message, those of its content by their own names."""
    flat = [{**definition, **(definition.get("content") or {})} for definition in (before, after)]
    for definition in flat:
        definition.pop("content", None)
    return changed(*flat)


def _may_have_image(call: ServedCall) -> Entity:
    message = call.store.get("campaign-message", call.id)
    if message.attributes["definition"]["channel"] == "email":
        raise invalid(NO_IMAGE, pointer="/data/relationships/image")
    return message


def _image_id(given: Mapping[str, Any]) -> str | None:
    image = given.get("relationships", {}).get("image", {}).get("data")
    return image["id"] if image else None


def message_definition(store: Store, given: Mapping[str, Any]) -> dict[str, Any]:
    """A message's content as answers have it: complete, with the account's defaults."""
    content = given.get("content") or {}
    match given["channel"]:
        case "email":
            sender = next(store.all("account")).attributes["contact_information"]
            defaults = {"from_email": sender["default_sender_email"], "from_label": sender["default_sender_name"]}
            filled = {name: content.get(name) or defaults.get(name) for name in EMAIL_FIELDS}
            return {"channel": "email", "label": given.get("label"), "content": filled}
        case "sms":
            rendering = {
                name: value for name, value in (given.get("render_options") or {}).items() if value is not None
            }
            return {
                "channel": "sms",
                "content": {"body": content.get("body"), "media_url": None},
                "render_options": {**SMS_RENDERING, **rendering},
            }
        case _ if given.get("notification_type") == "silent":
            return {"channel": "mobile_push", "notification_type": "silent", "kv_pairs": given.get("kv_pairs")}
        case _:
            return {
                "channel": "mobile_push",
                "notification_type": "standard",
                "content": content,
                "kv_pairs": given.get("kv_pairs"),
                "options": {"on_open": {"type": "open_app"}, "play_sound": False, **(given.get("options") or {})},
            }


def _flat(message: Entity) -> dict[str, Any]:
    attributes = message.attributes
    return {
        "label": attributes["definition"]["label"] or "",
        "channel": "email",
        "content": attributes["definition"]["content"],
        "send_times": attributes["send_times"],
        "render_options": None,
        "created_at": attributes["created_at"],
        "updated_at": attributes["updated_at"],
    }


HANDLERS: Mapping[str, Handler] = {
    "get_campaign_message": one("campaign-message"),
    "update_campaign_message": update_campaign_message,
    "update_image_for_campaign_message": update_image_for_campaign_message,
    "assign_template_to_campaign_message": assign_template_to_campaign_message,
    "get_campaign_for_campaign_message": related("campaign-message", "campaign"),
    "get_campaign_id_for_campaign_message": related_ids("campaign-message", "campaign"),
    "get_template_for_campaign_message": related("campaign-message", "template"),
    "get_template_id_for_campaign_message": related_ids("campaign-message", "template"),
    "get_image_for_campaign_message": get_image_for_campaign_message,
    "get_image_id_for_campaign_message": get_image_id_for_campaign_message,
}
