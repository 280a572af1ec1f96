"""Who gets a campaign now, who does not, and why."""

from __future__ import annotations

from collections import Counter
from typing import Any

from airflow_provider_klaviyo.sandbox.audience import channel, group
from airflow_provider_klaviyo.sandbox.consent import address
from airflow_provider_klaviyo.sandbox.model import Entity
from airflow_provider_klaviyo.sandbox.store import Store

SHOWN = 200
"""The most people that are named."""

GETS = "get it"
EXCLUDED = "excluded"
SUPPRESSED = "suppressed"
CONSENT = "without consent"
NO_ADDRESS = "without an address"
SAME_ADDRESS = "with the address of another"
CHANNELS = {"email": "email", "sms": "text messages", "mobile_push": "push"}


def people(store: Store, campaign: Entity) -> dict[str, Any]:
    """Each member of the included audiences once, with the reason: those who get it first.

    :return: ``total``, ``counts`` (people by reason) and ``shown`` (:data:`SHOWN` at most: ``id``, ``name``,
        ``address``, ``reason``, ``why``).
    """
    audiences = campaign.attributes["audiences"]
    included = _by_member(store, audiences["included"])
    excluded = _by_member(store, audiences.get("excluded") or [])
    kind = channel(store, campaign)
    seen: set[str] = set()
    rows = []
    for id_, names in included.items():
        profile = store.find("profile", id_)
        if profile is not None:
            reason, why = _reason(profile, kind, names, excluded.get(id_), seen)
            rows.append((profile, reason, why))
    rows.sort(key=lambda row: row[1] != GETS)
    return {
        "total": len(rows),
        "counts": dict(Counter(reason for _, reason, _ in rows)),
        "shown": [_row(profile, kind, reason, why) for profile, reason, why in rows[:SHOWN]],
    }


def _by_member(store: Store, audience_ids: list[str]) -> dict[str, list[str]]:
    """The names of a profile's audiences, by its id."""
    found: dict[str, list[str]] = {}
    for audience_id in audience_ids:
        if audience := group(store, audience_id):
            for id_ in audience.relationships["profiles"]:
                found.setdefault(id_, []).append(audience.attributes["name"])
    return found


def _reason(
    profile: Entity, kind: str, included: list[str], excluded: list[str] | None, seen: set[str]
) -> tuple[str, str]:
    """The reason and, in words, what it comes from."""
    if excluded:
        return EXCLUDED, f"excluded by {_names(excluded)}; included by {_names(included)}"
    where = address(profile, kind)
    if where in seen:
        return SAME_ADDRESS, "another profile with this address gets it"
    if where:
        seen.add(where)
        return GETS, f"included by {_names(included)}"
    if kind == "email" and profile.internal["suppressions"]:
        causes = ", ".join(str(one["reason"]) for one in profile.internal["suppressions"])
        return SUPPRESSED, f"suppressed: {causes}"
    consent = profile.internal["consent"][kind]
    if consent == "UNSUBSCRIBED" or (kind != "email" and consent != "SUBSCRIBED"):
        return CONSENT, f"{consent} to {CHANNELS[kind]}"
    return NO_ADDRESS, "has no email address" if kind == "email" else "has no phone number"


def _names(names: list[str]) -> str:
    return ", ".join(names)


def _row(profile: Entity, kind: str, reason: str, why: str) -> dict[str, Any]:
    known = profile.attributes
    name = " ".join(part for part in (known.get("first_name"), known.get("last_name")) if part)
    named = "phone_number" if kind == "sms" else "email"
    where = known.get(named) or known.get("email") or known.get("phone_number") or known.get("external_id") or ""
    return {"id": profile.id, "name": name, "address": where, "reason": reason, "why": why}
