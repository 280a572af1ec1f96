"""One campaign as the page shows it when it is opened: what recipients see, who they are, and what has happened."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

from airflow_provider_klaviyo.sandbox.audience import channel, recipients
from airflow_provider_klaviyo.sandbox.clock import iso
from airflow_provider_klaviyo.sandbox.consent import address
from airflow_provider_klaviyo.sandbox.documents import targets
from airflow_provider_klaviyo.sandbox.history import history
from airflow_provider_klaviyo.sandbox.journal import Journal
from airflow_provider_klaviyo.sandbox.model import Entity
from airflow_provider_klaviyo.sandbox.page.mailcheck import check
from airflow_provider_klaviyo.sandbox.page.people import people
from airflow_provider_klaviyo.sandbox.page.requests import SEARCHED, SHOWN, about, rows
from airflow_provider_klaviyo.sandbox.page.state import campaign_row, delivery_row
from airflow_provider_klaviyo.sandbox.rendering import preview
from airflow_provider_klaviyo.sandbox.service import Klaviyo
from airflow_provider_klaviyo.sandbox.store import Store

COMING = 12
"""The most coming events."""


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
    members = people(store, campaign)
    context = _context(store, channel(store, campaign), reader)
    return {
        **campaign_row(store, campaign),
        "smart_sending": campaign.attributes["send_options"]["use_smart_sending"],
        "tags": [tag.attributes["name"] for tag in targets(store, campaign, "tags")],
        "estimation": campaign.internal.get("estimation"),
        "reader": reader,
        "recipients": {"total": len(addresses), "of": members["total"], "shown": addresses[:SHOWN]},
        "people": members,
        "messages": [_message(store, message, context) for message in messages],
        "deliveries": [delivery_row(delivery, SHOWN) for delivery in reversed(deliveries)],
        "history": history(store, campaign_id),
        "coming": _coming(store, campaign),
        "calls": rows(about(islice(journal.newest_first(), SEARCHED), campaign, campaign_id, store)),
    }


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
            mail = {
                "from": f"{content['from_label']} <{content['from_email']}>",
                "reply_to": content["reply_to_email"],
                "subject": preview(content["subject"], context),
                "preview": preview(content["preview_text"], context),
                "html": preview(template.attributes["html"], context, escape=True) if template else None,
                "text": preview(template.attributes["text"], context) if template else None,
            }
            parts = [mail[name] or "" for name in ("html", "subject", "preview", "text")]
            return shown | mail | {"findings": check(*parts) if template else []}
        case {"channel": "sms"}:
            added = [name for name, value in definition["render_options"].items() if value]
            return shown | {"body": preview(content["body"], context), "options": added}
        case {"notification_type": "silent"}:
            return shown | {"silent": True, "data": definition["kv_pairs"]}
        case _:
            return shown | {
                "silent": False,
                "title": preview(content.get("title"), context),
                "body": preview(content.get("body"), context),
                "buttons": [button.get("label") for button in content.get("action_buttons") or ()],
                "opens": definition["options"]["on_open"],
                "data": definition["kv_pairs"],
            }


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
