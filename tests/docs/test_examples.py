"""The examples of the documentation work as they stand."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from airflow.sdk import DAG
from airflow.sdk.execution_time import macros

from airflow_provider_klaviyo.hooks.connection import client_settings
from airflow_provider_klaviyo.hooks.extra import EXTRAS
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.operators.api import KlaviyoApiOperator
from airflow_provider_klaviyo.operators.campaigns import KlaviyoCreateCampaignOperator, KlaviyoListCampaignsOperator
from airflow_provider_klaviyo.sandbox import cli
from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from airflow_provider_klaviyo.sandbox.faults import FAULTS
from airflow_provider_klaviyo.sandbox.settings import Settings
from tests.docs.pages import DOCS, PAGES, ROOT, Block, blocks
from tests.support.airflow_versions import DagSerialization, since_airflow
from tests.support.context import dag_run
from tests.support.sandbox import Klaviyo

README = ROOT / "README.md"
TESTING = DOCS / "testing-your-dags.md"
NEEDS = {
    "approval.md": ("3.1", "people are asked"),
    "reliability.md": ("3.3", "retry policies"),
    "waiting.md": ("3.3", "start_from_trigger"),
}
WITH_PYTHON = [
    pytest.param(page, marks=since_airflow(*needs) if (needs := NEEDS.get(page.name)) else ())
    for page in (README, *PAGES)
    if page != TESTING and blocks(page, "python")
]
SANDBOX_URL = "http://127.0.0.1:5528"


def run(page: Path) -> list[DAG]:
    """Run a page's blocks one after the other, in one DAG, as one reads them; that DAG and those that they make."""
    names: dict[str, Any] = {"__name__": "example"}
    with DAG("page", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as around:
        made = [around]
        for block in blocks(page, "python"):
            _run(block, names)
            made += [value for value in names.values() if isinstance(value, DAG) and value not in made]
    return made


def _run(block: Block, names: dict[str, Any]) -> None:
    code = "\n" * (block.line - 1) + re.sub(r"^(with DAG\(.*\)):$", r"\1 as dag:", block.code, flags=re.MULTILINE)
    exec(compile(code, str(block.page), "exec"), names)


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: page.name)
def test_the_python_of_a_page_makes_dags_that_airflow_can_serialise(page: Path, klaviyo: Klaviyo) -> None:
    dags = run(page)
    assert sum(len(dag.tasks) for dag in dags) > 0
    for dag in dags:
        DagSerialization.from_dict(DagSerialization.to_dict(dag))


CHECKED_BY_RUNNING = (KlaviyoCreateCampaignOperator, KlaviyoListCampaignsOperator, KlaviyoApiOperator)


def test_what_the_campaigns_page_makes_lists_and_calls_is_taken_by_klaviyo(klaviyo: Klaviyo, tmp_path: Path) -> None:
    ran = []
    for operator in run(DOCS / "campaigns.md")[0].tasks:
        if not isinstance(operator, CHECKED_BY_RUNNING) or operator.get_closest_mapped_task_group():
            continue
        ti = SimpleNamespace(
            try_number=1, max_tries=0, start_date=datetime.now(UTC), xcom_push=_ignore, xcom_pull=lambda **_: "C1"
        )
        run_of_dag = dag_run()
        context: Any = {
            "ti": ti,
            "dag_run": run_of_dag,
            "run_id": run_of_dag.run_id,
            "macros": macros,
            "task": operator,
        }
        if isinstance(operator, KlaviyoListCampaignsOperator) and operator.output_path:
            operator.output_path = str(operator.output_path).replace("/tmp/klaviyo", str(tmp_path))
        operator.render_template_fields(context)
        operator.execute(context)
        ran.append(operator.task_id)
    assert len(ran) >= 9, ran
    assert klaviyo.named("Personal " + dag_run().run_id)


def _ignore(**_: Any) -> None:
    return


# --- the sandbox page -------------------------------------------------------------------------------------------------


