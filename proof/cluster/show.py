"""Run lifecycles and an audience sync on a cluster, kill its parts on the way, and count what Klaviyo did."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import requests

from harness.cluster import REDIS, Cluster
from harness.reaper import session_members
from harness.rest import FINAL_RUN_STATES
from proof.boundary import OBSERVER
from proof.judge import Ledger

DAGS = Path(__file__).parent / "dags"
LIFECYCLE, AUDIENCE = "cluster_lifecycle", "cluster_audience"
TICK = 1.0
PATIENCE = 1_800.0
"""Seconds for all runs to end."""

DOWN = 5.0
"""Seconds for which a killed part is away."""

BLOWS = {"worker-1": 0.1, "triggerer-1": 0.3, "scheduler-1": 0.5, REDIS: 0.7}
"""What is killed, and after which share of the sends."""

BUSY = 2
"""Tasks that a worker runs, at least, when it is killed."""


@dataclass(frozen=True, slots=True)
class Blow:
    """A kill.

    :param busy: how many running tasks ended with it.
    """

    part: str
    after: float
    sends: int
    busy: int


@dataclass(slots=True)
class Outcome:
    """What came of a show.

    :param names: of the lifecycles' runs, and of their campaigns.
    :param states: of each run, by its name.
    :param seconds: until the last run ended.
    :param missed: parts that were to be killed, and were not.
    :param calls: answered ones, by operation.
    :param rows: of the table.
    :param imported: rows that Klaviyo took, over all jobs.
    :param profiles: that it has besides those of the seed.
    """

    lifecycles: int
    rows: int
    names: list[str] = field(default_factory=list)
    states: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    blows: list[Blow] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    ledger: Ledger | None = None
    calls: Counter[str] = field(default_factory=Counter)
    throttled: int = 0
    imported: int = 0
    profiles: int = 0

    @property
    def wrong(self) -> list[str]:
        """What must not be."""
        return list(self._wrong())

    def _wrong(self) -> Iterator[str]:
        assert self.ledger is not None
        made, sent = Counter(self.ledger.made), Counter(row["name"] for row in self.ledger.deliveries)
        accepted = Counter(self.ledger.accepted)
        for name in self.names:
            if made[name] != 1:
                yield f"{name}: {made[name]} campaigns"
            if sent[name] != 1:
                yield f"{name}: {sent[name]} sends"
        yield from (f"{name}: ended {state}" for name, state in self.states.items() if state != "success")
        yield from (f"campaign {name}: {times} sends accepted" for name, times in accepted.items() if times > 1)
        yield from (f"a campaign of nobody: {name}" for name in made if name not in self.names)
        yield from (f"{part} was not killed" for part in self.missed)
        if self.throttled:
            yield f"{self.throttled} calls were answered 429"
        if self.profiles != self.rows:
            yield f"{self.profiles:,} profiles of {self.rows:,} rows"


@contextmanager
def cluster(home: Path, url: str, *, at_once: int) -> Iterator[Cluster]:
    """A cluster that is ready for these DAGs; ``klaviyo_default`` points at the sandbox, with the budget in Redis.

    :param url: of the sandbox.
    :param at_once: lifecycles that may run at the same time.
    """
    made = Cluster(home, DAGS)
    budget = {"rate_limit": {"redis": made.budget_url}}
    made.connect("klaviyo_default", {"conn_type": "klaviyo", "host": url, "password": "pk_cluster", "extra": budget})
    made.connect("warehouse", made.warehouse)
    made.set("CLUSTER_AT_ONCE", str(at_once))
    with made as running:
        running.wait_ready(LIFECYCLE, AUDIENCE)
        yield running


class Show:
    """Some lifecycles at once, and a table of profiles.

    :param tell: what happens, a line at a time.
    """

    def __init__(self, airflow: Cluster, url: str, lifecycles: int, rows: int, tell: Callable[[str], object]) -> None:
        self._airflow = airflow
        self._url = url
        self._tell = tell
        self._control = requests.Session()
        self._outcome = Outcome(lifecycles, rows)
        self._down: dict[str, float] = {}

    def run(self, *, blows: Mapping[str, float] = BLOWS) -> Outcome:
        """Begin all runs, deal the blows, wait for all to end, and read what came of it.

        :param blows: what is killed, and after which share of the sends.
        """
        outcome = self._outcome
        self._control.post(f"{self._url}/sandbox/reset").raise_for_status()
        began = time.monotonic()
        list_id = self._begin_audience() if outcome.rows else None
        outcome.names = [self._airflow.trigger(LIFECYCLE) for _ in range(outcome.lifecycles)]
        outcome.states |= dict.fromkeys(outcome.names, "queued")
        to_come = dict(blows)
        told = 0.0
        while not self._have_ended():
            outcome.seconds = time.monotonic() - began
            if outcome.seconds > PATIENCE:
                break
            sends = len(self._control.get(f"{self._url}/sandbox/sends").json())
            for part, share in list(to_come.items()):
                if sends >= share * outcome.lifecycles and not self._down and self._kill(part, outcome.seconds, sends):
                    del to_come[part]
            self._restart()
            if outcome.seconds - told >= 15:
                told = outcome.seconds
                ended = sum(state in FINAL_RUN_STATES for state in outcome.states.values())
                self._tell(f"{outcome.seconds:4.0f} s: {sends} sent, {ended} of {len(outcome.states)} runs ended")
            time.sleep(TICK)
        outcome.missed = list(to_come)
        self._read(list_id)
        return outcome

    def _begin_audience(self) -> str:
        made = self._post("/api/lists", {"data": {"type": "list", "attributes": {"name": "Customers"}}})
        list_id: str = made["data"]["id"]
        address = self._airflow.warehouse
        with (
            closing(
                psycopg.connect(
                    host=address["host"], port=address["port"], user=address["login"], dbname=address["schema"]
                )
            ) as database,
            database,
        ):
            database.execute(
                "CREATE TABLE customers AS SELECT n AS number, 'c' || n || '@example.com' AS email, "
                f"'C' || n AS first_name FROM generate_series(1, {self._outcome.rows}) n"
            )
        self._outcome.states[self._airflow.trigger(AUDIENCE, {"list_id": list_id})] = "queued"
        return list_id

    # --- blows ------------------------------------------------------------------------------------------------------

    def _kill(self, part: str, after: float, sends: int) -> bool:
        """Kill a part with all that it runs, and note what that was. A worker that runs less is not killed yet."""
        members = set(session_members([self._airflow.pid(part)]))
        assert members, f"{part} has no process to kill"
        answer = self._airflow.get("/dags/~/dagRuns/~/taskInstances", state=["running"], limit=1000)
        busy = [task for task in answer["task_instances"] if task["pid"] in members]
        if part.startswith("worker") and len(busy) < BUSY:
            return False
        self._airflow.kill(part, signal.SIGKILL)
        self._down[part] = time.monotonic() + DOWN
        self._outcome.blows.append(Blow(part, after, sends, len(busy)))
        self._tell(f"{after:4.0f} s: killed {part} after {sends} sends, and {len(busy)} tasks with it")
        return True

    def _restart(self) -> None:
        for part, until in list(self._down.items()):
            if time.monotonic() >= until:
                self._airflow.start(part)
                del self._down[part]

    # --- what came of it --------------------------------------------------------------------------------------------

    def _have_ended(self) -> bool:
        found = self._airflow.runs(LIFECYCLE) | self._airflow.runs(AUDIENCE)
        self._outcome.states = {name: found[name] for name in self._outcome.states}
        return all(state in FINAL_RUN_STATES for state in self._outcome.states.values())

    def _read(self, list_id: str | None) -> None:
        outcome = self._outcome
        outcome.ledger = Ledger.read(self._control, self._url)
        for entry in self._control.get(f"{self._url}/sandbox/requests").json():
            outcome.calls[entry["operation"]] += 1
            outcome.throttled += entry["status"] == 429
        if list_id:
            path = f"/api/lists/{list_id}?additional-fields[list]=profile_count"
            outcome.profiles = self._get(path)["data"]["attributes"]["profile_count"]
            path = "/api/profile-bulk-import-jobs"
            while path:
                page = self._get(path)
                outcome.imported += sum(job["attributes"]["total_count"] for job in page["data"])
                path = (page["links"]["next"] or "").removeprefix(self._url)

    def _get(self, path: str) -> Any:
        answer = self._control.get(self._url + path, headers=OBSERVER)
        answer.raise_for_status()
        return answer.json()

    def _post(self, path: str, body: Any) -> Any:
        answer = self._control.post(self._url + path, headers=OBSERVER, json=body)
        answer.raise_for_status()
        return answer.json()
