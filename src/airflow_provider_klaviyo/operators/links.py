"""The link from a task to its campaign."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey


class KlaviyoCampaignLink(BaseOperatorLink):
    """Opens the campaign in Klaviyo's web app (or on the sandbox's page).

    The operator pushes it as soon as the campaign's id is known, so that it is there while the task still waits.
    """

    @property
    def name(self) -> str:
        return "Klaviyo campaign"

    @property
    def xcom_key(self) -> str:
        return "klaviyo_campaign_link"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """The link as the running operator knows it; Airflow asks in the worker and keeps the answer."""
        link: Any = getattr(operator, "campaign_url", None)
        return link or ""


def campaign_url(base_url: str, campaign_id: str) -> str:
    """Where a person looks at a campaign."""
    if base_url.endswith(".klaviyo.com"):
        return f"https://www.klaviyo.com/campaign/{campaign_id}/wizard"
    return f"{base_url}/#{campaign_id}"
