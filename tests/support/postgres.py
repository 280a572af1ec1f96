"""A PostgreSQL server of the tests' own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from harness.postgres import ACCOUNT, PostgresMissingError
from harness.postgres import postgres as server


@contextmanager
def postgres() -> Iterator[dict[str, str]]:
    """An empty database, as its Airflow connection. Where PostgreSQL is not installed, the test is skipped."""
    with ExitStack() as running:
        try:
            host = running.enter_context(server())
        except PostgresMissingError as missing:
            pytest.skip(str(missing))
        yield {"conn_type": "postgres", "host": host, "login": ACCOUNT, "schema": ACCOUNT}
