"""Where bookings are kept: what a store promises, and one that keeps them in this process."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from airflow_provider_klaviyo.api.limits import schedule
from airflow_provider_klaviyo.api.limits.process import LOCK
from airflow_provider_klaviyo.api.limits.schedule import Pool
from airflow_provider_klaviyo.api.limits.windows import Window


@dataclass(frozen=True, slots=True)
class Reservation:
    """The answer to a booking.

    :param at: the next legal instant, on the pool's own clock; a name for the booking.
    :param wait: microseconds from now until then.
    """

    at: int
    wait: int


class StoreError(Exception):
    """The store cannot be used now. The text holds no password."""


class Store(Protocol):
    """Keeps the bookings of many pools. Every method is one atomic step and may be called from any thread.

    Each raises :class:`StoreError` when the store is out of order. Lengths of time are microseconds.
    """

    def reserve(self, pool: str, windows: Sequence[Window], max_wait: int) -> Reservation:
        """Find the next legal instant, and book it unless it is more than ``max_wait`` away."""

    def stands(self, pool: str, at: int) -> bool:
        """Whether a booked instant still holds: no block has come over it since."""

    def block(self, pool: str, length: int) -> None:
        """Let nobody call for ``length`` from now on."""

    def release(self, pool: str, at: int) -> None:
        """Give a booked instant back."""


class MemoryStore:
    """Keeps bookings in this process: exact for its threads and event loops, unknown to other processes."""

    def __init__(self) -> None:
        self._pools: dict[str, Pool] = {}

    def reserve(self, pool: str, windows: Sequence[Window], max_wait: int) -> Reservation:
        with LOCK:
            return Reservation(*schedule.reserve(self._pool(pool), clock(), windows, max_wait))

    def stands(self, pool: str, at: int) -> bool:
        with LOCK:
            return self._pool(pool).blocked_until <= at

    def block(self, pool: str, length: int) -> None:
        with LOCK:
            schedule.block(self._pool(pool), clock(), length)

    def release(self, pool: str, at: int) -> None:
        with LOCK:
            schedule.release(self._pool(pool), at)

    def _pool(self, name: str) -> Pool:
        return self._pools.setdefault(name, Pool())


def clock() -> int:
    """Microseconds since the epoch."""
    return time.time_ns() // 1000
