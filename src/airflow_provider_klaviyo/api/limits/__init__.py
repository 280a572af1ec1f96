"""Pacing: a budget of calls per account and operation, shared by every process that calls Klaviyo.

Klaviyo counts calls in fixed windows of a second, a minute and, for some operations, a day. Where its windows start is
not known here, so this package keeps to the stricter rule: no window of that length, *wherever it starts*, holds more
calls than the limit. Before a call, one short transaction books the next instant that keeps the rule; the caller then
sleeps until it. Nothing is held while it sleeps, so a killed process blocks nobody.

================  ===================================================================================================
``budget``        :class:`Budget`: what the transports use
``schedule``      the arithmetic: a share of the limits as windows, and the next instant that keeps to them
``bookings``      where bookings are kept, as a protocol; in this process; and while the shared ones cannot be used
``sqlite``        the bookings of one host: a file
``redis``         the bookings of several hosts: a Redis server (``schedule.lua`` is ``schedule`` in Redis' language)
================  ===================================================================================================
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from airflow_provider_klaviyo.api.limits.bookings import Bookings, FallbackBookings, MemoryBookings
from airflow_provider_klaviyo.api.limits.budget import Budget
from airflow_provider_klaviyo.api.limits.redis import RedisBookings
from airflow_provider_klaviyo.api.limits.sqlite import SQLiteBookings
from airflow_provider_klaviyo.api.redis_server import SCHEMES

__all__ = ["Bookings", "Budget", "MemoryBookings", "shared_bookings"]


@cache
def shared_bookings(location: str) -> Bookings:
    """The bookings at a location, one object per location and process; nothing is opened before its first use.

    :param location: the path of a file (one host), or a ``redis://``, ``rediss://`` or ``unix://`` URL (several hosts).
    :raises KlaviyoValidationError: the URL cannot be read, or redis-py is not installed.
    """
    if location.partition("://")[0] in SCHEMES:
        return FallbackBookings(RedisBookings(location))
    return FallbackBookings(SQLiteBookings(Path(location)))
