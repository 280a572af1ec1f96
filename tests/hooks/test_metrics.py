"""What a StatsD server hears of calls to Klaviyo."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.support.sandbox import DRAFT_EMAIL, Klaviyo

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


class StatsD:
    """Listens to metrics on a UDP port."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.2)
        self.port: int = self._socket.getsockname()[1]

    def heard(self) -> list[str]:
        lines: list[str] = []
        try:
            while True:
                lines += self._socket.recv(65536).decode().splitlines()
        except TimeoutError:
            return [line.removeprefix("airflow.") for line in lines if "klaviyo" in line]

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def statsd() -> Iterator[StatsD]:
    server = StatsD()
    yield server
    server.close()


def run(script: str, klaviyo: Klaviyo, statsd: StatsD, **extra: object) -> None:
    """Run something in a process of its own, as Airflow does."""
    connection = {"conn_type": "klaviyo", "host": klaviyo.url, "password": "pk_metrics", "extra": extra}
    env = {
        "AIRFLOW_CONN_KLAVIYO_DEFAULT": json.dumps(connection),
        "AIRFLOW__METRICS__STATSD_ON": "True",
        "AIRFLOW__METRICS__STATSD_PORT": str(statsd.port),
        "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
    }
    subprocess.run([sys.executable, "-c", script], env={**os.environ, **env}, check=True, capture_output=True)


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


def test_the_poller_tells_how_many_waits_it_has(klaviyo: Klaviyo, statsd: StatsD) -> None:
    run(WAITS, klaviyo, statsd)
    gauges = [line for line in statsd.heard() if line.startswith("klaviyo.poller")]
    assert gauges == [f"klaviyo.poller.campaigns,conn_id=klaviyo_default:{waits}|g" for waits in (1, 2, 1, 0)]
