"""Two campaigns, of which somebody edits the second before they are to be sent."""

from __future__ import annotations

from airflow.sdk import DAG, task

from airflow_provider_klaviyo.campaigns import email, sms
from airflow_provider_klaviyo.never_twice import look
from airflow_provider_klaviyo.operators.campaigns import (
    KlaviyoAssignTemplateOperator,
    KlaviyoCreateCampaignOperator,
    KlaviyoSendCampaignOperator,
)

look.SETTLE = look.PAUSE = 1.0  # the sandbox shows at once what was written

with DAG("edited_drafts", schedule=None):

    @task
    def edit(campaign_ids: list[str]) -> None:
        """What a person does in Klaviyo."""
        from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook

        hook = KlaviyoHook()
        hook.update_message(hook.get_message_ids(campaign_ids[1])[0], sms(body="Edited"))

    create = KlaviyoCreateCampaignOperator.partial(
        task_id="create", audiences={"included": ["Y6nRLr"]}, messages=[sms(body="As the DAG says")]
    ).expand(name=["First {{ run_id }}", "Second {{ run_id }}"])
    send = KlaviyoSendCampaignOperator.partial(
        task_id="send", if_edited="refuse", wait_until=None, deferrable=False
    ).expand(campaign_id=create.output)
    edit(create.output) >> send

with DAG("edited_template", schedule=None):

    @task
    def rewrite(campaign_id: str) -> None:
        """What a person does in Klaviyo's editor."""
        from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook

        hook = KlaviyoHook()
        template = str(hook.get_template_id_of_message(hook.get_message_ids(campaign_id)[0]))
        change = {"type": "template", "id": template, "attributes": {"html": "<html><body>Edited</body></html>"}}
        hook.call("update_template", path_params={"id": template}, body={"data": change})

    create_email = KlaviyoCreateCampaignOperator(
        task_id="create",
        name="Email {{ run_id }}",
        audiences={"included": ["Y6nRLr"]},
        messages=[email(subject="As the DAG says")],
    )
    assign = KlaviyoAssignTemplateOperator(task_id="assign", campaign_id=create_email.output, template_id="RipRmi")
    warn = KlaviyoSendCampaignOperator(
        task_id="send", campaign_id=create_email.output, wait_until=None, deferrable=False
    )
    assign >> rewrite(create_email.output) >> warn
