"""A campaign that goes out when the warehouse is refreshed, from the table to the figures, with nobody at the keyboard.

The story: an analytics engineer's model writes a table of customers who have not ordered for a while. When it is
refreshed (on Airflow 3.4: on Monday at nine, if it was refreshed since), a list in Klaviyo becomes what the table is;
last time's campaign is cloned, and the clone's mail is filled in and checked; Klaviyo counts whom it would reach, and
half of what such a campaign usually has is too few; it is sent; and an hour later its figures are rows of a table.

Once a day, however often the table is refreshed: the day is in the campaign's name, and a second run of that day finds
the name and skips; nor is anything sent if another campaign went to the list within 20 hours, whoever made it. A
table that lost its rows stops at the list: if more than a fifth of its members would leave, nothing is changed.

The first campaign has none to be compared with: trigger it by hand, with a number as "minimum". A run that an asset
starts has no ``logical_date``: its day is that of ``run_after``.
"""

from __future__ import annotations

import pendulum
from airflow.sdk import Asset, Param, dag

from airflow_provider_klaviyo.campaigns import immediate
from airflow_provider_klaviyo.operators.audiences import KlaviyoCreateListOperator
from airflow_provider_klaviyo.operators.campaigns import (
    KlaviyoCloneCampaignOperator,
    KlaviyoEstimateRecipientsOperator,
    KlaviyoSendCampaignOperator,
)
from airflow_provider_klaviyo.operators.reports import KlaviyoCampaignReportOperator
from airflow_provider_klaviyo.operators.templates import KlaviyoRenderTemplateOperator
from airflow_provider_klaviyo.sensors.audiences import KlaviyoAudienceReadySensor
from airflow_provider_klaviyo.transfers.sql_to_klaviyo import SqlToKlaviyoProfilesOperator

CUSTOMERS = Asset("warehouse_lapsed_customers", uri="file:///warehouse/marts/lapsed_customers")

try:
    from airflow.sdk import AssetAndTimeSchedule, CronTriggerTimetable  # type: ignore[attr-defined]

    MONDAY = CronTriggerTimetable("0 9 * * MON", timezone="UTC")
    WHEN_REFRESHED = AssetAndTimeSchedule(assets=CUSTOMERS, timetable=MONDAY)
except ImportError:  # before Airflow 3.4
    WHEN_REFRESHED = CUSTOMERS


@dag(
    schedule=WHEN_REFRESHED,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": pendulum.duration(minutes=2)},
    params={
        "source_campaign_id": Param("01HP76BB2M2R3MSXY1HPGN0ZBS", type="string", description="Campaign to clone"),
        "minimum": Param(
            "50%",
            type=["string", "integer"],
            description="Fewer recipients stop the send: of the last sends, or a number",
        ),
        "state_path": Param("file:///tmp/klaviyo_lapsed.state", type="string", description="File of what was imported"),
        "rejected_path": Param("file:///tmp/klaviyo_lapsed.jsonl", type="string", description="File of rejected rows"),
    },
    tags=["klaviyo", "example"],
    doc_md=__doc__,
)
def klaviyo_after_warehouse_refresh() -> None:
    # [START audience]
    customers = KlaviyoCreateListOperator(task_id="customers", name="Lapsed customers")
    load = SqlToKlaviyoProfilesOperator(
        task_id="load",
        sql_conn_id="warehouse",
        sql="SELECT email, first_name, last_order FROM lapsed_customers ORDER BY email",
        columns={"last_order": "properties.last_order"},
        list_ids=customers.output,
        mode="mirror",
        state_path="{{ params.state_path }}",
        max_removed="20%",
        rejected_path="{{ params.rejected_path }}",
        max_rejected="1%",
        deferrable=True,
        poll_interval=5,
    )
    ready = KlaviyoAudienceReadySensor(
        task_id="ready",
        list_id=customers.output,
        minimum="{% set loaded = ti.xcom_pull(task_ids='load') %}{{ loaded.accepted + loaded.unchanged }}",
        settled=pendulum.duration(seconds=10),
        deferrable=True,
        poke_interval=5,
    )
    # [END audience]

    # [START campaign]
    clone = KlaviyoCloneCampaignOperator(
        task_id="clone",
        campaign_id="{{ params.source_campaign_id }}",
        new_name="We miss you {{ dag_run.run_after | ds }}",
        if_exists="skip",
        audiences={"included": [customers.output]},
        send_strategy=immediate(),
    )
    check = KlaviyoRenderTemplateOperator(
        task_id="check_mail", campaign_id=clone.output, context={"first_name": "Ada"}, forbid=["TODO"]
    )
    # [END campaign]

    # [START send]
    estimate = KlaviyoEstimateRecipientsOperator(
        task_id="estimate",
        campaign_id=clone.output,
        minimum="{{ params.minimum }}",
        compare_with="We miss you ",
        deferrable=True,
        poll_interval=2,
    )
    send = KlaviyoSendCampaignOperator(
        task_id="send",
        campaign_id=clone.output,
        not_within=pendulum.duration(hours=20),
        if_recent="skip",
        deferrable=True,
        poll_interval=5,
    )
    # [END send]

    # [START report]
    KlaviyoCampaignReportOperator(
        task_id="report",
        campaign_ids=send.output,
        conversion_metric="Placed Order (Shopify)",
        report_after=pendulum.duration(hours=1),
        table="campaign_figures",
        sql_conn_id="warehouse",
        create_table=True,
    )
    # [END report]

    load >> ready >> clone
    check >> estimate >> send


klaviyo_after_warehouse_refresh()
