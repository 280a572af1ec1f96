"""Campaigns: create, read, update, delete, clone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_klaviyo.sandbox.audience import channel, group
from airflow_provider_klaviyo.sandbox.documents import collection, document, targets
from airflow_provider_klaviyo.sandbox.handlers import messages
from airflow_provider_klaviyo.sandbox.handlers.reading import one, related, related_ids
from airflow_provider_klaviyo.sandbox.handlers.templates import copy_template
from airflow_provider_klaviyo.sandbox.history import CLONED, CREATED, DELETED, EDITED, changed, named, note
from airflow_provider_klaviyo.sandbox.model import Entity
from airflow_provider_klaviyo.sandbox.refusals import conflict, invalid
from airflow_provider_klaviyo.sandbox.served import Handler, Reply, ServedCall
from airflow_provider_klaviyo.sandbox.store import Store

ATTRIBUTES = "/data/attributes"
TRACKED = {"email": ("is_tracking_clicks", "is_tracking_opens"), "sms": (), "mobile_push": None}


def get_campaigns(call: ServedCall) -> Reply:
    if "messages.channel" not in call.query["filter"]:
        raise invalid(
            "A channel filter is required to list campaigns: equals(messages.channel,'email'), 'sms' or 'mobile_push'.",
            parameter="filter",
        )
    return Reply(200, collection(call, call.store.all("campaign"), {"messages.channel": channel}))


def create_campaign(call: ServedCall) -> Reply:
    """Unknown audiences and a campaign without a message are refused (choices)."""
    given = call.attributes
    resources = given["campaign-messages"]["data"]
    if not resources:
        raise invalid("A campaign needs a message.", pointer=f"{ATTRIBUTES}/campaign-messages/data")
    _check_audiences(call.store, given["audiences"])
    kind = resources[0]["attributes"]["definition"]["channel"]
    tracking = _tracking_options(kind, given.get("tracking_options"))
    for number, resource in enumerate(resources):
        messages.check(call, resource, f"{ATTRIBUTES}/campaign-messages/data/{number}")
    campaign_id = call.store.new_id("campaign")
    created = [messages.create(call, resource, campaign_id) for resource in resources]
    campaign = call.store.put(
        Entity(
            "campaign",
            campaign_id,
            {
                "name": given["name"],
                "status": "Draft",
                "archived": False,
                "audiences": _audiences(given["audiences"]),
                "send_options": _send_options(given.get("send_options")),
                "tracking_options": tracking,
                "send_strategy": _send_strategy(given.get("send_strategy")),
                "created_at": call.time,
                "scheduled_at": None,
                "updated_at": call.time,
                "send_time": None,
            },
            {"campaign-messages": created, "tags": []},
        )
    )
    note(call.store, campaign_id, call.now, CREATED, f"'{given['name']}'")
    return Reply(201, document(call, campaign))


def update_campaign(call: ServedCall) -> Reply:
    call.check_ids_agree()
    campaign = editable(call.store, call.id)
    given = call.attributes
    changes: dict[str, Any] = {"updated_at": call.time}
    if given.get("name") is not None:
        changes["name"] = given["name"]
    if given.get("audiences") is not None:
        audiences = {name: ids for name, ids in given["audiences"].items() if ids is not None}
        _check_audiences(call.store, audiences)
        changes["audiences"] = _audiences({**campaign.attributes["audiences"], **audiences})
        campaign = campaign.knowing(estimation=None)
    if given.get("send_options") is not None:
        changes["send_options"] = {**campaign.attributes["send_options"], **given["send_options"]}
    if given.get("tracking_options") is not None:
        tracking = {**(campaign.attributes["tracking_options"] or {}), **given["tracking_options"]}
        changes["tracking_options"] = _tracking_options(channel(call.store, campaign), tracking)
    if given.get("send_strategy") is not None:
        changes["send_strategy"] = _send_strategy(given["send_strategy"])
    note(call.store, call.id, call.now, EDITED, changed(campaign.attributes, changes))
    return Reply(200, document(call, call.store.put(campaign.having(**changes))))


def delete_campaign(call: ServedCall) -> Reply:
    """Only a draft can be deleted, as in Klaviyo's web application (a choice for the API)."""
    campaign = editable(call.store, call.id)
    for message in targets(call.store, campaign, "campaign-messages"):
        call.store.delete("campaign-message", message.id)
    call.store.delete("campaign", call.id)
    note(call.store, call.id, call.now, DELETED)
    return Reply(204)


