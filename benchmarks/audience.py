"""What it costs to bring rows to Klaviyo: processor time a row, memory of a million, and how near to the limits."""

from __future__ import annotations

import gc
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib.metadata import version
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from benchmarks.report import Goal, Say, Section, table
from benchmarks.sandbox import KEY, connection, post, sandbox
from benchmarks.taking import OPERATION, taken, taking

if TYPE_CHECKING:
    from airflow_provider_klaviyo.audiences.profiles import Profiles

OURS, ENVELOPE, BARE, SDK = "ours", "json.dumps, the request's body", "json.dumps, each row", "SDK's models"
ROWS, AT_ONCE = 100_000, 10_000
TOGETHER = 500
"""Rows that a task reads at a time."""

OF_TABLE, QUICK_OF_TABLE = 1_000_000, 5_000
BAD_OF = 1_000
"""Of so many rows of the table, one has no address."""

SECONDS, QUICK_SECONDS = 120, 2
QUICK_SPEED = 20
FASTER = {ENVELOPE: 3, SDK: 10}
MEMORY, PART = 200, 0.95
LIST = "BENCH1"
COLUMNS = {"city": "location.city", "plan": "properties.plan", "spent": "properties.spent", "seen": "properties.seen"}
FILL = """
CREATE TABLE customers AS WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
SELECT CASE n % {bad_of} WHEN 7 THEN 'nobody' || n ELSE 'customer' || n || '@example.com' END AS email,
'Ada' AS first_name, 'Lovelace' || n AS last_name, 'London' AS city,
CASE n % 3 WHEN 0 THEN NULL WHEN 1 THEN 'gold' ELSE 'free' END AS plan,
n / 100.0 AS spent, datetime(1700000000 + n, 'unixepoch') AS seen FROM numbers
"""
TASK = """
import json, os, time
from airflow_provider_klaviyo.transfers.sql_to_klaviyo import SqlToKlaviyoProfilesOperator
from tests.support.context import Task

def kilobytes(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name))

task = Task(lambda: SqlToKlaviyoProfilesOperator(task_id="import", **json.loads(os.environ["BENCH_TASK"])))
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")
idle, began, cpu = kilobytes("VmRSS"), time.time(), time.process_time()
result = task.run()
facts = {"began": began, "seconds": time.time() - began, "cpu": time.process_time() - cpu, "result": result}
print(json.dumps(facts | {"above": (kilobytes("VmHWM") - idle) / 1024}))
"""
ABOUT = """\
*CPU a row*: from {rows:,} rows (dicts of an address, two names, a city and three properties, of which one is a
Decimal and one a datetime) to the bodies of import requests, {at_once:,} rows at a time, all ways in turns; the median
of the turns. Ours reads, checks and encodes each row, and cuts batches to the byte. `json.dumps` dumps the same body,
built of the same dicts with no check, or each row as it is. The SDK's way is models of klaviyo-api {sdk}, serialised as
its client does.

*A table*: {table:,} rows of a SQLite query through `SqlToKlaviyoProfilesOperator`, one of {bad_of:,} without an
address, to the sandbox with its limits off; task and sandbox are processes of their own. Memory is the peak of the task
above what it has when its operator is imported, so all that `execute` imports is in it. Most of the time is the
sandbox's, which carries out one job after the other; *read* is the time until the first batch is posted.

*Limits*: one process reads, encodes and posts batches of {at_once:,} rows for {seconds} s from the start of a minute,
with `rate_limit` `{{"share": 1}}`, to a server that counts as the sandbox does ({burst} a second, {steady} a minute,
both in fixed windows of the clock) and does nothing with the rows, as the sandbox is slower than the limits. The legal
maximum is {legal} requests.
"""

Row = Mapping[str, Any]
Way = Callable[[Sequence[Row]], int]
"""Makes bodies of rows; how many bytes they have."""


def people(count: int) -> Iterator[Row]:
    began = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(count):
        yield {
            "email": f"customer{number}@example.com",
            "first_name": "Ada",
            "last_name": f"Lovelace{number}",
            "city": "London",
            "plan": "gold" if number % 3 else "free",
            "spent": Decimal(number) / 100,
            "seen": began + timedelta(seconds=number),
        }


