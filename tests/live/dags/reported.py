"""Campaigns that are cloned from a list, sent, and reported, by more tasks than the quota has room for."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_klaviyo.operators.campaigns import KlaviyoCloneCampaignOperator, KlaviyoSendCampaignOperator
from airflow_provider_klaviyo.operators.reports import KlaviyoCampaignReportOperator

METRIC = "Placed Order (Shopify)"

with DAG("reported", schedule=None):
    clone = KlaviyoCloneCampaignOperator.partial(task_id="clone", campaign_id="01H5QQV9F57XJHJDMD86RX4QM5").expand(
        new_name=[f"{name} {{{{ run_id }}}}" for name in ("One", "Two", "Three")]
    )
    send = KlaviyoSendCampaignOperator.partial(task_id="send", deferrable=False, poll_interval=1).expand(
        campaign_id=clone.output
    )
    together = KlaviyoCampaignReportOperator(
        task_id="together",
        campaign_ids=send.output,
        conversion_metric=METRIC,
        report_after=timedelta(seconds=15),
        path="{{ params.path }}",
        params={"path": ""},
    )
    each = KlaviyoCampaignReportOperator.partial(
        task_id="each", conversion_metric=METRIC, statistics=["recipients", "open_rate"]
    ).expand(campaign_ids=send.output)
    more = KlaviyoCampaignReportOperator.partial(task_id="more", campaign_ids=send.output).expand(
        conversion_metric=["RESQ6t", "Placed Order (WooCommerce)"]
    )
