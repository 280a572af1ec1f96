"""The operators' tasks that several test files run, with the pauses of a test."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_klaviyo.campaigns import email, static, tracking_options
from airflow_provider_klaviyo.operators.campaigns import (
    KlaviyoAssignTemplateOperator,
    KlaviyoCancelCampaignSendOperator,
    KlaviyoCloneCampaignOperator,
    KlaviyoCreateCampaignOperator,
    KlaviyoEstimateRecipientsOperator,
    KlaviyoSendCampaignOperator,
)
from tests.support.context import Task
from tests.support.sandbox import DRAFT_EMAIL, LIST, NOBODY, TEMPLATE

NAME = "Weekly news 2026-11-20"
ABOUT_THE_TASK = ("durable", "retries", "run")


def task(operator: Any, arguments: dict[str, Any]) -> Task:
    """A task whose operator is made again for each try; what is about the task itself goes to :class:`Task`."""
    about = {name: arguments.pop(name) for name in ABOUT_THE_TASK if name in arguments}
    return Task(lambda: operator(**{"task_id": "task", **arguments}), **about)


def create(**arguments: Any) -> Task:
    defaults = {"name": NAME, "audiences": {"included": [LIST]}, "messages": [email(subject="Hello")]}
    return task(KlaviyoCreateCampaignOperator, {**defaults, **arguments})


def clone(**arguments: Any) -> Task:
    return task(KlaviyoCloneCampaignOperator, {"campaign_id": DRAFT_EMAIL, "new_name": NAME, **arguments})


def assign(**arguments: Any) -> Task:
    return task(KlaviyoAssignTemplateOperator, {"template_id": TEMPLATE, **arguments})


def estimate(**arguments: Any) -> Task:
    return task(KlaviyoEstimateRecipientsOperator, {"campaign_id": DRAFT_EMAIL, "poll_interval": 0.02, **arguments})


def send(**arguments: Any) -> Task:
    return task(KlaviyoSendCampaignOperator, {"campaign_id": DRAFT_EMAIL, "poll_interval": 0.02, **arguments})


def cancel(**arguments: Any) -> Task:
    return task(KlaviyoCancelCampaignSendOperator, {"campaign_id": DRAFT_EMAIL, "poll_interval": 0.02, **arguments})


def source(**arguments: Any) -> str:
    """A campaign on a schedule, with settings that Klaviyo's clone of it would lose; its id."""
    settings = {
        "name": "The source",
        "audiences": {"included": [LIST], "excluded": [NOBODY]},
        "send_strategy": static(ahead(days=30)),
        "send_options": {"use_smart_sending": False},
        "tracking_options": tracking_options(is_tracking_clicks=False, is_tracking_opens=True),
        **arguments,
    }
    campaign_id: str = create(**settings).run()
    assign(campaign_id=campaign_id).run()
    return campaign_id


def ahead(**delta: float) -> str:
    """A time so long from now, as text."""
    return (datetime.now(UTC) + timedelta(**delta)).isoformat(timespec="seconds")
