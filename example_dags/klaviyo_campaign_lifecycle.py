"""A holiday sale, mailed every Monday: create → assign template → estimate → send → wait.

The story: a marketer has made the template in Klaviyo; this DAG makes the week's campaign from it, stops if the
audience looks wrong, and sends it once, whatever is retried. A DAG that waits for the asset ``holiday_sale_sent``
begins when it is sent, and has its name and numbers in the event. On Airflow 3.4 the run's note has the link to the
campaign.
"""

from __future__ import annotations

import pendulum
from airflow.sdk import Asset, Param, dag

from airflow_provider_klaviyo.campaigns import email, immediate, tracking_options
from airflow_provider_klaviyo.operators.campaigns import (
    KlaviyoAssignTemplateOperator,
    KlaviyoCreateCampaignOperator,
    KlaviyoEstimateRecipientsOperator,
    KlaviyoSendCampaignOperator,
)


@dag(
    schedule="0 9 * * 1",
    start_date=pendulum.datetime(2026, 1, 5, tz="UTC"),
    catchup=False,
    default_args={"retries": 2, "retry_delay": pendulum.duration(minutes=2)},
    params={
        "list_id": Param("Y6nRLr", type="string", description="List or segment that gets the campaign"),
        "excluded_id": Param("UTd5ui", type="string", description="List or segment that does not"),
        "template_id": Param("RipRmi", type="string", description="Template with the campaign's content"),
    },
    tags=["klaviyo", "example"],
    doc_md=__doc__,
)
def klaviyo_campaign_lifecycle() -> None:
    # [START lifecycle]
    create = KlaviyoCreateCampaignOperator(
        task_id="create",
        name="Holiday sale {{ run_id }}",
        audiences={"included": ["{{ params.list_id }}"], "excluded": ["{{ params.excluded_id }}"]},
        messages=[
            email(
                subject="Our holiday sale starts today",
                preview_text="Up to 40 % off, until Sunday",
                from_email="shop@example.com",
                from_label="The Example Shop",
            )
        ],
        send_strategy=immediate(),
        tracking_options=tracking_options(is_tracking_opens=True, is_tracking_clicks=True),
    )
    assign = KlaviyoAssignTemplateOperator(
        task_id="assign_template", campaign_id=create.output, template_id="{{ params.template_id }}"
    )
    estimate = KlaviyoEstimateRecipientsOperator(
        task_id="estimate", campaign_id=create.output, minimum=1, maximum=100_000, deferrable=True, poll_interval=2
    )
    send = KlaviyoSendCampaignOperator(
        task_id="send",
        campaign_id=create.output,
        wait_until="sent",
        deferrable=True,
        poll_interval=5,
        run_note=True,
        outlets=[Asset("holiday_sale_sent")],
    )
    assign >> estimate >> send
    # [END lifecycle]


klaviyo_campaign_lifecycle()
