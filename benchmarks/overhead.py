"""What a call costs in processor time: our client, Klaviyo's own SDK, and the bare HTTP libraries under them."""

from __future__ import annotations

import gc
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any
from urllib.parse import urlencode

import httpx

from benchmarks.report import Goal, Say, Section, table
from benchmarks.sandbox import KEY, SOURCE, clones, connection, sandbox, url

OURS, SDK, REQUESTS, URLLIB3 = "ours", "SDK", "bare requests", "bare urllib3"
PAGES = (20, 100)
BATCHES, CALLS = 30, 50
QUICK_BATCHES, QUICK_CALLS = 2, 5
TASKS, QUICK_TASKS = 9, 1
ONE, MANY, TASK_CALL = "get_campaign", f"get_campaigns, {PAGES[-1]} rows", "a task's only call"
GOALS = ((ONE, REQUESTS, 1.2), (MANY, REQUESTS, 0.8), (TASK_CALL, SDK, 0.3))
"""What a call of ours may cost at most, as a share of whose."""

FILTER = "and(equals(messages.channel,'email'),contains(name,'Of {size} '))"

TASK = {
    OURS: """
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
KlaviyoHook().call("get_campaign", path_params={"id": SOURCE})
""",
    SDK: """
from airflow.sdk import BaseHook
from klaviyo_api import KlaviyoAPI
connection = BaseHook.get_connection("klaviyo_default")
KlaviyoAPI(connection.password, test_host=connection.host).Campaigns.get_campaign(SOURCE)
""",
}
AROUND_TASK = """
import os, time
SOURCE = os.environ["BENCH_SOURCE"]
import airflow.sdk
began = time.process_time()
{task}
print(time.process_time() - began)
"""
ABOUT = """\
CPU time of the same call, made again and again over one open connection by `KlaviyoClient` and by klaviyo-api {sdk},
limits and pacing off, sandbox in another process: medians of {batches} batches of {calls} calls, in turns. What had
been loaded before is frozen for the garbage collector, whose passes over it would be charged to the one that runs into
them. What both stand on is shown bare, with nothing but `json.loads` on top: requests (ours), sending a request made
beforehand, and urllib3 (both). What is above that is the client's own; ours decodes with msgspec, which Airflow ships,
and which takes less time than `json.loads`. *A task's only call* is what one task pays: a fresh interpreter that has
Airflow's task SDK loaded imports the hook (or Klaviyo's SDK), reads the Airflow connection, connects and calls once;
best of {tasks}.
"""

Call = Callable[[], object]


def callers(base_url: str) -> Mapping[str, Mapping[str, Call]]:
    """By call, then by who makes it."""
    import requests
    import urllib3
    from klaviyo_api import KlaviyoAPI

    from airflow_provider_klaviyo.api.client import KlaviyoClient
    from airflow_provider_klaviyo.api.client_settings import ClientSettings, PrivateKey
    from airflow_provider_klaviyo.api.request import build

    client = KlaviyoClient(ClientSettings(PrivateKey(KEY), base_url=base_url))
    sdk = KlaviyoAPI(KEY, test_host=base_url)
    session = requests.Session()
    session.trust_env = False
    pool = urllib3.PoolManager()
    headers = {"Authorization": f"Klaviyo-API-Key {KEY}", "revision": "2026-04-15", "Accept-Encoding": "gzip"}

    def bare(path: str) -> dict[str, Call]:
        """The data of an answer."""
        address = base_url + path
        prepared = session.prepare_request(requests.Request("GET", address, headers))
        return {
            REQUESTS: lambda: json.loads(session.send(prepared, stream=True).raw.read(decode_content=True))["data"],
            URLLIB3: lambda: json.loads(pool.request("GET", address, headers=headers).data)["data"],
        }

    def page(size: int) -> dict[str, Call]:
        chosen = FILTER.format(size=size)
        query = {"filter": chosen}

        def checked(rows: Sequence[Any]) -> None:
            assert len(rows) == size

        return {
            OURS: lambda: checked(client.send(build("get_campaigns", query=query)).resources),
            SDK: lambda: checked(sdk.Campaigns.get_campaigns(chosen).data),
            **bare(f"/api/campaigns?{urlencode(query)}"),
        }

    one: dict[str, Call] = {
        OURS: lambda: client.send(build("get_campaign", path_params={"id": SOURCE})).resource,
        SDK: lambda: sdk.Campaigns.get_campaign(SOURCE).data,
        **bare(f"/api/campaigns/{SOURCE}"),
    }
    return {ONE: one} | {f"get_campaigns, {size} rows": page(size) for size in PAGES}


def per_call(call: Call, times: int) -> float:
    """CPU milliseconds of this process."""
    began = time.process_time()
    for _ in range(times):
        call()
    return 1000 * (time.process_time() - began) / times


def medians(calls: Mapping[str, Call], batches: int, times: int) -> dict[str, float]:
    for call in calls.values():
        per_call(call, times)
    gc.collect()
    gc.freeze()
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(batches):
        for name, call in calls.items():
            taken[name].append(per_call(call, times))
    return {name: statistics.median(values) for name, values in taken.items()}


def only_call(http: httpx.Client, rounds: int) -> dict[str, float]:
    """CPU milliseconds of a task that makes one call."""
    env = os.environ | {"AIRFLOW_CONN_KLAVIYO_DEFAULT": json.dumps(connection(http)), "BENCH_SOURCE": SOURCE}
    best: dict[str, float] = {}
    for _ in range(rounds):
        for name, task in TASK.items():
            command = [sys.executable, "-c", AROUND_TASK.format(task=task)]
            printed = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
            best[name] = min(1000 * float(printed.splitlines()[-1]), best.get(name, float("inf")))
    return best


def section(quick: bool, say: Say) -> Section:
    batches, times, tasks = (QUICK_BATCHES, QUICK_CALLS, QUICK_TASKS) if quick else (BATCHES, CALLS, TASKS)
    found: dict[str, dict[str, float]] = {}
    with sandbox(limits=False) as http:
        for size in PAGES:
            clones(http, size, f"Of {size} ")
        for what, calls in callers(url(http)).items():
            found[what] = medians(calls, batches, times)
            say(f"{what}: {', '.join(f'{name} {value:.2f} ms' for name, value in found[what].items())}")
        found[TASK_CALL] = only_call(http, tasks)
        say(TASK_CALL)
    rows, goals = [], []
    for what, taken in found.items():
        rows += [[what, by, f"{value:.2f}", f"{value / taken[SDK]:.2f}"] for by, value in taken.items()]
    for what, peer, most in GOALS:
        ratio = found[what][OURS] / found[what][peer]
        goals.append(Goal(f"{what}: at most {most:g} x the CPU of {peer}", f"{ratio:.2f} x", ratio <= most))
    about = ABOUT.format(sdk=version("klaviyo-api"), batches=batches, calls=times, tasks=tasks)
    return Section(about, table(["call", "by", "CPU, ms", "of the SDK's"], rows), goals)
