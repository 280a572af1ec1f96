"""The moment at which a write leaves this machine: until when that may be, what is looked at last, and if it has been.

A task that notes an intent before a write, and until when the write may begin, lets another try go by that note. After
that moment the write no longer begins, however long it had to wait for its turn, or its process or machine stood still.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

from airflow_provider_klaviyo.api.calls import Call
from airflow_provider_klaviyo.api.errors import KlaviyoError, KlaviyoTransientError
from airflow_provider_klaviyo.api.request import Request

T = TypeVar("T")


class Departure:
    """Asked by the transport right before the bytes of a write leave: its turn has come, and it is encoded.

    :param until: seconds since the epoch; a write whose turn comes later is not made.
    :param last_look: called each time; raises if the write must not be made.
    """

    def __init__(self, until: float, last_look: Callable[[], None] | None = None) -> None:
        self.until = until
        self._last_look = last_look
        self.has_left = False
        """True if the bytes of the last attempt may have left. An earlier attempt was certainly not carried out."""

    def check(self, request: Request) -> None:
        """Let the write go.

        :raises KlaviyoTransientError: it is too late for it; nothing was sent.
        """
        self.has_left = False
        self._check_time(request)
        if self._last_look is not None:
            self._last_look()
            self._check_time(request)
        self.has_left = True

    def _check_time(self, request: Request) -> None:
        if time.time() > self.until:
            raise KlaviyoTransientError(
                f"{request}: nothing was sent. It was to begin by "
                f"{datetime.fromtimestamp(self.until, UTC):%Y-%m-%d %H:%M:%S} UTC, but had to wait, or this machine "
                f"stood still: another try may have made the call since. The next one looks."
            )


def departing(call: Call[T], departure: Departure) -> Call[T]:
    """The same call; a request of it that may not be repeated leaves as the departure allows."""
    try:
        request = next(call)
        while True:
            if not request.may_be_repeated:
                request = replace(request, departure=departure)
            try:
                document = yield request
            except KlaviyoError as error:
                request = call.throw(error)
            else:
                request = call.send(document)
    except StopIteration as stop:
        result: T = stop.value
        return result
