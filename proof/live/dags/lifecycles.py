"""Two lifecycles to be killed in: one creates its campaign, the other clones it. A run's campaign has the run's name.

A try that finds nothing but an intent waits until the lost call must have ended and its effect must show: minutes, in
earnest. Here that time is cut to seconds, which is safe here and nowhere else: the sandbox's reads do not lag, it asks
nobody to wait, and it is never away, so that a call is made once and is over when its time-outs are.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from airflow_provider_klaviyo.api import retry
from airflow_provider_klaviyo.campaigns import email, immediate
from airflow_provider_klaviyo.never_twice import look
from airflow_provider_klaviyo.operators.campaigns import (
    KlaviyoAssignTemplateOperator,
    KlaviyoCloneCampaignOperator,
    KlaviyoCreateCampaignOperator,
    KlaviyoEstimateRecipientsOperator,
    KlaviyoSendCampaignOperator,
)

look.SETTLE = 3.0
look.PAUSE = 0.5
retry.LONGEST = 5.0

for way in ("create", "clone"):
    with DAG(
        f"never_twice_{way}",
        schedule=None,
        max_active_runs=100,
        default_args={"retries": 8, "retry_delay": timedelta(seconds=1)},
    ):
        make: KlaviyoCreateCampaignOperator | KlaviyoCloneCampaignOperator
        if way == "create":
            make = KlaviyoCreateCampaignOperator(
                task_id="make",
                name="{{ run_id }}",
                audiences={"included": ["YzykDM"]},
                messages=[email(subject="Sale", label="Sale")],
            )
        else:
            make = KlaviyoCloneCampaignOperator(
                task_id="make",
                campaign_id="01HP76BB2M2R3MSXY1HPGN0ZBS",
                new_name="{{ run_id }}",
                send_strategy=immediate(),
            )
        campaign: Any = make.output
        assign = KlaviyoAssignTemplateOperator(task_id="assign", campaign_id=campaign, template_id="RipRmi")
        estimate = KlaviyoEstimateRecipientsOperator(
            task_id="estimate", campaign_id=campaign, minimum=1, deferrable=True, poll_interval=1
        )
        send = KlaviyoSendCampaignOperator(task_id="send", campaign_id=campaign, deferrable=True, poll_interval=1)
        assign >> estimate >> send
