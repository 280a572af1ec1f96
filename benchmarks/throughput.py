"""How much of Klaviyo's limits four processes with one key make use of, and how many calls are refused on the way.

The sandbox counts in fixed seconds and minutes of the clock, 10 and 150 calls of ``get_campaign``. All begin when one
of its minutes does, so what it lets through in a time is known exactly: see :func:`legal`.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from itertools import count
from typing import Any

import httpx

from airflow_provider_klaviyo.api import operations
from benchmarks.limiter import limits_library, pyrate, redis_server
from benchmarks.report import Goal, Say, Section, table
from benchmarks.sandbox import KEY, SOURCE, connection, sandbox

PROCESSES = 4
CALLS = 300
SECONDS, QUICK_SECONDS = 120, 3
LATEST = 20
"""Seconds after the measured time in which the last of the calls are still waited for."""

PART, FAIRNESS = 0.97, 1.5
LIMITS = operations.get("get_campaign").limits
ABOUT = """\
{processes} processes with one key call `get_campaign` as fast as they are let, on the sandbox with its limits on
({burst} a second, {steady} a minute, both in fixed windows of the clock). All begin at the start of a minute. No
caller can have more than **{steady} calls in each minute, {burst} in each second of it: {legal} in the {seconds} s
that are measured**. That is the legal maximum; *of the maximum* is calls answered 200 / {legal}, *of its own* the
same with {steady} x `share` a minute. *Fairness* is the most calls of a process / the fewest. *Until {calls}* is the
time of the {calls}th call answered 200: where a window slides, the last few of {calls} fall into the third minute.
*Failed* calls raised an error to their caller.

