"""One real Airflow and one sandbox, shared by all live tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from airflow_provider_klaviyo.sandbox.served import Timing
from harness.local_airflow import LocalAirflow
from tests.support.statsd import StatsD

HERE = Path(__file__).parent
EXAMPLE_DAGS = HERE.parents[1] / "example_dags"


BRIEF = Timing(
    queued=1, adding=1, sending=1, schedule_queued=1, schedule_adding=1, reverting=1, estimating=1, working=1
)
"""Long enough for tasks to be deferred, and no longer."""


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist, which reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder as live; those that share an Airflow go to one process of pytest-xdist."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.live)
            shares = "airflow" in getattr(item, "fixturenames", ())
            item.add_marker(pytest.mark.xdist_group("shared Airflow" if shares else "own Airflow"))


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """A local Klaviyo inside this process. Tests that count sends or requests reset it first."""
    with Sandbox(port=0, timing=BRIEF) as running:
        yield running


@pytest.fixture(scope="session")
def statsd() -> Iterator[StatsD]:
    """Hears the metrics of the Airflow that is shared."""
    server = StatsD()
    yield server
    server.close()


@pytest.fixture(scope="session")
def airflow(sandbox: Sandbox, statsd: StatsD, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAirflow]:
    """An Airflow with the example DAGs and the live tests' own; ``klaviyo_default`` points at the sandbox."""
    connection = {"conn_type": "klaviyo", "host": sandbox.url, "password": "pk_live_tests"}
    home = tmp_path_factory.mktemp("airflow")
    env = {**statsd.settings(), "AIRFLOW_CONN_KLAVIYO_DEFAULT": json.dumps(connection)}
    with LocalAirflow(home, EXAMPLE_DAGS, HERE / "dags", env=env) as running:
        running.wait_ready()
        yield running
