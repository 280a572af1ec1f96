"""Give a campaign's message an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.hooks.arguments import check_id
from airflow_provider_klaviyo.hooks.tasks import CONNECTION
from airflow_provider_klaviyo.operators.campaigns.messages import KlaviyoCampaignMessageOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class KlaviyoSetMessageImageOperator(KlaviyoCampaignMessageOperator):
    """Give the message of a push or SMS draft an image, in place of the one it had.

    *Retry, kill, clear*: the same image is set again, as long as the campaign is a draft.
    *Rate limit*: 3 requests; 10/s and 150/min per account.

    :param campaign_id: the campaign; it must have one message. Templated. Give this or ``message_id``.
    :param message_id: the message. Templated.
    :param image_id: an image uploaded to Klaviyo. Templated.
    :returns: the campaign's id.
    :raises KlaviyoValidationError: the message is an email, or there is no such image.
    :raises KlaviyoRefusedError: the campaign is no draft; nothing was changed.
    :raises KlaviyoNotFoundError: no such campaign or message.
    """

    template_fields = ("campaign_id", "message_id", "image_id", *CONNECTION)

    def __init__(self, *, image_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.image_id = image_id
        check_id("image_id", image_id)

    def execute(self, context: Context) -> str:
        from airflow_provider_klaviyo.resume.drafts import channel_of
        from airflow_provider_klaviyo.resume.edits import keep, of_image

        self.check_rendered()
        check_id("image_id", self.image_id, rendered=True)
        campaign_id, message = self.find_draft(context)
        if channel_of(message) == "email":
            raise KlaviyoValidationError(
                f"Message {message.id} of campaign {campaign_id} is an email; Klaviyo takes an image for push and SMS "
                f"only. An email's images are in its template (KlaviyoAssignTemplateOperator).",
                pointer="image_id",
            )
        self.hook.set_image(message.id, self.image_id)
        keep(context, campaign_id, of_image(message.id, self.image_id))
        self.log.info("Message %s of campaign %s has image %s.", message.id, campaign_id, self.image_id)
        return campaign_id
