"""Everything this package raises on purpose.

The errors of talking to Klaviyo are plain exceptions, so Airflow retries a task that raises one. Those below say that
running the task again cannot help: Airflow fails the task at once, whatever its ``retries``, and a sensor with
``soft_fail=True`` skips, waiting in a worker or in the triggerer alike.
"""

from __future__ import annotations

from airflow_provider_klaviyo.api.errors import (
    KlaviyoAmbiguousWriteError,
    KlaviyoApiError,
    KlaviyoAuthError,
    KlaviyoConflictError,
    KlaviyoError,
    KlaviyoNotFoundError,
    KlaviyoRateLimitError,
    KlaviyoTransientError,
    KlaviyoValidationError,
)
from airflow_provider_klaviyo.compat import AirflowFailException

__all__ = [
    "KlaviyoAmbiguousWriteError",
    "KlaviyoApiError",
    "KlaviyoAuthError",
    "KlaviyoCampaignFailed",
    "KlaviyoConflictError",
    "KlaviyoError",
    "KlaviyoNotFoundError",
    "KlaviyoRateLimitError",
    "KlaviyoRecipientCountError",
    "KlaviyoRefusedError",
    "KlaviyoTransientError",
    "KlaviyoValidationError",
    "KlaviyoWaitTimeoutError",
]


class KlaviyoCampaignFailed(KlaviyoError, AirflowFailException):  # noqa: N818 - the public name
    """A campaign (or a job of it) ended another way than was waited for.

    :param campaign_id: the campaign.
    :param status: Klaviyo's own words for how it ended.
    :param reason: what to do about it.
    """

    def __init__(self, campaign_id: str, status: str, reason: str = "") -> None:
        super().__init__(campaign_id, status, reason)
        self.campaign_id = campaign_id
        self.status = status
        self.reason = reason

    def __str__(self) -> str:
        return f"Klaviyo campaign {self.campaign_id} ended as {self.status!r}. {self.reason}".strip()


class KlaviyoRecipientCountError(KlaviyoError, AirflowFailException):
    """An audience is smaller or larger than the DAG allows; nothing was sent."""


class KlaviyoRefusedError(KlaviyoError, AirflowFailException):
    """This package declined to write, because doing so could mail people twice, or otherwise than the DAG meant."""


class KlaviyoWaitTimeoutError(KlaviyoError):
    """A wait reached its deadline. The campaign goes on; running the task again waits on, and sends nothing anew."""
