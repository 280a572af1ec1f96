"""A write may be worth making up to a moment only: one that comes to its turn later is not made.

Who notes an intent before a write, and until when it may begin, lets another go by that note: after that moment the
write can no longer begin, however long it had to wait for its turn, or its process or machine stood still.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

from airflow_provider_klaviyo.api.errors import KlaviyoTransientError
from airflow_provider_klaviyo.api.request import Request

_until: ContextVar[float] = ContextVar("until", default=math.inf)


@contextmanager
def begun_by(moment: float) -> Iterator[None]:
    """Writes that may not be repeated begin by then, or not at all.

    :param moment: seconds since the epoch.
    """
    token = _until.set(moment)
    try:
        yield
    finally:
        _until.reset(token)


def check(request: Request) -> None:
    """Called right before a request leaves.

    :raises KlaviyoTransientError: it is too late for it; nothing was sent.
    """
    until = _until.get()
    if request.may_be_repeated or time.time() <= until:
        return
    raise KlaviyoTransientError(
        f"{request}: nothing was sent. It was to begin by {datetime.fromtimestamp(until, UTC):%Y-%m-%d %H:%M:%S} UTC, "
        f"but had to wait, or this machine stood still: another try may have made the call since. The next one looks."
    )
