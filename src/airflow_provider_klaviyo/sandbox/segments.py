"""Who is in a segment, and when that is known.

Klaviyo says of a new segment at once that it is not being processed; its members were seen to appear nine minutes
later. Choices of the sandbox: conditions on membership of lists and segments are evaluated, once for each definition;
nobody meets another condition.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_klaviyo.sandbox.clock import iso
from airflow_provider_klaviyo.sandbox.counting import noted
from airflow_provider_klaviyo.sandbox.model import Entity
from airflow_provider_klaviyo.sandbox.served import Timing
from airflow_provider_klaviyo.sandbox.store import Store

FILLED = "segment filled"


def plan_members(store: Store, segment: Entity, now: float, timing: Timing) -> None:
    """Have a segment filled, in a while."""
    store.plan(now + timing.filling, what=FILLED, id=segment.id)


def fill(store: Store, at: float, event: Mapping[str, Any]) -> None:
    """Put into a segment whom its definition means by now."""
    segment = store.find("segment", event["id"])
    if segment is None:
        return
    members = _members(store, segment.attributes["definition"])
    now = iso(at)
    joined = {**dict.fromkeys(members, now), **segment.internal.get("joined", {})}
    counts = noted(segment, len(members), now)
    known = {"joined": {id_: joined[id_] for id_ in members}, "counts": counts}
    store.put(segment.related("profiles", members).having(updated=now).knowing(**known))


def _members(store: Store, definition: Mapping[str, Any]) -> list[str]:
    """Those who meet one condition, at least, of each group."""
    groups = definition["condition_groups"]
    everybody = [profile.id for profile in store.all("profile")]
    meant = [set().union(*(_meeting(store, one, everybody) for one in group["conditions"])) for group in groups]
    return [id_ for id_ in everybody if meant and all(id_ in some for some in meant)]


def _meeting(store: Store, condition: Mapping[str, Any], everybody: list[str]) -> set[str]:
    if condition["type"] != "profile-group-membership":
        return set()
    named = (store.find(type_, id_) for type_ in ("list", "segment") for id_ in condition["group_ids"])
    inside = {id_ for group in named if group for id_ in group.relationships["profiles"]}
    return inside if condition["is_member"] else set(everybody) - inside
