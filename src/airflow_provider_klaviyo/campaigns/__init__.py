"""What a campaign is: its content, when it is sent, and what its status means. Pure: no network, no Airflow."""

from __future__ import annotations

from airflow_provider_klaviyo.campaigns.attributes import tracking_options
from airflow_provider_klaviyo.campaigns.content import action_button, email, push, silent_push, sms
from airflow_provider_klaviyo.campaigns.status import CampaignStatus, JobStatus
from airflow_provider_klaviyo.campaigns.strategies import immediate, smart_send_time, static, throttled

__all__ = [
    "CampaignStatus",
    "JobStatus",
    "action_button",
    "email",
    "immediate",
    "push",
    "silent_push",
    "smart_send_time",
    "sms",
    "static",
    "throttled",
    "tracking_options",
]
