"""Universal content: blocks that templates share. Its screenshots are never made."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_provider_klaviyo.sandbox.call import Answer, Call, Handler
from airflow_provider_klaviyo.sandbox.documents import document
from airflow_provider_klaviyo.sandbox.handlers.reading import delete, many, one
from airflow_provider_klaviyo.sandbox.model import Resource

TYPE = "template-universal-content"


def create_universal_content(call: Call) -> Answer:
    attributes = {
        "name": call.attributes["name"],
        "definition": call.attributes["definition"],
        "created": call.time,
        "updated": call.time,
        "screenshot_status": "never_generated",
        "screenshot_url": "",
    }
    return Answer(201, document(call, call.store.put(Resource(TYPE, call.store.new_id(TYPE), attributes))))


def update_universal_content(call: Call) -> Answer:
    """A definition replaces the old one."""
    call.check_ids_agree()
    changes = {name: value for name, value in call.attributes.items() if value is not None}
    content = call.store.get(TYPE, call.id).having(**changes, updated=call.time)
    return Answer(200, document(call, call.store.put(content)))


HANDLERS: Mapping[str, Handler] = {
    "get_all_universal_content": many(TYPE),
    "get_universal_content": one(TYPE),
    "create_universal_content": create_universal_content,
    "update_universal_content": update_universal_content,
    "delete_universal_content": delete(TYPE),
}
