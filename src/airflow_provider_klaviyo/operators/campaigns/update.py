"""Change a draft: its settings, or the content of its message."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.campaigns.attributes import check_settings
from airflow_provider_klaviyo.campaigns.content import check_message
from airflow_provider_klaviyo.campaigns.values import check_id
from airflow_provider_klaviyo.operators.campaigns.messages import KlaviyoCampaignMessageOperator
from airflow_provider_klaviyo.tasks import CONNECTION, JSON_RENDERERS, KlaviyoCampaignOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class KlaviyoUpdateCampaignOperator(KlaviyoCampaignOperator):
    """Change the settings of a draft. What is not given stays as it is.

    A list of audiences is replaced as a whole; one that is left out (``excluded``, say) stays. A campaign that is
    scheduled has to be reverted first, and sent anew afterwards.

    *Retry, kill, clear*: the same settings are written again, as long as the campaign is a draft.
    *Rate limit*: 2 requests; 10/s and 150/min per account.

    :param campaign_id: the campaign. Templated.
    :param name: its new name. Templated.
    :param audiences: ``{"included": [ids], "excluded": [ids]}``, or one of the two. Templated.
    :param send_strategy: made by ``immediate()``, ``static()``, ``throttled()`` or ``smart_send_time()``. Templated.
    :param send_options: ``{"use_smart_sending": bool}``. Templated.
    :param tracking_options: UTM parameters and, for email, click and open tracking. Templated.
    :returns: the campaign's id.
    :raises KlaviyoValidationError: a setting that Klaviyo would refuse, or did; nothing was changed.
    :raises KlaviyoRefusedError: it is no draft; nothing was changed.
    :raises KlaviyoNotFoundError: there is no such campaign.
    """

    template_fields = (
        "campaign_id",
        "name",
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
        name: str | None = None,
        audiences: Mapping[str, Any] | None = None,
        send_strategy: Mapping[str, Any] | None = None,
        send_options: Mapping[str, Any] | None = None,
        tracking_options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.campaign_id = campaign_id
        self.name = name
        self.audiences = audiences
        self.send_strategy = send_strategy
        self.send_options = send_options
        self.tracking_options = tracking_options
        self._changes(revision=self.known_revision)

    def _changes(self, *, revision: str | None = None, now: datetime | None = None) -> dict[str, Any]:
        """What was given, as it is to be sent; ``now`` is given once it is rendered."""
        check_id("campaign_id", self.campaign_id, rendered=now is not None)
        names = ("name", "audiences", "send_strategy", "send_options", "tracking_options")
        settings = {name: getattr(self, name) for name in names}
        changes = check_settings(settings, revision=revision, now=now, partial=True)
        if not changes:
            raise KlaviyoValidationError(f"There is nothing to change. Give one of: {', '.join(names)}.")
        return changes

    def execute(self, context: Context) -> str:
        from airflow_provider_klaviyo.drafts.draft import require_draft
        from airflow_provider_klaviyo.drafts.edits import keep, of_campaign

        changes = self._changes(revision=self.hook.api_revision, now=datetime.now(UTC))
        self.show_link(context, self.campaign_id)
        require_draft(self.hook, self.campaign_id)
        answer = self.hook.update_campaign(self.campaign_id, changes)
        keep(context, self.campaign_id, of_campaign(answer, wrote=changes))
        self.log.info("Campaign %s has a new %s.", self.campaign_id, ", ".join(changes))
        return self.campaign_id


class KlaviyoUpdateCampaignMessageOperator(KlaviyoCampaignMessageOperator):
    """Change what a draft's message says.

    *Retry, kill, clear*: the same content is written again, as long as the campaign is a draft.
    *Rate limit*: 3 requests; 10/s and 150/min per account.

    :param campaign_id: the campaign; it must have one message. Templated. Give this or ``message_id``.
    :param message_id: the message. Templated.
    :param message: made by ``email()``, ``sms()``, ``push()`` or ``silent_push()``, of the campaign's channel; what
        the function is not given stays as it is. Templated.
    :returns: the campaign's id.
    :raises KlaviyoValidationError: content that Klaviyo would refuse, or did; nothing was changed.
    :raises KlaviyoRefusedError: the campaign is no draft; nothing was changed.
    :raises KlaviyoNotFoundError: no such campaign or message.
    """

    template_fields = ("campaign_id", "message_id", "message", *CONNECTION)
    template_fields_renderers = dict.fromkeys(("message",), "json")

    def __init__(self, *, message: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.message = message
        check_message(message, partial=True)

    def execute(self, context: Context) -> str:
        from airflow_provider_klaviyo.drafts.draft import channel_of
        from airflow_provider_klaviyo.drafts.edits import keep, of_message

        self.check_rendered()
        check_message(self.message, partial=True, rendered=True)
        campaign_id, found = self.find_draft(context)
        content = check_message(self.message, channel=channel_of(found), partial=True, rendered=True)
        answer = self.hook.update_message(found.id, content)
        keep(context, campaign_id, of_message(answer, wrote=content))
        self.log.info("Message %s of campaign %s has new content.", found.id, campaign_id)
        return campaign_id
