"""``make demo``: one campaign's whole life in a real Airflow, against the sandbox, with nothing sent to anybody.

``KEEP=1`` leaves both servers up, without a login, until ctrl-C. The exit code is 0 only if the run succeeded and the
sandbox counted exactly one send.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from demo.show import TaskTable, console, task_order, waiting
from harness.local_airflow import LocalAirflow
from harness.rest import FINAL_RUN_STATES, HUNG, POLL_SECONDS, LocalAirflowError

ROOT = Path(__file__).parents[1]
DAG_ID = "klaviyo_campaign_lifecycle"
SAMPLE_ADDRESSES = 3


def main() -> int:
    """Run the demo and return the exit code."""
    homes = ROOT / ".demo"
    homes.mkdir(exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix="airflow-", dir=homes))
    exit_code = 1
    try:
        with servers(home) as (sandbox, airflow):
            exit_code = 0 if run_and_report(sandbox, airflow) else 1
            keep_or_say_how(sandbox, airflow)
    except KeyboardInterrupt:
        print("\nBoth servers have ended.")
    except LocalAirflowError as error:
        print(f"\nThe demo failed: {error}", file=sys.stderr)
        exit_code = 1
    if exit_code == 0:
        shutil.rmtree(home, ignore_errors=True)
    else:
        print(f"\nAirflow's logs are in {home.relative_to(ROOT)}", file=sys.stderr)
    return exit_code


@contextmanager
def servers(home: Path, env: Mapping[str, str] | None = None) -> Iterator[tuple[Sandbox, LocalAirflow]]:
    """Start a sandbox and an Airflow whose ``klaviyo_default`` points at it, ready to run the lifecycle DAG.

    :param env: further environment variables of Airflow.
    """
    with Sandbox(port=0) as sandbox, ExitStack() as stack:
        print(f"The sandbox, a local Klaviyo, is up at {sandbox.url}", flush=True)
        connection = {"conn_type": "klaviyo", "host": sandbox.url, "password": "pk_demo"}
        env = {"AIRFLOW_CONN_KLAVIYO_DEFAULT": json.dumps(connection), **(env or {})}
        with waiting(console(), "Airflow is starting", "Airflow is up"):
            airflow = stack.enter_context(LocalAirflow(home, ROOT / "example_dags", env=env))
            airflow.wait_ready(DAG_ID)
        print(f"Its address is {airflow.url}", flush=True)
        yield sandbox, airflow


def run_and_report(sandbox: Sandbox, airflow: LocalAirflow) -> bool:
    """Run the DAG, print what was sent and what it took, and return whether it was exactly one send."""
    run_id = airflow.trigger(DAG_ID)
    state, instances = follow(airflow, run_id)
    sends = read(sandbox, "sends")
    requests = read(sandbox, "requests")
    print(f"\nState of the run: {state}. Campaigns sent: {len(sends)}")
    for send in sends:
        print(f"  {describe_send(send)}")
    print(f"\nCalls to Klaviyo's API: {len(requests)}")
    for operation, count in Counter(request["operation"] for request in requests).most_common():
        print(f"  {count:4d}  {operation}")
    for instance in instances:
        if instance["state"] in ("failed", "up_for_retry"):
            print_failure(airflow, instance)
    return state == "success" and len(sends) == 1


def follow(airflow: LocalAirflow, run_id: str) -> tuple[str, list[dict[str, Any]]]:
    """Show the tasks of a run until it ends, or too much time has passed; return its state and its tasks."""
    print(f"\n{DAG_ID} {run_id}", flush=True)
    started = time.monotonic()
    with TaskTable(task_order(airflow, DAG_ID), console()) as table:
        while True:
            state = airflow.run_state(DAG_ID, run_id)
            instances = airflow.task_instances(DAG_ID, run_id)
            elapsed = time.monotonic() - started
            table.show(instances, elapsed)
            if state in FINAL_RUN_STATES or elapsed > HUNG:
                return state, instances
            time.sleep(POLL_SECONDS)


def read(sandbox: Sandbox, what: str) -> Sequence[Mapping[str, Any]]:
    """Return a list that the sandbox keeps: ``sends`` or ``requests``."""
    rows: list[dict[str, Any]] = httpx.get(f"{sandbox.url}/sandbox/{what}", trust_env=False).raise_for_status().json()
    return rows


def describe_send(send: Mapping[str, Any]) -> str:
    """Return one line on a send: its name, channel, number of recipients and a few addresses."""
    addresses = send["addresses"]
    samples = ", ".join(addresses[:SAMPLE_ADDRESSES]) + (", …" if len(addresses) > SAMPLE_ADDRESSES else "")
    return f"{send['name']!r} by {send['channel']} to {send['recipients']}: {samples}"


def print_failure(airflow: LocalAirflow, instance: Mapping[str, Any]) -> None:
    """Print the end of the log of a task's last try."""
    log = airflow.task_log(
        instance["dag_id"], instance["dag_run_id"], instance["task_id"], instance["try_number"], instance["map_index"]
    )
    print(f"\n{instance['task_id']} failed; the end of its log:\n" + "\n".join(log.splitlines()[-20:]), file=sys.stderr)


def keep_or_say_how(sandbox: Sandbox, airflow: LocalAirflow) -> None:
    """Print both addresses and, with ``KEEP``, stay until interrupted."""
    print(f"\nAirflow          {airflow.url}/dags/{DAG_ID}\nKlaviyo sandbox  {sandbox.url}")
    if os.environ.get("KEEP"):
        print("Both stay up, without a login, until ctrl-C.", flush=True)
        while True:
            time.sleep(3600)
    print("Both end now. KEEP=1 make demo leaves them up to look around.")


if __name__ == "__main__":
    sys.exit(main())
