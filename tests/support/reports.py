"""Reports of campaigns, as several test files ask for them."""

from __future__ import annotations

from typing import Any

from airflow_provider_klaviyo.operators.reports import KlaviyoCampaignReportOperator
from tests.support.context import Task

REPORT = "query_campaign_values"


def report(campaign_ids: Any, *, durable: bool = True, run: Any = None, **arguments: Any) -> Task:
    given = {"campaign_ids": campaign_ids, "conversion_metric": "Placed Order (Shopify)", **arguments}
    return Task(lambda: KlaviyoCampaignReportOperator(task_id="report", **given), durable=durable, run=run)
