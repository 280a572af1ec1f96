"""Pacing goes on when the shared store is out of order."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TypeVar

from airflow_provider_klaviyo.api.limits.redis import SCHEMES, RedisStore
from airflow_provider_klaviyo.api.limits.sqlite import SQLiteStore
from airflow_provider_klaviyo.api.limits.store import MemoryStore, Reservation, Store, StoreError
from airflow_provider_klaviyo.api.limits.windows import Window

T = TypeVar("T")

TRY_AGAIN = 30.0
"""Seconds for which a store that failed is left alone."""

log = logging.getLogger("airflow_provider_klaviyo.api.limits")


class FallbackStore:
    """Uses a shared store; while that fails, keeps the bookings of this process in memory.

    A call to Klaviyo is never given up because its pacing failed. While the shared store is out of order, the processes
    do not know of each other and may together exceed the limits; Klaviyo then answers 429, which is waited out. One
    warning is logged when that begins, one message when it is over.

    :param shared: the store to use; its ``str()`` names it in the log and must hold no secret.
    :param try_again: seconds after which a store that failed is tried again.
    """

    def __init__(self, shared: Store, try_again: float = TRY_AGAIN) -> None:
        self._shared = shared
        self._own = MemoryStore()
        self._try_again = try_again
        self._failing = False
        self._next_try = 0.0

    def reserve(self, pool: str, windows: Sequence[Window], max_wait: int) -> Reservation:
        return self._either(lambda store: store.reserve(pool, windows, max_wait))

    def stands(self, pool: str, at: int) -> bool:
        return self._either(lambda store: store.stands(pool, at))

    def block(self, pool: str, length: int) -> None:
        self._either(lambda store: store.block(pool, length))

    def release(self, pool: str, at: int) -> None:
        self._either(lambda store: store.release(pool, at))

    def _either(self, step: Callable[[Store], T]) -> T:
        if not self._failing or time.monotonic() >= self._next_try:
            self._next_try = time.monotonic() + self._try_again  # while one caller tries, the others do not
            try:
                result = step(self._shared)
            except StoreError as error:
                self._next_try = time.monotonic() + self._try_again
                self._failed(error)
            else:
                self._worked()
                return result
        return step(self._own)

    def _failed(self, error: StoreError) -> None:
        if not self._failing:
            self._failing = True
            log.warning(
                "The shared rate-limit budget in %s cannot be used (%s). Until it can, this process paces only its own "
                "calls, and several processes together may exceed Klaviyo's limits. Trying it again every %g s.",
                self._shared,
                error,
                self._try_again,
            )

    def _worked(self) -> None:
        if self._failing:
            self._failing = False
            log.info("The shared rate-limit budget in %s can be used again.", self._shared)


@cache
def shared_store(location: str) -> Store:
    """The store for a location, one per location and process; nothing is opened before its first use.

    :param location: the path of a file (one host), or a ``redis://``, ``rediss://`` or ``unix://`` URL (several hosts).
    :raises KlaviyoValidationError: a URL that cannot be read, or redis-py is not installed.
    """
    if location.partition("://")[0] in SCHEMES:
        return FallbackStore(RedisStore(location))
    return FallbackStore(SQLiteStore(Path(location)))
