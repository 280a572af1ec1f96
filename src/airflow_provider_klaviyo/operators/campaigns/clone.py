"""Clone a campaign."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.campaigns.attributes import ATTRIBUTES, check_attributes, in_full
from airflow_provider_klaviyo.campaigns.once import IfExists, OnClear, check_once
from airflow_provider_klaviyo.campaigns.status import CampaignStatus
from airflow_provider_klaviyo.campaigns.values import Field, Output, check_id, filled
from airflow_provider_klaviyo.tasks import CONNECTION, JSON_RENDERERS, KlaviyoCampaignOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_klaviyo.api.calls import Call
    from airflow_provider_klaviyo.api.document import Resource


class KlaviyoCloneCampaignOperator(KlaviyoCampaignOperator):
    """Clone a campaign as a draft, once, and give the clone the attributes it is meant to have.

    Klaviyo copies content and audiences, but replaces the send strategy by ``static`` at the time of cloning and
    switches click tracking on. Strategy, tracking, options and audiences are therefore written again: those given here,
    else those of the source. They are checked before the clone is made: a source whose own send time has passed needs a
    ``send_strategy`` here, and one with a list or segment that is gone needs ``audiences``. Of the source's options,
    those that Klaviyo does not take for its channel are dropped, and the log names them.

    *Retry, kill, lost answer, clear*: as for ``KlaviyoCreateCampaignOperator``; writing the attributes is repeated, as
    long as the clone is a draft. *Rate limit*: 6 requests, 3 for ``if_exists``, and 1 or 2 for each list or segment
    kept from the source.

    :param campaign_id: the campaign to clone, in any status. Templated.
    :param new_name: the clone's name: one per run, as it is what a clone is found by. Templated.
    :param audiences: replaces the source's. Templated.
    :param send_strategy: replaces the source's. Templated.
    :param send_options: replaces the source's. Templated.
    :param tracking_options: replaces the source's. Templated.
    :param on_clear: after a clear, ``"adopt"`` the clone made before, or make a ``"new"`` one beside it.
    :param if_exists: what to do when Klaviyo has a campaign of this name and channel already, in whatever status and
        whoever made it (what this task made itself is gone on with in any case): ``"make"`` another (the default);
        ``"skip"`` this task, and those after it; ``"refuse"`` (fail); ``"adopt"`` it: a draft gets what the DAG has. So
        ``"skip"`` and the date in the name mean once a day, however many runs there are. Runs at the same time may
        still make two: set ``max_active_runs=1``.
    :returns: the clone's campaign id.
    :raises KlaviyoValidationError: an attribute cannot be used; nothing was cloned, or the message has the clone's id.
    :raises KlaviyoNotFoundError: there is no such source.
    :raises KlaviyoRefusedError, AirflowSkipException: as for ``KlaviyoCreateCampaignOperator``.
    """

    template_fields = ("campaign_id", "new_name", *ATTRIBUTES, *CONNECTION)
    template_fields_renderers = JSON_RENDERERS

    def __init__(
        self,
        *,
        campaign_id: str | Output,
        new_name: str | Output,
        audiences: Mapping[str, Any] | Output | None = None,
        send_strategy: Mapping[str, Any] | Output | None = None,
        send_options: Mapping[str, Any] | Output | None = None,
        tracking_options: Mapping[str, Any] | Output | None = None,
        on_clear: OnClear = "adopt",
        if_exists: IfExists = "make",
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
        self.if_exists = if_exists
        check_once(on_clear, if_exists)
        self._overrides(revision=self.known_revision)

    def _overrides(
        self, *, revision: str | None = None, channel: str | None = None, now: datetime | None = None
    ) -> dict[str, Any]:
        """What was given here, as it is to be sent; ``now`` is given once it is rendered."""
        check_id("campaign_id", self.campaign_id, rendered=now is not None)
        filled(self.new_name, Field("/new_name", rendered=now is not None))
        given = {name: getattr(self, name) for name in ATTRIBUTES}
        return in_full(check_attributes(given, revision=revision, channel=channel, now=now))

    def execute(self, context: Context) -> str:
        from airflow_provider_klaviyo.api.campaigns import clone_campaign
        from airflow_provider_klaviyo.drafts.draft import write_attributes
        from airflow_provider_klaviyo.drafts.edits import keep, of_new
        from airflow_provider_klaviyo.drafts.source import audiences_of, channel_of_source, kept_from
        from airflow_provider_klaviyo.never_twice.make import make_once
        from airflow_provider_klaviyo.never_twice.notes import Subject, TaskState

        now, revision = datetime.now(UTC), self.hook.api_revision
        self._overrides(revision=revision, now=now)
        source = self.hook.get_campaign(self.campaign_id)
        channel = channel_of_source(source, self.hook.get_messages(self.campaign_id))
        attributes = self._overrides(revision=revision, channel=channel, now=now)
        unfit: KlaviyoValidationError | None = None
        try:
            attributes |= kept_from(self.hook, source, given=attributes, channel=channel, now=now)
        except KlaviyoValidationError as error:  # no matter where an earlier try's clone turns out to be on its way
            unfit = error

        def post() -> Call[Resource]:
            if unfit:
                unfit.message += " Nothing was cloned."
                raise unfit
            return (yield from clone_campaign(self.campaign_id, self.new_name))

        kept = audiences_of(source)
        clone = make_once(
            self.hook,
            TaskState(context),
            post(),
            Subject(self.new_name, channel, source=self.campaign_id),
            audiences=[kept, attributes.get("audiences", kept)],
            on_clear=self.on_clear,
            if_exists=self.if_exists,
        )
        self.show_link(context, clone.id)
        written = of_new(self.hook, clone.answer) if clone.answer else {}
        if unfit is None:
            written |= write_attributes(self.hook, clone.id, attributes)
        elif self.hook.get_campaign(clone.id).attributes.get("status") == CampaignStatus.DRAFT:
            unfit.message += (
                f" Clone {clone.id}, made by an earlier try, is a draft without it: do not send it as it is."
            )
            raise unfit
        keep(context, clone.id, written)
        self.log.info("Campaign %s %r is cloned from %s.", clone.id, self.new_name, self.campaign_id)
        return clone.id
