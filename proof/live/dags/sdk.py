"""What to compare with: the same lifecycle in plain callables with the official SDK, as many would write it."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, BaseHook, task

PATIENCE = {"_request_timeout": (2, 4)}
"""The SDK would wait for an answer for ever."""


def campaigns() -> Any:
    from klaviyo_api import KlaviyoAPI  # type: ignore[import-untyped]

    connection = BaseHook.get_connection("klaviyo_default")
    return KlaviyoAPI(
        connection.password, test_host=connection.host, options={"USE_DICTIONARY_FOR_RESPONSE_DATA": True}
    ).Campaigns


@task
def make(run_id: str | None = None) -> str:
    content = {"channel": "email", "label": "Sale", "content": {"subject": "Sale"}}
    message = {"type": "campaign-message", "attributes": {"definition": content}}
    attributes = {
        "name": run_id,
        "audiences": {"included": ["YzykDM"]},
        "campaign-messages": {"data": [message]},
    }
    made = campaigns().create_campaign({"data": {"type": "campaign", "attributes": attributes}}, **PATIENCE)
    return str(made["data"]["id"])


@task
def assign(campaign: str) -> None:
    message = campaigns().get_messages_for_campaign(campaign, **PATIENCE)["data"][0]["id"]
    template = {"template": {"data": {"type": "template", "id": "RipRmi"}}}
    campaigns().assign_template_to_campaign_message(
        {"data": {"type": "campaign-message", "id": message, "relationships": template}}, **PATIENCE
    )


@task
def estimate(campaign: str) -> int:
    body = {"data": {"type": "campaign-recipient-estimation-job", "id": campaign}}
    campaigns().refresh_campaign_recipient_estimation(body, **PATIENCE)
    job = campaigns().get_campaign_recipient_estimation_job
    while job(campaign, **PATIENCE)["data"]["attributes"]["status"] != "complete":
        time.sleep(1)
    found = campaigns().get_campaign_recipient_estimation(campaign, **PATIENCE)
    return int(found["data"]["attributes"]["estimated_recipient_count"])


@task
def send(campaign: str) -> str:
    campaigns().send_campaign({"data": {"type": "campaign-send-job", "id": campaign}}, **PATIENCE)
    while (status := campaigns().get_campaign(campaign, **PATIENCE)["data"]["attributes"]["status"]) != "Sent":
        if status.startswith("Cancelled"):
            raise RuntimeError(f"campaign {campaign} is {status}")
        time.sleep(1)
    return campaign


with DAG(
    "never_twice_sdk",
    schedule=None,
    max_active_runs=100,
    default_args={"retries": 3, "retry_delay": timedelta(seconds=1)},
):
    made: Any = make()
    assign(made) >> estimate(made) >> send(made)
