"""The metrics that a real Airflow sends: those of its tasks' processes and those of its triggerer."""

from __future__ import annotations

import httpx

from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from harness.local_airflow import LocalAirflow
from tests.support.statsd import StatsD

LIFECYCLE = "klaviyo_campaign_lifecycle"


def test_tasks_and_triggers_send_their_metrics(airflow: LocalAirflow, sandbox: Sandbox, statsd: StatsD) -> None:
    httpx.post(f"{sandbox.url}/sandbox/reset").raise_for_status()
    statsd.heard()
    run_id = airflow.trigger(LIFECYCLE)
    assert airflow.wait_for(LIFECYCLE, run_id) == "success"
    heard = statsd.heard()
    assert heard.count("klaviyo.api.requests,operation=create_campaign,status=201:1|c") == 1
    assert heard.count("klaviyo.api.requests,operation=send_campaign,status=202:1|c") == 1
    waits = [line for line in heard if line.startswith("klaviyo.poller.campaigns,conn_id=klaviyo_default:")]
    assert waits[0].endswith(":1|g")
    assert waits[-1].endswith(":0|g")
