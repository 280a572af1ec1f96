"""The facts of a campaign that was sent, for the log and for the events of the task's assets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_klaviyo.api.errors import KlaviyoError, KlaviyoNotFoundError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook


def describe_outlets(
    hook: KlaviyoHook, context: Context, outlets: Sequence[Any], campaign_id: str, recipients: int | None
) -> None:
    """Give the asset events of a task that ends well the facts of its campaign, as their ``extra``.

    An ``AssetAlias`` gets the campaign's own asset, too. What cannot be read is left out: the campaign is sent, and the
    task does not fail for that. *Rate limit*: 2 requests, and 1 for each alias.

    :param outlets: the task's.
    :param recipients: as they were estimated; ``None``: not known.
    """
    from airflow.sdk import Asset, AssetAlias

    extra = _facts(hook, campaign_id, recipients)
    events: Any = context["outlet_events"]
    for outlet in outlets:
        if isinstance(outlet, Asset):
            events[outlet].extra.update(extra)
        elif isinstance(outlet, AssetAlias):
            _add(hook, events[outlet], campaign_id, extra)


def _add(hook: KlaviyoHook, event: Any, campaign_id: str, extra: dict[str, Any]) -> None:
    from airflow_provider_klaviyo.assets import campaign_asset

    try:
        account = hook.get_account().id
    except KlaviyoError as error:
        hook.log.warning(
            "Campaign %s is not an asset of this alias, as its account is not known: %s", campaign_id, error
        )
        return
    event.add(campaign_asset(account=account, campaign_id=campaign_id), extra=extra)


def _facts(hook: KlaviyoHook, campaign_id: str, recipients: int | None) -> dict[str, Any]:
    """``campaign_id``, ``name``, ``status``, ``send_time``, ``channel`` and ``recipients``."""
    from airflow_provider_klaviyo.drafts.draft import channel_of, messages_of

    facts: dict[str, Any] = {"campaign_id": campaign_id}
    if recipients is not None:
        facts["recipients"] = recipients
    try:
        campaign = hook.get_campaign(campaign_id)
        facts |= {name: campaign.attributes.get(name) for name in ("name", "status", "send_time")}
        facts["channel"] = channel_of(messages_of(hook, campaign_id)[0])
    except KlaviyoNotFoundError:
        pass
    except KlaviyoError as error:
        hook.log.warning("Not all facts of campaign %s could be read for its asset event: %s", campaign_id, error)
    return facts
