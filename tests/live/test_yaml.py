"""The example in YAML, by dag-factory, in a real Airflow."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from harness.local_airflow import LocalAirflow
from tests.live.conftest import BRIEF
from tests.support.clocks import within_one_day

DAG_ID = "klaviyo_weekly_from_yaml"
EXAMPLE = Path(__file__).parents[2] / "example_dags" / "klaviyo_weekly.yaml"
DAG_FACTORY = "dag-factory==1.1.0"
"""Not of the environment of all tests: it is an Airflow plugin, and so would be loaded into each of their processes."""


@pytest.mark.thorough
def test_a_campaign_that_is_written_in_yaml_is_sent_once_a_day(tmp_path: Path) -> None:
    within_one_day(minutes=3)
    folder, dags = tmp_path / "packages", tmp_path / "dags"
    install = ["-m", "uv", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), DAG_FACTORY]
    subprocess.run([sys.executable, *install], check=True)
    dags.mkdir()
    (dags / EXAMPLE.name).write_text(EXAMPLE.read_text())
    (dags / "loader.py").write_text(loader())
    with Sandbox(port=0, timing=BRIEF) as sandbox:
        env = {
            "AIRFLOW_CONN_KLAVIYO_DEFAULT": json.dumps(
                {"conn_type": "klaviyo", "host": sandbox.url, "password": "pk_live_tests"}
            ),
            "PYTHONPATH": str(folder),
            "DO_NOT_TRACK": "1",
        }
        with LocalAirflow(tmp_path / "home", dags, env=env) as airflow:
            airflow.wait_ready(DAG_ID)
            for _ in range(2):
                assert airflow.wait_for(DAG_ID, airflow.trigger(DAG_ID)) == "success"
        [sent] = httpx.get(f"{sandbox.url}/sandbox/sends").json()
    assert sent["name"].startswith("Weekly news 20")


def loader() -> str:
    """The Python file that the example's first lines have."""
    lines = EXAMPLE.read_text().splitlines()
    return "\n".join(line.removeprefix("#     ") for line in lines if line.startswith("#     ")) + "\n"
