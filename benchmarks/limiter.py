"""How well limiters keep four processes within Klaviyo's limits, as a server counts them."""

from __future__ import annotations

import http.client
import multiprocessing
import random
import shutil
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from typing import Any

from airflow_provider_klaviyo.api import operations
from airflow_provider_klaviyo.api.limits import Budget, shared_bookings
from benchmarks.report import Goal, Say, Section, table

BURST, STEADY = 10, 150
PROCESSES = 4

SECONDS, QUICK_SECONDS = 60.0, 2.0
QUICK_ROWS = ("ours, SQLite", "pyrate-limiter, SQLite")
COLUMNS = ("limiter", "calls", "per process", "429s", "max/s", "max/min", "spread", "CPU ms")
NO_REDIS = "needs redis-server on the PATH"
ABOUT = """\
The limiters by themselves: {processes} processes call as fast as their limiter lets them, for {seconds:g} s. A small
server counts calls in fixed seconds and minutes, which begin when it likes, takes {burst} in a second and {steady} in
a minute, and answers 429 to the others. pyrate-limiter {pyrate}, limits {limits}, redis-py {redis}.

*Calls* reached the server, *per process* is how many came from each; *max/s* and *max/min* are the most calls in one of
its seconds and minutes, refused ones included; *spread* is the most calls of a process / the fewest; *CPU* is what a
call spends in the limiter, the first of each process left out. In rows with *delay* each call takes 0 to 150 ms from
its limiter to the server, at random, as on a network. `limits` does not wait by itself: its rows ask for the minute,
then the second, and sleep until each has room.
"""

Acquire = Callable[[], object]
Make = Callable[[str, str], Acquire]
"""Makes, in each process, the function to call before a request; given a directory and a Redis URL to share."""


@dataclass(frozen=True)
class Row:
    name: str
    make: Make
    needs_redis: bool = False
    delay: float = 0.0


def ours(share: float = 1.0, *, redis: bool = False) -> Make:
    operation = operations.get("get_campaign")
    assert (operation.limits.burst, operation.limits.steady) == (BURST, STEADY)

    def make(directory: str, redis_url: str) -> Acquire:
        budget = Budget("account", shared_bookings(redis_url if redis else f"{directory}/budget.db"), share=share)
        return lambda: budget.acquire(operation)

    return make


def pyrate(*, redis: bool = False) -> Make:
    def make(directory: str, redis_url: str) -> Acquire:
        from pyrate_limiter import Duration, Limiter, Rate, RedisBucket, SQLiteBucket
        from redis import Redis

        rates = [Rate(BURST, Duration.SECOND), Rate(STEADY, Duration.MINUTE)]
        if redis:
            bucket = RedisBucket.init(rates, Redis.from_url(redis_url), "pyrate")
        else:
            bucket = SQLiteBucket.init_from_file(rates, db_path=f"{directory}/pyrate.db", use_file_lock=True)
        limiter = Limiter(bucket)
        return lambda: limiter.try_acquire("klaviyo")

    return make


def limits_library(strategy: str) -> Make:
    """It has no waiting of its own: ask for the minute, then for the second, sleeping until each has room."""

    def make(_: str, redis_url: str) -> Acquire:
        from limits import RateLimitItemPerMinute, RateLimitItemPerSecond, strategies
        from limits.storage import storage_from_string

        limiter = getattr(strategies, strategy)(storage_from_string(redis_url))

        def acquire() -> None:
            for item in (RateLimitItemPerMinute(STEADY), RateLimitItemPerSecond(BURST)):
                while not limiter.hit(item, "klaviyo"):
                    time.sleep(max(0.005, limiter.get_window_stats(item, "klaviyo").reset_time - time.time()))

        return acquire

    return make


ROWS = [
    Row("ours, SQLite", ours()),
    Row("ours, Redis", ours(redis=True), needs_redis=True),
    Row("pyrate-limiter, SQLite", pyrate()),
    Row("pyrate-limiter, Redis", pyrate(redis=True), needs_redis=True),
    Row("limits, moving window", limits_library("MovingWindowRateLimiter"), needs_redis=True),
    Row("limits, fixed window", limits_library("FixedWindowRateLimiter"), needs_redis=True),
    Row("ours, delay", ours(), delay=0.15),
    Row("ours, delay, share 0.9", ours(0.9), delay=0.15),
    Row("pyrate-limiter, SQLite, delay", pyrate(), delay=0.15),
]


