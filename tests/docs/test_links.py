"""Links and pictures of the documentation lead somewhere."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from airflow_provider_klaviyo.get_provider_info import DOCUMENTATION, get_provider_info
from tests.docs.pages import DOCS, PAGES, ROOT, anchors, links

README = ROOT / "README.md"
URLS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
HOME = URLS["Homepage"]
"""Where the project is: named here for all the places that have to agree."""

INTERNAL = [
    pytest.param(page, link, id=f"{page.name} {link}")
    for page in PAGES
    for link in dict.fromkeys(links(page))
    if "://" not in link
]
ABROAD = [
    *(pytest.param(url, id=name) for name, url in URLS.items() if name in ("Documentation", "Changelog")),
    pytest.param(DOCUMENTATION, id="get_provider_info"),
    *(pytest.param(link, id=f"README {link.removeprefix(HOME)}") for link in links(README) if link.startswith(HOME)),
]
"""Links to the project's home, for those who do not read in the repository: on PyPI and in Airflow."""


def check(target: Path, anchor: str) -> None:
    assert target.is_relative_to(ROOT)
    assert target.is_file()
    assert not anchor or anchor in anchors(target)


@pytest.mark.parametrize(("page", "link"), INTERNAL)
def test_a_link_leads_to_a_file_and_a_heading_that_exist(page: Path, link: str) -> None:
    path, _, anchor = link.partition("#")
    check((page.parent / path).resolve() if path else page, anchor)


@pytest.mark.parametrize("link", ABROAD)
def test_a_link_to_the_projects_home_leads_to_a_file_that_is_in_the_tree(link: str) -> None:
    path, _, anchor = link.removeprefix(f"{HOME}/").partition("#")
    kind, branch, name = path.split("/", 2)
    assert (kind, branch) == ("raw" if name.endswith(".png") else "blob", "main")
    check(ROOT / name, anchor)


def test_pypi_shows_what_the_readme_links_to() -> None:
    """A relative link leads nowhere there, and a picture of one is broken."""
    assert [link for link in links(README) if "://" not in link] == []
    text = README.read_text(encoding="utf-8")
    names = re.findall(r"^\[([^\]]+)\]: ", text, re.MULTILINE)
    used = re.findall(r"\]\[([^\]]+)\]", text)
    assert set(used) == set(names)
    assert len(names) == len(set(names))


def test_airflows_list_of_providers_links_to_our_documentation() -> None:
    """It takes the distribution's URL ``Documentation``; without one, it would link to a page of airflow.apache.org."""
    [integration] = get_provider_info()["integrations"]
    assert integration["external-doc-url"] == URLS["Documentation"] == f"{HOME}/blob/main/docs/index.md"
    assert all(url.startswith(HOME) for url in URLS.values())


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "index.md"], ids=lambda page: page.name)
def test_every_page_is_found_from_the_index_of_its_folder(page: Path) -> None:
    assert any(link.partition("#")[0] == page.name for link in links(page.with_name("index.md")))


def test_the_index_of_the_reference_is_found_from_the_index() -> None:
    assert "reference/index.md" in set(links(DOCS / "index.md"))
