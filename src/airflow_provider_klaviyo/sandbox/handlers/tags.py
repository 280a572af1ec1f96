"""Tags, their groups, and what they are attached to."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_provider_klaviyo.sandbox.documents import document, targets
from airflow_provider_klaviyo.sandbox.handlers.reading import delete, many, one, related, related_ids
from airflow_provider_klaviyo.sandbox.model import Entity
from airflow_provider_klaviyo.sandbox.refusals import conflict, invalid
from airflow_provider_klaviyo.sandbox.served import Handler, Reply, ServedCall

TAGS_PER_CAMPAIGN = 100
GROUPS = 50


def create_tag(call: ServedCall) -> Reply:
    """A tag without a group goes into the account's default group. Names are unique (a choice)."""
    name = call.attributes["name"]
    if any(tag.attributes["name"] == name for tag in call.store.all("tag")):
        raise conflict(f"A tag named '{name}' exists already.")
    given = call.data.get("relationships", {}).get("tag-group", {}).get("data")
    group = given["id"] if given else next(g.id for g in call.store.all("tag-group") if g.attributes["default"])
    if call.store.find("tag-group", group) is None:
        raise invalid(f"There is no tag group with id '{group}'.", pointer="/data/relationships/tag-group/data/id")
    tag = Entity("tag", call.store.new_id("tag"), {"name": name}, {"tag-group": group})
    return Reply(201, document(call, call.store.put(tag)))


def update_tag(call: ServedCall) -> Reply:
    call.check_ids_agree()
    call.store.put(call.store.get("tag", call.id).having(name=call.attributes["name"]))
    return Reply(204)


def create_tag_group(call: ServedCall) -> Reply:
    """Names are unique (a choice). That a thing has one tag at most of an exclusive group is not enforced."""
    name = call.attributes["name"]
    groups = list(call.store.all("tag-group"))
    if len(groups) >= GROUPS:
        raise invalid(f"An account has at most {GROUPS} tag groups.", pointer="/data")
    if any(group.attributes["name"] == name for group in groups):
        raise conflict(f"A tag group named '{name}' exists already.")
    attributes = {"name": name, "exclusive": call.attributes.get("exclusive") or False, "default": False}
    group = Entity("tag-group", call.store.new_id("tag-group"), attributes)
    return Reply(201, document(call, call.store.put(group)))


def update_tag_group(call: ServedCall) -> Reply:
    call.check_ids_agree()
    call.store.put(call.store.get("tag-group", call.id).having(name=call.attributes["name"]))
    return Reply(204)


def delete_tag_group(call: ServedCall) -> Reply:
    """With all its tags."""
    group = call.store.get("tag-group", call.id)
    if group.attributes["default"]:
        raise conflict("The default tag group cannot be deleted.")
    for tag in targets(call.store, group, "tags"):
        call.store.delete("tag", tag.id)
    call.store.delete("tag-group", call.id)
    return Reply(204)


def tag_all(type_: str) -> Handler:
    """Attach a tag to the things named in the body."""

    def handler(call: ServedCall) -> Reply:
        for resource in _named(call, type_):
            tags = list(dict.fromkeys([*resource.relationships["tags"], call.id]))
            if len(tags) > TAGS_PER_CAMPAIGN:
                raise invalid(f"{resource.id} has {TAGS_PER_CAMPAIGN} tags already.", pointer="/data")
            call.store.put(resource.related("tags", tags))
        return Reply(204)

    return handler


def untag_all(type_: str) -> Handler:
    """Remove a tag from the things named in the body."""

    def handler(call: ServedCall) -> Reply:
        for resource in _named(call, type_):
            call.store.put(resource.related("tags", [id_ for id_ in resource.relationships["tags"] if id_ != call.id]))
        return Reply(204)

    return handler


def _named(call: ServedCall, type_: str) -> list[Entity]:
    call.store.get("tag", call.id)
    return [call.store.get(type_, reference["id"]) for reference in call.data]


HANDLERS: Mapping[str, Handler] = {
    "get_tags": many("tag"),
    "get_tag": one("tag"),
    "create_tag": create_tag,
    "update_tag": update_tag,
    "delete_tag": delete("tag"),
    "tag_campaigns": tag_all("campaign"),
    "tag_lists": tag_all("list"),
    "tag_segments": tag_all("segment"),
    "remove_tag_from_campaigns": untag_all("campaign"),
    "remove_tag_from_lists": untag_all("list"),
    "remove_tag_from_segments": untag_all("segment"),
    "get_campaign_ids_for_tag": related_ids("tag", "campaigns"),
    "get_list_ids_for_tag": related_ids("tag", "lists"),
    "get_segment_ids_for_tag": related_ids("tag", "segments"),
    "get_tag_group_for_tag": related("tag", "tag-group"),
    "get_tag_group_id_for_tag": related_ids("tag", "tag-group"),
    "get_tag_groups": many("tag-group"),
    "get_tag_group": one("tag-group"),
    "create_tag_group": create_tag_group,
    "update_tag_group": update_tag_group,
    "delete_tag_group": delete_tag_group,
    "get_tags_for_tag_group": related("tag-group", "tags"),
    "get_tag_ids_for_tag_group": related_ids("tag-group", "tags"),
}