def ours() -> Way:
    from airflow_provider_klaviyo.audiences.batches import batches
    from airflow_provider_klaviyo.audiences.fields import Columns
    from airflow_provider_klaviyo.audiences.profiles import Profiles

    profiles = Profiles(Columns(COLUMNS))

    def make(rows: Sequence[Row]) -> int:
        return sum(len(batch.content([LIST])) for batch in batches(read(profiles, rows), [LIST]))

    return make


def read(profiles: Profiles, rows: Sequence[Row]) -> Iterator[tuple[Sequence[int], Sequence[bytes]]]:
    for first in range(0, len(rows), TOGETHER):
        sheet = profiles.read(rows[first : first + TOGETHER])
        yield sheet.numbers, sheet.contents


def properties(row: Row) -> dict[str, Any]:
    """The custom ones, as JSON takes them."""
    return {"plan": row["plan"], "spent": float(row["spent"]), "seen": row["seen"].isoformat()}


def envelope(rows: Sequence[Row]) -> int:
    profiles = [
        {
            "type": "profile",
            "attributes": {
                "email": row["email"],
                "first_name": row["first_name"],
                "last_name": row["last_name"],
                "location": {"city": row["city"]},
                "properties": properties(row),
            },
        }
        for row in rows
    ]
    attributes = {"profiles": {"data": profiles}}
    lists = {"lists": {"data": [{"type": "list", "id": LIST}]}}
    data = {"type": "profile-bulk-import-job", "attributes": attributes, "relationships": lists}
    return len(json.dumps({"data": data}).encode())


def bare(rows: Sequence[Row]) -> int:
    return sum(len(json.dumps(row, default=str).encode()) for row in rows)


def sdk() -> Way:
    from klaviyo_api import KlaviyoAPI
    from openapi_client import models

    serialise = KlaviyoAPI(KEY).Profiles.api_client.sanitize_for_serialization
    job = models.ProfileImportJobCreateQueryResourceObject
    lists = models.ProfileImportJobCreateQueryResourceObjectRelationships.from_dict(
        {"lists": {"data": [{"type": "list", "id": LIST}]}}
    )

    def make(rows: Sequence[Row]) -> int:
        profiles = [
            models.ProfileUpsertQueryResourceObject(
                type="profile",
                attributes=models.ProfileUpsertQueryResourceObjectAttributes(
                    email=row["email"],
                    first_name=row["first_name"],
                    last_name=row["last_name"],
                    location=models.ProfileLocation(city=row["city"]),
                    properties=properties(row),
                ),
            )
            for row in rows
        ]
        attributes = models.ProfileImportJobCreateQueryResourceObjectAttributes(
            profiles=models.ProfileImportJobCreateQueryResourceObjectAttributesProfiles(data=profiles)
        )
        data = job(type="profile-bulk-import-job", attributes=attributes, relationships=lists)
        return len(json.dumps(serialise(models.ProfileImportJobCreateQuery(data=data))).encode())

    return make


