"""Profiles: how they are found, made, changed, merged and forgotten."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airflow_provider_klaviyo.sandbox.consent import UNASKED
from airflow_provider_klaviyo.sandbox.counting import noted
from airflow_provider_klaviyo.sandbox.model import IDENTIFIERS, Entity
from airflow_provider_klaviyo.sandbox.refusals import Reason, RefusedError, invalid
from airflow_provider_klaviyo.sandbox.store import Store

ATTRIBUTES = (*IDENTIFIERS, "first_name", "last_name", "organization", "locale", "title", "image")
PARTS = ("location", "properties")
NO_TOKENS: Mapping[str, Any] = {"push-tokens": []}
FORMS: Mapping[str, re.Pattern[str]] = {
    "email": re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+"),
    "phone_number": re.compile(r"\+[1-9]\d{6,14}"),
}


class Directory:
    """Finds profiles by what identifies them."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def find(self, given: Mapping[str, Any], id_: str | None = None) -> Entity | None:
        """The profile meant: the one with the id, or else with the first identifier that anyone has."""
        if id_ and (profile := self.store.find("profile", id_)):
            return profile
        for name in IDENTIFIERS:
            if (value := given.get(name)) and (owner := self.store.owner(name, value)):
                return self.store.get("profile", owner)
        return None

    def meant(self, given: Mapping[str, Any], id_: str | None = None) -> Entity | None:
        """The profile that one of many rows means. A row whose identifiers are not all of one person means nobody: it
        would give somebody the phone of another, or somebody's phone another email. (Of a single upsert the latter is
        documented; that a row of a job is refused is a choice.)

        :raises RefusedError: as :meth:`add`.
        """
        stated = {name: value for name, value in given.items() if value is not None}
        known = self.find(stated, id_)
        self.check(stated, besides=known.id if known else None)
        if known and known.id != id_:
            for name in IDENTIFIERS:
                if stated.get(name) and stated[name] == known.attributes[name]:
                    break
                if stated.get(name) and known.attributes[name]:
                    raise duplicate(known.id)
        return known

    def add(self, given: Mapping[str, Any], now: str) -> Entity:
        """A new profile.

        :raises RefusedError: 400 for a missing or malformed identifier, 409 when somebody has it already.
        """
        if not any(given.get(name) for name in IDENTIFIERS):
            raise invalid(f"A profile needs one of {', '.join(IDENTIFIERS)}.", pointer="/data/attributes")
        self.check(given)
        return self.store.put(new_profile(self.store.new_id("profile"), given, now))

    def change(self, profile: Entity, given: Mapping[str, Any], now: str) -> Entity:
        """Change what is given, and leave the rest; a location and properties are merged.

        :raises RefusedError: as :meth:`add`.
        """
        self.check(given, besides=profile.id)
        changes = {name: given[name] for name in ATTRIBUTES if name in given}
        merged = {
            name: {**(profile.attributes[name] or {}), **given[name]} for name in PARTS if given.get(name) is not None
        }
        return self.store.put(profile.having(**changes, **merged, updated=now))

    def upsert(
        self,
        given: Mapping[str, Any],
        now: str,
        id_: str | None = None,
        *,
        meta: Mapping[str, Any] | None = None,
        nulls: bool = False,
    ) -> tuple[Entity, bool]:
        """Add the profile, or change the one that is meant.

        :param meta: its ``patch_properties.unset`` names custom properties to be taken away.
        :param nulls: True if an attribute given as null is cleared; else it is left as it is.
        :return: the profile, and True if it is new.
        :raises RefusedError: as :meth:`add`.
        """
        stated = {name: value for name, value in given.items() if nulls or value is not None}
        known = self.find(stated, id_)
        profile = self.add(stated, now) if known is None else self.change(known, stated, now)
        if unset := ((meta or {}).get("patch_properties") or {}).get("unset"):
            names = [unset] if isinstance(unset, str) else unset
            kept = {name: value for name, value in profile.attributes["properties"].items() if name not in names}
            profile = self.store.put(profile.having(properties=kept))
        return profile, known is None

    def check(self, given: Mapping[str, Any], besides: str | None = None) -> None:
        """Check identifiers.

        :param besides: the id of the profile that may have them.
        :raises RefusedError: as :meth:`add`.
        """
        for name in IDENTIFIERS:
            value, pointer = given.get(name), f"/data/attributes/{name}"
            if not value:
                continue
            if name in FORMS and not FORMS[name].fullmatch(value):
                raise invalid(f"'{value}' is not a valid {name.replace('_', ' ')}.", pointer=pointer)
            owner = self.store.owner(name, value)
            if owner is not None and owner != besides:
                raise duplicate(owner)


def duplicate(profile_id: str) -> RefusedError:
    """409: an identifier is another profile's."""
    reason = Reason(
        "A profile already exists with one of these identifiers.",
        "/data/attributes",
        meta={"duplicate_profile_id": profile_id},
    )
    return RefusedError(409, "duplicate_profile", "Conflict.", [reason])


def new_profile(id_: str, given: Mapping[str, Any], now: str) -> Entity:
    """A profile that is not in the store yet, and that nobody has asked for consent."""
    attributes = {name: given.get(name) for name in ATTRIBUTES} | {
        "created": now,
        "updated": now,
        "last_event_date": None,
        "location": given.get("location") or {},
        "properties": given.get("properties") or {},
    }
    return Entity("profile", id_, attributes, NO_TOKENS, UNASKED)


def join(store: Store, list_id: str, profile_ids: list[str], now: str) -> None:
    """Put profiles on a list. A profile that is on it stays as of then."""
    group = store.get("list", list_id)
    members, joined = group.relationships["profiles"], group.internal.get("joined", {})
    if len(joined) < len(members):
        joined = {**dict.fromkeys(members, group.attributes["created"]), **joined}
    new = [id_ for id_ in dict.fromkeys(profile_ids) if id_ not in joined]
    joined = {**joined, **dict.fromkeys(new, now)}
    counts = noted(group, len(joined), now)
    store.put(group.related("profiles", [*members, *new]).having(updated=now).knowing(joined=joined, counts=counts))


def leave(store: Store, group: Entity, profile_ids: set[str], now: str) -> None:
    """Take profiles off a list or segment."""
    members = [id_ for id_ in group.relationships["profiles"] if id_ not in profile_ids]
    joined = {id_: at for id_, at in group.internal.get("joined", {}).items() if id_ not in profile_ids}
    counts = noted(group, len(members), now)
    store.put(group.related("profiles", members).having(updated=now).knowing(joined=joined, counts=counts))


def forget(store: Store, profile_id: str, now: str) -> None:
    """Delete a profile, also from lists and segments."""
    store.delete("profile", profile_id)
    for type_ in ("list", "segment"):
        for group in list(store.all(type_)):
            if profile_id in group.relationships["profiles"]:
                leave(store, group, {profile_id}, now)


def merge(store: Store, source: Entity, destination: Entity, now: str) -> None:
    """Move what the source has to the destination, which keeps its own attributes, and delete the source."""
    kept = {name: value for name, value in destination.attributes.items() if value is not None}
    parts = {name: {**source.attributes[name], **destination.attributes[name]} for name in PARTS}
    for group in list(store.all("list")):
        if source.id in group.relationships["profiles"]:
            join(store, group.id, [destination.id], now)
    for event in list(store.all("event")):
        if event.relationships["profile"] == source.id:
            store.put(event.related("profile", destination.id))
    forget(store, source.id, now)
    store.put(destination.having(**{**source.attributes, **kept, **parts, "updated": now}))
