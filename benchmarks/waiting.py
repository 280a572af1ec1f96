"""What waiting costs: many campaigns, one event loop, one sandbox.

Two ways to wait are measured, with the same triggers, HTTP client and judgement of each look:

``shared``  the triggers as they are: all of a connection share one poller
``alone``   each trigger looks for itself, as the triggers of other providers do; one HTTP client serves them all

The interval is 3 s in place of the 30 s of an operator, to be done in minutes: requests a round stay as they are, and
CPU a minute is that of the two rounds which a minute has at 30 s. Sandbox, measured process and sender are three
processes. Rate limits are off: with them, 1,000 waits looking alone would need seven minutes a round. What Airflow has
loaded is frozen for the garbage collector: a full collection takes 0.1 s, whoever waits, and would hide the rest.

Several connections have a key each, and so a poller each, and one sandbox, which has one account behind all keys.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import cycle
from typing import Any

import httpx
import psutil

from benchmarks.report import Goal, Say, Section
from benchmarks.sandbox import KEY, clones, connection, post, sandbox

INTERVAL, QUICK_INTERVAL = 3.0, 0.5
LONG_INTERVAL = 10.0
"""For as many waits as one sandbox cannot list in 3 s."""

SETTLING = 2
ROUNDS = 5
HEARTBEAT = 0.005
SIZES, QUICK_SIZES = (10, 100, 1000, 5000), (10,)
MANY, QUICK_MANY, CONNECTIONS = 10_000, 20, 10
WAYS = ("shared", "alone")
MOST_ALONE = 1000
"""Beyond this a loop of waits that look alone does not keep up with the scaled interval."""

AT_GOAL, REQUESTS = 1000, 12
UNBLOCKED = (1000, 5000)
LONGEST_BLOCK = 0.05

ABOUT = """\
Deferred tasks that wait for their campaign to be sent, in one process on one event loop, as in a triggerer. *Shared*
is this package: all waits of a connection share one poller. *Alone* is what the triggers of other providers do: each
looks for itself; it has the same HTTP client and the same judgement of each look. In brackets: of shared. Where
a row says *did not keep up*, other load on the machine kept the waits from looking once a round, and its ratios say
nothing.

The interval is {interval:g} s in place of an operator's 30 s, and {long:g} s for {many:,} campaigns, which one sandbox
could not list in time otherwise. Requests a round stay as they are; CPU a minute is that of the two rounds which a
minute has at 30 s. *Delay* is from a campaign's becoming `Sent` to the end of its wait.

