"""Many items in requests of so many each, with progress in the task's log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_klaviyo.api.errors import KlaviyoApiError
from airflow_provider_klaviyo.imports.progress import Progress

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

T = TypeVar("T")


def batches(items: Iterable[T], size: int) -> list[list[T]]:
    """All items, in their order, so many at a time."""
    left = iter(items)
    return list(iter(lambda: list(islice(left, size)), []))


def each(log: FilteringBoundLogger, parts: Sequence[list[T]], *, what: str) -> Iterator[list[T]]:
    """Go through batches, and log how many items are done: every 10 seconds, at the end, and where it stops.

    :param what: what is done to them, such as ``profiles added to list Y6nRLr``.
    """
    total, done = sum(map(len, parts)), 0
    progress = Progress(log.info, f"{{}} {what}", total)
    try:
        for part in parts:
            yield part
            done += len(part)
            progress.at(done)
    finally:
        if done == total:
            progress.end(done)
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
