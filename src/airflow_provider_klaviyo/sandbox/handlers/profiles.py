"""Profiles: create, read, update, upsert, merge, delete."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_provider_klaviyo.sandbox.documents import FieldReader, document
from airflow_provider_klaviyo.sandbox.handlers.reading import many, one, related, related_ids
from airflow_provider_klaviyo.sandbox.model import IDENTIFIERS
from airflow_provider_klaviyo.sandbox.people import Directory, forget, merge
from airflow_provider_klaviyo.sandbox.refusals import invalid
from airflow_provider_klaviyo.sandbox.served import Handler, Reply, ServedCall

SUPPRESSION = "subscriptions.email.marketing.suppression"
FIELDS: Mapping[str, FieldReader] = {
    f"{SUPPRESSION}.reason": lambda _, profile: [one["reason"] for one in profile.internal["suppressions"]] or None,
    f"{SUPPRESSION}.timestamp": lambda _, profile: next(
        (one["timestamp"] for one in profile.internal["suppressions"]), None
    ),
}


def create_profile(call: ServedCall) -> Reply:
    return Reply(201, document(call, Directory(call.store).add(call.attributes, call.time)))


def update_profile(call: ServedCall) -> Reply:
    call.check_ids_agree()
    profile = call.store.get("profile", call.id)
    return Reply(200, document(call, Directory(call.store).change(profile, call.attributes, call.time)))


def create_or_update_profile(call: ServedCall) -> Reply:
    profile, is_new = Directory(call.store).upsert(
        call.attributes, call.time, call.data.get("id"), meta=call.data.get("meta"), nulls=True
    )
    return Reply(201 if is_new else 200, document(call, profile))


def create_client_profile(call: ServedCall) -> Reply:
    Directory(call.store).upsert(call.attributes, call.time, call.data.get("id"))
    return Reply(202)


def merge_profiles(call: ServedCall) -> Reply:
    """The merge is done at once; Klaviyo takes a while."""
    destination = call.store.get("profile", call.data["id"])
    sources = call.data["relationships"]["profiles"].get("data", [])
    pointer = "/data/relationships/profiles/data"
    if len(sources) != 1:
        raise invalid(f"One profile is merged at a time, not {len(sources)}.", pointer=pointer)
    if sources[0]["id"] == destination.id:
        raise invalid("A profile cannot be merged into itself.", pointer=f"{pointer}/0/id")
    merge(call.store, call.store.get("profile", sources[0]["id"]), destination, call.time)
    own = {"self": f"{call.base}/api/profiles/{destination.id}/"}
    data = {"type": "profile", "id": destination.id, "links": own}
    return Reply(201, {"data": data, "links": {"self": call.base + call.target}})


def request_profile_deletion(call: ServedCall) -> Reply:
    """The profile is deleted at once. A request for somebody unknown is accepted too."""
    given = call.attributes["profile"]["data"]
    identifiers = [name for name in (*IDENTIFIERS, "id") if {**given["attributes"], "id": given.get("id")}.get(name)]
    if len(identifiers) != 1:
        raise invalid("Give one of email, phone_number and id.", pointer="/data/attributes/profile/data")
    if profile := Directory(call.store).find(given["attributes"], given.get("id")):
        forget(call.store, profile.id, call.time)
    return Reply(202)


HANDLERS: Mapping[str, Handler] = {
    "get_profiles": many("profile", FIELDS),
    "get_profile": one("profile"),
    "create_profile": create_profile,
    "update_profile": update_profile,
    "create_or_update_profile": create_or_update_profile,
    "create_client_profile": create_client_profile,
    "merge_profiles": merge_profiles,
    "request_profile_deletion": request_profile_deletion,
    "get_lists_for_profile": related("profile", "lists"),
    "get_list_ids_for_profile": related_ids("profile", "lists"),
    "get_segments_for_profile": related("profile", "segments"),
    "get_segment_ids_for_profile": related_ids("profile", "segments"),
    "get_push_tokens_for_profile": related("profile", "push-tokens"),
    "get_push_token_ids_for_profile": related_ids("profile", "push-tokens"),
}
