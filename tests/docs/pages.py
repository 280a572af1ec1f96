"""The pages of ``docs/`` as tests read them: their code blocks, links and headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
REFERENCE = sorted((DOCS / "reference").glob("*.md"))
PAGES = sorted(DOCS.glob("*.md")) + REFERENCE

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)|^\[[^\]]+\]: (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block.

    :param line: where its first line of code stands in the page, from 1 on.
    """

    page: Path
    language: str
    code: str
    line: int

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(page: Path, language: str) -> list[Block]:
    """The blocks of a language in a page, from top to bottom."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, match[1], match[2], text.count("\n", 0, match.start()) + 2)
        for match in FENCE.finditer(text)
        if match[1] == language
    ]


def links(page: Path) -> Iterator[str]:
    """What the page links to and shows, outside of code."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for inside, below in LINK.findall(re.sub(r"`[^`\n]*`", "", text)):
        yield inside or below


def anchors(page: Path) -> set[str]:
    """The names by which the page's headings are linked to, as GitHub makes them."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ +(.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
