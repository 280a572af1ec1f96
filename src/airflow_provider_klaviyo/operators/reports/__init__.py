"""Operators that bring figures of campaigns back."""

from __future__ import annotations

from airflow_provider_klaviyo.operators.reports.campaigns import KlaviyoCampaignReportOperator

__all__ = ["KlaviyoCampaignReportOperator"]
