"""Where the other pages and the example DAGs use a name."""

from __future__ import annotations

import re
from functools import cache

from scripts.reference.pages import DOCS, ROOT

LEFT_OUT = ("architecture.md", "benchmarks.md", "index.md", "never-twice.md", "operations.md", "reliability.md")
AT_MOST = 3
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def anchor(heading: str) -> str:
    """The name by which GitHub links to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


@cache
def sections() -> list[tuple[str, str, str]]:
    """Of each section of the pages: its address, its title, and its text."""
    found = []
    for page in sorted(DOCS.glob("*.md")):
        if page.name not in LEFT_OUT:
            text = page.read_text(encoding="utf-8")
            title = text.partition("\n")[0].removeprefix("# ")
            for part in re.split(r"^(?=## )", text, flags=re.MULTILINE)[1:]:
                heading = part.partition("\n")[0].removeprefix("## ")
                found.append((f"../{page.name}#{anchor(heading)}", f"{title}: {heading}", part))
    return found


@cache
def examples() -> list[tuple[str, str, str]]:
    """Of each example DAG: its address, its name, and its text."""
    return [
        (f"../../example_dags/{path.name}", path.name, path.read_text(encoding="utf-8"))
        for path in sorted((ROOT / "example_dags").glob("*.py"))
    ]


def mentions(name: str) -> list[str]:
    """Links to sections whose code uses the name, then to those that name it, then to example DAGs."""
    word = re.compile(rf"\b{name}\b")
    called = re.compile(rf"\b{name}\(")
    in_code = [one for one in sections() if any(called.search(block) for block in FENCE.findall(one[2]))]
    in_text = [one for one in sections() if one not in in_code and word.search(FENCE.sub("", one[2]))]
    found = [*in_code, *in_text][:AT_MOST] + [one for one in examples() if called.search(one[2])][:2]
    return [f"[{title}]({address})" for address, title, _ in found]
