"""Many campaigns out of a table, each made, checked and sent by itself: one row, one campaign.

The story: an agency sends for many brands. A table has a row for each campaign of the day: its name, its audience, its
subject, and how many people it has to reach at least. Each row is a whole lifecycle, shown in Airflow by the campaign's
name. One that fails its check does not hold up the others, and fails the run in the end. The day is in each name, and a
campaign of that name is not made twice: not by a second run, not after a clear, not when the rows come in another
order. An hour after the last send, one report has the figures of all that were sent, as rows of another table.
"""

from __future__ import annotations

from typing import Any

import pendulum
from airflow.sdk import BaseHook, Param, dag, task, task_group

from airflow_provider_klaviyo.campaigns import email
from airflow_provider_klaviyo.operators.reports import KlaviyoCampaignReportOperator
from airflow_provider_klaviyo.task_groups import klaviyo_campaign


@dag(
    schedule="0 10 * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": pendulum.duration(minutes=2)},
    params={"template_id": Param("RipRmi", type="string", description="Template of all mails")},
    tags=["klaviyo", "example"],
    doc_md=__doc__,
)
def klaviyo_many_campaigns() -> None:
    # [START many]
    @task
    def campaigns(day: str) -> list[dict[str, Any]]:
        """The day's campaigns, each as the arguments of one group."""
        hook = BaseHook.get_connection("warehouse").get_hook()
        rows = hook.get_records("SELECT brand, list_id, subject, minimum FROM campaigns ORDER BY priority, brand")
        return [
            {"name": f"{brand} {day}", "list_id": list_id, "subject": subject, "minimum": minimum}
            for brand, list_id, subject, minimum in rows
        ]

    @task_group
    def one(name: str, list_id: str, subject: str, minimum: int) -> None:
        """Make, check and send one of them."""
        klaviyo_campaign(
            name=name,
            audiences={"included": [list_id]},
            messages=[email(subject=subject, from_email="shop@example.com", from_label="The Example Shop")],
            template_id="{{ params.template_id }}",
            if_exists="skip",
            minimum=minimum,
            deferrable=True,
        )

    @task.short_circuit(trigger_rule="all_done", ignore_downstream_trigger_rules=False)
    def sent(**context: Any) -> list[str]:
        """The ids of those that were sent."""
        return [one for one in context["ti"].xcom_pull(task_ids="one.campaign.send") or [] if one]

    @task
    def all_sent() -> None:
        """Fails with the run if one of the campaigns failed, though the others were sent and reported."""

    each = one.expand_kwargs(campaigns("{{ dag_run.run_after | ds }}"))
    ids = sent()
    report = KlaviyoCampaignReportOperator(
        task_id="report",
        campaign_ids=ids,
        conversion_metric="Placed Order (Shopify)",
        report_after=pendulum.duration(hours=1),
        table="campaign_figures",
        sql_conn_id="warehouse",
        create_table=True,
    )
    each >> ids
    [each, report] >> all_sent()
    # [END many]


klaviyo_many_campaigns()
