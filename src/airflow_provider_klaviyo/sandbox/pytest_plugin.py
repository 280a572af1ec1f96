"""The fixture ``klaviyo_sandbox``, which pytest finds by itself.

pytest loads this module in every project, so it imports neither the sandbox nor Airflow before a test asks for it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow_provider_klaviyo.sandbox.testing import KlaviyoSandbox

DAGS = "klaviyo_dags"
HOME = pytest.StashKey[Path]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(DAGS, "folder of the DAGs to test: they get an Airflow of their own, empty and temporary", default="")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Give the DAGs an Airflow of their own. Airflow reads its environment when it is imported, so this comes first."""
    if not (named := early_config.getini(DAGS)):
        return
    folder = early_config.rootpath / str(named)
    if not folder.is_dir():
        raise pytest.UsageError(f"{DAGS} = {named}: there is no folder {folder}.")
    if "airflow" in sys.modules:
        raise pytest.UsageError(f"{DAGS}: Airflow is imported already, by another plugin; it keeps its home.")
    early_config.stash[HOME] = home = Path(tempfile.mkdtemp(prefix="klaviyo-airflow-"))
    os.environ["AIRFLOW_HOME"] = str(home)
    os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(folder)
    os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
    os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = f"sqlite:///{home / 'airflow.db'}"
    sys.path.insert(0, str(folder))


def pytest_unconfigure(config: pytest.Config) -> None:
    if home := config.stash.get(HOME, None):
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def klaviyo_sandbox_options() -> dict[str, Any]:
    """What the sandbox of the session is made with: arguments of ``sandbox.embedded.Sandbox``. Yours to override."""
    return {}


@pytest.fixture(scope="session")
def _klaviyo_sandbox_of_session(
    request: pytest.FixtureRequest, klaviyo_sandbox_options: dict[str, Any]
) -> Iterator[KlaviyoSandbox]:
    try:
        from airflow_provider_klaviyo.sandbox.embedded import Sandbox
        from airflow_provider_klaviyo.sandbox.testing import KlaviyoSandbox
    except ModuleNotFoundError as missing:
        pytest.fail(f"{missing.name} is not installed: pip install 'airflow-provider-klaviyo[sandbox]'.", pytrace=False)
    if request.config.stash.get(HOME, None):
        _make_database()
    with Sandbox(**{"limits": False, "speed": 60, **klaviyo_sandbox_options}) as running:
        yield KlaviyoSandbox(running.url)


@pytest.fixture
def klaviyo_sandbox(
    _klaviyo_sandbox_of_session: KlaviyoSandbox, monkeypatch: pytest.MonkeyPatch
) -> Iterator[KlaviyoSandbox]:
    """A fresh Klaviyo in this process that sends nothing; Airflow's connection ``klaviyo_default`` points at it.

    A minute passes in it each second, and it has no rate limits. What was on its way in an earlier test has no effect.
    """
    fresh = _klaviyo_sandbox_of_session
    fresh.reset()
    connection = {"conn_type": "klaviyo", "host": fresh.url, "password": "pk_test"}
    monkeypatch.setenv("AIRFLOW_CONN_KLAVIYO_DEFAULT", json.dumps(connection))
    yield fresh
    fresh.reset()


def _make_database() -> None:
    """The database that ``dag.test()`` needs: SQLite, made in seconds."""
    made = subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], capture_output=True, text=True)
    if made.returncode:
        pytest.fail(f"airflow db migrate failed:\n{made.stdout}{made.stderr}", pytrace=False)
