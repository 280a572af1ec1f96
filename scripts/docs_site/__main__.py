"""Build the site of the documentation: ``docs/`` becomes ``build/site``, to be read by a browser, offline too.

    python -m scripts.docs_site

Fails on a page that is not in the navigation, on a link or an anchor that leads nowhere, and on a page that asks
another host for a script, a style, a font or a picture.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from scripts.docs_site.pages import DOCS, JOINING, ROOT, for_the_site, navigation, pages

BUILD = ROOT / "build"
COPY, SITE = BUILD / "docs", BUILD / "site"
ASSETS = ("site.css", "iframe-worker.js")
DIAGRAM = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FOREIGN = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)=[\"']?(?:https?:)?//[^>]*>")


def copy() -> None:
    """Write anew what the site is made of."""
    shutil.rmtree(COPY, ignore_errors=True)
    shutil.copytree(DOCS, COPY)
    shutil.copy(ROOT / "zensical.toml", BUILD)
    for asset in ASSETS:
        shutil.copy(Path(__file__).with_name(asset), COPY)
    joining = {page: source for source, page in JOINING.items()}
    for page in pages():
        source = joining.get(page, f"docs/{page}")
        text = for_the_site((ROOT / source).read_text(encoding="utf-8"), source)
        (COPY / page).write_text(drawn(text, COPY / page), encoding="utf-8")


def drawn(text: str, page: Path) -> str:
    """The page with a picture in place of each diagram, as Mermaid's own script is another host's.

    The picture has the names of the nodes alone: the library cuts off longer texts.
    """
    from merm import render_diagram  # of the group docs

    def picture(match: re.Match[str]) -> str:
        name = f"{page.stem}-{text.count('```mermaid', 0, match.start()) + 1}.svg"
        names = re.sub(r'\["<b>(\w+)</b><br/>[^"]*"\]', r"[\1]", match[1])
        page.with_name(name).write_text(render_diagram(names), encoding="utf-8")
        return f"![Diagram]({name})"

    return DIAGRAM.sub(picture, text)


def foreign() -> Iterator[str]:
    """What the built pages would ask another host for."""
    for path in sorted(SITE.rglob("*.html")):
        for found in FOREIGN.finditer(path.read_text(encoding="utf-8")):
            yield f"{path.relative_to(SITE)}: {found[0]}"


def main() -> None:
    if lost := sorted(set(pages()) ^ set(navigation())):
        sys.exit(f"not in the navigation (nav in zensical.toml), or in it and not there: {', '.join(lost)}")
    copy()
    shutil.rmtree(SITE, ignore_errors=True)
    zensical = Path(sys.executable).with_name("zensical")
    if subprocess.run([zensical, "build", "--strict", "--clean"], cwd=BUILD).returncode:
        sys.exit("the site was not built: see above")
    if asked := list(foreign()):
        sys.exit("the site would ask other hosts:\n" + "\n".join(asked))
    print(f"{len(pages())} pages: {(SITE / 'index.html').relative_to(ROOT)}")


if __name__ == "__main__":
    main()
