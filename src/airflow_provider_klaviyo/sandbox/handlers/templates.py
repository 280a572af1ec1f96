"""Templates, and the universal content that they share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_klaviyo.sandbox.documents import document
from airflow_provider_klaviyo.sandbox.handlers.reading import delete, many, one
from airflow_provider_klaviyo.sandbox.model import Entity
from airflow_provider_klaviyo.sandbox.refusals import invalid
from airflow_provider_klaviyo.sandbox.rendering import RenderingError, render
from airflow_provider_klaviyo.sandbox.served import Handler, Reply, ServedCall

UNIVERSAL_CONTENT = "template-universal-content"

EDITOR_TYPES = ("CODE", "SYSTEM_DRAGGABLE", "USER_DRAGGABLE")

MOST = 1_000
"""Templates of an account, beyond which none is made."""


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
    if given["editor_type"] not in EDITOR_TYPES:
        raise invalid(f"editor_type is one of {', '.join(EDITOR_TYPES)}.", pointer="/data/attributes/editor_type")
    needed = "definition" if given["editor_type"] == "SYSTEM_DRAGGABLE" else "html"
    if given.get(needed) is None:
        raise invalid(f"{needed} is required for {given['editor_type']}.", pointer=f"/data/attributes/{needed}")
    _check_count(call)
    return Reply(201, document(call, call.store.put(new_template(call, given))))


def update_template(call: ServedCall) -> Reply:
    """The HTML of a drag-and-drop template is made from its definition, so what is given of it is left out."""
    call.check_ids_agree()
    changes = {name: value for name, value in call.attributes.items() if value is not None and name != "definition"}
    template = call.store.get("template", call.id)
    if template.attributes["editor_type"] == "SYSTEM_DRAGGABLE":
        changes.pop("html", None)
    return Reply(200, document(call, call.store.put(template.having(**changes, updated=call.time))))


def clone_template(call: ServedCall) -> Reply:
    source = call.store.get("template", call.data["id"])
    _check_count(call)
    name = call.attributes.get("name") or f"Clone of {source.attributes['name']}"
    clone = new_template(call, {**source.attributes, "name": name})
    return Reply(201, document(call, call.store.put(clone)))


def render_template(call: ServedCall) -> Reply:
    template = call.store.get("template", call.data["id"])
    context = call.attributes["context"]
    try:
        rendered = {
            part: render(template.attributes[part], context, escape=part != "text") for part in ("html", "text", "amp")
        }
    except RenderingError as error:
        raise invalid(f"Unable to render given template with provided context: {error}.") from None
    return Reply(201, document(call, template.having(**rendered)))


def _check_count(call: ServedCall) -> None:
    """The limit is documented; its status and words are a choice of the sandbox."""
    if sum(not template.internal.get("copy") for template in call.store.all("template")) >= MOST:
        raise invalid(f"The account has {MOST:,} templates or more, so none can be made by the API.")


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
