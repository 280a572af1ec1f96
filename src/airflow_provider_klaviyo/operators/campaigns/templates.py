"""Assign a template to a campaign's message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_klaviyo.hooks.arguments import check_id
from airflow_provider_klaviyo.hooks.tasks import CONNECTION
from airflow_provider_klaviyo.operators.campaigns.messages import KlaviyoCampaignMessageOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class KlaviyoAssignTemplateOperator(KlaviyoCampaignMessageOperator):
    """Give an email campaign its content: a copy of a template.

    Klaviyo copies the template; later changes of it do not reach the campaign, and the copy has an id of its own. Both
    ids are kept in the XCom ``template``: ``{"message_id", "template_id", "assigned_template_id"}``.

    *Retry*: assigning again replaces the copy by a new one and is harmless to a draft; a lost answer is looked up
    first. A campaign that is no longer a draft keeps the copy that this task gave it. *Clear*: assigns anew, so that
    changes of the template get in. *Rate limit*: 3 requests; 10/s and 150/min per account.

    :param campaign_id: the campaign; it must have one email message. Templated. Give this or ``message_id``.
    :param message_id: the message. Templated.
    :param template_id: the template to copy. Templated.
    :returns: the campaign's id.
    :raises KlaviyoNotFoundError: no such campaign, message or template.
    :raises KlaviyoRefusedError: the campaign is no draft.
    :raises KlaviyoValidationError: it has several messages, or one that is no email.
    """

    template_fields = ("campaign_id", "message_id", "template_id", *CONNECTION)

    def __init__(self, *, template_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.template_id = template_id
        check_id("template_id", template_id)

    def execute(self, context: Context) -> str:
        from airflow_provider_klaviyo.resume.assign import assign_once
        from airflow_provider_klaviyo.resume.edits import keep, of_template
        from airflow_provider_klaviyo.resume.state import TaskState

        self.check_rendered()
        check_id("template_id", self.template_id, rendered=True)
        campaign_id, message = self.find_message(context)
        copy = assign_once(self.hook, TaskState(context), campaign_id, message, self.template_id)
        ids = {"message_id": message.id, "template_id": self.template_id, "assigned_template_id": copy.id}
        context["ti"].xcom_push(key="template", value=ids)
        keep(context, campaign_id, of_template(message.id, copy))
        self.log.info("Message %s has template %s, a copy of %s.", message.id, copy.id, self.template_id)
        return campaign_id
