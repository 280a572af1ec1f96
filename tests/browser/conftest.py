"""A browser's tab for the tests that look at the sandbox's page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from scripts.screenshot import Page, browser_page
from tests.sandbox.sandbox_api import STILL, Api


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "browser: looks at the sandbox's page in a headless Chromium")


@pytest.fixture(scope="session")
def browser() -> Iterator[Page]:
    with browser_page() as page:
        yield page


@pytest.fixture
def page(browser: Page) -> Page:
    """The browser's tab: wide, light, with scripts, and empty."""
    browser.resize(1280, 900)
    browser.command("Emulation.setEmulatedMedia", features=[])
    browser.command("Emulation.setScriptExecutionDisabled", value=False)
    browser.command("Page.navigate", url="about:blank")
    return browser


@pytest.fixture
def api() -> Iterator[Api]:
    """A client of a fresh sandbox whose clock only moves when told."""
    with Sandbox(limits=False, speed=STILL) as running:
        client = Api(running.url)
        yield client
        client.http.close()
