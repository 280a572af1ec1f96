"""Links and pictures of the documentation lead somewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import DOCS, PAGES, ROOT, anchors, links

INTERNAL = [
    pytest.param(page, link, id=f"{page.name} {link}")
    for page in (ROOT / "README.md", *PAGES)
    for link in dict.fromkeys(links(page))
    if "://" not in link
]


@pytest.mark.parametrize(("page", "link"), INTERNAL)
def test_a_link_leads_to_a_file_and_a_heading_that_exist(page: Path, link: str) -> None:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    assert target.is_relative_to(ROOT)
    assert target.is_file()
    if anchor:
        assert anchor in anchors(target)


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "index.md"], ids=lambda page: page.name)
def test_every_page_is_found_from_the_index(page: Path) -> None:
    assert any(link.partition("#")[0] == page.name for link in links(DOCS / "index.md"))
