"""What the page shows, as JSON values: ``GET /sandbox/state``. Long lists are cut, with how many there are in all."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from airflow_provider_klaviyo.api.operations import operations
from airflow_provider_klaviyo.campaigns.status import CampaignStatus, is_cancelled
from airflow_provider_klaviyo.sandbox.audience import channel, group
from airflow_provider_klaviyo.sandbox.clock import iso
from airflow_provider_klaviyo.sandbox.faults import Faults
from airflow_provider_klaviyo.sandbox.journal import Entry, Journal
from airflow_provider_klaviyo.sandbox.model import Entity
from airflow_provider_klaviyo.sandbox.service import Klaviyo
from airflow_provider_klaviyo.sandbox.store import Store

SHOWN = 200
"""The most rows of a list."""

SEARCHED = 20_000
"""How far back the request log is searched, in requests, so that a look never holds up the API."""

SAMPLE = 3
"""How many addresses a delivery shows in the list of deliveries."""

KEY = re.compile(r"\bpk_\w+")


def overview(klaviyo: Klaviyo, journal: Journal, faults: Faults, *, named: str = "", find: str = "") -> dict[str, Any]:
    """All of the page but the open campaign, newest first everywhere.

    :param named: show only campaigns with this text in their name, status, channel or id.
    :param find: show only requests with this text in their row.
    """
    store = klaviyo.store
    account = next(store.all("account"))
    times = Counter(delivery["campaign_id"] for delivery in store.sends)
    return {
        "account": {"id": account.id, "name": account.attributes["contact_information"]["organization_name"]},
        "clock": {
            "now": iso(klaviyo.clock.timestamp()),
            "speed": klaviyo.clock.speed,
            "ahead": round(klaviyo.clock.ahead),
        },
        "twice": [_double(store, id_) for id_, count in times.items() if count > 1],
        "campaigns": _campaigns(store, times, named),
        "deliveries": {
            "total": len(store.sends),
            "shown": [
                {**delivery_row(delivery, SAMPLE), "times": times[delivery["campaign_id"]]}
                for delivery in islice(reversed(store.sends), SHOWN)
            ],
        },
        "requests": requests(_found(journal, find.casefold())),
        "limits": {"enforced": klaviyo.windows.enforced, "windows": _windows(klaviyo)},
        "faults": faults.rows(),
    }


def campaign_row(store: Store, campaign: Entity) -> dict[str, Any]:
    """A campaign as the list shows it."""
    attributes = campaign.attributes
    return {
        "id": campaign.id,
        "name": attributes["name"],
        "channel": channel(store, campaign),
        "status": attributes["status"],
        "tone": _tone(attributes["status"]),
        "when": _when(attributes["send_strategy"]),
        "audiences": [_audience(store, id_) for id_ in attributes["audiences"]["included"]],
        "excluded": [_audience(store, id_) for id_ in attributes["audiences"].get("excluded") or ()],
    }


def delivery_row(delivery: Mapping[str, Any], addresses: int) -> dict[str, Any]:
    """A delivery: how many it has reached, of how many, and the first of them.

    :param addresses: the most addresses.
    """
    return {
        **{key: delivery[key] for key in ("campaign_id", "run", "name", "channel", "at")},
        "reached": delivery["sent"],
        "of": len(delivery["audience"]),
        "addresses": delivery["audience"][: min(addresses, delivery["sent"])],
    }


def requests(entries: Iterable[Entry]) -> dict[str, Any]:
    """The first of these requests, and how many there are."""
    shown: list[dict[str, Any]] = []
    total = 0
    for total, entry in enumerate(entries, 1):
        if total <= SHOWN:
            shown.append(_request_row(entry))
    return {"total": total, "shown": shown}


def _request_row(entry: Entry) -> dict[str, Any]:
    """A request without its body, and without anything that looks like a key."""
    query = "&".join(f"{name}={value}" for name, value in entry.query.items())
    return {
        "number": entry.number,
        "at": entry.at,
        "operation": entry.operation,
        "method": entry.method,
        "path": KEY.sub("pk_…", entry.path),
        "query": KEY.sub("pk_…", query),
        "status": entry.status,
        "committed": entry.committed,
        "revision": entry.revision,
        "fault": entry.fault,
    }


def _double(store: Store, campaign_id: str) -> dict[str, Any]:
    """A campaign that was sent more than once, and how many people got it again."""
    deliveries = [delivery for delivery in store.sends if delivery["campaign_id"] == campaign_id]
    got = Counter(address for delivery in deliveries for address in delivery["audience"][: delivery["sent"]])
    again = sum(count > 1 for count in got.values())
    return {"id": campaign_id, "name": deliveries[-1]["name"], "times": len(deliveries), "again": again}


def _campaigns(store: Store, times: Counter[str], named: str) -> dict[str, Any]:
    wanted = named.casefold()
    everything = list(store.all("campaign"))
    found = [campaign for campaign in reversed(everything) if not wanted or _is_named(store, campaign, wanted)]
    namesakes = Counter(campaign.attributes["name"] for campaign in everything)
    return {
        "total": len(found),
        "shown": [
            {
                **campaign_row(store, campaign),
                "times": times[campaign.id],
                "namesakes": namesakes[campaign.attributes["name"]],
            }
            for campaign in found[:SHOWN]
        ],
    }


def _is_named(store: Store, campaign: Entity, wanted: str) -> bool:
    texts = (campaign.attributes["name"], campaign.attributes["status"], channel(store, campaign), campaign.id)
    return any(wanted in text.casefold() for text in texts)


def _found(journal: Journal, wanted: str) -> Iterator[Entry]:
    if not wanted:
        return journal.newest_first()
    return (entry for entry in islice(journal.newest_first(), SEARCHED) if _contains(entry, wanted))


def _contains(entry: Entry, wanted: str) -> bool:
    committed = "committed" if entry.committed else ""
    texts = (entry.operation, entry.method, entry.path, entry.status, committed, entry.fault, entry.revision)
    return wanted in f"{texts} {entry.query}".casefold()


def _tone(status: str) -> str:
    """How a status is coloured."""
    if is_cancelled(status):
        return "failed"
    if status == CampaignStatus.DRAFT:
        return "draft"
    return "sent" if status == CampaignStatus.SENT else "going"


def _when(strategy: Mapping[str, Any]) -> str:
    match strategy:
        case {"method": "static", "options": {"is_local": True}}:
            return f"{_minute(strategy['datetime'])} in each recipient's time zone"
        case {"method": "static"}:
            return _minute(strategy["datetime"])
        case {"method": "throttled"}:
            return f"{_minute(strategy['datetime'])}, {strategy['throttle_percentage']} % an hour"
        case {"method": "smart_send_time"}:
            return f"smart send time on {strategy['date']}"
        case _:
            return "immediately"


def _minute(time: str) -> str:
    return time.replace("T", " ").replace("+00:00", " UTC").replace(":00 UTC", " UTC").replace(".000000", "")


def _audience(store: Store, id_: str) -> dict[str, Any]:
    """A list or segment; one that was deleted has no name and nobody in it."""
    found = group(store, id_)
    if found is None:
        return {"id": id_, "name": None, "count": 0}
    return {"id": id_, "name": found.attributes["name"], "count": len(found.relationships["profiles"])}


def _windows(klaviyo: Klaviyo) -> list[dict[str, Any]]:
    limits = operations()
    return [
        {"operation": operation, "window": window, "calls": calls, "allowed": getattr(limits[operation].limits, window)}
        for operation, window, calls in sorted(klaviyo.windows.used())
    ]
