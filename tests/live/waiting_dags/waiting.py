"""Waits that begin in the triggerer, and an asset that a campaign's end updates."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Asset, AssetWatcher

from airflow_provider_klaviyo.operators.campaigns import KlaviyoCloneCampaignOperator
from airflow_provider_klaviyo.sensors.audiences import KlaviyoAudienceReadySensor
from airflow_provider_klaviyo.sensors.campaigns import KlaviyoCampaignSendJobSensor, KlaviyoCampaignStatusSensor
from airflow_provider_klaviyo.triggers.campaigns import KlaviyoCampaignStatusEventTrigger

with DAG("waiting_from_trigger", schedule=None, params={"ids": []}):
    KlaviyoCampaignStatusSensor(
        task_id="sent", campaign_id="{{ params.ids[0] }}", start_from_trigger=True, poke_interval=2
    )
    KlaviyoCampaignStatusSensor(
        task_id="too_late", campaign_id="{{ params.ids[1] }}", start_from_trigger=True, poke_interval=1, timeout=5
    )
    clone = KlaviyoCloneCampaignOperator(
        task_id="clone", campaign_id="01H5QQV9F57XJHJDMD86RX4QM5", new_name="{{ run_id }}"
    )
    KlaviyoCampaignStatusSensor(
        task_id="cloned",
        campaign_id=clone.output,
        target_statuses=["Draft"],
        start_from_trigger=True,
        poke_interval=2,
        execution_timeout=timedelta(seconds=60),
    )
    KlaviyoCampaignSendJobSensor(
        task_id="job", campaign_id="{{ params.ids[0] }}", start_from_trigger=True, poke_interval=2
    )

with DAG("waiting_deadline", schedule=None, params={"ids": []}):
    KlaviyoCampaignStatusSensor(
        task_id="wait", campaign_id="{{ params.ids[0] }}", start_from_trigger=True, poke_interval=2, timeout=75
    )

with DAG("waiting_audience", schedule=None):
    about = {"list_id": "Y6nRLr", "settled": 4, "poke_interval": 2}
    KlaviyoAudienceReadySensor(task_id="rescheduled", mode="reschedule", deferrable=False, **about)
    for name in ("deferred", "deferred_too"):
        KlaviyoAudienceReadySensor(task_id=name, deferrable=True, **about)
    KlaviyoAudienceReadySensor(
        task_id="too_late", minimum=1_000, mode="reschedule", deferrable=False, timeout=6, **about
    )

# Airflow's triggerer reads the whole DAG again for each task that starts from its trigger: large DAGs would hold it up.
for part in range(50):
    with DAG(f"waiting_part_{part}", schedule=None, params={"ids": []}, max_active_tasks=1000):
        for number in range(20):
            KlaviyoCampaignStatusSensor(
                task_id=f"wait_{number}",
                campaign_id=f"{{{{ params.ids[{number}] }}}}",
                start_from_trigger=True,
                poke_interval=30,
            )

ended = Asset(
    "klaviyo_campaigns_ended",
    watchers=[AssetWatcher(name="ended", trigger=KlaviyoCampaignStatusEventTrigger(poll_interval=1))],
)
sent = Asset(
    "klaviyo_campaigns_sent",
    watchers=[AssetWatcher(name="sent", trigger=KlaviyoCampaignStatusEventTrigger(statuses=["Sent"], poll_interval=1))],
)
by_messages = Asset(
    "klaviyo_campaigns_ended_by_messages",
    watchers=[
        AssetWatcher(
            name="by_messages", trigger=KlaviyoCampaignStatusEventTrigger(revision="2026-10-15", poll_interval=1)
        )
    ],
)
with DAG("waiting_for_any_campaign", schedule=[ended]):
    KlaviyoCampaignStatusSensor(task_id="unused", campaign_id="none")
with DAG("waiting_for_any_sent", schedule=[sent]):
    KlaviyoCampaignStatusSensor(task_id="unused", campaign_id="none")
with DAG("waiting_for_any_messages", schedule=[by_messages]):
    KlaviyoCampaignStatusSensor(task_id="unused", campaign_id="none")
