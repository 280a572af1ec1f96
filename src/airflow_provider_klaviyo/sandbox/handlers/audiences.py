"""Lists and segments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_klaviyo.sandbox.documents import FieldReader, collection, document, identifiers, targets
from airflow_provider_klaviyo.sandbox.handlers.reading import delete, many, one, related, related_ids
from airflow_provider_klaviyo.sandbox.model import Entity
from airflow_provider_klaviyo.sandbox.people import join, leave
from airflow_provider_klaviyo.sandbox.refusals import invalid
from airflow_provider_klaviyo.sandbox.segments import plan_members
from airflow_provider_klaviyo.sandbox.served import Handler, Reply, ServedCall

MEMBERS_PER_CALL = 1000
MEMBER_FIELDS: Mapping[str, FieldReader] = {"profile_id": lambda _, profile: profile.id}


def create_list(call: ServedCall) -> Reply:
    attributes = {
        "name": call.attributes["name"],
        "created": call.time,
        "updated": call.time,
        "opt_in_process": call.attributes.get("opt_in_process") or "single_opt_in",
    }
    return _created(call, "list", attributes)


def create_segment(call: ServedCall) -> Reply:
    attributes = {
        "name": call.attributes["name"],
        "definition": call.attributes["definition"],
        "created": call.time,
        "updated": call.time,
        "is_active": True,
        "is_processing": False,
        "is_starred": call.attributes.get("is_starred") or False,
    }
    created = _created(call, "segment", attributes)
    plan_members(call.store, call.store.get("segment", created.body["data"]["id"]), call.now, call.timing)
    return created


def update_list(call: ServedCall) -> Reply:
    call.check_ids_agree()
    changes = {name: value for name, value in call.attributes.items() if value is not None}
    return Reply(
        200, document(call, call.store.put(call.store.get("list", call.id).having(**changes, updated=call.time)))
    )


def update_segment(call: ServedCall) -> Reply:
    """A changed definition changes the members, in a while."""
    call.check_ids_agree()
    changes = {name: value for name, value in call.attributes.items() if value is not None}
    segment = call.store.get("segment", call.id).having(**changes, updated=call.time)
    if "definition" in changes:
        plan_members(call.store, segment, call.now, call.timing)
    return Reply(200, document(call, call.store.put(segment)))


def add_profiles_to_list(call: ServedCall) -> Reply:
    call.store.get("list", call.id)
    join(call.store, call.id, _given_members(call), call.time)
    return Reply(204)


def remove_profiles_from_list(call: ServedCall) -> Reply:
    group = call.store.get("list", call.id)
    leave(call.store, group, set(_given_members(call)), call.time)
    return Reply(204)


def members_of(type_: str) -> Handler:
    """The profiles of a list or segment, with when each joined."""

    def handler(call: ServedCall) -> Reply:
        return Reply(200, collection(call, _members(call, type_), MEMBER_FIELDS))

    return handler


def member_ids_of(type_: str) -> Handler:
    """Like :func:`members_of`, with types and ids only."""

    def handler(call: ServedCall) -> Reply:
        return Reply(200, identifiers(call, _members(call, type_), MEMBER_FIELDS))

    return handler


def _members(call: ServedCall, type_: str) -> list[Entity]:
    group = call.store.get(type_, call.id)
    joined = group.internal.get("joined", {})
    return [
        profile.having(joined_group_at=joined.get(profile.id, group.attributes["created"]))
        for profile in targets(call.store, group, "profiles")
    ]


def _created(call: ServedCall, type_: str, attributes: dict[str, Any]) -> Reply:
    group = Entity(type_, call.store.new_id(type_), attributes, {"profiles": [], "tags": []})
    return Reply(201, document(call, call.store.put(group)))


def _given_members(call: ServedCall) -> list[str]:
    if len(call.data) > MEMBERS_PER_CALL:
        raise invalid(f"At most {MEMBERS_PER_CALL} profiles per call, not {len(call.data)}.", pointer="/data")
    for number, reference in enumerate(call.data):
        if call.store.find("profile", reference["id"]) is None:
            raise invalid(f"There is no profile with id '{reference['id']}'.", pointer=f"/data/{number}/id")
    return [reference["id"] for reference in call.data]


HANDLERS: Mapping[str, Handler] = {
    "get_lists": many("list"),
    "get_list": one("list"),
    "create_list": create_list,
    "update_list": update_list,
    "delete_list": delete("list"),
    "add_profiles_to_list": add_profiles_to_list,
    "remove_profiles_from_list": remove_profiles_from_list,
    "get_profiles_for_list": members_of("list"),
    "get_profile_ids_for_list": member_ids_of("list"),
    "get_tags_for_list": related("list", "tags"),
    "get_tag_ids_for_list": related_ids("list", "tags"),
    "get_flows_triggered_by_list": related("list", "flow-triggers"),
    "get_ids_for_flows_triggered_by_list": related_ids("list", "flow-triggers"),
    "get_segments": many("segment"),
    "get_segment": one("segment"),
    "create_segment": create_segment,
    "update_segment": update_segment,
    "delete_segment": delete("segment"),
    "get_profiles_for_segment": members_of("segment"),
    "get_profile_ids_for_segment": member_ids_of("segment"),
    "get_tags_for_segment": related("segment", "tags"),
    "get_tag_ids_for_segment": related_ids("segment", "tags"),
    "get_flows_triggered_by_segment": related("segment", "flow-triggers"),
    "get_ids_for_flows_triggered_by_segment": related_ids("segment", "flow-triggers"),
}