@pytest.fixture
def by_curl(klaviyo: Klaviyo) -> Iterator[list[str]]:
    """The curl commands of the sandbox's page, against a sandbox."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    scripts = [block.code for block in blocks(DOCS / "sandbox.md", "sh") if "curl " in block.code]
    yield [script.replace(SANDBOX_URL, klaviyo.url) for script in scripts]
    klaviyo.reset()


def test_the_curl_examples_do_what_they_say(klaviyo: Klaviyo, by_curl: list[str]) -> None:
    life, faults, settings = by_curl
    sends = json.loads(_curl(life)[-1])
    assert [send["campaign_id"] for send in sends] == ["01H5QQV9F57XJHJDMD86RX4QM5"]
    *_, told, cleared = _curl(faults)
    assert [rule["fault"] for rule in json.loads(told)] == ["status_after_commit", "stale", "throttle"]
    assert json.loads(cleared) == []
    (set_now,) = _curl(settings)
    assert json.loads(set_now) == {
        "import_pointer": False,
        "import_nulls": "clear",
        "jobs_end": "complete",
        "reactions": True,
    }


def _curl(script: str) -> list[str]:
    """What each command prints; each has to succeed."""
    shell = 'set -e\ncurl() { command curl --silent --show-error --fail-with-body --noproxy "*" "$@"; echo; }\n'
    done = subprocess.run(["bash", "-c", shell + script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_the_sandbox_page_has_every_option_fault_and_setting() -> None:
    text = (DOCS / "sandbox.md").read_text(encoding="utf-8")
    command = [sys.executable, "-c", "from airflow_provider_klaviyo.sandbox.cli import main; main()", "serve", "--help"]
    usage = subprocess.run(command, capture_output=True, text=True, check=True, env=_environment()).stdout
    options = text[text.index("| Option |") : text.index("### Commands")]
    assert set(re.findall(r"`(--[a-z-]+)", options)) == set(re.findall(r"--[a-z-]+", usage)) - {"--help"}
    commands = text[text.index("### Commands") : text.index("### Without Airflow")]
    assert set(re.findall(r"^\| `(\w+)", commands, re.MULTILINE)) == set(cli.commands.commands)
    faults = text[text.index("## Faults") : text.index("## Settings")]
    assert set(re.findall(r"^\| `(\w+)` \|", faults, re.MULTILINE)) - {"fault"} == set(FAULTS)
    settings = text[text.index("## Settings") : text.index("## A bulk import")]
    assert set(re.findall(r"^\| `(\w+)` \|", settings, re.MULTILINE)) == {field.name for field in fields(Settings)}


def test_the_sandbox_page_has_every_control(klaviyo: Klaviyo) -> None:
    text = (DOCS / "sandbox.md").read_text(encoding="utf-8")
    told = set(re.findall(r"`(?:GET|POST|DELETE) (/sandbox/\w+)[?`]", text))
    server = (files("airflow_provider_klaviyo.sandbox") / "server.py").read_text(encoding="utf-8")
    pages = (files("airflow_provider_klaviyo.sandbox.page") / "routes.py").read_text(encoding="utf-8")
    assert told == set(re.findall(r'web\.\w+\("(/sandbox/\w+)"', server + pages))
    for method, path in re.findall(r"`(GET) (/sandbox/\w+)`", text):
        assert httpx.request(method, klaviyo.url + path).status_code == 200


# --- connections and metrics ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", [block for page in PAGES for block in blocks(page, "json")], ids=str)
def test_a_connection_that_is_shown_can_be_used(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SHOWN", block.code.replace("…", "key_of_the_reader"))
    connection = KlaviyoHook.get_connection("shown")
    assert set(connection.extra_dejson) <= set(EXTRAS)
    assert client_settings(connection, connection.extra_dejson).pacing is not None


def test_the_metrics_are_those_of_the_code() -> None:
    sources = ROOT.joinpath("src").rglob("*.py")
    emitted = {
        name
        for source in sources
        for name in re.findall(r'Stats\.\w+\(\s*"(klaviyo[\w.]+)"', source.read_text(encoding="utf-8"))
    }
    text = (DOCS / "rate-limits.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(klaviyo\.[\w.]+)` \|", text, re.MULTILINE)) == emitted


# --- testing your DAGs ------------------------------------------------------------------------------------------------


def test_a_seed_of_ones_own_is_taken(tmp_path: Path) -> None:
    seed = tmp_path / "account.json"
    seed.write_text((files("airflow_provider_klaviyo.sandbox") / "seed.json").read_text(encoding="utf-8"))
    with Sandbox(seed=seed) as sandbox:
        assert httpx.get(f"{sandbox.url}/sandbox/sends").json() == []


@pytest.mark.live
def test_the_tests_of_the_testing_page_pass_as_they_stand(tmp_path: Path, site: Path) -> None:
    """Written to the files that the page names, and run by a pytest of their own, on two workers."""
    text = TESTING.read_text(encoding="utf-8")
    named = re.findall(r"`((?:tests|dags)/\w+\.py)`:\n\n```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    *_, options = (block.code for block in blocks(TESTING, "python"))
    assert len(named) == len(blocks(TESTING, "python")) - 1 == 3
    assert named[0][1].count("\n") <= 10
    for path, code in [*named, ("tests/conftest.py", options)]:
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(code, encoding="utf-8")
    shutil.copy(str(files("airflow_provider_klaviyo.sandbox") / "seed.json"), tmp_path / "tests" / "account.json")
    (configuration,) = blocks(TESTING, "toml")
    (tmp_path / "pyproject.toml").write_text(configuration.code, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--numprocesses", "2"]
    env = _environment()
    env["PYTHONPATH"] = os.pathsep.join([str(site), env["PYTHONPATH"]])
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=280, env=env)
    logging.info(done.stdout)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "5 passed" in done.stdout


def _environment() -> dict[str, str]:
    """This process's, without what its conftest says about Airflow; this package importable as here."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTEST"))}
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT / "src"), kept.get("PYTHONPATH")]))}
