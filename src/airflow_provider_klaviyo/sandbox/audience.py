"""Who gets a campaign."""

from __future__ import annotations

from collections.abc import Iterator

from airflow_provider_klaviyo.sandbox.consent import address
from airflow_provider_klaviyo.sandbox.documents import targets
from airflow_provider_klaviyo.sandbox.model import Entity
from airflow_provider_klaviyo.sandbox.store import Store


def channel(store: Store, campaign: Entity) -> str:
    """``email``, ``sms`` or ``mobile_push``."""
    message = targets(store, campaign, "campaign-messages")[0]
    return str(message.attributes["definition"]["channel"])


def group(store: Store, id_: str) -> Entity | None:
    """The list or segment with this id."""
    return store.find("list", id_) or store.find("segment", id_)


def recipients(store: Store, campaign: Entity) -> list[str]:
    """The addresses a campaign goes to now: everybody once, nobody who is excluded or has not consented.

    Smart sending skips nobody here, so that a campaign sent twice shows as two full deliveries (a choice).
    """
    audiences = campaign.attributes["audiences"]
    excluded = set(_members(store, audiences.get("excluded") or []))
    included = dict.fromkeys(_members(store, audiences["included"]))
    profiles = (store.find("profile", id_) for id_ in included if id_ not in excluded)
    kind = channel(store, campaign)
    addresses = (address(profile, kind) for profile in profiles if profile is not None)
    return list(dict.fromkeys(found for found in addresses if found))


def _members(store: Store, audience_ids: list[str]) -> Iterator[str]:
    for audience_id in audience_ids:
        if audience := group(store, audience_id):
            yield from audience.relationships["profiles"]
