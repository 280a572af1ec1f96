"""Change the attributes of a draft."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.campaigns.attributes import ATTRIBUTES, check_attributes
from airflow_provider_klaviyo.campaigns.values import Output, check_id
from airflow_provider_klaviyo.tasks import CONNECTION, JSON_RENDERERS, KlaviyoCampaignOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class KlaviyoUpdateCampaignOperator(KlaviyoCampaignOperator):
    """Change the attributes of a draft. What is not given stays as it is.

    A list of audiences is replaced as a whole; one that is left out (``excluded``, say) stays. A campaign that is
    scheduled has to be reverted first, and sent again afterwards.

    *Retry, kill, clear*: the same attributes are written again, as long as the campaign is a draft.
    *Rate limit*: 2 requests; 10/s and 150/min per account.

    :param campaign_id: the campaign. Templated.
    :param name: its new name. Templated.
    :param audiences: ``{"included": [ids], "excluded": [ids]}``, or one of the two. Templated.
    :param send_strategy: made by ``immediate()``, ``static()``, ``throttled()`` or ``smart_send_time()``. Templated.
    :param send_options: ``{"use_smart_sending": bool}``. Templated.
    :param tracking_options: UTM parameters and, for email, click and open tracking. Templated.
    :returns: the campaign's id.
    :raises KlaviyoValidationError: a setting that Klaviyo would refuse, or did; nothing was changed.
    :raises KlaviyoRefusedError: it is not a draft; nothing was changed.
    :raises KlaviyoNotFoundError: there is no such campaign.
    """

    template_fields = ("campaign_id", "name", *ATTRIBUTES, *CONNECTION)
    template_fields_renderers = JSON_RENDERERS

    def __init__(
        self,
        *,
        campaign_id: str | Output,
        name: str | Output | None = None,
        audiences: Mapping[str, Any] | Output | None = None,
        send_strategy: Mapping[str, Any] | Output | None = None,
        send_options: Mapping[str, Any] | Output | None = None,
        tracking_options: Mapping[str, Any] | Output | None = None,
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
        names = ("name", *ATTRIBUTES)
        given = {name: getattr(self, name) for name in names}
        changes = check_attributes(given, revision=revision, now=now, partial=True)
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
