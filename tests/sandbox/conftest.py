"""Fixtures of the sandbox's own tests: a sandbox on a real socket, and a client for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from tests.sandbox.hostile import Target
from tests.sandbox.sandbox_api import STILL, Api


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A sandbox in which a minute passes in a second."""
    with Sandbox(limits=False, speed=60, strict=True) as running:
        yield running


@pytest.fixture
def connect() -> Iterator[Callable[..., Api]]:
    """Makes clients, and closes them in the end."""
    clients: list[Api] = []

    def connected(url: str, key: str = "pk_test") -> Api:
        clients.append(Api(url, key))
        return clients[-1]

    yield connected
    for client in clients:
        client.http.close()


@pytest.fixture
def api(connect: Callable[..., Api]) -> Iterator[Api]:
    """A client of a sandbox whose clock only moves when told."""
    with Sandbox(limits=False, speed=STILL, strict=True) as running:
        yield connect(running.url)


@pytest.fixture(scope="module")
def _target() -> Iterator[Target]:
    with Sandbox(limits=False, speed=STILL, strict=True) as sandbox:
        found = Target(sandbox)
        yield found
        found.api.http.close()


@pytest.fixture
def target(_target: Target) -> Iterator[Target]:
    """A fresh account; in the end the page and a send must work."""
    _target.api.http.post("/sandbox/reset")
    yield _target
    _target.check_works()
