"""Templates: create, read, update, delete, clone, render.

Templates assigned to a message are copies: they can be read by id, but are in no list.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_klaviyo.sandbox.call import Answer, Call, Handler
from airflow_provider_klaviyo.sandbox.documents import document
from airflow_provider_klaviyo.sandbox.handlers.reading import delete, many, one
from airflow_provider_klaviyo.sandbox.model import Resource
from airflow_provider_klaviyo.sandbox.rendering import render


def create_template(call: Call) -> Answer:
    given = call.attributes
    return Answer(201, document(call, call.store.put(new_template(call, given))))


def update_template(call: Call) -> Answer:
    call.check_ids_agree()
    changes = {name: value for name, value in call.attributes.items() if value is not None and name != "definition"}
    template = call.store.get("template", call.id).having(**changes, updated=call.time)
    return Answer(200, document(call, call.store.put(template)))


def clone_template(call: Call) -> Answer:
    source = call.store.get("template", call.data["id"])
    name = call.attributes.get("name") or f"Clone of {source.attributes['name']}"
    clone = new_template(call, {**source.attributes, "name": name})
    return Answer(201, document(call, call.store.put(clone)))


def render_template(call: Call) -> Answer:
    template = call.store.get("template", call.data["id"])
    context = call.attributes["context"]
    rendered = {part: render(template.attributes[part], context) for part in ("html", "text", "amp")}
    return Answer(201, document(call, template.having(**rendered)))


def copy_template(call: Call, source: Resource) -> Resource:
    """Add a copy that belongs to one message."""
    copy = new_template(call, {**source.attributes, "name": f"Clone of {source.id}"}).knowing(copy=True)
    return call.store.put(copy)


def new_template(call: Call, given: Mapping[str, Any]) -> Resource:
    """A template that is not in the store yet."""
    return Resource(
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
}
