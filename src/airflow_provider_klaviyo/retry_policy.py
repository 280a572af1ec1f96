"""When Airflow tries a failed task again, by what Klaviyo said: a retry policy for Airflow 3.3 and later."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_provider_klaviyo.api.errors import (
    KlaviyoAmbiguousWriteError,
    KlaviyoAuthError,
    KlaviyoError,
    KlaviyoNotFoundError,
    KlaviyoRateLimitError,
    KlaviyoValidationError,
)
from airflow_provider_klaviyo.api.text import duration

if TYPE_CHECKING:
    from airflow.sdk import Context, RetryDecision, RetryPolicy
else:
    try:
        from airflow.sdk import RetryPolicy
    except ImportError:
        RetryPolicy = object

MARGIN = 1.0
"""Seconds added to what is waited for, so that the next try does not come a moment too early."""

RESCHEDULED = timedelta(days=2)
"""How long a task is run again without using a try, from the first time on: longer than a limit of the day can last."""

HOPELESS = (KlaviyoAuthError, KlaviyoValidationError, KlaviyoNotFoundError)


class KlaviyoRetryPolicy(RetryPolicy):
    """Tries again when that can help, at the moment when it can. Airflow 3.3 and later.

    ``KlaviyoSendCampaignOperator(task_id="send", …, retries=3, retry_policy=KlaviyoRetryPolicy())``

    It only chooses the moment, or ends the tries early; there are never more of them than ``retries``. On Airflow 3.4,
    a task that has met a limit of the day runs again when that is over, without using a try; for two days at most.

    ==================================================  ==============================================================
    the task failed with                                then
    ==================================================  ==============================================================
    ``KlaviyoRateLimitError``                           the next try is when Klaviyo answers again (``Retry-After``)
    ``KlaviyoAmbiguousWriteError``                      the next try is when what was written must show: it looks
                                                        first, and then need not wait
    ``KlaviyoAuthError``, ``KlaviyoValidationError``,   no further try: the same call fails the same way
    ``KlaviyoNotFoundError``
    anything else                                       ``retries`` and ``retry_delay`` of the task, as without a policy
    ==================================================  ==============================================================

    The same holds for operators, sensors and any task that uses a hook, and for a wait in the triggerer. What must
    never be repeated (``KlaviyoRefusedError``, ``KlaviyoCampaignFailed``, ``KlaviyoRecipientCountError``) fails for
    good without a policy too.

    :raises KlaviyoError: Airflow is older than 3.3 and has no retry policies.
    """

    def __init__(self) -> None:
        if KlaviyoRetryPolicy.__base__ is object:
            from airflow import __version__

            raise KlaviyoError(
                f"KlaviyoRetryPolicy needs Airflow 3.3 or later, this is {__version__}. Leave retry_policy out: the "
                f"task is then tried again by its 'retries' and 'retry_delay'."
            )

    def __repr__(self) -> str:
        """The same at every import: it is part of the serialised DAG when it is in ``default_args``."""
        return f"{type(self).__name__}()"

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """Decide by the exception alone; called by Airflow, in the worker."""
        from airflow.sdk import RetryDecision

        if isinstance(exception, KlaviyoRateLimitError) and exception.retry_after is not None:
            return _when_it_answers(exception.retry_after)
        if isinstance(exception, KlaviyoAmbiguousWriteError):
            from airflow_provider_klaviyo.never_twice.look import SETTLE

            return RetryDecision.retry(_after(SETTLE), "What became of the write shows by then; the try looks.")
        if isinstance(exception, HOPELESS):
            return RetryDecision.fail(f"{type(exception).__name__}: trying again cannot help.")
        return RetryDecision.default()


def _when_it_answers(seconds: float) -> RetryDecision:
    from airflow.sdk import RetryDecision

    from airflow_provider_klaviyo.api.retry import MAX_RATE_LIMIT_WAIT

    reason = f"Klaviyo's rate limit: it answers again in {duration(seconds)}."
    if seconds > MAX_RATE_LIMIT_WAIT and hasattr(RetryDecision, "reschedule"):
        rescheduled: RetryDecision = RetryDecision.reschedule(
            _after(seconds), reschedule_timeout=RESCHEDULED, reason=reason
        )
        return rescheduled
    return RetryDecision.retry(_after(seconds), reason)


def _after(seconds: float) -> timedelta:
    return timedelta(seconds=seconds + MARGIN)
