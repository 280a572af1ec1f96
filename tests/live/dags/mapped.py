"""Brands as a query without ORDER BY returns them, a campaign for each: when it is asked again, another is in front."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, get_current_context, task, task_group

from airflow_provider_klaviyo.campaigns import email, sms
from airflow_provider_klaviyo.operators.campaigns import (
    KlaviyoAssignTemplateOperator,
    KlaviyoCreateCampaignOperator,
    KlaviyoEstimateRecipientsOperator,
    KlaviyoSendCampaignOperator,
)
from airflow_provider_klaviyo.resume import looking

looking.SETTLE = looking.PAUSE = 1.0  # the sandbox shows at once what was written

LISTS = {"A": "Y6nRLr", "B": "WEmgye", "X": "YzykDM"}


def brands() -> list[tuple[str, str]]:
    """Return name and list of the brands' campaigns: A and B in the first try; X, A and B in the next."""
    context: Any = get_current_context()
    found = "AB" if context["ti"].try_number == 1 else "XAB"
    return [(f"{brand} {context['run_id']}", LISTS[brand]) for brand in found]


with DAG("mapped_brands", schedule=None):

    @task
    def choose() -> list[dict[str, Any]]:
        """Return the arguments that differ between the campaigns."""
        return [{"name": name, "audiences": {"included": [list_id]}} for name, list_id in brands()]

    create = KlaviyoCreateCampaignOperator.partial(task_id="create", messages=[sms(body="Hello")]).expand_kwargs(
        choose()
    )
    estimate = KlaviyoEstimateRecipientsOperator.partial(
        task_id="estimate", minimum=1, deferrable=False, poll_interval=0.5
    ).expand(campaign_id=create.output)
    send = KlaviyoSendCampaignOperator.partial(task_id="send", deferrable=False, poll_interval=1).expand(
        campaign_id=create.output
    )
    estimate >> send

with DAG("mapped_brand_groups", schedule=None):

    @task
    def choose_groups() -> list[dict[str, str]]:
        """Return the arguments of the groups."""
        return [{"name": name, "list_id": list_id} for name, list_id in brands()]

    @task_group
    def brand(name: str, list_id: str) -> None:
        """Make, check and send the campaign of one brand."""
        create = KlaviyoCreateCampaignOperator(
            task_id="create", name=name, audiences={"included": [list_id]}, messages=[email(subject="Hello")]
        )
        assign = KlaviyoAssignTemplateOperator(task_id="assign", campaign_id=create.output, template_id="RipRmi")
        estimate = KlaviyoEstimateRecipientsOperator(
            task_id="estimate", campaign_id=create.output, minimum=1, deferrable=False, poll_interval=0.5
        )
        send = KlaviyoSendCampaignOperator(task_id="send", campaign_id=create.output, deferrable=False, poll_interval=1)
        assign >> estimate >> send

    brand.expand_kwargs(choose_groups())
