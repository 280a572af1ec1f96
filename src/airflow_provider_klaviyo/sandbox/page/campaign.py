"""One campaign as the page shows it when it is opened: what recipients see, who they are, and what has happened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from airflow_provider_klaviyo.sandbox.audience import channel, group, recipients
from airflow_provider_klaviyo.sandbox.clock import iso
from airflow_provider_klaviyo.sandbox.consent import address
from airflow_provider_klaviyo.sandbox.documents import targets
from airflow_provider_klaviyo.sandbox.journal import Entry, Journal
from airflow_provider_klaviyo.sandbox.model import Entity
from airflow_provider_klaviyo.sandbox.page.state import SEARCHED, SHOWN, campaign_row, delivery_row, requests
from airflow_provider_klaviyo.sandbox.rendering import render
from airflow_provider_klaviyo.sandbox.service import Klaviyo
from airflow_provider_klaviyo.sandbox.store import Store

COMING = 12
"""The most coming events."""

CAMPAIGN_PATHS = ("/api/campaign", "/api/tag")
"""Where the paths begin of the requests that can be about a campaign."""


def opened(klaviyo: Klaviyo, journal: Journal, campaign_id: str, recipient: str = "") -> dict[str, Any] | None:
    """All about a campaign; ``None`` when there is no such campaign.

    :param recipient: the address of the one through whose eyes the messages are shown; the first when it gets none.
    """
    store = klaviyo.store
    campaign = store.find("campaign", campaign_id)
    if campaign is None:
        return None
    addresses = recipients(store, campaign)
    reader = recipient if recipient in addresses else next(iter(addresses), "")
    deliveries = [delivery for delivery in store.sends if delivery["campaign_id"] == campaign_id]
    messages = targets(store, campaign, "campaign-messages")
    context = _context(store, channel(store, campaign), reader)
    return {
        **campaign_row(store, campaign),
        "smart_sending": campaign.attributes["send_options"]["use_smart_sending"],
        "tags": [tag.attributes["name"] for tag in targets(store, campaign, "tags")],
        "estimation": campaign.internal.get("estimation"),
        "reader": reader,
        "recipients": {"total": len(addresses), "of": _people(store, campaign), "shown": addresses[:SHOWN]},
        "messages": [_message(store, message, context) for message in messages],
        "deliveries": [delivery_row(delivery, SHOWN) for delivery in reversed(deliveries)],
        "history": _history(campaign, deliveries),
        "coming": _coming(store, campaign),
        "calls": requests(_calls(journal, campaign, messages)),
    }


def _people(store: Store, campaign: Entity) -> int:
    """How many profiles the included audiences hold, each counted once."""
    groups = (group(store, id_) for id_ in campaign.attributes["audiences"]["included"])
    return len({id_ for found in groups if found for id_ in found.relationships["profiles"]})


def _context(store: Store, kind: str, reader: str) -> Mapping[str, Any]:
    """What a template can say about the reader."""
    found = (profile for profile in store.all("profile") if reader and address(profile, kind) == reader)
    profile = next(found, None)
    organization = next(store.all("account")).attributes["contact_information"]["organization_name"]
    person = profile.attributes if profile else {}
    return {**person, "person": person, "organization": {"name": organization}}


def _message(store: Store, message: Entity, context: Mapping[str, Any]) -> dict[str, Any]:
    definition = message.attributes["definition"]
    content = definition.get("content") or {}
    image = next(iter(targets(store, message, "image")), None)
    shown = {"id": message.id, "channel": definition["channel"], "image": image.attributes["name"] if image else None}
    match definition:
        case {"channel": "email"}:
            template = next(iter(targets(store, message, "template")), None)
            return shown | {
                "from": f"{content['from_label']} <{content['from_email']}>",
                "reply_to": content["reply_to_email"],
                "subject": render(content["subject"], context),
                "preview": render(content["preview_text"], context),
                "html": render(template.attributes["html"], context) if template else None,
                "text": render(template.attributes["text"], context) if template else None,
            }
        case {"channel": "sms"}:
            added = [name for name, value in definition["render_options"].items() if value]
            return shown | {"body": render(content["body"], context), "options": added}
        case {"notification_type": "silent"}:
            return shown | {"silent": True, "data": definition["kv_pairs"]}
        case _:
            return shown | {
                "silent": False,
                "title": render(content.get("title"), context),
                "body": render(content.get("body"), context),
                "buttons": [button.get("label") for button in content.get("action_buttons") or ()],
                "opens": definition["options"]["on_open"],
                "data": definition["kv_pairs"],
            }


def _history(campaign: Entity, deliveries: list[dict[str, Any]]) -> list[dict[str, str]]:
    """What is known to have happened, in sandbox time: the sandbox keeps no record of every status passed."""
    attributes = campaign.attributes
    events = [(attributes["created_at"], "Created")]
    if attributes["scheduled_at"]:
        events.append((attributes["scheduled_at"], "Send accepted"))
    events += [(delivery["at"], f"Sending to {len(delivery['audience'])}") for delivery in deliveries]
    if attributes["updated_at"] != attributes["created_at"]:
        events.append(
            (attributes["updated_at"], "Changed" if attributes["status"] == "Draft" else attributes["status"])
        )
    return [{"at": at, "what": what} for at, what in sorted(events, key=lambda event: event[0])]


def _coming(store: Store, campaign: Entity) -> list[dict[str, str]]:
    """What will happen if nobody interferes, in sandbox time."""
    planned = sorted((at, number, event) for at, number, event in store.agenda if event.get("campaign") == campaign.id)
    events = [(at, _event(campaign, event)) for at, _, event in planned]
    return [{"at": iso(at), "what": what} for at, what in events if what][:COMING]


def _event(campaign: Entity, event: Mapping[str, Any]) -> str | None:
    match event:
        case {"what": "step", "run": run, "share": float(share)} if share < 1 and run in campaign.internal["open"]:
            return f"{event['status']}, {share:.0%} reached"
        case {"what": "step", "run": run} if run in campaign.internal["open"]:
            return str(event["status"])
        case {"what": "draft"} if campaign.internal["reverting"]:
            return "Draft"
        case {"what": "estimated"}:
            return "Recipients estimated"
        case _:
            return None


def _calls(journal: Journal, campaign: Entity, messages: list[Entity]) -> Iterator[Entry]:
    """The requests that mention the campaign or its messages by id, or give or look for its exact name."""
    name = campaign.attributes["name"]
    parts = (campaign.id, *(message.id for message in messages), f'"{name}"', f"'{name}'")
    for entry in islice(journal.newest_first(), SEARCHED):
        if entry.path.startswith(CAMPAIGN_PATHS) and _says([entry.path, entry.query, entry.body], name, parts):
            yield entry


def _says(value: Any, whole: str, parts: tuple[str, ...]) -> bool:
    match value:
        case str():
            return value == whole or any(part in value for part in parts)
        case dict():
            return any(_says(one, whole, parts) for one in value.values())
        case list():
            return any(_says(one, whole, parts) for one in value)
        case _:
            return False
