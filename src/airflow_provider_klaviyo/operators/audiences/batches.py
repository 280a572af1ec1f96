"""Many items in requests of so many each, with progress in the task's log; and writes that may be made twice."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from airflow_provider_klaviyo.api.errors import KlaviyoAmbiguousWriteError, KlaviyoApiError

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

P = ParamSpec("P")
T = TypeVar("T")

ATTEMPTS = 3
"""How often a write is made that may be made twice, if it is not answered."""
QUIET = 10.0
"""Seconds between two lines of progress."""


def batches(items: Iterable[T], size: int) -> list[list[T]]:
    """All items, in their order, so many at a time."""
    left = iter(items)
    return list(iter(lambda: list(islice(left, size)), []))


def each(log: FilteringBoundLogger, parts: Sequence[list[T]], *, what: str) -> Iterator[list[T]]:
    """Go through batches, and log how many items are done: every 10 seconds, at the end, and where it stops.

    :param what: what is done to them, such as ``profiles added to list Y6nRLr``.
    """
    total, done, said = sum(map(len, parts)), 0, time.monotonic()
    is_whole = False
    try:
        for part in parts:
            yield part
            done += len(part)
            if done < total and time.monotonic() - said >= QUIET:
                said = time.monotonic()
                log.info("%s of %s %s.", f"{done:,}", f"{total:,}", what)
        is_whole = True
    finally:
        if is_whole:
            log.info("%s %s.", f"{total:,}", what)
        else:
            log.warning("Stopped after %s of %s %s.", f"{done:,}", f"{total:,}", what)


@contextmanager
def rows_named(first: int, last: int) -> Iterator[None]:
    """Name, in an error of Klaviyo's, the rows that the request was about.

    :param first: number of the first one, from 0.
    :param last: number of the last one.
    """
    try:
        yield
    except KlaviyoApiError as error:
        error.message += f" The request was about rows {first} to {last}."
        raise


def repeat(log: FilteringBoundLogger, write: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Make a write of which a second one does no harm; one that is not answered is made again.

    :raises KlaviyoAmbiguousWriteError: it was not answered, :data:`ATTEMPTS` times.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return write(*args, **kwargs)
        except KlaviyoAmbiguousWriteError as error:
            log.warning("%s Twice does no harm: making it again.", error)
    return write(*args, **kwargs)
