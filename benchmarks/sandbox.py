"""A sandbox in a process of its own, so that its work is not counted as anybody else's."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx

KEY = "pk_bench"
SOURCE = "01H5QQV9F57XJHJDMD86RX4QM5"
"""A draft of the seed data, to read and to clone."""

COMMAND = "import sys; from airflow_provider_klaviyo.sandbox.cli import main; sys.exit(main())"


@contextmanager
def sandbox(*, limits: bool, speed: float = 1) -> Iterator[httpx.Client]:
    """A fresh sandbox; yields a client that observes it.

    :param limits: True if it enforces rate limits.
    :param speed: how many of its seconds pass in one of ours.
    """
    settings = ["--port", "0", "--limits", "on" if limits else "off", "--speed", str(speed)]
    command = [sys.executable, "-c", COMMAND, "serve", "--quiet", *settings]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://\S+", process.stdout.readline())
            assert found is not None, "the sandbox did not start"
            headers = {"Authorization": f"Klaviyo-API-Key {KEY}", "revision": "2026-04-15"}
            with httpx.Client(base_url=found.group(), headers=headers, timeout=60, trust_env=False) as http:
                yield http
        finally:
            process.terminate()


def url(http: httpx.Client) -> str:
    """Scheme and host."""
    return str(http.base_url).rstrip("/")


def connection(http: httpx.Client, **extra: Any) -> dict[str, Any]:
    """The Airflow connection for a sandbox."""
    return {"conn_type": "klaviyo", "host": url(http), "password": KEY, "extra": extra}


def post(http: httpx.Client, path: str, **data: Any) -> Any:
    return http.post(path, json={"data": data}).raise_for_status().json()["data"]


def clones(http: httpx.Client, count: int, name: str = "") -> Sequence[str]:
    """Make drafts, named so and numbered; their ids."""
    return [
        post(http, "/api/campaign-clone", type="campaign", id=SOURCE, attributes={"new_name": f"{name}{number}"})["id"]
        for number in range(count)
    ]