def create_campaign_clone(call: ServedCall) -> Reply:
    """A clone in any status. As on the live service it is to go out at the time of the cloning, and tracks clicks."""
    source = call.store.get("campaign", call.data["id"])
    campaign_id = call.store.new_id("campaign")
    kind = channel(call.store, source)
    copies = []
    for message in targets(call.store, source, "campaign-messages"):
        template = next(iter(targets(call.store, message, "template")), None)
        copy = Entity(
            "campaign-message",
            call.store.new_id("campaign-message"),
            {**message.attributes, "send_times": None, "created_at": call.time, "updated_at": call.time},
            {
                **message.relationships,
                "campaign": campaign_id,
                "template": copy_template(call, template).id if template else None,
            },
        )
        copies.append(call.store.put(copy).id)
    tracking = source.attributes["tracking_options"]
    clone = Entity(
        "campaign",
        campaign_id,
        {
            **source.attributes,
            "name": call.attributes.get("new_name") or f"Clone of {source.attributes['name']}",
            "status": "Draft",
            "archived": False,
            "tracking_options": {**tracking, "is_tracking_clicks": True} if kind == "email" else tracking,
            "send_strategy": {"method": "static", "datetime": call.time, "options": {"is_local": False}},
            "created_at": call.time,
            "scheduled_at": None,
            "updated_at": call.time,
            "send_time": None,
        },
        {"campaign-messages": copies, "tags": source.relationships["tags"]},
    )
    note(call.store, campaign_id, call.now, CLONED, f"from {named(source)}")
    return Reply(201, document(call, call.store.put(clone)))


def editable(store: Store, campaign_id: str) -> Entity:
    """The campaign.

    :raises RefusedError: 404, or 409 when it is not a draft.
    """
    campaign = store.get("campaign", campaign_id)
    if campaign.attributes["status"] != "Draft":
        raise conflict(f"Campaign {campaign_id} is '{campaign.attributes['status']}'. Only a 'Draft' can be changed.")
    return campaign


def _check_audiences(store: Store, audiences: Mapping[str, Any]) -> None:
    for name, ids in audiences.items():
        for number, id_ in enumerate(ids or ()):
            if group(store, id_) is None:
                pointer = f"{ATTRIBUTES}/audiences/{name}/{number}"
                raise invalid(f"There is no list or segment with id '{id_}'.", pointer=pointer)


def _audiences(given: Mapping[str, Any]) -> dict[str, Any]:
    return {"included": given["included"], "excluded": given.get("excluded") or []}


def _send_options(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """The live service returns ``ignore_unsubscribes`` too, which is not documented."""
    smart = (given or {}).get("use_smart_sending")
    return {"use_smart_sending": True if smart is None else smart, "ignore_unsubscribes": False}


def _send_strategy(given: Mapping[str, Any] | None) -> dict[str, Any]:
    strategy = dict(given or {"method": "immediate"})
    if strategy["method"] == "static":
        strategy["options"] = strategy.get("options") or {"is_local": False}
    return strategy


def _tracking_options(kind: str, given: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Tracking as answers have it: what was not given is the company's default. Push has none."""
    flags = TRACKED[kind]
    if flags is None:
        return None
    given = given or {}
    names = {param["name"] for param in given.get("custom_tracking_params") or ()}
    if names and not names >= {"utm_source", "utm_medium"}:
        raise invalid(
            "custom_tracking_params must contain utm_source and utm_medium.",
            pointer=f"{ATTRIBUTES}/tracking_options/custom_tracking_params",
        )
    options = {
        "add_tracking_params": given.get("add_tracking_params") or False,
        "custom_tracking_params": given.get("custom_tracking_params") or [],
    }
    return options | {flag: True if given.get(flag) is None else given[flag] for flag in flags}


HANDLERS: Mapping[str, Handler] = {
    "get_campaigns": get_campaigns,
    "get_campaign": one("campaign"),
    "create_campaign": create_campaign,
    "update_campaign": update_campaign,
    "delete_campaign": delete_campaign,
    "create_campaign_clone": create_campaign_clone,
    "get_messages_for_campaign": related("campaign", "campaign-messages"),
    "get_message_ids_for_campaign": related_ids("campaign", "campaign-messages"),
    "get_tags_for_campaign": related("campaign", "tags"),
    "get_tag_ids_for_campaign": related_ids("campaign", "tags"),
}
