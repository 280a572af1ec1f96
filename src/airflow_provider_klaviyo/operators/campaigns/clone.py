"""Clone a campaign."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_klaviyo.campaigns.strategies import check_strategy
from airflow_provider_klaviyo.campaigns.values import Field, filled
from airflow_provider_klaviyo.hooks.arguments import check_choice, check_id
from airflow_provider_klaviyo.hooks.tasks import CONNECTION
from airflow_provider_klaviyo.operators.base import JSON_RENDERERS, KlaviyoCampaignOperator, OnClear
from airflow_provider_klaviyo.operators.campaigns.settings import check_settings, in_full

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_klaviyo.api.document import Resource


class KlaviyoCloneCampaignOperator(KlaviyoCampaignOperator):
    """Clone a campaign as a draft, once, and give the clone the settings it is meant to have.

    Klaviyo copies content and audiences, but replaces the send strategy by ``static`` at the time of cloning and
    switches click tracking on. Strategy, tracking, options and audiences are therefore written anew: those given here,
    else those of the source. A source whose own send time has passed needs a ``send_strategy`` here.

    *Retry, kill, lost answer, clear*: as for ``KlaviyoCreateCampaignOperator``; writing the settings is repeated, as
    long as the clone is a draft. *Rate limit*: 6 requests.

    :param campaign_id: the campaign to clone, in any status. Templated.
    :param new_name: the clone's name: one per run, as it is what a clone is found by. Templated.
    :param audiences: replaces the source's. Templated.
    :param send_strategy: replaces the source's. Templated.
    :param send_options: replaces the source's. Templated.
    :param tracking_options: replaces the source's. Templated.
    :param on_clear: after a clear, ``"adopt"`` the clone made before, or make a ``"new"`` one beside it.
    :returns: the clone's campaign id.
    :raises KlaviyoValidationError: the settings cannot be used; nothing was cloned, or the message has the clone's id.
    :raises KlaviyoNotFoundError: there is no such source.
    """

    template_fields = (
        "campaign_id",
        "new_name",
        "audiences",
        "send_strategy",
        "send_options",
        "tracking_options",
        *CONNECTION,
    )
    template_fields_renderers = JSON_RENDERERS

    def __init__(
        self,
        *,
        campaign_id: str,
        new_name: str,
        audiences: Mapping[str, Any] | None = None,
        send_strategy: Mapping[str, Any] | None = None,
        send_options: Mapping[str, Any] | None = None,
        tracking_options: Mapping[str, Any] | None = None,
        on_clear: OnClear = "adopt",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.campaign_id = campaign_id
        self.new_name = new_name
        self.audiences = audiences
        self.send_strategy = send_strategy
        self.send_options = send_options
        self.tracking_options = tracking_options
        self.on_clear = on_clear
        check_choice("on_clear", on_clear, ("adopt", "new"))
        self._overrides(revision=self.known_revision)

    def _overrides(
        self, *, revision: str | None = None, channel: str | None = None, now: datetime | None = None
    ) -> dict[str, Any]:
        """What was given here, as it is to be sent; ``now`` is given once it is rendered."""
        check_id("campaign_id", self.campaign_id, rendered=now is not None)
        filled(self.new_name, Field("/new_name", rendered=now is not None))
        settings = {
            "audiences": self.audiences,
            "send_strategy": self.send_strategy,
            "send_options": self.send_options,
            "tracking_options": self.tracking_options,
        }
        return in_full(check_settings(settings, revision=revision, channel=channel, now=now))

    def execute(self, context: Context) -> str:
        from airflow_provider_klaviyo.resume.drafts import channel_of, message_in
        from airflow_provider_klaviyo.resume.edits import keep, of_new
        from airflow_provider_klaviyo.resume.make import CAMPAIGN, make_once
        from airflow_provider_klaviyo.resume.settings import write_settings
        from airflow_provider_klaviyo.resume.state import TaskState

        now, state = datetime.now(UTC), TaskState(context)
        self._overrides(revision=self.hook.api_revision, now=now)
        source = self.hook.get_campaign(self.campaign_id)
        _, message = message_in(self.hook, campaign_id=self.campaign_id, message_id=None)
        channel = channel_of(message)
        overrides = self._overrides(revision=self.hook.api_revision, channel=channel, now=now)
        made_before = state.get(CAMPAIGN).get("id")
        settings = {**_kept(source, overrides, now, made_before), **overrides}
        clone = make_once(
            self.hook,
            state,
            lambda: self.hook.clone_campaign(self.campaign_id, self.new_name),
            name=self.new_name,
            channel=channel,
            audiences=[source.attributes["audiences"], settings["audiences"]],
            on_clear=self.on_clear,
        )
        self.show_link(context, clone.id)
        written = of_new(self.hook, clone.answer) if clone.answer else {}
        keep(context, clone.id, written | write_settings(self.hook, clone.id, settings))
        self.log.info("Campaign %s %r is cloned from %s.", clone.id, self.new_name, self.campaign_id)
        return clone.id


def _kept(source: Resource, overrides: Mapping[str, Any], now: datetime, made_before: str | None) -> dict[str, Any]:
    """What the clone takes over from its source.

    :param made_before: the clone that an earlier try has made, if any.
    :raises KlaviyoValidationError: the source's strategy cannot be used again, and no other was given.
    """
    names = ("audiences", "send_options", "tracking_options", "send_strategy")
    kept = {
        name: value for name in names if name not in overrides and (value := source.attributes.get(name)) is not None
    }
    if "send_options" in kept:
        kept["send_options"] = {"use_smart_sending": bool(kept["send_options"].get("use_smart_sending", True))}
    if "send_strategy" in kept:
        try:
            check_strategy(kept["send_strategy"], now=now)
        except ValueError as error:
            left = f"Clone {made_before} is a draft without it." if made_before else "Nothing was cloned."
            raise Field("/send_strategy").error(
                f"of the source campaign {source.id} cannot be used again: {error}",
                f"Give this task a send_strategy, such as immediate(). {left}",
            ) from error
    return kept
