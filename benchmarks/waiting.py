"""What waiting costs: many campaigns, one event loop, one sandbox.

Two ways to wait are measured, with the same triggers, HTTP client and judgement of each look:

``shared``  the triggers as they are: all of a connection share one poller
``alone``   each trigger looks for itself, as the triggers of other providers do; one HTTP client serves them all

The interval is 3 s in place of the 30 s of an operator, to be done in minutes: requests a round stay as they are, and
CPU a minute is that of the two rounds which a minute has at 30 s. Sandbox, measured process and sender are three
processes. Rate limits are off: with them, 1,000 waits looking alone would need seven minutes a round. What Airflow has
loaded is frozen for the garbage collector: a full collection takes 0.1 s, whoever waits, and would hide the rest.
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
from typing import Any

import httpx
import psutil

from benchmarks.report import Goal, Say, Section
from benchmarks.sandbox import clones, connection, post, sandbox

INTERVAL, QUICK_INTERVAL = 3.0, 0.5
SETTLING = 2
ROUNDS = 5
HEARTBEAT = 0.005
SIZES, QUICK_SIZES = (10, 100, 1000, 5000), (10,)
WAYS = ("shared", "alone")
MOST_ALONE = 1000
"""Beyond this a loop of waits that look alone does not keep up with the scaled interval."""

AT_GOAL, REQUESTS = 1000, 12
LONGEST_BLOCK = 0.05

ABOUT = """\
Deferred tasks that wait for their campaign to be sent, in one process on one event loop, as in a triggerer. *Shared*
is this package: all waits of a connection share one poller. *Alone* is what the triggers of other providers do: each
looks for itself; it has the same HTTP client and the same judgement of each look. In brackets: of shared. Where
a row says *did not keep up*, other load on the machine kept the waits from looking once a round, and its ratios say
nothing.

