"""What has happened to each campaign. It is written as it happens, and nothing in it changes afterwards.

It is part of the account: it is saved with it, taken back with a write that fails, and gone after a reset.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_klaviyo.campaigns.status import CampaignStatus as Status
from airflow_provider_klaviyo.sandbox.clock import iso
from airflow_provider_klaviyo.sandbox.model import Entity
from airflow_provider_klaviyo.sandbox.store import Store

TYPE = "campaign-history"
"""Its type in the store, where it has its campaign's id. The API does not know it."""

CREATED, CLONED, EDITED, DELETED = "Created", "Cloned", "Edited", "Deleted"
TEMPLATE, IMAGE, ESTIMATED = "Template assigned", "Image set", "Recipients estimated"
ACCEPTED, REVERTING, REVERTED, LEFT_OUT = "Send accepted", "Revert accepted", "Reverted to draft", "Left out"

PASSING = frozenset((EDITED, TEMPLATE, IMAGE, ESTIMATED))
"""What is left out when there is too much of it. What has to do with a send never is."""

KEPT = 200
"""The most rows of :data:`PASSING` that a campaign's history has."""

DELETED_KEPT = 1000
"""How many deleted campaigns still have their history."""


def note(store: Store, campaign_id: str, now: float, what: str, detail: str = "") -> None:
    """Write down what has happened.

    :param now: sandbox time.
    :param what: in a few words.
    """
    known = store.find(TYPE, campaign_id) or Entity(TYPE, campaign_id, {"rows": [], "left_out": 0, "until": ""})
    rows = [*known.attributes["rows"], {"at": iso(now), "what": what, "detail": detail}]
    passing = [number for number, row in enumerate(rows) if row["what"] in PASSING] if what in PASSING else []
    if len(passing) > KEPT:
        until = rows.pop(passing[0])["at"]
        known = known.having(left_out=known.attributes["left_out"] + 1, until=until)
    store.put(known.having(rows=rows))
    if what == DELETED:
        gone = [history.id for history in store.all(TYPE) if store.find("campaign", history.id) is None]
        for id_ in gone[:-DELETED_KEPT]:
            store.delete(TYPE, id_)


def history(store: Store, campaign_id: str) -> list[dict[str, str]] | None:
    """What has happened to a campaign, also to a deleted one, oldest first; ``None`` when there never was one.

    A campaign of the seed, or of a data file from before there was a history, was made and delivered at times that are
    known; these rows have no detail.

    :return: rows with ``at`` (sandbox time), ``what`` and ``detail``.
    """
    campaign, known = store.find("campaign", campaign_id), store.find(TYPE, campaign_id)
    if campaign is None and known is None:
        return None
    rows: list[dict[str, str]] = list(known.attributes["rows"]) if known else []
    if campaign is not None and not any(row["what"] in (CREATED, CLONED) for row in rows):
        first = rows[0]["at"] if rows else None
        sent = (delivery["at"] for delivery in store.sends if delivery["campaign_id"] == campaign_id)
        earlier = [(Status.SENDING, at) for at in sent if first is None or at < first]
        found = [(CREATED, campaign.attributes["created_at"]), *earlier]
        rows = [*({"at": at, "what": str(what), "detail": ""} for what, at in found), *rows]
    if known and (count := known.attributes["left_out"]):
        until = known.attributes["until"]
        place = next((number for number, row in enumerate(rows) if row["at"] > until), len(rows))
        detail = f"{count} earlier edits, templates, images and estimations"
        rows.insert(place, {"at": until, "what": LEFT_OUT, "detail": detail})
    return rows


def named(resource: Entity) -> str:
    """A resource by its name and id."""
    return f"'{resource.attributes['name']}' ({resource.id})"


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """The names of the fields that differ, but for the time of the change."""
    names = [name for name in after if name != "updated_at" and before.get(name) != after[name]]
    return ", ".join(names) or "nothing changed"


def people(count: int) -> str:
    """A number of recipients in words."""
    return f"{count:,} recipient" if count == 1 else f"{count:,} recipients"
