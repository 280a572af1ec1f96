"""Create and send with Airflow's own ``ResumableJobMixin`` (Airflow 3.3 and later) over our client."""

from __future__ import annotations

import time
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.bases.resumablejobmixin import ResumableJobMixin

from airflow_provider_klaviyo.campaigns import email
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from proof.airflow import Run


class _Resumable(ResumableJobMixin, BaseOperator):
    """The part that both operators share."""

    external_id_key = "campaign_id"

    def __init__(self, *, conn_id: str, run: Run, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.run_ = run
        self.hook = KlaviyoHook(conn_id)

    def execute(self, context: Any) -> Any:
        return self.execute_resumable(context)

    def get_job_status(self, external_id: Any, context: Any) -> str:
        return str(self.hook.get_campaign(external_id).attributes["status"])

    def get_job_result(self, external_id: Any, context: Any) -> Any:
        return external_id


class ResumableCreate(_Resumable):
    def __init__(self, *, included: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.included = included

    def submit_job(self, context: Any) -> Any:
        attributes = {"name": self.run_.names[0], "audiences": {"included": [self.included]}}
        return self.hook.create_campaign(attributes, [email(subject="Sale", label="Sale")]).id

    def is_job_active(self, status: str) -> bool:
        return False

    def is_job_succeeded(self, status: str) -> bool:
        return True

    def poll_until_complete(self, external_id: Any, context: Any) -> None:
        return None


class ResumableSend(_Resumable):
    def submit_job(self, context: Any) -> Any:
        campaign = self.run_.xcom("create")
        self.hook.send_campaign(campaign)
        return campaign

    def is_job_active(self, status: str) -> bool:
        return status not in ("Draft", "Sent") and not status.startswith("Cancelled")

    def is_job_succeeded(self, status: str) -> bool:
        return status == "Sent"

    def poll_until_complete(self, external_id: Any, context: Any) -> Any:
        for _ in range(120):
            status = self.get_job_status(external_id, context)
            if self.is_job_succeeded(status):
                return external_id
            if not self.is_job_active(status):
                raise RuntimeError(f"campaign {external_id} is {status}")
            time.sleep(30)
        raise TimeoutError(f"campaign {external_id} is not sent")
