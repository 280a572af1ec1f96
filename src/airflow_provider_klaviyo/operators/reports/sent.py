"""The campaigns of a report: what its rows have of them besides figures."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_provider_klaviyo.api import filters
from airflow_provider_klaviyo.api.errors import KlaviyoNotFoundError, KlaviyoValidationError
from airflow_provider_klaviyo.api.operations import is_omnichannel
from airflow_provider_klaviyo.api.reports import AT_ONCE
from airflow_provider_klaviyo.campaigns import figures, omnichannel
from airflow_provider_klaviyo.campaigns.status import CANCELLED_IN_PART, is_cancelled
from airflow_provider_klaviyo.drafts.last_sends import last_sends
from airflow_provider_klaviyo.never_twice.notes import moment

if TYPE_CHECKING:
    from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook

OF_ANY_CHANNEL = 50
"""Omnichannel campaigns that a page compares with, at most, before they are told apart by channel."""

log = logging.getLogger(__name__)

Result = Mapping[str, Mapping[str, Any]]
"""Figures, as Klaviyo returns them."""


class SentCampaigns:
    """Campaigns by their ids, with their messages. Templates, and contents of omnichannel campaigns, are asked for when
    a row needs them.

    :raises KlaviyoNotFoundError: there is no campaign of one of the ids.
    """

    def __init__(self, hook: KlaviyoHook, ids: Sequence[str]) -> None:
        self._hook = hook
        self._templates: dict[str, str | None] = {}
        self._contents: dict[str, dict[str, Mapping[str, Any]]] = {}
        self.by_id: dict[str, dict[str, Any]] = {}
        for start in range(0, len(ids), AT_ONCE):
            wanted = filters.any_of("id", ids[start : start + AT_ONCE])
            listed = hook.list_campaigns(filter=wanted, include=["campaign-messages"])
            self.by_id |= {campaign["id"]: campaign for campaign in listed}
        if missing := [campaign_id for campaign_id in ids if campaign_id not in self.by_id]:
            raise KlaviyoNotFoundError(
                f"campaign_ids has {', '.join(missing)}, of which Klaviyo has no campaign: it was deleted, or is of "
                f"another account. Leave it out. No report was asked for.",
                pointer="/campaign_ids",
            )

    def send_times(self) -> dict[str, float | None]:
        """When each was sent, or is to be: seconds since the epoch; ``None``: it is not."""
        return {
            campaign_id: None if _was_not_sent(campaign["status"]) else moment(campaign.get("send_time"))
            for campaign_id, campaign in self.by_id.items()
        }

    def before(self, most: int) -> list[str]:
        """The last other sends of the same channels, at most so many of each: ids, the latest first. Of omnichannel
        campaigns the last of any channel, as figures are what has theirs; none if Klaviyo refuses to list them, as it
        has not published by what it lists messages."""
        if is_omnichannel(self._hook.api_revision):
            try:
                sent = self._hook.run(omnichannel.last_sent())
            except KlaviyoValidationError as error:
                log.warning("The last sends could not be listed, so the page compares with none: %s", error)
                return []
            return [id_ for id_ in sent if id_ not in self.by_id][:OF_ANY_CHANNEL]
        channels = list(dict.fromkeys(campaign["channel"] for campaign in self.by_id.values()))
        found: list[str] = []
        for channel in channels:
            others = (one.id for one in last_sends(self._hook, channel) if one.id not in self.by_id)
            found += islice(others, most)
        return found

    def rows(self, of: figures.Columns, results: Iterable[Result], known: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The figures of these campaigns as rows.

        :param known: what neither the figures nor the campaigns have, by column.
        """
        own = [one for one in results if one["groupings"].get("campaign_id") in self.by_id]
        about = self._about
        if is_omnichannel(self._hook.api_revision):
            ids = dict.fromkeys(one["groupings"].get("campaign_message_id") or "" for one in own)
            missing = [id_ for id_ in ids if id_ and id_ not in self._contents]
            self._contents |= self._hook.run(omnichannel.get_contents(missing))
            about = self._about_omnichannel
        return [figures.row(of, one, {**known, **about(one["groupings"])}) for one in own]

    def _about_omnichannel(self, groupings: Mapping[str, Any]) -> dict[str, Any]:
        """As :meth:`_about`, of the message and the variation that the figures are of: of its only one, if they do not
        name one."""
        campaign, message_id = self.by_id[groupings["campaign_id"]], groupings.get("campaign_message_id") or ""
        message: Mapping[str, Any] = next((one for one in campaign["messages"] if one["id"] == message_id), {})
        variations = self._contents.get(message_id, {})
        only = next(iter(variations.values())) if len(variations) == 1 else {}
        variation = groupings.get("variation")
        content = variations.get(variation, {}) if variation else only
        return {
            "campaign_name": campaign.get("name"),
            "subject": content.get("subject"),
            "template_id": content.get("template_id"),
            "send_time": omnichannel.send_time(message),
        }

    def _about(self, groupings: Mapping[str, Any]) -> dict[str, Any]:
        campaign, message_id = self.by_id[groupings["campaign_id"]], groupings.get("campaign_message_id") or ""
        message: Mapping[str, Any] = next((one for one in campaign["messages"] if one["id"] == message_id), {})
        if campaign["channel"] == "email" and message_id not in self._templates:
            self._templates[message_id] = self._template_of(message_id)
        return {
            "campaign_name": campaign.get("name"),
            "subject": ((message.get("definition") or {}).get("content") or {}).get("subject"),
            "template_id": self._templates.get(message_id),
            "send_time": campaign.get("send_time"),
        }

    def _template_of(self, message_id: str) -> str | None:
        try:
            return self._hook.get_template_id_of_message(message_id)
        except KlaviyoNotFoundError:
            return None


def _was_not_sent(status: str) -> bool:
    return is_cancelled(status) and not status.startswith(CANCELLED_IN_PART)