class Server(ThreadingHTTPServer):
    """Counts calls in fixed seconds and minutes."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.phase = random.uniform(0, 60)
        self.lock = threading.Lock()
        self.seconds: Counter[int] = Counter()
        self.minutes: Counter[int] = Counter()
        self.refused = 0

    def has_room(self) -> bool:
        with self.lock:
            now = time.time() + self.phase
            second, minute = int(now), int(now // 60)
            self.seconds[second] += 1
            self.minutes[minute] += 1
            full = self.seconds[second] > BURST or self.minutes[minute] > STEADY
            self.refused += full
            return not full


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        assert isinstance(self.server, Server)
        self.send_response(200 if self.server.has_room() else 429)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


@contextmanager
def redis_server(directory: str) -> Iterator[str]:
    """A Redis server of this row's own, on a free port; an empty URL where there is no redis-server."""
    if not shutil.which("redis-server"):
        yield ""
        return
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as free:
        port = free.server_address[1]
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--daemonize", "no"]
    server = subprocess.Popen(command, cwd=directory, stdout=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait()


def client(name: str, directory: str, redis_url: str, port: int, start: Any, calls: Any, cpu: Any, number: int) -> None:
    row = next(row for row in ROWS if row.name == name)
    acquire = row.make(directory, redis_url)
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.connect()
    start.wait()
    while True:
        before = time.process_time()
        acquire()
        if calls[number]:
            cpu[number] += time.process_time() - before
        time.sleep(random.uniform(0, row.delay))
        connection.request("GET", "/")
        connection.getresponse().read()
        calls[number] += 1


def measure(row: Row, seconds: float) -> list[str]:
    """One line of the table."""
    processes = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as directory, redis_server(directory) as redis_url, Server() as server:
        if row.needs_redis and not redis_url:
            return [row.name, NO_REDIS, *([""] * (len(COLUMNS) - 2))]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        start = processes.Barrier(PROCESSES + 1)
        calls: Any = processes.Array("i", PROCESSES)
        cpu: Any = processes.Array("d", PROCESSES)
        port = server.server_address[1]
        clients = [
            processes.Process(target=client, args=(row.name, directory, redis_url, port, start, calls, cpu, number))
            for number in range(PROCESSES)
        ]
        for process in clients:
            process.start()
        start.wait(timeout=60)
        time.sleep(seconds)
        for process in clients:
            process.kill()
            process.join()
        server.shutdown()
        made = list(calls)
        return [
            row.name,
            str(sum(made)),
            "/".join(map(str, made)),
            str(server.refused),
            str(max(server.seconds.values())),
            str(max(server.minutes.values())),
            f"{max(made) / min(made):.2f}" if min(made) else "starved",
            f"{1000 * sum(cpu) / max(1, sum(made)):.2f}",
        ]


def section(quick: bool, say: Say) -> Section:
    seconds = QUICK_SECONDS if quick else SECONDS
    lines, goals = [], []
    for row in ROWS:
        if quick and row.name not in QUICK_ROWS:
            continue
        line = measure(row, seconds)
        say(", ".join(f"{column} {cell}" for column, cell in zip(COLUMNS, line, strict=True)))
        lines.append(line)
        if row.name.startswith("ours") and NO_REDIS not in line:
            goals.append(
                Goal(f"{row.name}: no 429, no process starved", f"{line[3]}, spread {line[6]}", _is_kept(line))
            )
    libraries = {name.partition("-")[0]: version(name) for name in ("pyrate-limiter", "limits", "redis")}
    about = ABOUT.format(processes=PROCESSES, seconds=seconds, burst=BURST, steady=STEADY, **libraries)
    return Section(about, table(COLUMNS, lines), goals)


def _is_kept(line: list[str]) -> bool:
    return line[3] == "0" and line[6] != "starved"
