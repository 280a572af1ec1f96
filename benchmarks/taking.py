"""A server that takes bulk imports within the sandbox's limits, and does nothing with them.

The sandbox carries imports out, and so it takes fewer rows than Klaviyo allows.
"""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from airflow_provider_klaviyo.api import operations
from airflow_provider_klaviyo.sandbox.windows import ThrottledError, Windows
from benchmarks.answering import Answering, serve_with

OPERATION = operations.get("bulk_import_profiles")
JOB = {"data": {"type": "profile-bulk-import-job", "id": "1", "attributes": {"status": "queued"}}}


@dataclass(frozen=True, slots=True)
class Taken:
    """A request as it was counted.

    :param at: seconds since 1970.
    :param rows: how many profiles it held; 0: it was refused.
    :param size: of its body, in bytes.
    """

    at: float
    rows: int
    size: int


@contextmanager
def taking() -> Iterator[httpx.Client]:
    """Such a server, in a process of its own; yields a client of it."""
    with subprocess.Popen([sys.executable, "-m", __name__], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            with httpx.Client(base_url=process.stdout.readline().strip(), timeout=60, trust_env=False) as http:
                yield http
        finally:
            process.terminate()


def taken(http: httpx.Client) -> list[Taken]:
    """What it was sent so far."""
    return [Taken(*row) for row in http.get("/").json()]


def serve() -> None:
    windows, lock, counted = Windows(), threading.Lock(), []

    class Handler(Answering):
        def post(self) -> None:
            content = self.content
            with lock:
                try:
                    windows.take("account", OPERATION, OPERATION.limits)
                except ThrottledError as throttled:
                    counted.append((time.time(), 0, len(content)))
                    refusal = throttled.refusal()
                    self.answer(429, {"errors": [{"id": "1", "status": 429, "code": refusal.code}]})
                    return
            counted.append((time.time(), len(re.findall(rb'"type":"profile"', content)), len(content)))
            self.answer(202, JOB)

        def get(self) -> None:
            self.answer(200, counted)

    serve_with(Handler)


if __name__ == "__main__":
    serve()
