"""When a call is made again, and after how long: one policy for both transports.

A read, and a write that may be repeated (PATCH, PUT, DELETE), is repeated after no answer or a 5xx. A POST is repeated
only where it certainly was not carried out: after a 429, or when no connection was had. Everything else after a POST
is a :class:`KlaviyoAmbiguousWriteError` and ends here; its caller looks the result up.
"""

from __future__ import annotations

import logging
import random
import time
from typing import Any

from tenacity import RetryCallState, retry_if_exception

from airflow_provider_klaviyo.api.errors import KlaviyoRateLimitError, KlaviyoTransientError

ATTEMPTS = 5
MAX_TIME = 120.0
"""Seconds after which a call is not made again."""

MAX_RATE_LIMIT_WAIT = 60.0
"""Seconds that a call sleeps at most for a 429 here; a longer one is the caller's to wait out, not a worker slot's."""

LONGEST = MAX_TIME + MAX_RATE_LIMIT_WAIT
"""Seconds after which the last attempt of a call has begun, but for the wait for its turn."""

log = logging.getLogger(__name__)


def may_help(error: BaseException, patience: float = MAX_RATE_LIMIT_WAIT) -> bool:
    """True if making the same call again is both harmless and of use.

    :param patience: seconds that it may sleep for a 429.
    """
    if isinstance(error, KlaviyoRateLimitError):
        return (error.retry_after or 0) <= patience
    return isinstance(error, KlaviyoTransientError)


def pause(state: RetryCallState) -> float:
    """Seconds to wait: what Klaviyo asked for, or 0.5 s doubling up to 20 s, each with jitter."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, KlaviyoRateLimitError):
        return (error.retry_after or 0) + random.uniform(0, 0.5)
    return min(20.0, 0.5 * 2.0 ** (state.attempt_number - 1)) * random.uniform(0.75, 1.25)


def log_pause(state: RetryCallState) -> None:
    """One line in the task's log for each repetition."""
    error = state.outcome.exception() if state.outcome else None
    wait = state.next_action.sleep if state.next_action else 0.0
    log.warning("%s Trying again in %.1f s (%d of %d).", error, wait, state.attempt_number + 1, ATTEMPTS)


def policy(began: float, patience: float | None = None) -> dict[str, Any]:
    """Arguments for tenacity's ``Retrying`` and ``AsyncRetrying``, which are entered when the first attempt has failed.

    :param began: when that attempt began, by ``time.monotonic()``.
    :param patience: seconds that the call may sleep for a 429; ``None``: :data:`MAX_RATE_LIMIT_WAIT`.
    """
    longest = MAX_RATE_LIMIT_WAIT if patience is None else min(patience, MAX_RATE_LIMIT_WAIT)
    return {
        "retry": retry_if_exception(lambda error: may_help(error, longest)),
        "wait": pause,
        "stop": lambda state: state.attempt_number >= ATTEMPTS or time.monotonic() - began >= MAX_TIME,
        "before_sleep": log_pause,
        "reraise": True,
    }
