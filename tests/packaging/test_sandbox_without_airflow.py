"""The wheel and the needs of its extra ``sandbox`` are enough for the sandbox: Airflow is not installed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT

UV = str(Path(sys.executable).parent / "uv")

pytestmark = pytest.mark.skipif(
    not Path(UV).exists(), reason="Airflow is not installed here, whichever it is: once is enough"
)


def run(*command: str, cwd: Path = ROOT, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def listed(installed: Path) -> list[dict[str, str]]:
    return json.loads(run(UV, "pip", "list", "--format", "json", "--python", str(installed / "python")))


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``bin`` of an environment with nothing else in it. No test adds to it: in which order they run is open."""
    place = tmp_path_factory.mktemp("without-airflow")
    python = place / "env" / "bin" / "python"
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    run(UV, "build", "--quiet", "--wheel", "--out-dir", str(place), ".")
    (wheel,) = place.glob("*.whl")
    run(UV, "venv", "--quiet", "--python", sys.executable, str(place / "env"))
    run(UV, "pip", "install", "--quiet", "--python", str(python), "--no-deps", "--compile-bytecode", str(wheel))
    run(UV, "pip", "install", "--quiet", "--python", str(python), "--compile-bytecode", *extras["sandbox"])
    return python.parent


@pytest.fixture
def served(installed: Path) -> Iterator[HTTPConnection]:
    command = [installed / "klaviyo-sandbox", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().rpartition(":")[2])
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        yield connection
        connection.close()
        process.terminate()


def test_it_serves_the_api(installed: Path, served: HTTPConnection) -> None:
    assert not [package["name"] for package in listed(installed) if package["name"].startswith("apache-airflow")]
    headers = {"Authorization": "Klaviyo-API-Key pk_test", "revision": "2026-04-15"}
    body = {"data": {"type": "template", "id": "RipRmi", "attributes": {"context": {}}}}
    content = {**headers, "Content-Type": "application/vnd.api+json"}
    served.request("POST", "/api/template-render", json.dumps(body), content)  # checks a schema, and fills in
    answer = served.getresponse()
    assert answer.status == 201, answer.read()


def test_it_has_as_many_packages_and_megabytes_as_the_page_says(installed: Path) -> None:
    found = re.search(r"These are (\d+) packages and (\d+) MB", (DOCS / "sandbox.md").read_text(encoding="utf-8"))
    assert found is not None
    size = sum(path.stat().st_size for path in installed.parent.joinpath("lib").rglob("*.*") if path.is_file())
    packages = [f"{package['name']} {package['version']}" for package in listed(installed)]
    counted = f"{len(packages)} packages, {size / 1e6:.1f} MB; the page has {found[1]} and {found[2]}: {packages}"
    assert abs(len(packages) - int(found[1])) <= 2, counted
    assert size / 1e6 == pytest.approx(int(found[2]), rel=0.25), counted


def test_the_container_file_installs_what_the_extra_needs() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    needs = " ".join(re.match(r"[\w-]+", need)[0] for need in extras["sandbox"])  # type: ignore[index]
    assert f"pip install --no-cache-dir {needs} " in (ROOT / "Containerfile").read_text(encoding="utf-8")
    assert f"pip install {needs}\n" in (DOCS / "sandbox.md").read_text(encoding="utf-8")


def test_the_fixture_works_there(installed: Path, tmp_path: Path) -> None:
    beside, python = tmp_path / "beside", str(installed / "python")
    run(UV, "pip", "install", "--quiet", "--python", python, "--target", str(beside), "pytest")
    (tmp_path / "test_it.py").write_text(
        "def test_it(klaviyo_sandbox):\n    assert klaviyo_sandbox.sends == klaviyo_sandbox.requests == []\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(beside)}
    assert "1 passed" in run(python, "-m", "pytest", "test_it.py", cwd=tmp_path, env=environment)
