"""A campaign's lifecycle, and a table that becomes profiles in eight parts at once."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from airflow_provider_klaviyo.campaigns import email
from airflow_provider_klaviyo.operators.campaigns import (
    KlaviyoAssignTemplateOperator,
    KlaviyoCreateCampaignOperator,
    KlaviyoEstimateRecipientsOperator,
    KlaviyoSendCampaignOperator,
)
from airflow_provider_klaviyo.transfers.sql_to_klaviyo import SqlToKlaviyoProfilesOperator

PARTS = 8
RETRIES = {"retries": 8, "retry_delay": timedelta(seconds=5)}

with DAG(
    "cluster_lifecycle",
    schedule=None,
    max_active_runs=int(os.environ.get("CLUSTER_AT_ONCE", "60")),
    max_active_tasks=64,
    default_args=RETRIES,
):
    make = KlaviyoCreateCampaignOperator(
        task_id="make",
        name="{{ run_id }}",
        audiences={"included": ["YzykDM"]},
        messages=[email(subject="Sale", label="Sale")],
    )
    campaign: Any = make.output
    assign = KlaviyoAssignTemplateOperator(task_id="assign", campaign_id=campaign, template_id="RipRmi")
    estimate = KlaviyoEstimateRecipientsOperator(
        task_id="estimate", campaign_id=campaign, minimum=1, deferrable=True, poll_interval=5
    )
    send = KlaviyoSendCampaignOperator(task_id="send", campaign_id=campaign, deferrable=True, poll_interval=5)
    assign >> estimate >> send

with DAG("cluster_audience", schedule=None, max_active_tasks=64, default_args=RETRIES):
    SqlToKlaviyoProfilesOperator.partial(
        task_id="load",
        sql_conn_id="warehouse",
        columns={"number": "properties.number"},
        list_ids="{{ dag_run.conf['list_id'] }}",
        deferrable=True,
        poll_interval=5,
    ).expand(
        sql=[
            f"SELECT email, first_name, number FROM customers WHERE number % {PARTS} = {part} ORDER BY number"
            for part in range(PARTS)
        ]
    )
