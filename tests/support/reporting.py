"""Reports that are written to a table, as the tests of several databases run them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow_provider_klaviyo.operators.reports import KlaviyoCampaignReportOperator
from tests.support.context import Task
from tests.support.sandbox import DRAFT_EMAIL, Klaviyo


def report(table: str, **arguments: Any) -> Task:
    given = {"table": table, "sql_conn_id": "warehouse", "create_table": True, **arguments}
    return Task(
        lambda: KlaviyoCampaignReportOperator(
            task_id="report", campaign_ids=DRAFT_EMAIL, conversion_metric="RESQ6t", **given
        )
    )


def send(klaviyo: Klaviyo) -> datetime:
    """Send the campaign and let a day pass; return when it was sent, to the second, in UTC."""
    klaviyo.send(DRAFT_EMAIL)
    klaviyo.wait_for_sends()
    klaviyo.advance(86_400)
    return datetime.fromisoformat(klaviyo.campaign(DRAFT_EMAIL)["send_time"]).astimezone(UTC).replace(microsecond=0)
