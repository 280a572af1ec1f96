"""What a benchmark has found, and the page that says so."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

Say = Callable[[str], None]
"""Tells of progress, one line at a time."""

INTRODUCTION = """\
How fast this package is and what it costs, beside Klaviyo's SDK, other providers and other limiters.

Written by `make bench` (`python -m benchmarks`); no figure is edited by hand. Each section says what was measured,
against whom, when, and which goals were met. Ratios compare measurements of the same run; CPU is processor time of the
measured process alone. `python -m benchmarks --only NAME --output FILE` measures one section and keeps the others.
"""


@dataclass(frozen=True, slots=True)
class Goal:
    """What was aimed at, and what came of it.

    :param what: the goal, such as ``429s: none``.
    :param found: the figure that decides.
    """

    what: str
    found: str
    met: bool

    def __str__(self) -> str:
        return f"- {'met' if self.met else '**not met**'}: {self.what}; found {self.found}"


@dataclass(frozen=True, slots=True)
class Section:
    """One benchmark's part of the page.

    :param about: Markdown: what was measured, and how.
    :param table: Markdown: the figures.
    """

    about: str
    table: str
    goals: Sequence[Goal] = ()


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others are figures."""
    lines = [columns, ["---"] + ["---:"] * (len(columns) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def machine() -> str:
    """What was measured on, in one line."""
    parts = [f"{os.cpu_count()} cores", f"{platform.system()} {platform.machine()}"]
    parts += [f"Python {platform.python_version()}", f"Airflow {version('apache-airflow-core')}"]
    return ", ".join(parts)


def load() -> str:
    """How many processes have wanted a core of late: by this one may judge what else the machine did."""
    return f"{os.getloadavg()[0]:.1f}"


def render(name: str, section: Section, load_before: str, *, quick: bool) -> str:
    """A section as it stands on the page."""
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    command = f"`python -m benchmarks --only {name}{' --quick' if quick else ''}`"
    parts = [f"## {name}", section.about.strip()]
    if quick:
        parts.append("**The quick form: it shows that the benchmark works, its figures mean nothing.**")
    parts += [f"{command}, {now}, {machine()}, load {load_before} before and {load()} after.", section.table]
    if section.goals:
        parts.append("\n".join(map(str, section.goals)))
    return "\n\n".join(parts) + "\n"


def write(page: Path, order: Sequence[str], measured: Mapping[str, str]) -> None:
    """Write the page; sections that were not measured this time stay as they are."""
    found = re.split(r"^(?=## )", page.read_text(), flags=re.MULTILINE)[1:] if page.exists() else []
    sections = {text.split(maxsplit=2)[1]: text.strip() + "\n" for text in found} | dict(measured)
    page.parent.mkdir(parents=True, exist_ok=True)
    known = [sections[name] for name in order if name in sections]
    page.write_text("\n".join([f"# Benchmarks\n\n{INTRODUCTION}", *known]))
