"""What the account holds at the start, read from a JSON file.

The file has ``account``, ``profiles``, ``lists``, ``segments``, ``metrics``, ``tag_groups``, ``tags``, ``images``,
``templates`` and ``campaigns``; ``seed.json`` beside this module is the default and the example. All but ``account``
may be missing, and of the account all but its id. There is always a default tag group. A profile's consent is in
``email_consent``, ``sms_consent`` and ``push_consent``; ``suppressed`` is a reason. A list's or segment's ``profiles``
are ids. A metric's ``integration`` is Klaviyo itself when missing. A campaign's ``template`` is copied, as on
assignment.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow_provider_klaviyo.sandbox.consent import UNASKED
from airflow_provider_klaviyo.sandbox.handlers.events import new_metric
from airflow_provider_klaviyo.sandbox.handlers.messages import message_definition
from airflow_provider_klaviyo.sandbox.model import Entity
from airflow_provider_klaviyo.sandbox.people import new_profile
from airflow_provider_klaviyo.sandbox.refusals import RefusedError
from airflow_provider_klaviyo.sandbox.store import Store

DEFAULT = Path(__file__).parent / "seed.json"
BEGINNING = "2026-01-05T09:00:00.000000+00:00"
DATED = {"created": BEGINNING, "updated": BEGINNING}


def seeded(path: Path = DEFAULT) -> Store:
    """A fresh store.

    :raises OSError: the file cannot be read.
    :raises ValueError: it is not JSON, or something needed is missing.
    """
    text = path.read_text(encoding="utf-8")
    store = Store()
    try:
        _fill(store, json.loads(text))
    except KeyError as missing:
        raise ValueError(f"{path}: {missing} is missing.") from None
    except (RefusedError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is not a seed: {error}.") from None
    store.before = store.campaigns()
    return store


def _fill(store: Store, seed: Mapping[str, Any]) -> None:
    store.put(_account(seed["account"]))
    for given in seed.get("profiles", ()):
        store.put(_profile(given))
    for type_, name, extra in (("list", "lists", LIST), ("segment", "segments", SEGMENT)):
        for given in seed.get(name, ()):
            members = {"profiles": given["profiles"], "tags": given.get("tags", [])}
            store.put(Entity(type_, given["id"], {"name": given["name"], **extra, **DATED}, members))
    for given in seed.get("metrics", ()):
        store.put(new_metric(given["id"], given["name"], given.get("integration"), BEGINNING))
    for given in seed.get("tag_groups", ()):
        store.put(_resource("tag-group", given))
    if not any(group.attributes.get("default") for group in store.all("tag-group")):
        store.put(_resource("tag-group", TAG_GROUP))
    for given in seed.get("tags", ()):
        store.put(Entity("tag", given["id"], {"name": given["name"]}, {"tag-group": given["tag_group"]}))
    for given in seed.get("images", ()):
        store.put(_resource("image", {**given, "updated_at": BEGINNING}))
    for given in seed.get("templates", ()):
        store.put(_template(given))
    for given in seed.get("campaigns", ()):
        _add_campaign(store, given)


LIST = {"opt_in_process": "single_opt_in"}
SEGMENT = {
    "definition": {"condition_groups": []},
    "is_active": True,
    "is_processing": False,
    "is_starred": False,
}


TAG_GROUP = {"id": "01J0TAGGR0UP0000000000DFLT", "name": "Default", "exclusive": False, "default": True}
CONTACT = {
    "default_sender_name": "Example",
    "default_sender_email": "hello@example.com",
    "website_url": None,
    "organization_name": "Example",
    "street_address": {"city": ""},
}


def _account(given: Mapping[str, Any]) -> Entity:
    details = {
        "test_account": True,
        "industry": None,
        "timezone": "UTC",
        "preferred_currency": "USD",
        "locale": "en-US",
    }
    contact = {**CONTACT, **given.get("contact_information", {})}
    return _resource("account", {"public_api_key": given["id"], **details, **given, "contact_information": contact})


def _resource(type_: str, given: Mapping[str, Any]) -> Entity:
    return Entity(type_, given["id"], {name: value for name, value in given.items() if name != "id"})


def _profile(given: Mapping[str, Any]) -> Entity:
    profile = new_profile(given["id"], given, BEGINNING)
    consent = {
        "email": given.get("email_consent", "NEVER_SUBSCRIBED"),
        "sms": given.get("sms_consent", "NEVER_SUBSCRIBED"),
        "mobile_push": given.get("push_consent", "NEVER_SUBSCRIBED"),
    }
    reason = given.get("suppressed")
    suppressions = [{"reason": reason, "timestamp": BEGINNING}] if reason else []
    return profile.knowing(**{**UNASKED, "consent": consent, "suppressions": suppressions})


def _template(given: Mapping[str, Any]) -> Entity:
    return Entity(
        "template",
        given["id"],
        {
            "name": given["name"],
            "editor_type": given.get("editor_type", "CODE"),
            "html": given["html"],
            "text": given.get("text"),
            "amp": given.get("amp"),
            **DATED,
        },
    )


def _add_campaign(store: Store, given: Mapping[str, Any]) -> None:
    definition = given["definition"]
    status = given.get("status", "Draft")
    sent_at = None if status == "Draft" else BEGINNING
    tracking: dict[str, Any] | None = {"add_tracking_params": False, "custom_tracking_params": []}
    if definition["channel"] == "email":
        tracking = {**(tracking or {}), "is_tracking_clicks": True, "is_tracking_opens": True}
    elif definition["channel"] == "mobile_push":
        tracking = None
    template = None
    if source_id := given.get("template"):
        source = store.get("template", source_id)
        template = store.new_id("template")
        copy = Entity("template", template, {**source.attributes, "name": f"Clone of {source_id}"})
        store.put(copy.knowing(copy=True))
    store.put(
        Entity(
            "campaign-message",
            given["message_id"],
            {
                "definition": message_definition(store, definition),
                "send_times": None,
                "created_at": BEGINNING,
                "updated_at": BEGINNING,
            },
            {"campaign": given["id"], "template": template, "image": given.get("image")},
        )
    )
    store.put(
        Entity(
            "campaign",
            given["id"],
            {
                "name": given["name"],
                "status": status,
                "archived": False,
                "audiences": {"included": given["included"], "excluded": given.get("excluded", [])},
                "send_options": {"use_smart_sending": True, "ignore_unsubscribes": False},
                "tracking_options": tracking,
                "send_strategy": given.get("send_strategy", {"method": "immediate"}),
                "created_at": BEGINNING,
                "scheduled_at": sent_at,
                "updated_at": BEGINNING,
                "send_time": sent_at,
            },
            {"campaign-messages": [given["message_id"]], "tags": given.get("tags", [])},
            {} if status == "Draft" else {"job": "complete"},
        )
    )
