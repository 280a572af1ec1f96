"""What the operators that change a campaign's message share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.hooks.arguments import check_id
from airflow_provider_klaviyo.operators.base import KlaviyoCampaignOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_klaviyo.api.document import Resource


class KlaviyoCampaignMessageOperator(KlaviyoCampaignOperator):
    """Base of the operators that have a campaign's message as their subject.

    :param campaign_id: the campaign; it must have one message. Give this or ``message_id``.
    :param message_id: the message.
    """

    def __init__(self, *, campaign_id: str | None = None, message_id: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.campaign_id = campaign_id
        self.message_id = message_id
        if (campaign_id is None) == (message_id is None):
            raise KlaviyoValidationError(
                f"campaign_id is {campaign_id!r} and message_id is {message_id!r}; give exactly one of them.",
                pointer="campaign_id",
            )
        self._check_subject()

    def _check_subject(self, *, rendered: bool = False) -> None:
        if self.message_id is None:
            check_id("campaign_id", self.campaign_id, rendered=rendered)
        else:
            check_id("message_id", self.message_id, rendered=rendered)

    def find_message(self, context: Context) -> tuple[str, Resource]:
        """The campaign's id and its message."""
        from airflow_provider_klaviyo.resume.drafts import message_in

        self.check_rendered()
        self._check_subject(rendered=True)
        campaign_id, message = message_in(self.hook, campaign_id=self.campaign_id, message_id=self.message_id)
        self.show_link(context, campaign_id)
        return campaign_id, message

    def find_draft(self, context: Context) -> tuple[str, Resource]:
        """As :meth:`find_message`, for a change.

        :raises KlaviyoRefusedError: the campaign is no draft.
        """
        from airflow_provider_klaviyo.resume.drafts import require_draft

        campaign_id, message = self.find_message(context)
        require_draft(self.hook, campaign_id)
        return campaign_id, message
