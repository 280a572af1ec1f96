"""What a StatsD server hears of calls to Klaviyo."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import pytest
from packaging.version import Version

from tests.support.airflow_versions import AIRFLOW
from tests.support.sandbox import DRAFT_EMAIL, Klaviyo
from tests.support.statsd import StatsD

AS_TASKS_BEGIN = {
    "3.0": "",
    "3.2": """
from airflow.sdk.observability.metrics import stats_utils
from airflow.sdk.observability.stats import Stats
Stats.initialize(factory=stats_utils.get_stats_factory(Stats))
""",
    "3.3": """
from airflow.sdk.configuration import conf
from airflow.sdk.observability import stats
from airflow.sdk.observability.metrics import stats_utils
stats.initialize(
    factory=stats_utils.get_stats_factory(), export_legacy_names=conf.getboolean("metrics", "legacy_names_on")
)
""",
}
"""What Airflow does first in the processes of tasks and triggers, since when; before 3.2, metrics set themselves up."""

CALLS = f"""
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
hook = KlaviyoHook()
for _ in range(2):
    hook.get_campaign({DRAFT_EMAIL!r})
"""

WAITS = f"""
import asyncio, time
from airflow_provider_klaviyo.triggers.campaigns import KlaviyoCampaignStatusTrigger

async def wait_for(campaign_id):
    trigger = KlaviyoCampaignStatusTrigger(campaign_id=campaign_id, deadline=time.time() + 1, poll_interval=0.2)
    return [event async for event in trigger.run()]

async def main():
    await asyncio.gather(wait_for({DRAFT_EMAIL!r}), wait_for({DRAFT_EMAIL!r}))

asyncio.run(main())
"""


@pytest.fixture
def statsd() -> Iterator[StatsD]:
    server = StatsD()
    yield server
    server.close()


def run(script: str, klaviyo: Klaviyo, statsd: StatsD, **extra: object) -> None:
    """Run something in a process of its own, as Airflow does."""
    connection = {"conn_type": "klaviyo", "host": klaviyo.url, "password": "pk_metrics", "extra": extra}
    env = {**os.environ, **statsd.settings(), "AIRFLOW_CONN_KLAVIYO_DEFAULT": json.dumps(connection)}
    begin = AS_TASKS_BEGIN[max((since for since in AS_TASKS_BEGIN if Version(since) <= AIRFLOW), key=Version)]
    subprocess.run([sys.executable, "-c", begin + script], env=env, check=True, capture_output=True)


def test_each_exchange_is_counted_by_operation_and_status(klaviyo: Klaviyo, statsd: StatsD) -> None:
    klaviyo.fail("get_campaign", "throttle", retry_after=1, times=1)
    run(CALLS, klaviyo, statsd)
    assert klaviyo.fired() == [1]
    assert Counter(statsd.heard()) == {
        "klaviyo.api.requests,operation=get_campaign,status=429:1|c": 1,
        "klaviyo.api.throttled,operation=get_campaign:1|c": 1,
        "klaviyo.api.requests,operation=get_campaign,status=200:1|c": 2,
    }


def test_waiting_for_ones_turn_is_timed(klaviyo: Klaviyo, statsd: StatsD) -> None:
    """A share of 0.1 leaves one call of this operation in a second."""
    run(CALLS, klaviyo, statsd, rate_limit={"share": 0.1})
    waits = [line for line in statsd.heard() if line.startswith("klaviyo.api.wait_seconds,operation=get_campaign:")]
    [wait] = waits
    milliseconds, kind = wait.rpartition(":")[2].split("|")
    assert kind == "ms"
    assert 100 < float(milliseconds) < 2000


def test_the_poller_reports_how_many_waits_it_has(klaviyo: Klaviyo, statsd: StatsD) -> None:
    run(WAITS, klaviyo, statsd)
    gauges = [line for line in statsd.heard() if line.startswith("klaviyo.poller")]
    assert gauges == [f"klaviyo.poller.campaigns,conn_id=klaviyo_default:{waits}|g" for waits in (1, 2, 1, 0)]
