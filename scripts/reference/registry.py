"""``.airflow-registry.yaml``: what the registry of Airflow's providers reads of a repository."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

import yaml

from scripts.reference.docstrings import ROLE, parse
from scripts.reference.pages import PAGES, ROOT
from scripts.reference.signatures import PACKAGE

FILE = ROOT / ".airflow-registry.yaml"
KINDS = {
    "operators": "operators",
    "transfers": "transfers",
    "sensors": "sensors",
    "triggers": "triggers",
    "hooks": "hooks",
    "notifications": "notifiers",
    "task_groups": "other",
}
"""The registry's word for what is in a room, or a module at the top."""


def registry() -> str:
    """The file's text, from the metadata of the package and the docstrings of its public names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    about: dict[str, object] = {
        "package-name": project["name"],
        "display-name": "Klaviyo",
        "description": project["description"],
        "docs-url": project["urls"]["Documentation"],
        "source-url": project["urls"]["Homepage"],
    }
    for room, kind in KINDS.items():
        about[kind] = [{"module": name, "description": summary} for name, summary in sorted(_names(room))]
    return yaml.safe_dump(about, sort_keys=False, allow_unicode=True, width=120)


def _names(room: str) -> Iterator[tuple[str, str]]:
    """The public names of a room, as they are imported, with their summaries."""
    for page in PAGES:
        for section in page.sections:
            if section.module.partition(".")[0] == room and not section.calls:
                for name, thing in section.things.items():
                    yield f"{PACKAGE}.{section.module}.{name}", _plain(parse(thing).paragraphs[0])


def _plain(summary: str) -> str:
    """A docstring's summary as one line without markup."""
    text = ROLE.sub(lambda role: role["code"] or role["target"].rpartition(".")[2], " ".join(summary.split()))
    return re.sub(r"\*(\S[^*]*)\*", r"\1", text)