def cpu(count: int) -> dict[str, float]:
    """Microseconds a row, by way."""
    ways: dict[str, Way] = {OURS: ours(), ENVELOPE: envelope, BARE: bare, SDK: sdk()}
    rows = list(people(count))
    for way in ways.values():
        way(rows[:100])
    gc.collect()
    gc.freeze()
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for first in range(0, count, AT_ONCE):
        part = rows[first : first + AT_ONCE]
        for name, way in ways.items():
            began = time.process_time()
            way(part)
            spent[name].append(1e6 * (time.process_time() - began) / len(part))
    gc.unfreeze()
    return {name: statistics.median(turns) for name, turns in spent.items()}


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a table.

    :param began: when ``execute`` did, in seconds since 1970.
    :param seconds: that it took.
    :param read: seconds until the first batch was posted.
    :param cpu: seconds of the task.
    :param above: MB that the task has at its peak, above those of the idle task.
    :param members: of the list, as the sandbox counts them.
    :param listed: lines of the file of rejected rows.
    """

    began: float
    seconds: float
    read: float
    cpu: float
    above: float
    result: Mapping[str, Any]
    members: int
    listed: int


def import_table(count: int, speed: float) -> Imported:
    with tempfile.TemporaryDirectory() as directory, sandbox(limits=False, speed=speed) as http:
        warehouse, rejected = Path(directory) / "warehouse.db", Path(directory) / "rejected.jsonl"
        with closing(sqlite3.connect(warehouse)) as database:
            database.execute(FILL.format(bad_of=BAD_OF), [count])
            database.commit()
        list_id = post(http, "/api/lists", type="list", attributes={"name": "Customers"})["id"]
        task = {"sql": "SELECT * FROM customers", "sql_conn_id": "warehouse", "columns": COLUMNS, "list_ids": list_id}
        task |= {"rejected_path": f"file://{rejected}", "max_rejected": count // BAD_OF, "poll_interval": 1}
        env = os.environ | {
            "AIRFLOW_CONN_KLAVIYO_DEFAULT": json.dumps(connection(http)),
            "AIRFLOW_CONN_WAREHOUSE": json.dumps({"conn_type": "sqlite", "host": str(warehouse)}),
            "BENCH_TASK": json.dumps(task),
        }
        done = subprocess.run([sys.executable, "-c", TASK], env=env, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"the import fails: {done.stderr.strip().splitlines()[-1]}")
        facts = json.loads(done.stdout.splitlines()[-1])
        requests = http.get("/sandbox/requests").json()
        first = next(row["at"] for row in requests if row["operation"] == OPERATION.id)
        return Imported(
            **facts,
            read=datetime.fromisoformat(first).timestamp() - facts["began"],
            members=members(http, list_id),
            listed=len(rejected.read_text().splitlines()),
        )


def members(http: httpx.Client, list_id: str) -> int:
    """Of a list, when the count has followed."""
    http.post("/sandbox/clock", json={"advance": 60}).raise_for_status()
    found = http.get(f"/api/lists/{list_id}", params={"additional-fields[list]": "profile_count"}).raise_for_status()
    return int(found.json()["data"]["attributes"]["profile_count"])


@dataclass(frozen=True, slots=True)
class Posted:
    """What one process has posted in the measured time.

    :param cpu: part of the time for which it used the processor.
    """

    accepted: int
    refused: int
    rows: int
    megabytes: float
    cpu: float


def within_limits(seconds: int, *, aligned: bool) -> Posted:
    from airflow_provider_klaviyo.api.imports import import_profiles
    from airflow_provider_klaviyo.audiences.batches import batches
    from airflow_provider_klaviyo.audiences.fields import Columns
    from airflow_provider_klaviyo.audiences.profiles import Profiles
    from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook

    rows = list(people(AT_ONCE))
    profiles = Profiles(Columns(COLUMNS))
    with taking() as http:
        given = connection(http, rate_limit={"share": 1})
        os.environ["AIRFLOW_CONN_KLAVIYO_DEFAULT"] = json.dumps(given)
        hook = KlaviyoHook()
        hook.get_conn()
        step = 60 if aligned else 1
        start = (time.time() + 1) // step * step + step
        time.sleep(start - time.time())
        spent = time.process_time()
        for batch in batches(chain.from_iterable(read(profiles, rows) for _ in repeat(None)), []):
            hook.run(import_profiles(batch.content([])))
            if time.time() >= start + seconds:
                break
        spent = time.process_time() - spent
        lasted = time.time() - start
        found = [one for one in taken(http) if start <= one.at < start + seconds]
    accepted = [one for one in found if one.rows]
    return Posted(
        accepted=len(accepted),
        refused=len(found) - len(accepted),
        rows=sum(one.rows for one in accepted),
        megabytes=sum(one.size for one in accepted) / 1e6,
        cpu=spent / lasted,
    )


def legal(seconds: int) -> int:
    """The most requests that are taken in that time from the start of a minute."""
    burst, steady = OPERATION.limits.burst, OPERATION.limits.steady
    minutes, rest = divmod(seconds, 60)
    return minutes * steady + min(steady, burst * rest)


def section(quick: bool, say: Say) -> Section:
    rows, of_table, seconds = (2_000, QUICK_OF_TABLE, QUICK_SECONDS) if quick else (ROWS, OF_TABLE, SECONDS)
    spent = cpu(rows)
    say(", ".join(f"{name} {microseconds:.2f} us a row" for name, microseconds in spent.items()))
    imported = import_table(of_table, QUICK_SPEED if quick else 1)
    say(f"{of_table:,} rows in {imported.seconds:.0f} s, {imported.above:.0f} MB above the idle task")
    posted = within_limits(seconds, aligned=not quick)
    say(f"{posted.accepted} of {legal(seconds)} requests")
    sections = [of_cpu(spent), of_import(of_table, imported), of_limits(seconds, posted)]
    about = ABOUT.format(
        rows=rows,
        at_once=AT_ONCE,
        table=of_table,
        bad_of=BAD_OF,
        sdk=version("klaviyo-api"),
        seconds=seconds,
        burst=OPERATION.limits.burst,
        steady=OPERATION.limits.steady,
        legal=legal(seconds),
    )
    return Section(
        about, "\n\n".join(shown for shown, _ in sections), [goal for _, goals in sections for goal in goals]
    )


def of_cpu(spent: Mapping[str, float]) -> tuple[str, list[Goal]]:
    rows, goals = [], []
    for name, microseconds in spent.items():
        ratio = microseconds / spent[OURS]
        rows.append([name, f"{microseconds:.2f}", f"{1e6 / microseconds:,.0f}", f"{ratio:.1f} x"])
        if least := FASTER.get(name):
            goals.append(Goal(f"at least {least} x the rows of {name}", f"{ratio:.1f} x", ratio >= least))
    return table(["CPU a row", "us", "rows a second", "of ours"], rows), goals


def of_import(count: int, imported: Imported) -> tuple[str, list[Goal]]:
    bad, accepted = count // BAD_OF, imported.result["accepted"]
    rows = [
        ["rows", f"{count:,}"],
        ["seconds", f"{imported.seconds:.1f}"],
        ["of which read, s", f"{imported.read:.1f}"],
        ["rows a second", f"{count / imported.seconds:,.0f}"],
        ["CPU of the task, s", f"{imported.cpu:.1f}"],
        ["peak above the idle task, MB", f"{imported.above:.0f}"],
        ["profiles on the list", f"{imported.members:,}"],
        ["rows in the file of rejected rows", f"{imported.listed:,}"],
    ]
    once = f"{accepted:,} imported, {imported.members:,} on the list, {imported.listed:,} rejected"
    is_once = accepted == imported.members == count - bad and imported.listed == bad
    goals = [
        Goal(f"less than {MEMORY} MB above the idle task", f"{imported.above:.0f} MB", imported.above < MEMORY),
        Goal(f"each row is imported once, but for {bad:,} bad ones, which are listed", once, is_once),
    ]
    return table(["a table", "found"], rows), goals


def of_limits(seconds: int, posted: Posted) -> tuple[str, list[Goal]]:
    part = posted.accepted / legal(seconds)
    rows = [
        ["requests answered 202", str(posted.accepted)],
        ["of the legal maximum", f"{part:.1%}"],
        ["429s", str(posted.refused)],
        ["rows a minute", f"{60 * posted.rows / seconds:,.0f}"],
        ["MB a minute", f"{60 * posted.megabytes / seconds:,.0f}"],
        ["CPU of the process, of a core", f"{posted.cpu:.0%}"],
        ["what bounds it", "the limits" if part >= PART else "reading and encoding" if posted.cpu > 0.9 else "posting"],
    ]
    goals = [
        Goal(f"one process: at least {PART:.0%} of the legal maximum", f"{part:.1%}", part >= PART),
        Goal("no 429", str(posted.refused), not posted.refused),
    ]
    return table(["limits", "found"], rows), goals
