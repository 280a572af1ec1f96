"""A write of which a second one does no harm."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from airflow_provider_klaviyo.api.errors import KlaviyoAmbiguousWriteError

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

P = ParamSpec("P")
T = TypeVar("T")

ATTEMPTS = 3
"""How often it is made, if it is not answered."""


def repeat(log: FilteringBoundLogger, write: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Make a write; make it again if it is not answered.

    :raises KlaviyoAmbiguousWriteError: it was not answered, :data:`ATTEMPTS` times.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return write(*args, **kwargs)
        except KlaviyoAmbiguousWriteError as error:
            log.warning("%s Twice does no harm: making it again.", error)
    return write(*args, **kwargs)
