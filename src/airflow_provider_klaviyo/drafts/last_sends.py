"""What was sent last, and how many recipients it had, by Klaviyo's record."""

from __future__ import annotations

import logging
import statistics

from airflow_provider_klaviyo.api import filters
from airflow_provider_klaviyo.api.campaigns import Channel
from airflow_provider_klaviyo.api.document import Resource
from airflow_provider_klaviyo.api.errors import KlaviyoNotFoundError
from airflow_provider_klaviyo.campaigns.status import CampaignStatus
from airflow_provider_klaviyo.campaigns.values import Field
from airflow_provider_klaviyo.drafts.draft import channel_of, messages_of
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.never_twice.notes import moment

log = logging.getLogger(__name__)


def last_sends(hook: KlaviyoHook, channel: Channel, prefix: str = "") -> list[Resource]:
    """The last campaigns of a channel that were sent, at most 100: the latest send first.

    They are those of Klaviyo's list that were updated last: by its time of a schedule it does not find those that were
    sent at once. *Rate limit*: 1 request.

    :param prefix: what their names begin with, to the letter.
    """
    wanted = filters.equals("messages.channel", channel) & filters.equals("status", CampaignStatus.SENT)
    if prefix:
        wanted &= filters.contains("name", prefix)
    listed = hook.call("get_campaigns", query={"filter": str(wanted), "sort": "-updated_at"}).resources
    sent = [campaign for campaign in listed if campaign.name.startswith(prefix)]
    return sorted(sent, key=lambda campaign: moment(campaign.attributes.get("send_time")) or 0.0, reverse=True)


def usual_recipients(hook: KlaviyoHook, campaign_id: str, prefix: str, most: int, *, patience: float) -> int:
    """The median of the recipients of the last sends of a campaign's channel whose names begin alike.

    A send of which Klaviyo has no figures (it was just now, or over a year ago) does not count, nor does one without
    recipients.

    *Rate limit*: 3 requests, and one report, of which Klaviyo takes 225 a day.

    :param campaign_id: the campaign itself, which does not count.
    :param prefix: what their names begin with, to the letter.
    :param most: how many of them count, at most.
    :param patience: seconds that it waits for the reports' rate limit at most.
    :raises KlaviyoNotFoundError: there is none with figures.
    :raises KlaviyoRateLimitError: the rate limit would take longer.
    """
    channel = channel_of(messages_of(hook, campaign_id)[0])
    names = {one.id: one.name for one in last_sends(hook, channel, prefix) if one.id != campaign_id}
    found = _recipients(hook, list(names), patience) if names else {}
    counts = {id_: found[id_] for id_ in names if found.get(id_)}
    last = dict(list(counts.items())[:most])
    if not last:
        why = "none has figures" if names else "there is none"
        raise KlaviyoNotFoundError(
            f"compare_with is {prefix!r}, and of sent {channel} campaigns whose names begin so {why}. A share needs "
            f"earlier sends: for the first one, give minimum and maximum as numbers.",
            pointer="compare_with",
        )
    usual: int = round(statistics.median(last.values()))
    log.info(
        "The last %s sends had a median of %s recipients: %s.",
        *(len(last), f"{usual:,}", ", ".join(f"{names[id_]!r} {count:,}" for id_, count in last.items())),
    )
    return usual


def _recipients(hook: KlaviyoHook, ids: list[str], patience: float) -> dict[str, int]:
    """How many each had, its messages and variations together."""
    metrics = hook.get_metrics()
    if not metrics:
        raise Field("compare_with").error(
            "needs a report, for which Klaviyo wants a metric, and the account has none",
            "Give minimum and maximum as numbers.",
        )
    results = hook.get_campaign_figures(
        ids,
        statistics=["recipients"],
        timeframe={"key": "last_365_days"},
        conversion_metric_id=metrics[0].id,
        group_by=["campaign_id", "campaign_message_id"],
        patience=patience,
    )
    counts: dict[str, int] = {}
    for result in results:
        recipients = result["statistics"].get("recipients")
        if isinstance(recipients, int | float):
            id_ = str(result["groupings"].get("campaign_id"))
            counts[id_] = counts.get(id_, 0) + int(recipients)
    return counts
