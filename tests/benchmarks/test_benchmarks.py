"""Each benchmark runs in its quick form and prints its table. What it measures is not judged here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import NAMES
from benchmarks.report import Goal, Section, render, table, write
from benchmarks.taking import taken, taking
from benchmarks.throughput import legal

ROOT = Path(__file__).parents[2]
NEEDS = {
    "throughput": ("limits", "pyrate_limiter", "filelock"),
    "limiter": ("limits", "pyrate_limiter", "filelock"),
    "imports": ("airflow.providers.dbt", "airflow.providers.databricks", "airflow.providers.airbyte"),
}
ROWS = {
    "throughput": [
        "| ours, share 1 |",
        "| ours, share 0.9 |",
        "| SDK, its own retries |",
        "| SDK behind pyrate-limiter |",
    ],
    "waiting": ["| 10 | 1 | shared", "| 10 | 1 | alone", "| 20 | 2 | shared"],
    "overhead": ["| get_campaign |", "| get_campaigns, 20 rows |", "| a task's only call |"],
    "imports": ["| `import airflow_provider_klaviyo.operators.campaigns` |", "databricks"],
    "lifecycle": ["| ours |", "| SDK |"],
    "limiter": ["| ours, SQLite |", "| pyrate-limiter, SQLite |"],
    "load": ["| reads of a campaign, a second |", "| soak: 5xx that no fault asked for | 0 |"],
    "mirror": ["| everything |", "| one in a hundred |"],
    "audience": ["| ours |", "| SDK's models |", "| profiles on the list | 4,995 |", "| of the legal maximum |"],
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.thorough if name in ("waiting", "overhead", "audience") else ())
        for name in NAMES
    ],
)
def test_each_benchmark_prints_its_table_and_writes_its_section(name: str, tmp_path: Path) -> None:
    for module in NEEDS.get(name, ()):
        pytest.importorskip(module, reason="the dependency group 'bench' is not installed")
    page = tmp_path / "page.md"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--only", name, "--output", str(page)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    for row in ROWS[name]:
        assert row in done.stdout
        assert row in page.read_text()
    assert f"## {name}" in page.read_text()


def test_the_legal_maximum_is_that_of_fixed_windows_from_the_start_of_a_minute() -> None:
    assert [legal(seconds) for seconds in (1, 14, 15, 59, 60, 61, 120)] == [10, 140, 150, 150, 150, 160, 300]
    assert legal(120, share=0.9) == 270


def test_the_server_that_takes_imports_counts_their_rows_and_refuses_those_beyond_the_limits() -> None:
    body = b'{"profiles":[{"type":"profile"},{"type":"profile"}]}'
    with taking() as http:
        answered = [http.post("/api/profile-bulk-import-jobs", content=body).status_code for _ in range(60)]
        counted = taken(http)
    assert answered[:10] == [202] * 10
    assert 429 in answered
    assert [one.rows for one in counted] == [2 if status == 202 else 0 for status in answered]
    assert {one.size for one in counted} == {len(body)}


def test_a_section_measured_again_replaces_its_own_and_keeps_the_others(tmp_path: Path) -> None:
    page, order = tmp_path / "page.md", ["one", "two", "three"]

    def rendered(name: str, figure: str) -> str:
        goal = Goal("much", figure, met=False)
        return render(name, Section("What.", table(["way", "ms"], [["ours", figure]]), [goal]), "0.0", quick=False)

    write(page, order, {"three": rendered("three", "3"), "one": rendered("one", "1")})
    write(page, order, {"two": rendered("two", "2"), "one": rendered("one", "9")})
    text = page.read_text()
    assert [line for line in text.splitlines() if line.startswith("## ")] == ["## one", "## two", "## three"]
    assert [line for line in text.splitlines() if line.startswith("| ours")] == [f"| ours | {n} |" for n in (9, 2, 3)]
    assert "- **not met**: much; found 9" in text
    assert "found 1" not in text