All ways are measured at the same time, each with a sandbox of its own. Ours is a `KlaviyoHook`, with the extra
`rate_limit` as named, on a host that has not seen the key before. The others are klaviyo-api {sdk} with its retries
as they are by default, bare or behind pyrate-limiter {pyrate} (SQLite with a file lock) or limits {limits} (Redis).
The fixed windows of limits are those of the same clock, so they happen to be the sandbox's own; with Klaviyo, whose
windows begin when it likes, they would not be. See *limiter*.
"""

Caller = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Way:
    """A way to call.

    :param make: makes, in each process, what makes one call; given a directory and a Redis URL that they share.
    :param share: part of the limits that it may use.
    """

    name: str
    make: Callable[[Mapping[str, Any], str, str], Caller]
    share: float = 1.0
    needs_redis: bool = False
    is_paced: bool = False


def ours(rate_limit: Any) -> Callable[[Mapping[str, Any], str, str], Caller]:
    def make(given: Mapping[str, Any], directory: str, _: str) -> Caller:
        os.environ["AIRFLOW_HOME"] = directory
        os.environ["AIRFLOW_CONN_KLAVIYO_DEFAULT"] = json.dumps({**given, "extra": {"rate_limit": rate_limit}})
        from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook

        hook = KlaviyoHook()
        hook.get_conn()
        return lambda: hook.call("get_campaign", path_params={"id": SOURCE})

    return make


def sdk(limiter: Callable[[str, str], Caller] | None = None) -> Callable[[Mapping[str, Any], str, str], Caller]:
    def make(given: Mapping[str, Any], directory: str, redis_url: str) -> Caller:
        from klaviyo_api import KlaviyoAPI

        campaigns = KlaviyoAPI(KEY, test_host=given["host"]).Campaigns
        acquire = limiter(directory, redis_url) if limiter else None

        def call() -> None:
            if acquire is not None:
                acquire()
            campaigns.get_campaign(SOURCE)

        return call

    return make


WAYS = [
    Way("ours, share 1", ours({"share": 1}), is_paced=True),
    Way("ours, share 0.9", ours({"share": 0.9}), share=0.9, is_paced=True),
    Way("ours, no pacing", ours(False)),
    Way("SDK, its own retries", sdk()),
    Way("SDK behind pyrate-limiter", sdk(pyrate())),
    Way("SDK behind limits, fixed window", sdk(limits_library("FixedWindowRateLimiter")), needs_redis=True),
    Way("SDK behind limits, moving window", sdk(limits_library("MovingWindowRateLimiter")), needs_redis=True),
]


@dataclass(slots=True)
class Result:
    """What the sandbox counted from the common start on.

    :param accepted: when calls were answered 200, in seconds, ascending.
    :param refused: when calls were answered 429.
    :param made: calls that each process has had answered in the measured time.
    :param failed: calls that raised an error.
    """

    accepted: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    made: list[int] = field(default_factory=list)
    failed: int = 0


def legal(seconds: float, share: float = 1.0) -> int:
    """The most calls that the sandbox takes in that time from the start of one of its minutes."""
    steady = int(LIMITS.steady * share + 1e-9)
    burst = int(LIMITS.burst * share + 1e-9)
    minutes, rest = divmod(seconds, 60)
    return int(minutes) * steady + min(steady, burst * int(rest))


def client(
    name: str,
    given: Mapping[str, Any],
    directory: str,
    redis_url: str,
    gate: Any,
    start: Any,
    seconds: float,
    told: Any,
) -> None:
    """One of the processes. Tells of each call: whether it was answered."""
    way = next(way for way in WAYS if way.name == name)
    call = way.make(given, directory, redis_url)
    gate.wait()
    while not start.value:
        time.sleep(0.05)
    time.sleep(max(0.0, start.value - time.time()))
    while True:
        try:
            call()
        except Exception:
            told[1] += 1
        else:
            told[0] += time.time() < start.value + seconds


def measure(ways: Sequence[Way], seconds: float, say: Say, *, aligned: bool) -> dict[str, Result]:
    """Run all ways at once.

    :param aligned: True if to begin with a minute, or just with a second.
    """
    spawn = multiprocessing.get_context("spawn")
    gate = spawn.Barrier(PROCESSES * len(ways) + 1)
    start = spawn.Value("d", 0.0)
    with ExitStack() as stack:
        http: dict[str, httpx.Client] = {}
        told: dict[str, list[Any]] = {}
        for way in ways:
            directory = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
            redis_url = stack.enter_context(redis_server(directory)) if way.needs_redis else ""
            http[way.name] = stack.enter_context(sandbox(limits=True))
            told[way.name] = [spawn.Array("i", 2) for _ in range(PROCESSES)]
            for counts in told[way.name]:
                arguments = (way.name, connection(http[way.name]), directory, redis_url, gate, start, seconds, counts)
                process = spawn.Process(target=client, args=arguments, daemon=True)
                process.start()
                stack.callback(process.join)
                stack.callback(process.kill)
        gate.wait(timeout=120)
        step = 60 if aligned else 1
        start.value = (time.time() + 1) // step * step + step
        say(f"{len(ways)} ways are ready; they begin in {start.value - time.time():.0f} s")
        time.sleep(start.value + seconds - time.time())
        counted: dict[str, Result] = {}
        for moment in count(start.value + seconds, 5):
            time.sleep(max(0.0, moment - time.time()))
            counted = {name: _counted(http[name], start.value) for name in http}
            short = [name for name, result in counted.items() if len(result.accepted) < CALLS]
            if not aligned or not short or moment >= start.value + seconds + LATEST:
                break
            say(f"{moment - start.value:.0f} s: {', '.join(short)} have not made {CALLS} calls yet")
        for name, result in counted.items():
            result.made = [counts[0] for counts in told[name]]
            result.failed = sum(counts[1] for counts in told[name])
        return counted


def _counted(http: httpx.Client, start: float) -> Result:
    result = Result()
    for row in http.get("/sandbox/requests").json():
        at = datetime.fromisoformat(row["at"]).timestamp() - start
        if row["operation"] == "get_campaign" and row["status"] in (200, 429):
            (result.accepted if row["status"] == 200 else result.refused).append(at)
    return result


def section(quick: bool, say: Say) -> Section:
    seconds = QUICK_SECONDS if quick else SECONDS
    with tempfile.TemporaryDirectory() as directory, redis_server(directory) as redis_url:
        ways = [way for way in WAYS if redis_url or not way.needs_redis]
    counted = measure(ways, seconds, say, aligned=not quick)
    rows, goals = [], []
    for way in ways:
        result = counted[way.name]
        within = sum(at < seconds for at in result.accepted)
        refused = sum(at < seconds for at in result.refused)
        own = within / legal(seconds, way.share)
        fairness = max(result.made) / min(result.made) if min(result.made) else float("inf")
        until = f"{result.accepted[CALLS - 1]:.1f}" if len(result.accepted) >= CALLS else "-"
        per_process = "/".join(map(str, result.made))
        shares = [f"{within / legal(seconds):.1%}", f"{own:.1%}"]
        rows.append(
            [way.name, str(within), *shares, str(refused), per_process, f"{fairness:.2f}", until, str(result.failed)]
        )
        if way.is_paced:
            goals += [
                Goal(f"{way.name}: at least {PART:.0%} of what the share allows", f"{own:.1%}", own >= PART),
                Goal(f"{way.name}: no 429", str(refused), not refused),
                Goal(f"{way.name}: fairness at most {FAIRNESS}", f"{fairness:.2f}", fairness <= FAIRNESS),
            ]
    names = ["calls", "of the maximum", "of its own", "429s", "per process", "fairness", f"until {CALLS}, s", "failed"]
    versions = {"sdk": version("klaviyo-api"), "pyrate": version("pyrate-limiter"), "limits": version("limits")}
    about = ABOUT.format(
        processes=PROCESSES,
        burst=LIMITS.burst,
        steady=LIMITS.steady,
        legal=legal(seconds),
        seconds=seconds,
        calls=CALLS,
        **versions,
    )
    return Section(about, table(["way", *names], rows), goals)
