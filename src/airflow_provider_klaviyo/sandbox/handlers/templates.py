"""Templates, and the universal content that they share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_klaviyo.sandbox.documents import document
from airflow_provider_klaviyo.sandbox.handlers.reading import delete, many, one
from airflow_provider_klaviyo.sandbox.model import Entity
from airflow_provider_klaviyo.sandbox.rendering import render
from airflow_provider_klaviyo.sandbox.served import Handler, Reply, ServedCall

UNIVERSAL_CONTENT = "template-universal-content"


def create_universal_content(call: ServedCall) -> Reply:
    attributes = {
        "name": call.attributes["name"],
        "definition": call.attributes["definition"],
        "created": call.time,
        "updated": call.time,
        "screenshot_status": "never_generated",
        "screenshot_url": "",
    }
    return Reply(
        201, document(call, call.store.put(Entity(UNIVERSAL_CONTENT, call.store.new_id(UNIVERSAL_CONTENT), attributes)))
    )


def update_universal_content(call: ServedCall) -> Reply:
    """A definition replaces the old one."""
    call.check_ids_agree()
    changes = {name: value for name, value in call.attributes.items() if value is not None}
    content = call.store.get(UNIVERSAL_CONTENT, call.id).having(**changes, updated=call.time)
    return Reply(200, document(call, call.store.put(content)))


def create_template(call: ServedCall) -> Reply:
    given = call.attributes
    return Reply(201, document(call, call.store.put(new_template(call, given))))


def update_template(call: ServedCall) -> Reply:
    call.check_ids_agree()
    changes = {name: value for name, value in call.attributes.items() if value is not None and name != "definition"}
    template = call.store.get("template", call.id).having(**changes, updated=call.time)
    return Reply(200, document(call, call.store.put(template)))


def clone_template(call: ServedCall) -> Reply:
    source = call.store.get("template", call.data["id"])
    name = call.attributes.get("name") or f"Clone of {source.attributes['name']}"
    clone = new_template(call, {**source.attributes, "name": name})
    return Reply(201, document(call, call.store.put(clone)))


def render_template(call: ServedCall) -> Reply:
    template = call.store.get("template", call.data["id"])
    context = call.attributes["context"]
    rendered = {part: render(template.attributes[part], context) for part in ("html", "text", "amp")}
    return Reply(201, document(call, template.having(**rendered)))


def copy_template(call: ServedCall, source: Entity) -> Entity:
    """Add a copy that belongs to one message."""
    copy = new_template(call, {**source.attributes, "name": f"Clone of {source.id}"}).knowing(copy=True)
    return call.store.put(copy)


def new_template(call: ServedCall, given: Mapping[str, Any]) -> Entity:
    """A template that is not in the store yet."""
    return Entity(
        "template",
        call.store.new_id("template"),
        {
            "name": given["name"],
            "editor_type": given["editor_type"],
            "html": given.get("html") or "",
            "text": given.get("text"),
            "amp": given.get("amp"),
            "created": call.time,
            "updated": call.time,
        },
    )


HANDLERS: Mapping[str, Handler] = {
    "get_templates": many("template", listed=lambda template: not template.internal.get("copy")),
    "get_template": one("template"),
    "create_template": create_template,
    "update_template": update_template,
    "delete_template": delete("template"),
    "clone_template": clone_template,
    "render_template": render_template,
    "get_all_universal_content": many(UNIVERSAL_CONTENT),
    "get_universal_content": one(UNIVERSAL_CONTENT),
    "create_universal_content": create_universal_content,
    "update_universal_content": update_universal_content,
    "delete_universal_content": delete(UNIVERSAL_CONTENT),
}
