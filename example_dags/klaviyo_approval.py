"""A campaign that a person approves in Airflow before it goes out: create → assign → estimate → approve → send.

The story: a marketing team writes a campaign by a DAG, and somebody has to have looked before a million people get it.
The task waits for days without a worker; the page under *Required actions* has the audience, the number of recipients
and the mail as text. After a no, after a day without an answer, or if somebody changed the draft while the question was
open, nothing is sent. Who said yes is in the task's XCom. Needs Airflow 3.1.
"""

from __future__ import annotations

import pendulum
from airflow.sdk import Param, dag

from airflow_provider_klaviyo.campaigns import email
from airflow_provider_klaviyo.operators.approval import KlaviyoApproveCampaignOperator
from airflow_provider_klaviyo.operators.campaigns import (
    KlaviyoAssignTemplateOperator,
    KlaviyoCreateCampaignOperator,
    KlaviyoEstimateRecipientsOperator,
    KlaviyoSendCampaignOperator,
)


@dag(
    schedule="0 9 * * 1",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    default_args={"retries": 2, "retry_delay": pendulum.duration(minutes=2)},
    params={
        "list_id": Param("Y6nRLr", type="string", description="List or segment that gets the campaign"),
        "template_id": Param("RipRmi", type="string", description="Template of the mail"),
    },
    tags=["klaviyo", "example"],
    doc_md=__doc__,
)
def klaviyo_approval() -> None:
    # [START approval]
    create = KlaviyoCreateCampaignOperator(
        task_id="create",
        name="Monday offer {{ run_id }}",
        audiences={"included": ["{{ params.list_id }}"]},
        messages=[email(subject="This week's offer", from_email="shop@example.com", from_label="The Example Shop")],
    )
    assign = KlaviyoAssignTemplateOperator(
        task_id="assign", campaign_id=create.output, template_id="{{ params.template_id }}"
    )
    estimate = KlaviyoEstimateRecipientsOperator(
        task_id="estimate", campaign_id=create.output, deferrable=True, poll_interval=2
    )
    approve = KlaviyoApproveCampaignOperator(
        task_id="approve", campaign_id=create.output, body="Ask Ada if anything is unclear.", timeout=24 * 3600
    )
    KlaviyoSendCampaignOperator(
        task_id="send", campaign_id=approve.output, if_edited="refuse", deferrable=True, poll_interval=5
    )
    assign >> estimate >> approve
    # [END approval]


klaviyo_approval()
