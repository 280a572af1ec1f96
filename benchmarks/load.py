"""How many requests a second the sandbox answers on one core, how its memory grows, and how long it is held up."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from benchmarks.report import Goal, Say, Section, table
from benchmarks.sandbox import COMMAND, KEY, SOURCE

SECONDS, QUICK_SECONDS = 20.0, 1.0
REQUESTS, QUICK_REQUESTS = (10_000, 50_000, 100_000), (200, 400, 600)
RATE, PAUSE_MS = 200, 50
WARMING = 20
ABOUT = """\
The sandbox with its limits off, pinned to one core, and one client that sends one request after the other. *A second*
is one of the sandbox's own processor time, so that other load does not count. *Create and send* clones a draft, sends
the clone, and reads it and its send job. *Soak* is a mix of reads, of these, and of faults: statuses before and after
the write, garbage and cut connections. *Memory* is resident, after so many requests of the soak. *Longest answer* is of
a request sent again and again while another client reads the whole log; other load does count in it.
"""


class Client:
    """One connection, made again when it is cut."""

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        self._connection: http.client.HTTPConnection | None = None
        self.statuses: Counter[int] = Counter()

    def another(self) -> Client:
        """A second client of the same sandbox."""
        return Client(self._url.geturl())

    def call(self, method: str, path: str, data: Any = None) -> Any:
        """The answer's JSON values; ``None`` when the connection is cut, or it is not JSON."""
        try:
            return json.loads(self.fetch(method, path, data))
        except ValueError:
            return None

    def fetch(self, method: str, path: str, data: Any = None) -> bytes:
        """The answer's body; empty when the connection is cut."""
        headers = {"Authorization": f"Klaviyo-API-Key {KEY}", "revision": "2026-04-15"}
        headers |= {"Content-Type": "application/vnd.api+json"} if data else {}
        if self._connection is None:
            self._connection = http.client.HTTPConnection(self._url.hostname or "", self._url.port, timeout=60)
        try:
            self._connection.request(method, path, json.dumps(data) if data else None, headers)
            answer = self._connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            self._connection = None
            self.statuses[0] += 1
            return b""
        self.statuses[answer.status] += 1
        return content


@contextmanager
def pinned() -> Iterator[tuple[Client, int]]:
    """A sandbox on one core, a client on the others, and the process id of the sandbox."""
    cores = sorted(os.sched_getaffinity(0))
    command = [sys.executable, "-c", COMMAND, "serve", "--quiet", "--port", "0", "--limits", "off", "--speed", "60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            os.sched_setaffinity(process.pid, {cores[-1]})
            assert process.stdout is not None
            yield Client(process.stdout.readline().split()[-1]), process.pid
        finally:
            process.terminate()


def read_one(client: Client, _: int) -> None:
    client.call("GET", f"/api/campaigns/{SOURCE}")


def create_and_send(client: Client, number: int) -> str:
    made = client.call("POST", "/api/campaign-clone", _data("campaign", SOURCE, {"new_name": f"Load {number}"}))
    id_ = str(made["data"]["id"]) if made and "data" in made else SOURCE
    if id_ != SOURCE:
        client.call("POST", "/api/campaign-send-jobs", _data("campaign-send-job", id_))
    client.call("GET", f"/api/campaigns/{id_}")
    client.call("GET", f"/api/campaign-send-jobs/{id_}")
    return id_


def soak(client: Client, number: int) -> None:
    if number % 20 == 0:
        faults = [
            {"fault": "status_before_commit", "status": 503, "skip": 3},
            {"fault": "status_after_commit", "status": 504, "skip": 9},
            {"fault": "garbage", "skip": 15},
            {"fault": "drop_after_commit", "skip": 22},
        ]
        client.call("POST", "/sandbox/faults", faults[number // 20 % 4])
    if number % 200 == 0:
        client.call("DELETE", "/sandbox/faults")
    if number % 10 == 0:
        create_and_send(client, number)
    for path in (f"/api/campaigns/{SOURCE}", "/api/lists", "/api/nope"):
        client.call("GET", path)


def per_second(seconds: float, step: Callable[[Client, int], Any]) -> float:
    """Requests in a second of the sandbox's processor time."""
    with pinned() as (client, pid):
        for number in range(WARMING):
            step(client, number)
        before, calls, start = processor(pid), client.statuses.total(), time.monotonic()
        while time.monotonic() < start + seconds:
            number += 1
            step(client, number)
        return (client.statuses.total() - calls) / (processor(pid) - before or 0.01)


def processor(pid: int) -> float:
    """Seconds of processor time."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> float:
    """MiB."""
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def longest_answer(client: Client) -> tuple[float, Any]:
    """Milliseconds of the longest answer while the log is read, and the log: not parsed before it is all there."""
    logs: list[bytes] = []
    reader = Thread(target=lambda: logs.append(client.another().fetch("GET", "/sandbox/requests")))
    longest = 0.0
    reader.start()
    while reader.is_alive():
        begun = time.monotonic()
        client.call("GET", "/livez")
        longest = max(longest, time.monotonic() - begun)
    return longest * 1000, json.loads(logs[0])


def section(quick: bool, say: Say) -> Section:
    seconds = QUICK_SECONDS if quick else SECONDS
    rates = [per_second(seconds, step) for step in (read_one, create_and_send)]
    say(f"{rates[0]:.0f} and {rates[1]:.0f} a second")
    rows = [["reads of a campaign, a second", f"{rates[0]:.0f}"], ["create and send, a second", f"{rates[1]:.0f}"]]
    memory: list[float] = []
    with pinned() as (client, pid):
        number = 0
        for count in QUICK_REQUESTS if quick else REQUESTS:
            while client.statuses.total() < count:
                soak(client, number)
                number += 1
            memory.append(resident(pid))
            say(f"{count}: {memory[-1]:.0f} MiB, {dict(client.statuses)}")
            rows.append([f"soak: memory after {count:,} requests, MiB", f"{memory[-1]:.0f}"])
        longest, log = longest_answer(client)
    failed = sum((row["status"] or 0) >= 500 and not row["fault"] for row in log)
    faults = sum(row["fault"] is not None for row in log)
    rows += [
        ["soak: requests that a fault hit", str(faults)],
        ["soak: 5xx that no fault asked for", str(failed)],
        [f"longest answer while {len(log):,} rows are read, ms", f"{longest:.0f}"],
    ]
    goals = [
        Goal(f"at least {RATE} requests a second on one core", f"{min(rates):.0f}", min(rates) >= RATE),
        Goal("no 5xx that no fault asked for, and some faults", f"{failed} and {faults}", not failed and faults > 0),
        Goal(f"no answer takes above {PAUSE_MS} ms while the log is read", f"{longest:.0f} ms", longest <= PAUSE_MS),
    ]
    return Section(ABOUT, table(["what", "found"], rows), goals)


def _data(type_: str, id_: str, attributes: Any = None) -> Any:
    return {"data": {"type": type_, "id": id_} | ({"attributes": attributes} if attributes else {})}