The interval is {interval:g} s in place of an operator's 30 s. Requests a round stay as they are; CPU a minute is that
of the two rounds which a minute has at 30 s. *Delay* is from a campaign's becoming `Sent` to the end of its wait.
*Longest block* is the longest time that the loop could not turn, other processes' turns on the cores included; *of
work* is the loop's own work in it. Limits are off: with them, 1,000 waits alone would need seven minutes a round.
"""


@dataclass(frozen=True, slots=True)
class Result:
    """One row of the table."""

    way: str
    campaigns: int
    requests_a_round: float
    delay_p95: float
    cpu_a_minute: float
    longest_block: float
    busiest: float
    kilobytes_a_wait: float

    @property
    def keeps_up(self) -> bool:
        """True if each campaign was looked at in each round."""
        return self.way == "shared" or self.requests_a_round > 0.9 * self.campaigns


# The measured process


class Heart:
    """Beats on the event loop, and notes the longest time that it could not.

    :ivar longest: seconds on the clock, other processes' turns on the processor included.
    :ivar busiest: seconds that the loop's own thread worked between two beats.
    """

    def __init__(self) -> None:
        self.longest = self.busiest = 0.0

    async def beat(self) -> None:
        last, worked = time.perf_counter(), time.thread_time()
        while True:
            await asyncio.sleep(HEARTBEAT)
            self.longest = max(self.longest, time.perf_counter() - last - HEARTBEAT)
            self.busiest = max(self.busiest, time.thread_time() - worked)
            last, worked = time.perf_counter(), time.thread_time()


async def wait_shared(trigger: Any, _: Any) -> dict[str, Any]:
    [payload] = [event.payload async for event in trigger.run()]
    return dict(payload)


async def wait_alone(trigger: Any, hook: Any) -> dict[str, Any]:
    wait = trigger.wait()
    while True:
        event = wait.after(await hook.run(trigger.look((await hook.aget_conn()).settings.revision)), time.time())
        if event is not None:
            return dict(event)
        await asyncio.sleep(wait.pause(time.time()))


async def measure(way: str, pipe: int, interval: float, ids: Sequence[str]) -> None:
    """Wait for all campaigns; tell of the idle rounds when they are over, and of each end when all have ended."""

    def say(what: dict[str, Any]) -> None:
        os.write(pipe, (json.dumps(what) + "\n").encode())

    from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoAsyncHook
    from airflow_provider_klaviyo.triggers.campaigns import KlaviyoCampaignStatusTrigger

    process = psutil.Process()
    wait = {"shared": wait_shared, "alone": wait_alone}[way]
    ended: dict[str, float] = {}

    async def one(campaign_id: str, hook: KlaviyoAsyncHook) -> None:
        trigger = KlaviyoCampaignStatusTrigger(
            campaign_id=campaign_id, deadline=time.time() + 3600, poll_interval=interval
        )
        event = await wait(trigger, hook)
        ended[event["campaign_id"]] = time.time()

    heart = Heart()
    beating = asyncio.create_task(heart.beat())
    async with KlaviyoAsyncHook() as hook:
        await hook.aget_conn()
        await asyncio.sleep(0.5)
        gc.freeze()
        heart.longest = heart.busiest = 0.0
        memory = process.memory_info().rss
        waits = []
        for campaign_id in ids:
            waits.append(asyncio.create_task(one(campaign_id, hook)))
            await asyncio.sleep(0)  # As the triggerer does.
        await asyncio.sleep(SETTLING * interval)
        memory = process.memory_info().rss - memory
        began, cpu = time.time(), time.process_time()
        await asyncio.sleep(ROUNDS * interval)
        idle = {"began": began, "ended": time.time(), "cpu": time.process_time() - cpu, "memory": memory}
        say(idle)
        await asyncio.gather(*waits)
    beating.cancel()
    say({"ended": ended, "longest_block": heart.longest, "busiest": heart.busiest})


# The process that starts, sends, and reads the sandbox's own count


def run(way: str, count: int, interval: float) -> Result:
    with sandbox(limits=False) as http:
        ids = clones(http, count)
        env = {**os.environ, "AIRFLOW_CONN_KLAVIYO_DEFAULT": json.dumps(connection(http))}
        reading, writing = os.pipe()
        command = [sys.executable, "-m", "benchmarks.waiting", way, str(writing), str(interval)]
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
        requests_a_round=sum(idle["began"] <= moment < idle["ended"] for moment in at) / rounds,
        delay_p95=statistics.quantiles(delays, n=20)[-1],
        cpu_a_minute=2 * idle["cpu"] / rounds,
        longest_block=outcome["longest_block"],
        busiest=outcome["busiest"],
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
| campaigns | way | requests a round | delay p95, s | CPU s/min | longest block, ms | of work, ms | KiB a wait |
|---:|---|---:|---:|---:|---:|---:|---:|"""


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
            cell(1000 * result.busiest, 1000 * base.busiest, "{:.0f}", result is base),
            cell(result.kilobytes_a_wait, base.kilobytes_a_wait, "{:.1f}", result is base),
        ]
        way = result.way if result.keeps_up else f"{result.way}, did not keep up"
        lines.append(f"| {result.campaigns:,} | {way} | {' | '.join(cells)} |")
    return "\n".join(lines)


def cell(value: float, base: float, form: str, is_base: bool) -> str:
    ratio = "" if is_base or base <= 0 else f" ({value / base:.1f} x)"
    return form.format(value) + ratio


def section(quick: bool, say: Say) -> Section:
    interval = QUICK_INTERVAL if quick else INTERVAL
    results = []
    for count in QUICK_SIZES if quick else SIZES:
        for way in WAYS:
            if way == "shared" or count <= MOST_ALONE:
                results.append(run(way, count, interval))
                say(f"{count:,} {way}: {results[-1].requests_a_round:.1f} requests a round")
    goals = []
    for result in results:
        if (result.way, result.campaigns) == ("shared", AT_GOAL):
            requests, block = result.requests_a_round, result.longest_block
            goals += [
                Goal(
                    f"{AT_GOAL:,} campaigns: at most {REQUESTS} requests a round",
                    f"{requests:.1f}",
                    requests <= REQUESTS,
                ),
                Goal(f"{AT_GOAL:,} campaigns: no block over 50 ms", f"{1000 * block:.0f} ms", block <= LONGEST_BLOCK),
            ]
    return Section(ABOUT.format(interval=interval), table(results), goals)


if __name__ == "__main__":
    asyncio.run(measure(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), json.load(sys.stdin)))