*Longest block* is the longest time that the loop could not turn, on the clock. *Own* is the same without the time in
which its thread stood in line for a core that other processes had, which Linux counts; the goals are about that. With
ten *connections*, each has its key and its poller, and one sandbox has one account for all. Limits are off: with them,
1,000 waits alone would need seven minutes a round. What Airflow itself keeps for each deferred task, and what it has
loaded, is in none of the figures: see [scaling](scaling.md).
"""


@dataclass(frozen=True, slots=True)
class Result:
    """One row of the table."""

    way: str
    campaigns: int
    connections: int
    requests_a_round: float
    delay_p95: float
    cpu_a_minute: float
    longest_block: float
    own_block: float
    kilobytes_a_wait: float

    @property
    def keeps_up(self) -> bool:
        """True if each campaign was looked at in each round."""
        return self.requests_a_round > 0.9 * self.campaigns / (100 if self.way == "shared" else 1)


# The measured process


class Heart:
    """Beats on the event loop, and notes the longest time that it could not.

    :ivar longest: seconds on the clock.
    :ivar own: seconds without those in which the loop's thread stood in line for a core.
    """

    def __init__(self) -> None:
        self.longest = self.own = 0.0
        self._counted = os.open("/proc/thread-self/schedstat", os.O_RDONLY) if sys.platform == "linux" else None

    async def beat(self) -> None:
        last, stood = time.perf_counter(), self._in_line()
        while True:
            await asyncio.sleep(HEARTBEAT)
            took, line = time.perf_counter() - last, self._in_line() - stood
            self.longest = max(self.longest, took - HEARTBEAT)
            self.own = max(self.own, min(took - HEARTBEAT, took - line))
            last, stood = last + took, stood + line

    def _in_line(self) -> float:
        """Seconds in which the thread could have run, and had no core; 0 where nobody counts them."""
        return 0.0 if self._counted is None else int(os.pread(self._counted, 100, 0).split()[1]) / 1e9


async def wait_shared(trigger: Any, _: Any) -> dict[str, Any]:
    payload: dict[str, Any] = {}
    async for event in trigger.run():
        payload = event.payload
    return payload


async def wait_alone(trigger: Any, hook: Any) -> dict[str, Any]:
    wait = trigger.wait()
    while True:
        event = wait.after(await hook.run(trigger.look((await hook.aget_conn()).settings.revision)), time.time())
        if event is not None:
            return dict(event)
        await asyncio.sleep(wait.pause(time.time()))


async def measure(way: str, pipe: int, interval: float, connections: int, ids: Sequence[str]) -> None:
    """Wait for all campaigns; tell of the idle rounds when they are over, and of each end when all have ended."""

    def say(what: dict[str, Any]) -> None:
        os.write(pipe, (json.dumps(what) + "\n").encode())

    from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoAsyncHook
    from airflow_provider_klaviyo.triggers.campaigns import KlaviyoCampaignStatusTrigger

    process = psutil.Process()
    wait = {"shared": wait_shared, "alone": wait_alone}[way]
    ended: dict[str, float] = {}

    async def one(campaign_id: str, conn_id: str, hook: KlaviyoAsyncHook) -> None:
        trigger = KlaviyoCampaignStatusTrigger(
            campaign_id=campaign_id, klaviyo_conn_id=conn_id, deadline=time.time() + 3600, poll_interval=interval
        )
        event = await wait(trigger, hook)
        ended[event["campaign_id"]] = time.time()

    heart = Heart()
    beating = asyncio.create_task(heart.beat())
    conn_ids = [f"klaviyo_{number}" for number in range(connections)]
    async with KlaviyoAsyncHook(conn_ids[0]) as hook:
        await hook.get_account()  # It loads what the first call of a process loads; a triggerer has it.
        await asyncio.sleep(0.5)
        gc.freeze()
        heart.longest = heart.own = 0.0
        memory = process.memory_info().rss
        waits = []
        for campaign_id, conn_id in zip(ids, cycle(conn_ids), strict=False):
            waits.append(asyncio.create_task(one(campaign_id, conn_id, hook)))
            await asyncio.sleep(0)  # As the triggerer does.
        await asyncio.sleep(SETTLING * interval)
        memory = process.memory_info().rss - memory
        began, cpu = time.time(), time.process_time()
        await asyncio.sleep(ROUNDS * interval)
        idle = {"began": began, "ended": time.time(), "cpu": time.process_time() - cpu, "memory": memory}
        say(idle)
        for waiting in waits:
            await waiting
    beating.cancel()
    say({"ended": ended, "longest_block": heart.longest, "own_block": heart.own})


# The process that starts, sends, and reads the sandbox's own count


def run(way: str, count: int, interval: float, connections: int = 1) -> Result:
    with sandbox(limits=False) as http:
        ids = clones(http, count)
        env = dict(os.environ)
        for number in range(connections):
            one = {**connection(http), "password": f"{KEY}_{number}"}
            env[f"AIRFLOW_CONN_KLAVIYO_{number}"] = json.dumps(one)
        reading, writing = os.pipe()
        command = [sys.executable, "-m", "benchmarks.waiting", way, str(writing), str(interval), str(connections)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=env, pass_fds=[writing], text=True
        ) as process:
            os.close(writing)
            assert process.stdin is not None
            process.stdin.write(json.dumps(ids))
            process.stdin.close()
            with open(reading) as told:
                idle = json.loads(told.readline())
                for campaign_id in ids:
                    post(http, "/api/campaign-send-jobs", type="campaign-send-job", id=campaign_id)
                outcome = json.loads(told.readline())
        rows = http.get("/sandbox/requests").json()
        sent = dict(moments(http))
    at = [datetime.fromisoformat(row["at"]).timestamp() for row in rows if row["method"] == "GET"]
    rounds = (idle["ended"] - idle["began"]) / interval
    delays = [outcome["ended"][campaign_id] - sent[campaign_id] for campaign_id in ids]
    return Result(
        way=way,
        campaigns=count,
        connections=connections,
        requests_a_round=sum(idle["began"] <= moment < idle["ended"] for moment in at) / rounds,
        delay_p95=statistics.quantiles(delays, n=20)[-1],
        cpu_a_minute=2 * idle["cpu"] / rounds,
        longest_block=outcome["longest_block"],
        own_block=outcome["own_block"],
        kilobytes_a_wait=idle["memory"] / count / 1024,
    )


def moments(http: httpx.Client) -> Iterator[tuple[str, float]]:
    """When each campaign became ``Sent``, as the sandbox tells."""
    url: str | None = "/api/campaigns?filter=equals(messages.channel,'email')"
    while url:
        page = http.get(url).raise_for_status().json()
        for campaign in page["data"]:
            yield campaign["id"], datetime.fromisoformat(campaign["attributes"]["updated_at"]).timestamp()
        url = page["links"]["next"]


HEADER = """\
| campaigns | connections | way | requests a round | delay p95, s | CPU s/min | longest block, ms | own | KiB a wait |
|---:|---:|---|---:|---:|---:|---:|---:|---:|"""


def table(results: Sequence[Result]) -> str:
    """The results as Markdown, each way alone with its ratio to the shared one."""
    lines = [HEADER]
    shared = {result.campaigns: result for result in results if result.way == "shared"}
    for result in results:
        base = shared[result.campaigns]
        cells = [
            cell(result.requests_a_round, base.requests_a_round, "{:.1f}", result is base),
            cell(result.delay_p95, base.delay_p95, "{:.2f}", result is base),
            cell(result.cpu_a_minute, base.cpu_a_minute, "{:.3f}", result is base),
            cell(1000 * result.longest_block, 1000 * base.longest_block, "{:.0f}", result is base),
            cell(1000 * result.own_block, 1000 * base.own_block, "{:.0f}", result is base),
            cell(result.kilobytes_a_wait, base.kilobytes_a_wait, "{:.1f}", result is base),
        ]
        way = result.way if result.keeps_up else f"{result.way}, did not keep up"
        lines.append(f"| {result.campaigns:,} | {result.connections} | {way} | {' | '.join(cells)} |")
    return "\n".join(lines)


def cell(value: float, base: float, form: str, is_base: bool) -> str:
    ratio = "" if is_base or base <= 0 else f" ({value / base:.1f} x)"
    return form.format(value) + ratio


def section(quick: bool, say: Say) -> Section:
    interval = QUICK_INTERVAL if quick else INTERVAL
    rows = [(way, count, interval, 1) for count in (QUICK_SIZES if quick else SIZES) for way in WAYS]
    rows.append(("shared", QUICK_MANY, interval, 2) if quick else ("shared", MANY, LONG_INTERVAL, CONNECTIONS))
    results = []
    for way, count, seconds, connections in rows:
        if way == "shared" or count <= MOST_ALONE:
            results.append(run(way, count, seconds, connections))
            say(f"{count:,} {way}: {results[-1].requests_a_round:.1f} requests a round")
    shared = {result.campaigns: result for result in results if result.way == "shared"}
    goals = []
    if AT_GOAL in shared:
        found = shared[AT_GOAL].requests_a_round
        what = f"{AT_GOAL:,} campaigns: at most {REQUESTS} requests a round"
        goals.append(Goal(what, f"{found:.1f}", found <= REQUESTS))
    for count in UNBLOCKED:
        if count in shared:
            own = shared[count].own_block
            what = f"{count:,} campaigns: no block of its own over 50 ms"
            goals.append(Goal(what, f"{1000 * own:.0f} ms", own <= LONGEST_BLOCK))
    about = ABOUT.format(interval=interval, long=LONG_INTERVAL, many=MANY)
    return Section(about, table(results), goals)


if __name__ == "__main__":
    asyncio.run(measure(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]), json.load(sys.stdin)))
