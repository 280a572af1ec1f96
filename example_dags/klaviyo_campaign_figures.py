"""What came of this week's campaigns, each morning, in the warehouse and on a page.

The story: an analyst wants campaigns beside orders in the warehouse, and the marketing team wants to see them at
breakfast. Each morning one report has all campaigns of the last eight days, whoever sent them: their figures of now
become rows of a table, each morning a snapshot of its own, and a page has the funnel of each. It costs one of the 225
reports that Klaviyo answers a day.
"""

from __future__ import annotations

from typing import Any

import pendulum
from airflow.sdk import Param, dag, task

from airflow_provider_klaviyo.operators.campaigns import KlaviyoListCampaignsOperator
from airflow_provider_klaviyo.operators.reports import KlaviyoCampaignReportOperator


@dag(
    schedule="0 7 * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    default_args={"retries": 2, "retry_delay": pendulum.duration(minutes=2)},
    params={
        "table": Param("campaign_figures", type="string", description="Table for the rows"),
        "metric": Param("Placed Order (Shopify)", type="string", description="What a conversion is"),
        "page_path": Param("file:///tmp/klaviyo/campaigns.html", type="string", description="Page for people"),
    },
    tags=["klaviyo", "example"],
    doc_md=__doc__,
)
def klaviyo_campaign_figures() -> None:
    # [START figures]
    sent = KlaviyoListCampaignsOperator(
        task_id="sent",
        filter=(
            "and(equals(status,'Sent'),"
            "greater-or-equal(scheduled_at,{{ (dag_run.run_after - macros.timedelta(days=8)).isoformat() }}))"
        ),
        fields=["name"],
    )

    @task.short_circuit
    def ids(campaigns: Any) -> list[str]:
        """Their ids; in a week without a campaign there is nothing to report."""
        return [campaign["id"] for campaign in campaigns]

    KlaviyoCampaignReportOperator(
        task_id="report",
        campaign_ids=ids(sent.output),
        conversion_metric="{{ params.metric }}",
        table="{{ params.table }}",
        sql_conn_id="warehouse",
        create_table=True,
        page_path="{{ params.page_path }}",
    )
    # [END figures]


klaviyo_campaign_figures()
