"""What the account holds, one kind at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from airflow_provider_klaviyo.sandbox.model import Entity
from airflow_provider_klaviyo.sandbox.store import Store

SHOWN = 200
"""The most rows of a list."""

EXAMPLES: Mapping[str, str] = {
    "Y6nRLr": "who gets it, in README and most examples",
    "UTd5ui": "who does not get it, in README",
    "RipRmi": "the template of README and most examples",
    "YzykDM": "the big list of the backfill example",
    "WEmgye": "an audience in the docs on many campaigns",
    "TUeZtq": "the audience of text messages in the docs",
    "RESQ6t": "the conversion metric in the docs",
}
"""Where ids of the seed are used."""


def _members(one: Entity) -> str:
    return f"{len(one.relationships['profiles']):,} profiles"


def _consent(one: Entity) -> str:
    consent, suppressions = one.internal["consent"], one.internal["suppressions"]
    words = {"SUBSCRIBED": "yes", "UNSUBSCRIBED": "unsubscribed", "NEVER_SUBSCRIBED": "never asked"}
    told = [f"{name} {words.get(consent[kind], consent[kind])}" for kind, name in CHANNELS.items()]
    if suppressions:
        told.append(f"suppressed: {', '.join(str(row['reason']) for row in suppressions)}")
    return " · ".join(told)


def _person(one: Entity) -> str:
    known = one.attributes
    name = " ".join(part for part in (known.get("first_name"), known.get("last_name")) if part)
    found = (known.get(key) for key in ("email", "phone_number", "external_id"))
    return " · ".join(part for part in (name, *found) if part)


def _integration(one: Entity) -> str:
    return str((one.attributes.get("integration") or {}).get("name") or "")


CHANNELS = {"email": "email", "sms": "SMS", "mobile_push": "push"}
KINDS: Mapping[str, tuple[str, Callable[[Entity], str]]] = {
    "lists": ("list", _members),
    "segments": ("segment", _members),
    "templates": ("template", lambda one: str(one.attributes["editor_type"])),
    "profiles": ("profile", _consent),
    "tags": ("tag", lambda _: ""),
    "images": ("image", lambda one: str(one.attributes["format"])),
    "metrics": ("metric", _integration),
}
"""The kinds that are shown: each one's type, and what is said of one of them."""


def holdings(store: Store, asked: Mapping[str, str]) -> dict[str, Any]:
    """How many there are of each kind, and those of one kind, in the order in which they were made.

    :param asked: ``kind``: one of :data:`KINDS`, by default lists; ``find``: a text in the name, the id or the detail.
    """
    kind = asked.get("kind", "")
    kind = kind if kind in KINDS else "lists"
    type_, detail = KINDS[kind]
    wanted = asked.get("find", "").casefold()
    rows = []
    total = 0
    for one in store.all(type_):
        if wanted and wanted not in f"{_name(one)} {one.id} {detail(one)}".casefold():
            continue
        total += 1
        if total <= SHOWN:
            rows.append({"id": one.id, "name": _name(one), "detail": detail(one), "used": EXAMPLES.get(one.id, "")})
    counts = {name: len(store.resources.get(type_, {})) for name, (type_, _) in KINDS.items()}
    return {"kinds": counts, "kind": kind, "total": total, "shown": rows}


def _name(one: Entity) -> str:
    return _person(one) if one.type == "profile" else str(one.attributes.get("name") or "")
