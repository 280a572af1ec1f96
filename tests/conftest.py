"""What all tests share. Airflow reads its environment when it is imported, so that is set first."""

from __future__ import annotations

import json
import os
import tempfile
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="airflow-klaviyo-tests-"))
os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")

from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from airflow_provider_klaviyo.sandbox.served import Timing
from tests.support.redis import REDIS, start_redis
from tests.support.sandbox import Klaviyo

settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

KEY = "pk_secret_of_the_tests"
QUICK = Timing(
    queued=0.03,
    adding=0.03,
    sending=0.03,
    schedule_queued=0.03,
    schedule_adding=0.03,
    reverting=0.1,
    estimating=0.05,
    working=0.03,
    counting=0.0,
)

MOST_CASES = 16
"""Cases of one test that ``make test`` runs at most."""

Connect = Callable[..., None]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as thorough all but some cases, evenly chosen, of a test that has many."""
    tests: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        tests[item.nodeid.partition("[")[0]].append(item)
    for cases in tests.values():
        step = -(-len(cases) // MOST_CASES)
        for number, item in enumerate(cases):
            if number % step:
                item.add_marker(pytest.mark.thorough)


@pytest.fixture(scope="session")
def _quick_sandbox() -> Iterator[Klaviyo]:
    with Sandbox(limits=False, timing=QUICK, strict=True) as running:
        klaviyo = Klaviyo(running.url)
        yield klaviyo
        klaviyo.close()


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Sets the connection ``klaviyo_default``, as an environment variable does."""

    def set_connection(url: str, password: str = KEY, **extra: Any) -> None:
        connection = {"conn_type": "klaviyo", "host": url, "password": password, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_KLAVIYO_DEFAULT", json.dumps(connection))

    return set_connection


@pytest.fixture
def klaviyo(_quick_sandbox: Klaviyo, connect: Connect, brief_pauses: None) -> Iterator[Klaviyo]:
    """A fresh sandbox that takes milliseconds where Klaviyo takes seconds; ``klaviyo_default`` points at it."""
    _quick_sandbox.reset()
    connect(_quick_sandbox.url)
    yield _quick_sandbox
    _quick_sandbox.wait_for_late_writes()


@pytest.fixture
def brief_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scales down the pauses between repetitions and looks; what is decided stays as it is."""
    from airflow_provider_klaviyo.api import retry
    from airflow_provider_klaviyo.never_twice import look
    from airflow_provider_klaviyo.triggers import poller

    full = retry.pause
    monkeypatch.setattr(retry, "pause", lambda state: full(state) / 100)
    monkeypatch.setattr(look, "SETTLE", 0.4)
    monkeypatch.setattr(retry, "LONGEST", 1.5)
    monkeypatch.setattr(look, "longest_exchange", lambda _: 0.0)
    monkeypatch.setattr(look, "PAUSE", 0.05)
    monkeypatch.setattr(poller, "GATHER", 0.01)


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that, on the path, has pytest find this package's plugin, as an installed package does."""
    folder = tmp_path_factory.mktemp("site")
    text = Path(__file__).parents[1].joinpath("pyproject.toml").read_text(encoding="utf-8")
    [(name, module)] = tomllib.loads(text)["project"]["entry-points"]["pytest11"].items()
    about = folder / "klaviyo_plugin-1.dist-info"
    about.mkdir()
    about.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: klaviyo-plugin\nVersion: 1\n")
    about.joinpath("entry_points.txt").write_text(f"[pytest11]\n{name} = {module}\n")
    return folder


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A Redis server of the tests' own. Where it is not installed, the test is skipped."""
    if not REDIS:
        pytest.skip("redis-server is not on the PATH")
    with tempfile.TemporaryDirectory() as directory:
        server = start_redis(Path(directory))
        try:
            yield f"unix://{directory}/socket"
        finally:
            server.kill()
            server.wait()
