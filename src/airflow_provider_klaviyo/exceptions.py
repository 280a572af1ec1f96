"""Everything this package raises on purpose.

The errors of talking to Klaviyo are plain exceptions, so Airflow retries a task that raises one. Those below mean that
running the task again cannot help: Airflow fails the task at once, whatever its ``retries``, and a sensor with
``soft_fail=True`` skips, waiting in a worker or in the triggerer alike.
"""

from __future__ import annotations

from enum import StrEnum

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
    "KlaviyoImportTimeoutError",
    "KlaviyoNotFoundError",
    "KlaviyoRateLimitError",
    "KlaviyoRecipientCountError",
    "KlaviyoRefusedError",
    "KlaviyoRejectedRowsError",
    "KlaviyoTransientError",
    "KlaviyoValidationError",
    "KlaviyoWaitTimeoutError",
    "RefusalReason",
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
    """An audience is smaller or larger than the DAG allows; nothing was sent.

    :param count: recipients that the campaign would reach.
    :param minimum: the smallest number that is right; ``None``: no lower bound.
    :param maximum: the largest number that is right; ``None``: no upper bound.
    :param campaign_id: the campaign.
    """

    def __init__(
        self, count: int, minimum: int | None = None, maximum: int | None = None, *, campaign_id: str | None = None
    ) -> None:
        super().__init__(count, minimum, maximum)
        self.count = count
        self.minimum = minimum
        self.maximum = maximum
        self.campaign_id = campaign_id

    def __str__(self) -> str:
        is_low = self.minimum is not None and self.count < self.minimum
        check = "are the right ones, filled, and consented" if is_low else "are the right ones, and 'excluded'"
        campaign = f"Campaign {self.campaign_id}" if self.campaign_id else "The campaign"
        return (
            f"{campaign} would reach {self.count:,} recipients; this task allows {self._allowed}. Nothing was sent. "
            f"Check that the lists and segments in 'audiences' {check}."
        )

    @property
    def _allowed(self) -> str:
        if self.maximum is None:
            return f"at least {self.minimum or 0:,}"
        return f"at most {self.maximum:,}" if self.minimum is None else f"{self.minimum:,} to {self.maximum:,}"


class RefusalReason(StrEnum):
    """Why this package declined to write. ``docs/reliability.md`` has what to do about each."""

    ALREADY_SENT = "already sent"
    """The campaign was sent, and not by this task; or it was sent, and so is not to be deleted."""
    REVERTED = "reverted"
    """An earlier try put it on its way, and somebody took it back to a draft."""
    EDITED = "edited"
    """It is not as this run's tasks wrote it, and ``if_edited="refuse"``."""
    PAST_RUN = "past run"
    """The run is for a date that has passed, and ``in_backfill="refuse"``."""
    NOT_A_DRAFT = "not a draft"
    """It has left the drafts, so it is not changed, deleted or taken for this task's own."""
    NOTHING_TO_CANCEL = "nothing to cancel"
    """It is a draft: there is no send to cancel."""
    SEVERAL_MATCH = "several match"
    """It cannot be known which of several campaigns is this task's."""
    MADE_BEFORE = "made before"
    """This task has just made a campaign of this name."""
    NAMESAKE_SENT = "namesake sent"
    """A campaign of this name went out since the run began, to other audiences than the DAG has now."""
    VANISHED = "vanished"
    """The campaign that an earlier try made is no longer in Klaviyo."""
    POSTED = "posted"
    """An earlier try has made this POST."""
    MAY_BE_POSTED = "may be posted"
    """An earlier try may have made this POST."""
    UNSUBSCRIBES_GLOBALLY = "unsubscribes globally"
    """Profiles are not on the list that they are to be unsubscribed from, so Klaviyo would do it from everything."""
    READ_ONLY = "read-only"
    """The connection is read-only."""
    LIVE_ACCOUNT = "live account"
    """The connection may send only from a test account, and this is a live one, or that is not known."""


class KlaviyoRefusedError(KlaviyoError, AirflowFailException):
    """This package declined to write, because doing so could mail people twice, or otherwise than the DAG meant.

    :param message: what was refused and why, what was left as it is, and what to do.
    :param reason: the kind of it.
    :param campaign_id: the campaign that was not written; ``None`` where there is none, or more than one.
    """

    def __init__(self, message: str, *, reason: RefusalReason, campaign_id: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.campaign_id = campaign_id


class KlaviyoWaitTimeoutError(KlaviyoError):
    """A wait reached its deadline. The campaign goes on; running the task again waits on, and sends nothing again.

    :param campaign_id: the campaign.
    :param status: the status in which it was seen last; empty if it never was.
    """

    def __init__(self, campaign_id: str, status: str) -> None:
        super().__init__(campaign_id, status)
        self.campaign_id = campaign_id
        self.status = status

    def __str__(self) -> str:
        last = f"last seen as {self.status!r}" if self.status else "never seen"
        return (
            f"Klaviyo campaign {self.campaign_id} was not done in time ({last}). Klaviyo goes on with it; "
            f"run the task again to wait on, or raise 'timeout'."
        )


class KlaviyoRejectedRowsError(KlaviyoError, AirflowFailException):
    """More rows were rejected than the DAG allows. All others were imported.

    :param rejected: rows that did not become profiles.
    :param allowed: how many the task allows.
    :param rows: rows that there were.
    :param path: file of the rejected rows, each with the reason; ``None``: there is none.
    """

    def __init__(self, rejected: int, allowed: int, rows: int, path: str | None = None) -> None:
        super().__init__(rejected, allowed, rows, path)
        self.rejected = rejected
        self.allowed = allowed
        self.rows = rows
        self.path = path

    def __str__(self) -> str:
        where = (
            f"{self.path} has each of them with its reason"
            if self.path
            else "The log has the first ones; set rejected_path for a file with all of them"
        )
        return (
            f"{self.rejected:,} of {self.rows:,} rows were rejected, and max_rejected allows {self.allowed:,}. The "
            f"others were imported. {where}. Correct them and run the task again: importing twice does no harm."
        )


class KlaviyoImportTimeoutError(KlaviyoError):
    """Import jobs were not over in time. Klaviyo goes on with them; running the task again waits on.

    :param job_ids: the jobs that may not be over.
    """

    def __init__(self, job_ids: tuple[str, ...]) -> None:
        super().__init__(job_ids)
        self.job_ids = job_ids

    def __str__(self) -> str:
        return (
            f"{len(self.job_ids)} import jobs were not over in time, the first is {self.job_ids[0]}. Klaviyo goes on "
            f"with them; a retry waits on, and imports nothing again where Airflow keeps notes (3.3 and later). Raise "
            f"'timeout' if this is how long they take."
        )
