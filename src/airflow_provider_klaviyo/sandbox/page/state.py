"""What the page shows, as JSON values: ``GET /sandbox/state``. Long lists are cut, with how many there are in all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import islice
from typing import Any

from airflow_provider_klaviyo.api.operations import get
from airflow_provider_klaviyo.campaigns.status import CampaignStatus, is_cancelled
from airflow_provider_klaviyo.sandbox.audience import channel, group
from airflow_provider_klaviyo.sandbox.clock import iso
from airflow_provider_klaviyo.sandbox.faults import Faults
from airflow_provider_klaviyo.sandbox.journal import Journal
from airflow_provider_klaviyo.sandbox.model import Entity
from airflow_provider_klaviyo.sandbox.page.account import holdings
from airflow_provider_klaviyo.sandbox.page.faults import in_words
from airflow_provider_klaviyo.sandbox.page.requests import SHOWN, found
from airflow_provider_klaviyo.sandbox.service import Klaviyo
from airflow_provider_klaviyo.sandbox.store import Store

SAMPLE = 3
"""How many addresses a delivery shows in the list of deliveries."""


def overview(
    klaviyo: Klaviyo, journal: Journal, faults: Faults, asked: Mapping[str, str], views: tuple[str, ...]
) -> dict[str, Any]:
    """What all views show, and what these views show, newest first everywhere.

    :param asked: ``campaigns``: a text in a campaign's name, status, channel or id; and what
        :func:`~airflow_provider_klaviyo.sandbox.page.requests.found` and
        :func:`~airflow_provider_klaviyo.sandbox.page.account.holdings` look for.
    :param views: some of ``campaigns``, ``deliveries``, ``requests``, ``account`` and ``faults``.
    """
    store = klaviyo.store
    account = next(store.all("account"))
    times = Counter(delivery["campaign_id"] for delivery in store.sends)
    state: dict[str, Any] = {
        "account": {"id": account.id, "name": account.attributes["contact_information"]["organization_name"]},
        "clock": _clock(klaviyo),
        "twice": [_double(store, id_) for id_, count in times.items() if count > 1],
        "counts": {
            "campaigns": len(store.resources.get("campaign", {})),
            "deliveries": len(store.sends),
            "requests": len(journal),
        },
    }
    if "campaigns" in views:
        state["campaigns"] = _campaigns(store, times, asked.get("campaigns", ""))
    if "deliveries" in views:
        state["deliveries"] = _deliveries(store, times)
    if "requests" in views:
        state["requests"] = found(journal, store, asked)
    if "account" in views:
        state["holdings"] = holdings(store, asked)
    if "faults" in views:
        state["limits"] = {"enforced": klaviyo.windows.enforced, "windows": _windows(klaviyo)}
        state["faults"] = [{**row, "words": in_words(row)} for row in faults.rows()]
    return state


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


def _clock(klaviyo: Klaviyo) -> dict[str, Any]:
    """The sandbox's time, and when the next thing happens by itself, if anything does."""
    now = klaviyo.clock.timestamp()
    upcoming = min((at for at, _, event in klaviyo.store.agenda if _matters(klaviyo.store, event)), default=None)
    return {
        "now": iso(now),
        "speed": klaviyo.clock.speed,
        "ahead": round(klaviyo.clock.ahead),
        "next": None if upcoming is None else {"at": iso(upcoming), "seconds": max(0.0, upcoming - now) + 0.001},
    }


def _matters(store: Store, event: Mapping[str, Any]) -> bool:
    """True but for what was planned for a campaign that has been deleted, or for a send that has been stopped."""
    if "campaign" not in event:
        return True
    campaign = store.find("campaign", event["campaign"])
    return campaign is not None and ("run" not in event or event["run"] in campaign.internal["open"])


def _deliveries(store: Store, times: Counter[str]) -> dict[str, Any]:
    return {
        "total": len(store.sends),
        "shown": [
            {**delivery_row(delivery, SAMPLE), "times": times[delivery["campaign_id"]]}
            for delivery in islice(reversed(store.sends), SHOWN)
        ],
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
    """The windows of each operation that was called, with the calls in the present one and the last one's time."""
    return [
        {
            "operation": operation,
            "window": window,
            "calls": calls,
            "allowed": getattr(get(operation).limits, window),
            "last": iso(last),
        }
        for operation, window, calls, last in sorted(klaviyo.windows.known())
    ]
