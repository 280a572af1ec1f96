"""The pages of the site: which there are, and what becomes of a page's text, which is written for GitHub."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath
from typing import Any

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
HOME = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Homepage"]
NAV = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]["nav"]

JOINING = {"SECURITY.md": "security.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""Files of the top level, and the pages that they become."""

CODE = re.compile(r"(^```.*?^```$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<=\]\()[^)\s#]+")


def pages() -> list[str]:
    """Every page, by its path on the site."""
    return sorted([*(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")), *JOINING.values()])


def navigation(entries: Any = NAV) -> Iterator[str]:
    """The pages that the navigation has, in its order."""
    if isinstance(entries, str):
        yield entries
        return
    for entry in entries.values() if isinstance(entries, dict) else entries:
        yield from navigation(entry)


def for_the_site(text: str, source: str) -> str:
    """A page's text as the site needs it.

    A link that leaves ``docs/`` leads to the page that the file has become, or else to the project's home. A pipe in
    the code of a table loses the backslash, which GitHub needs and the site would show.

    :param source: where the page stands, from the top of the repository.
    """
    parts = CODE.split(text)
    parts[::2] = [LINK.sub(lambda link: _turned(link[0], source), part) for part in parts[::2]]
    parts[1::2] = [code if code.startswith("```") else code.replace(r"\|", "|") for code in parts[1::2]]
    return "".join(parts)


def _turned(link: str, source: str) -> str:
    if "://" in link:
        return link
    target = normpath(PurePosixPath(source).parent / link)
    page = target.removeprefix("docs/") if target.startswith("docs/") else JOINING.get(target)
    if page is None:
        return f"{HOME}/blob/main/{target}"
    return relpath(page, PurePosixPath(JOINING.get(source, source.removeprefix("docs/"))).parent)
