"""Takes the pictures in ``docs/images``: the lifecycle DAG's run, an approval and the pipeline after a refresh in
Airflow's UI, the sandbox's page.

Run it with ``make screenshots``. Needs Chromium (Debian: ``apt-get install chromium``), which is driven over its
DevTools protocol. It runs the demo first, so the pictures show what a reader of the docs would see.
"""

from __future__ import annotations

import base64
import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

from airflow_provider_klaviyo.api.operations import DEFAULT_REVISION
from demo.run import DAG_ID, ROOT, read, servers
from harness.local_airflow import LocalAirflow
from harness.rest import FINAL_RUN_STATES

IMAGES = ROOT / "docs" / "images"
BROWSERS = ["chromium", "chromium-browser", "google-chrome"]
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
]
TIMEOUT_SECONDS = 60
SETTLE_SECONDS = 2.0
AIRFLOW_SIZE = (1600, 720)
SANDBOX_SIZE = (1280, 1000)
REQUEST_SIZE = (1280, 760)
PHONE_SIZE = (390, 844)
QUESTION_SIZE = (1280, 900)
PIPELINE = "klaviyo_after_warehouse_refresh"
APPROVAL, ASKED = "klaviyo_approval", ("awaiting_input", "deferred")
AIRFLOW_VIEWS = {"graph": "airflow-dag.png", "grid": "airflow-run.png"}


