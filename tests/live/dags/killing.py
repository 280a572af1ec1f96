"""DAGs for what the live tests kill, and for what is not tried again."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.sdk import DAG, Param

from airflow_provider_klaviyo.campaigns import email, static
from airflow_provider_klaviyo.operators.campaigns import (
    KlaviyoAssignTemplateOperator,
    KlaviyoCreateCampaignOperator,
    KlaviyoSendCampaignOperator,
)
from airflow_provider_klaviyo.retry_policy import KlaviyoRetryPolicy

ALWAYS = pendulum.datetime(2026, 1, 1, tz="UTC")

with DAG("send_that_is_killed", schedule=None, start_date=ALWAYS, params={"at": Param("", type="string")}):
    create = KlaviyoCreateCampaignOperator(
        task_id="create",
        name="Killed {{ run_id }}",
        audiences={"included": ["Y6nRLr"]},
        messages=[email(subject="Perhaps")],
        send_strategy=static("{{ params.at }}"),
    )
    assign = KlaviyoAssignTemplateOperator(task_id="assign", campaign_id=create.output, template_id="RipRmi")
    deferred = KlaviyoSendCampaignOperator(
        task_id="deferred", campaign_id=create.output, kill_action="revert", deferrable=True, poll_interval=1
    )
    assign >> deferred

# Two minutes: who looks at a campaign on Klaviyo's schedule looks again after half of the time that is left. A task
# that is cleared while it runs is taken up at once, or, where a busy scheduler missed its heartbeat, after retry_delay.
with DAG("send_that_is_killed_in_its_worker", schedule=None, start_date=ALWAYS):
    create = KlaviyoCreateCampaignOperator(
        task_id="create",
        name="Killed in its worker {{ run_id }}",
        audiences={"included": ["Y6nRLr"]},
        messages=[email(subject="Never")],
        send_strategy=static("{{ macros.datetime.now(macros.dateutil.tz.UTC) + macros.timedelta(minutes=2) }}"),
    )
    assign = KlaviyoAssignTemplateOperator(task_id="assign", campaign_id=create.output, template_id="RipRmi")
    running = KlaviyoSendCampaignOperator(
        task_id="running",
        campaign_id=create.output,
        kill_action="revert",
        deferrable=False,
        poll_interval=1,
        retry_delay=timedelta(seconds=1),
    )
    assign >> running

with DAG("template_that_is_not_there", schedule=None, start_date=ALWAYS):
    KlaviyoAssignTemplateOperator(
        task_id="assign",
        campaign_id="01H5QQV9F57XJHJDMD86RX4QM5",
        template_id="NoSuch",
        retries=3,
        retry_delay=timedelta(seconds=1),
        retry_policy=KlaviyoRetryPolicy(),
    )
