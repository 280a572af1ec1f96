"""The site of the documentation: every page is in its navigation, and what is written for GitHub is made fit for it."""

from __future__ import annotations

from collections import Counter

import pytest

from scripts.docs_site.pages import HOME, for_the_site, navigation, pages
from tests.docs.pages import DOCS, PAGES, ROOT


def test_every_page_is_in_the_navigation_once_and_no_other() -> None:
    assert Counter(navigation()) == Counter(pages())
    assert {path.relative_to(DOCS).as_posix() for path in PAGES} <= set(pages())


@pytest.mark.parametrize(
    ("source", "link", "leads_to"),
    [
        ("docs/index.md", "campaigns.md#email", "campaigns.md#email"),
        ("docs/reference/index.md", "../index.md", "../index.md"),
        ("docs/index.md", "#what-there-is", "#what-there-is"),
        ("docs/index.md", "images/sandbox.png", "images/sandbox.png"),
        ("docs/index.md", "https://www.klaviyo.com", "https://www.klaviyo.com"),
        ("docs/index.md", "../SECURITY.md", "security.md"),
        ("docs/reference/index.md", "../../SECURITY.md#what-counts", "../security.md#what-counts"),
        ("SECURITY.md", "docs/connection.md#oauth", "connection.md#oauth"),
        ("CONTRIBUTING.md", "SECURITY.md", "security.md"),
        ("docs/index.md", "../example_dags/klaviyo_weekly.yaml", f"{HOME}/blob/main/example_dags/klaviyo_weekly.yaml"),
        ("CONTRIBUTING.md", "tests/docs/pages.py", f"{HOME}/blob/main/tests/docs/pages.py"),
    ],
)
def test_a_link_leads_to_the_page_or_to_the_projects_home(source: str, link: str, leads_to: str) -> None:
    assert for_the_site(f"See [`this`]({link}).", source) == f"See [`this`]({leads_to})."


def test_code_keeps_its_links_and_loses_the_backslash_before_a_pipe() -> None:
    code = "`[a](../SECURITY.md)`\n\n```text\n[a](../SECURITY.md) \\|\n```\n"
    assert for_the_site(code, "docs/index.md") == code
    assert for_the_site(r"| `str \| None` | a \| b |", "docs/index.md") == r"| `str | None` | a \| b |"


def test_the_site_links_to_the_projects_home() -> None:
    assert f'"{HOME}"' in (ROOT / "zensical.toml").read_text(encoding="utf-8")