class Page:
    """One browser tab, driven by DevTools commands.

    :param socket: the tab's DevTools connection.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._ids = count(1)

    def command(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and return its result."""
        wanted = next(self._ids)
        self._socket.send(json.dumps({"id": wanted, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(timeout=TIMEOUT_SECONDS))
            if message.get("id") == wanted:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                result: dict[str, Any] = message["result"]
                return result

    def open(self, url: str, text: str) -> None:
        """Load a page and wait until a text can be read on it and the rest has settled."""
        self.command("Page.navigate", url=url)
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while text not in self.evaluate("document.body ? document.body.innerText : ''"):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{url} does not show {text!r} after {TIMEOUT_SECONDS} s")
            time.sleep(0.2)
        time.sleep(SETTLE_SECONDS)

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression."""
        return self.command("Runtime.evaluate", expression=expression)["result"].get("value")

    def save(self, path: Path) -> None:
        """Save a PNG of the visible part."""
        path.write_bytes(base64.b64decode(self.command("Page.captureScreenshot", format="png")["data"]))
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1024} kB")

    def resize(self, width: int, height: int) -> None:
        """Set the size of the visible part in CSS pixels."""
        self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )


@contextmanager
def browser_page() -> Iterator[Page]:
    """Start a browser with an empty profile and give its only tab."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        sys.exit(f"No browser found, looked for {', '.join(BROWSERS)}. On Debian: apt-get install chromium")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            port_file = Path(profile, "DevToolsActivePort")
            deadline = time.monotonic() + TIMEOUT_SECONDS
            while not (port_file.exists() and port_file.read_text()):
                if browser.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"{program} did not start")
                time.sleep(0.1)
            port = port_file.read_text().split()[0]
            tabs = httpx.get(f"http://127.0.0.1:{port}/json/list", trust_env=False).json()
            url = next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
            with connect(url, max_size=None, proxy=None) as socket:
                yield Page(socket)
        finally:
            browser.terminate()
            browser.wait()


def photograph_airflow(page: Page, airflow: LocalAirflow, run_id: str) -> None:
    """Save the run as a graph, and as a grid with its list of tasks."""
    page.resize(*AIRFLOW_SIZE)
    for view, image in AIRFLOW_VIEWS.items():
        open_run(page, airflow, DAG_ID, run_id, view)
        page.save(IMAGES / image)


def open_run(page: Page, airflow: LocalAirflow, dag_id: str, run_id: str, view: str) -> None:
    """Open a run as a ``graph`` or as a ``grid``."""
    page.open(f"{airflow.url}/dags", DAG_ID)
    page.evaluate("localStorage.setItem('theme', 'light')")
    page.evaluate(f"localStorage.setItem('default_dag_view', JSON.stringify('{view}'))")
    page.open(f"{airflow.url}/dags/{dag_id}/runs/{run_id}", airflow.task_instances(dag_id, run_id)[0]["task_id"])


def photograph_question(page: Page, airflow: LocalAirflow) -> None:
    """Run the DAG with an approval until it asks, and save what the person sees."""
    run_id = airflow.trigger(APPROVAL)
    airflow.wait_until(lambda: airflow.task_states(APPROVAL, run_id).get("approve") in ASKED, "a question")
    page.resize(*QUESTION_SIZE)
    page.open(f"{airflow.url}/dags/{APPROVAL}/runs/{run_id}/tasks/approve/required_actions", "Ask Ada")
    page.save(IMAGES / "approval.png")


def photograph_sandbox(page: Page, url: str, sent: dict[str, Any]) -> None:
    """Save a sent campaign, a request that was answered with 404, and the request log on a phone."""
    headers = {"Authorization": "Klaviyo-API-Key pk_demo", "revision": DEFAULT_REVISION}
    httpx.get(f"{url}/api/lists/Y6nRLX", headers=headers, trust_env=False)
    number = httpx.get(f"{url}/sandbox/requests", trust_env=False).json()[-1]["number"]
    page.resize(*SANDBOX_SIZE)
    page.open(f"{url}/campaigns/{sent['campaign_id']}", "Sent")
    page.save(IMAGES / "sandbox.png")
    page.resize(*REQUEST_SIZE)
    page.open(f"{url}/requests/{number}", "Y6nRLX")
    page.save(IMAGES / "sandbox-request.png")
    page.resize(*PHONE_SIZE)
    page.open(f"{url}/requests", "get_list")
    page.save(IMAGES / "sandbox-phone.png")


def photograph_pipeline(page: Page, airflow: LocalAirflow, home: Path) -> None:
    """Run the pipeline until it waits for the figures, and save it as a graph."""
    paths = {name: f"file://{home}/{name}" for name in ("state_path", "rejected_path")}
    run_id = airflow.trigger(PIPELINE, {"minimum": "1", **paths})
    airflow.wait_until(lambda: airflow.task_states(PIPELINE, run_id).get("report") == "deferred", "a send")
    page.resize(*AIRFLOW_SIZE)
    open_run(page, airflow, PIPELINE, run_id, "graph")
    page.save(IMAGES / "after-a-refresh.png")


def warehouse(home: Path) -> dict[str, str]:
    """A database with the pipeline's table, as an environment variable of Airflow."""
    path = home / "warehouse.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE lapsed_customers (email, first_name, last_order)")
        rows = [(f"customer{number}@example.com", "Customer", "2026-01-31") for number in range(1_000)]
        database.executemany("INSERT INTO lapsed_customers VALUES (?, ?, ?)", rows)
    return {"AIRFLOW_CONN_WAREHOUSE": json.dumps({"conn_type": "sqlite", "host": str(path)})}


def main() -> None:
    """Run the lifecycle DAG once and photograph it from both sides."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home,
        servers(Path(home), warehouse(Path(home))) as (sandbox, airflow),
    ):
        run_id = airflow.trigger(DAG_ID)
        state = airflow.wait_for(DAG_ID, run_id, FINAL_RUN_STATES)
        if state != "success":
            sys.exit(f"The run ended as {state}; `make demo` shows why")
        with browser_page() as page:
            photograph_airflow(page, airflow, run_id)
            photograph_question(page, airflow)
            photograph_sandbox(page, sandbox.url, read(sandbox, "sends")[0])
            photograph_pipeline(page, airflow, Path(home))


if __name__ == "__main__":
    main()
