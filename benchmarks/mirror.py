"""What it costs to keep a list of a million as a table is, when one row in a hundred has changed.

    python -m benchmarks.mirror SIZE

serves a list of so many customers, for :func:`list_of`.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from benchmarks.answering import Answering, serve_with
from benchmarks.audience import MEMORY, TASK
from benchmarks.report import Goal, Say, Section, table
from benchmarks.sandbox import connection

SIZE, QUICK_SIZE = 1_000_000, 2_000
ADDED = REMOVED = 400
"""One row in so many is new, and one member in so many is not in the table any more."""

CHANGED = 200
"""One row in so many has other values."""

PAGE = 100
FILL = """
CREATE TABLE customers AS WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
SELECT 'customer' || n || '@example.com' AS email, 'Ada' AS first_name, 'Lovelace' || n AS last_name, n AS spent
FROM numbers
"""
ABOUT = """\
A table of {size:,} rows is mirrored to a list of {size:,} members, with a state file of the run before: one row in
{changed} has other values, one in {added} is new, and one member in {removed} is no longer in the table, so that one in
a hundred differs. The task is a process of its own. The server makes the members up and carries nothing out: the
figures are those of the task. Klaviyo allows 750 pages of 100 members a minute, so there the reading of the list takes
{minutes:.0f} minutes. *Everything* is the first run, which has no state, to a list of which it finds all on it.
"""


@contextmanager
def list_of(size: int) -> Iterator[httpx.Client]:
    """A server with such a list, in a process of its own; yields a client of it."""
    command = [sys.executable, "-m", __spec__.name if __spec__ else __name__, str(size)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            with httpx.Client(base_url=process.stdout.readline().strip(), timeout=60, trust_env=False) as http:
                yield http
        finally:
            process.terminate()


def mirrored(http: httpx.Client, warehouse: Path, state: Path) -> Mapping[str, Any]:
    """Run the task: what it returned, the seconds and processor time it took, and its memory."""
    task = {"sql": "SELECT * FROM customers", "sql_conn_id": "warehouse", "columns": {"spent": "properties.spent"}}
    task |= {"list_ids": "BENCH1", "mode": "mirror", "state_path": f"file://{state}", "poll_interval": 1}
    env = os.environ | {
        "AIRFLOW_CONN_KLAVIYO_DEFAULT": json.dumps(connection(http, rate_limit=False)),
        "AIRFLOW_CONN_WAREHOUSE": json.dumps({"conn_type": "sqlite", "host": str(warehouse)}),
        "BENCH_TASK": json.dumps(task),
    }
    done = subprocess.run([sys.executable, "-c", TASK], env=env, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the import fails: {done.stderr.strip().splitlines()[-1]}")
    facts: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    facts["requests"] = Counter(http.get("/counted").json())
    return facts


def section(quick: bool, say: Say) -> Section:
    size = QUICK_SIZE if quick else SIZE
    with tempfile.TemporaryDirectory() as directory, list_of(size) as http:
        warehouse, state = Path(directory) / "warehouse.db", Path(directory) / "state"
        with closing(sqlite3.connect(warehouse)) as database:
            database.execute(FILL, [size])
            database.commit()
            everything = mirrored(http, warehouse, state)
            say(f"{size:,} rows without a state in {everything['seconds']:.0f} s")
            database.execute("DELETE FROM customers WHERE rowid % ? = 0", [REMOVED])
            database.execute("UPDATE customers SET spent = -1 WHERE rowid % ? = 1", [CHANGED])
            database.execute(
                "INSERT INTO customers SELECT 'new' || email, first_name, last_name, spent FROM customers "
                "WHERE rowid % ? = 2 AND rowid <= ?",
                [ADDED, size],
            )
            database.commit()
        http.get("/forget")
        changed = mirrored(http, warehouse, state)
        say(f"with one in a hundred changed in {changed['seconds']:.0f} s, {changed['above']:.0f} MB above idle")
    rows = [
        [
            name,
            f"{facts['seconds']:.1f}",
            f"{facts['cpu']:.1f}",
            f"{facts['above']:.0f}",
            f"{facts['requests']['members']:,}",
            f"{facts['requests']['import']:,}",
            f"{facts['requests']['remove']:,}",
            f"{facts['result']['accepted']:,}",
            f"{facts['result']['removed']:,}",
        ]
        for name, facts in (("everything", everything), ("one in a hundred", changed))
    ]
    wanted = {"accepted": size // CHANGED + size // ADDED, "added": size // ADDED, "removed": size // REMOVED}
    found = {name: changed["result"][name] for name in wanted}
    goals = [
        Goal(f"less than {MEMORY} MB above the idle task", f"{changed['above']:.0f} MB", changed["above"] < MEMORY),
        Goal("what has changed is imported or removed, and nothing else", str(found), found == wanted),
    ]
    columns = ["mirror", "s", "CPU, s", "MB above idle", "pages read", "imports", "removals", "rows posted", "removed"]
    about = ABOUT.format(size=size, changed=CHANGED, added=ADDED, removed=REMOVED, minutes=size / PAGE / 750)
    return Section(about, table(columns, rows), goals)


def serve(size: int) -> None:
    counted: Counter[str] = Counter()
    rows: dict[str, int] = {}
    lock = threading.Lock()

    class Handler(Answering):
        def get(self) -> None:
            path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
            if path == "/counted":
                self.answer(200, counted)
            elif path == "/forget":
                counted.clear()
                self.answer(200, {})
            elif path.endswith("/profiles"):
                counted["members"] += 1
                self.answer(200, page(int(query.get("page[cursor]", ["0"])[0])))
            elif path.startswith("/api/profile-bulk-import-jobs/"):
                job = path.rpartition("/")[2]
                attributes = {"status": "complete", "completed_count": rows[job], "failed_count": 0}
                self.answer(200, {"data": {"type": "profile-bulk-import-job", "id": job, "attributes": attributes}})
            elif path == "/api/profile-bulk-import-jobs":
                self.answer(200, {"data": [], "links": {"next": None}})
            elif path == "/api/accounts":
                self.answer(200, {"data": [{"type": "account", "id": "BENCH0", "attributes": {}}]})
            else:
                self.answer(200, {"data": {"type": "list", "id": "BENCH1", "attributes": {"name": "Customers"}}})

        def post(self) -> None:
            content = self.content
            with lock:
                counted["import"] += 1
                job = f"J{len(rows)}"
                rows[job] = len(re.findall(rb'"type":"profile"', content))
            self.answer(
                202, {"data": {"type": "profile-bulk-import-job", "id": job, "attributes": {"status": "queued"}}}
            )

        def delete(self) -> None:
            _ = self.content
            counted["remove"] += 1
            self.answer(204, None)

    def page(start: int) -> Mapping[str, Any]:
        members = [
            {"type": "profile", "id": f"P{number}", "attributes": {"email": f"customer{number}@example.com"}}
            for number in range(start + 1, min(start + PAGE, size) + 1)
        ]
        after = start + PAGE
        link = f"/api/lists/BENCH1/profiles?page[cursor]={after}" if after < size else None
        return {"data": members, "links": {"next": link}}

    serve_with(Handler)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
