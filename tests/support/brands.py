"""Operators of one of several brands' campaigns, as one task or several mapped ones make them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import BaseOperator

from airflow_provider_klaviyo.campaigns import email
from airflow_provider_klaviyo.operators.campaigns import (
    KlaviyoAssignTemplateOperator,
    KlaviyoCloneCampaignOperator,
    KlaviyoCreateCampaignOperator,
    KlaviyoSendCampaignOperator,
)
from tests.support.sandbox import DRAFT_EMAIL, LIST, TEMPLATE

FORGETS = pytest.mark.parametrize("forgets", [False, True], ids=["keeps", "forgets"])
Make = Callable[..., BaseOperator]


def named(brand: str) -> str:
    return f"Sale of {brand}"


def create(brand: str, **arguments: Any) -> KlaviyoCreateCampaignOperator:
    defaults = {"audiences": {"included": [LIST]}, "messages": [email(subject=f"For {brand}")]}
    return KlaviyoCreateCampaignOperator(task_id="make", name=named(brand), **{**defaults, **arguments})


def clone(brand: str, **arguments: Any) -> KlaviyoCloneCampaignOperator:
    return KlaviyoCloneCampaignOperator(
        **{"task_id": "make", "campaign_id": DRAFT_EMAIL, "new_name": named(brand), **arguments}
    )


def assign(campaign_id: str) -> KlaviyoAssignTemplateOperator:
    return KlaviyoAssignTemplateOperator(task_id="assign", campaign_id=campaign_id, template_id=TEMPLATE)


def send(campaign_id: str, **arguments: Any) -> KlaviyoSendCampaignOperator:
    return KlaviyoSendCampaignOperator(task_id="send", campaign_id=campaign_id, poll_interval=0.02, **arguments)


makers = pytest.mark.parametrize("make", [create, clone])
