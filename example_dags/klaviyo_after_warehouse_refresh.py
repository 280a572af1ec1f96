"""A campaign that goes out when the warehouse is refreshed: estimate, stop if the audience looks wrong, send.

The story: an analytics engineer's model writes the table that a Klaviyo segment is built on. Each refresh of the table
clones last time's campaign and sends it to the segment as it now is. A run that an asset starts has no
``logical_date``: whatever is to be unique per run is made of ``run_id``.
"""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG, Asset, Param

from airflow_provider_klaviyo.campaigns import immediate
from airflow_provider_klaviyo.operators.campaigns import (
    KlaviyoCloneCampaignOperator,
    KlaviyoEstimateRecipientsOperator,
    KlaviyoSendCampaignOperator,
)

CUSTOMERS = Asset("warehouse_lapsed_customers", uri="file:///warehouse/marts/lapsed_customers")

with DAG(
    dag_id="klaviyo_after_warehouse_refresh",
    schedule=CUSTOMERS,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    default_args={"retries": 2, "retry_delay": pendulum.duration(minutes=2)},
    params={
        "source_campaign_id": Param("01HP76BB2M2R3MSXY1HPGN0ZBS", type="string", description="Campaign to clone"),
        "segment_id": Param("YsMa4H", type="string", description="Segment built on the refreshed table"),
        "minimum": Param(1, type="integer", description="Fewer recipients than this stop the send"),
        "maximum": Param(50_000, type="integer", description="More recipients than this stop the send"),
    },
    tags=["klaviyo", "example"],
    doc_md=__doc__,
):
    # [START after_refresh]
    clone = KlaviyoCloneCampaignOperator(
        task_id="clone",
        campaign_id="{{ params.source_campaign_id }}",
        new_name="We miss you {{ run_id }}",
        audiences={"included": ["{{ params.segment_id }}"]},
        send_strategy=immediate(),
    )
    estimate = KlaviyoEstimateRecipientsOperator(
        task_id="estimate",
        campaign_id=clone.output,
        minimum="{{ params.minimum }}",
        maximum="{{ params.maximum }}",
        deferrable=True,
        poll_interval=2,
    )
    send = KlaviyoSendCampaignOperator(task_id="send", campaign_id=clone.output, deferrable=True, poll_interval=5)
    estimate >> send
    # [END after_refresh]
