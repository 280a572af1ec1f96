"""Operators that change a draft's message: its template, its image, its content."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.campaigns.content import check_message
from airflow_provider_klaviyo.campaigns.values import Output, check_id
from airflow_provider_klaviyo.tasks import CONNECTION, KlaviyoCampaignOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_klaviyo.api.document import Resource


class KlaviyoCampaignMessageOperator(KlaviyoCampaignOperator):
    """Base of the operators that have a campaign's message as their subject.

    :param campaign_id: the campaign; it must have one message. Give this or ``message_id``.
    :param message_id: the message.
    """

    def __init__(
        self, *, campaign_id: str | Output | None = None, message_id: str | Output | None = None, **kwargs: Any
    ) -> None:
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
        from airflow_provider_klaviyo.drafts.draft import message_in

        self.check_rendered()
        self._check_subject(rendered=True)
        campaign_id, message = message_in(self.hook, campaign_id=self.campaign_id, message_id=self.message_id)
        self.show_link(context, campaign_id)
        return campaign_id, message

    def find_draft(self, context: Context) -> tuple[str, Resource]:
        """As :meth:`find_message`, for a change.

        :raises KlaviyoRefusedError: the campaign is not a draft.
        """
        from airflow_provider_klaviyo.drafts.draft import require_draft

        campaign_id, message = self.find_message(context)
        require_draft(self.hook, campaign_id)
        return campaign_id, message


class KlaviyoAssignTemplateOperator(KlaviyoCampaignMessageOperator):
    """Give an email campaign its content: a copy of a template.

    Klaviyo copies the template; later changes of it do not reach the campaign, and the copy has an id of its own. Both
    ids are kept in the XCom ``template``: ``{"message_id", "template_id", "assigned_template_id"}``.

    *Retry*: assigning again replaces the copy by a new one and is harmless to a draft; a lost answer is looked up
    first. A campaign that is no longer a draft keeps the copy that this task gave it. *Clear*: assigns again, so that
    changes of the template get in; a campaign that is no longer a draft keeps what it has.
    *Rate limit*: 3 requests; 10/s and 150/min per account.

    :param campaign_id: the campaign; it must have one email message. Templated. Give this or ``message_id``.
    :param message_id: the message. Templated.
    :param template_id: the template to copy. Templated.
    :returns: the campaign's id.
    :raises KlaviyoNotFoundError: no such campaign, message or template.
    :raises KlaviyoRefusedError: the campaign is not a draft.
    :raises KlaviyoValidationError: it has several messages, or one that is not an email.
    """

    template_fields = ("campaign_id", "message_id", "template_id", *CONNECTION)

    def __init__(self, *, template_id: str | Output, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.template_id = template_id
        check_id("template_id", template_id)

    def execute(self, context: Context) -> str:
        from airflow_provider_klaviyo.drafts.draft import assign_once
        from airflow_provider_klaviyo.drafts.edits import keep, of_template
        from airflow_provider_klaviyo.never_twice.notes import TaskState

        self.check_rendered()
        check_id("template_id", self.template_id, rendered=True)
        campaign_id, message = self.find_message(context)
        copy = assign_once(self.hook, TaskState(context), campaign_id, message, self.template_id)
        ids = {"message_id": message.id, "template_id": self.template_id, "assigned_template_id": copy.id}
        context["ti"].xcom_push(key="template", value=ids)
        keep(context, campaign_id, of_template(message.id, copy))
        self.log.info("Message %s has template %s, a copy of %s.", message.id, copy.id, self.template_id)
        return campaign_id


class KlaviyoSetMessageImageOperator(KlaviyoCampaignMessageOperator):
    """Give the message of a push or SMS draft an image, in place of the one it had.

    *Retry, kill, clear*: the same image is set again, as long as the campaign is a draft.
    *Rate limit*: 3 requests; 10/s and 150/min per account.

    :param campaign_id: the campaign; it must have one message. Templated. Give this or ``message_id``.
    :param message_id: the message. Templated.
    :param image_id: an image uploaded to Klaviyo. Templated.
    :returns: the campaign's id.
    :raises KlaviyoValidationError: the message is an email, or there is no such image.
    :raises KlaviyoRefusedError: the campaign is not a draft; nothing was changed.
    :raises KlaviyoNotFoundError: no such campaign or message.
    """

    template_fields = ("campaign_id", "message_id", "image_id", *CONNECTION)

    def __init__(self, *, image_id: str | Output, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.image_id = image_id
        check_id("image_id", image_id)

    def execute(self, context: Context) -> str:
        from airflow_provider_klaviyo.drafts.draft import channel_of
        from airflow_provider_klaviyo.drafts.edits import keep, of_image

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


class KlaviyoUpdateCampaignMessageOperator(KlaviyoCampaignMessageOperator):
    """Change the content of a draft's message.

    *Retry, kill, clear*: the same content is written again, as long as the campaign is a draft.
    *Rate limit*: 3 requests; 10/s and 150/min per account.

    :param campaign_id: the campaign; it must have one message. Templated. Give this or ``message_id``.
    :param message_id: the message. Templated.
    :param message: made by ``email()``, ``sms()``, ``push()`` or ``silent_push()``, of the campaign's channel; what
        the function is not given stays as it is. Templated.
    :returns: the campaign's id.
    :raises KlaviyoValidationError: content that Klaviyo would refuse, or did; nothing was changed.
    :raises KlaviyoRefusedError: the campaign is not a draft; nothing was changed.
    :raises KlaviyoNotFoundError: no such campaign or message.
    """

    template_fields = ("campaign_id", "message_id", "message", *CONNECTION)
    template_fields_renderers = dict.fromkeys(("message",), "json")

    def __init__(self, *, message: Mapping[str, Any] | Output, **kwargs: Any) -> None:
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
