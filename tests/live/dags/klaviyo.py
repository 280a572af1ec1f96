"""DAGs that the live tests run beside the examples."""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG, Param

from airflow_provider_klaviyo.campaigns import email, static
from airflow_provider_klaviyo.operators.campaigns import (
    KlaviyoAssignTemplateOperator,
    KlaviyoCancelCampaignSendOperator,
    KlaviyoCreateCampaignOperator,
    KlaviyoEstimateRecipientsOperator,
    KlaviyoSendCampaignOperator,
)
from airflow_provider_klaviyo.sensors.campaigns import (
    KlaviyoCampaignSendJobSensor,
    KlaviyoCampaignStatusSensor,
    KlaviyoRecipientEstimationJobSensor,
)

ALWAYS = pendulum.datetime(2026, 1, 1, tz="UTC")

with DAG("scheduled_send", schedule=None, start_date=ALWAYS, params={"at": Param("", type="string")}):
    create = KlaviyoCreateCampaignOperator(
        task_id="create",
        name="Scheduled {{ run_id }}",
        audiences={"included": ["Y6nRLr"]},
        messages=[email(subject="Later today")],
        send_strategy=static("{{ params.at }}"),
    )
    assign = KlaviyoAssignTemplateOperator(task_id="assign", campaign_id=create.output, template_id="RipRmi")
    send = KlaviyoSendCampaignOperator(
        task_id="send", campaign_id=create.output, wait_until="sent", deferrable=True, poll_interval=1
    )
    assign >> send

with DAG("in_the_worker", schedule=None, start_date=ALWAYS, params={"minimum": Param(1, type="integer")}):
    create = KlaviyoCreateCampaignOperator(
        task_id="create",
        name="In the worker {{ run_id }}",
        audiences={"included": ["Y6nRLr"]},
        messages=[email(subject="Now")],
    )
    assign = KlaviyoAssignTemplateOperator(task_id="assign", campaign_id=create.output, template_id="RipRmi")
    estimate = KlaviyoEstimateRecipientsOperator(
        task_id="estimate", campaign_id=create.output, minimum="{{ params.minimum }}", poll_interval=0.5
    )
    counted = KlaviyoRecipientEstimationJobSensor(
        task_id="counted", campaign_id=create.output, poke_interval=0.5, deferrable=False
    )
    send = KlaviyoSendCampaignOperator(task_id="send", campaign_id=create.output, wait_until=None, deferrable=False)
    job = KlaviyoCampaignSendJobSensor(task_id="job", campaign_id=create.output, poke_interval=0.5)
    sent = KlaviyoCampaignStatusSensor(task_id="sent", campaign_id=create.output, poke_interval=1, deferrable=True)
    assign >> estimate >> counted >> send >> job >> sent

with DAG("scheduled_then_cancelled", schedule=None, start_date=ALWAYS):
    create = KlaviyoCreateCampaignOperator(
        task_id="create",
        name="Cancelled {{ run_id }}",
        audiences={"included": ["Y6nRLr"]},
        messages=[email(subject="Never")],
        send_strategy=static("{{ macros.datetime.now(macros.dateutil.tz.UTC) + macros.timedelta(hours=1) }}"),
    )
    assign = KlaviyoAssignTemplateOperator(task_id="assign", campaign_id=create.output, template_id="RipRmi")
    send = KlaviyoSendCampaignOperator(
        task_id="send", campaign_id=create.output, wait_until="scheduled", deferrable=True, poll_interval=1
    )
    revert = KlaviyoCancelCampaignSendOperator(
        task_id="revert", campaign_id=send.output, action="revert", deferrable=True, poll_interval=0.5
    )
    assign >> send >> revert
