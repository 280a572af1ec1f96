"""A task that fails twice, and its DAG, each with a notice."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, task

from airflow_provider_klaviyo.notifications.klaviyo import KlaviyoEventNotifier

WHO = {"email": "on-call@example.com"}

with DAG(
    "notified", schedule=None, on_failure_callback=KlaviyoEventNotifier(metric="DAG failed {{ run_id }}", profile=WHO)
):

    @task(
        retries=1,
        retry_delay=timedelta(seconds=0),
        on_retry_callback=KlaviyoEventNotifier(metric="Task tried {{ run_id }}", profile=WHO),
        on_failure_callback=KlaviyoEventNotifier(metric="Task failed {{ run_id }}", profile=WHO),
    )
    def fail() -> None:
        """Fail."""
        raise RuntimeError("on purpose")

    fail()
