"""What an Airflow without the newer features gets: a reason, or what it always had. Simulated where it has them."""

from __future__ import annotations

import subprocess
import sys

import pytest
from airflow.sdk import DAG

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.sensors import campaigns
from airflow_provider_klaviyo.sensors.campaigns import KlaviyoCampaignStatusSensor
from tests.support.sandbox import SENT


def test_start_from_trigger_is_refused_and_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaigns, "AIRFLOW_V_3_3_PLUS", False)
    with pytest.raises(KlaviyoValidationError, match=r"Airflow 3\.3") as caught:
        KlaviyoCampaignStatusSensor(task_id="wait", campaign_id=SENT, start_from_trigger=True)
    assert caught.value.pointer == "start_from_trigger"


def test_without_it_a_sensor_begins_in_a_worker() -> None:
    sensor = KlaviyoCampaignStatusSensor(task_id="wait", campaign_id=SENT, deferrable=True)
    assert not sensor.start_from_trigger


def test_a_mapped_sensor_without_it_is_as_ever() -> None:
    with DAG("campaigns", schedule=None) as dag:
        KlaviyoCampaignStatusSensor.partial(task_id="wait", deferrable=True).expand(campaign_id=["a", "b"])
    assert not dag.get_task("wait").start_from_trigger


def test_the_retry_policy_can_be_imported_and_says_what_it_needs() -> None:
    script = """
import airflow.sdk as sdk
find = sdk.__getattr__
def without(name):
    if name.startswith("Retry"):
        raise AttributeError(name)
    return find(name)
sdk.__getattr__ = without
from airflow_provider_klaviyo.retry_policy import KlaviyoRetryPolicy
try:
    KlaviyoRetryPolicy()
except Exception as error:
    print(f"{type(error).__name__}: {error}")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "KlaviyoError: KlaviyoRetryPolicy needs Airflow 3.3 or later" in done.stdout
