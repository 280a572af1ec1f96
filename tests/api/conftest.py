"""A server of OAuth tokens, and a process that knows none yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from airflow_provider_klaviyo.api import oauth
from tests.support.oauth_server import OAuthServer


@pytest.fixture
def other_process(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """The test begins as a new process does: knowing no token. Calling it does so again."""

    def forget() -> None:
        monkeypatch.setattr(oauth, "_shared", {})

    forget()
    return forget


@pytest.fixture
def server() -> Iterator[OAuthServer]:
    with OAuthServer() as running:
        yield running
