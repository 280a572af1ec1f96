"""Everything this package raises on purpose.

The errors of talking to Klaviyo are plain exceptions, so Airflow retries a task that raises one. Those below mean that
running the task again cannot help: Airflow fails the task at once, whatever its ``retries``, and a sensor with
``soft_fail=True`` skips, waiting in a worker or in the triggerer alike. Of the plain ones, a wrong key and a wrong
argument end an operator's or sensor's tries, too: :func:`without_tries`.
"""

from __future__ import annotations

import logging
import shlex
from collections.abc import Mapping
from enum import StrEnum
from typing import NoReturn

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
from airflow_provider_klaviyo.compat import AirflowFailException, AirflowNotFoundException, AirflowSkipException

__all__ = [
    "KlaviyoAmbiguousWriteError",
    "KlaviyoApiError",
    "KlaviyoAuthError",
    "KlaviyoCampaignFailed",
    "KlaviyoConflictError",
    "KlaviyoConnectionMissingError",
    "KlaviyoError",
    "KlaviyoFinalAuthError",
    "KlaviyoFinalValidationError",
    "KlaviyoImportTimeoutError",
    "KlaviyoNotFoundError",
    "KlaviyoRateLimitError",
    "KlaviyoRecipientCountError",
    "KlaviyoRefusedError",
    "KlaviyoRejectedRowsError",
    "KlaviyoTemplateCheckError",
    "KlaviyoTransientError",
    "KlaviyoValidationError",
    "KlaviyoWaitTimeoutError",
    "RefusalReason",
]

log = logging.getLogger(__name__)


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


class KlaviyoConnectionMissingError(KlaviyoError, AirflowNotFoundException):
    """Airflow has no connection of that id, where the task runs. It may be there for the next try.

    :param connection: the id.
    """

    def __init__(self, connection: str) -> None:
        super().__init__(connection)
        self.connection = connection

    def __str__(self) -> str:
        value = '{"conn_type": "klaviyo", "password": "pk_…"}'
        return (
            f"There is no Airflow connection {self.connection!r} (klaviyo_conn_id).\n"
            f"Add one of type 'klaviyo', with a private key (pk_…, Klaviyo: Settings > API keys) as its password:\n"
            f"- in Airflow's UI, under Admin > Connections;\n"
            f"- or: airflow connections add {shlex.quote(self.connection)} --conn-type klaviyo --conn-password 'pk_…'\n"
            f"- or in the environment of workers and triggerers: AIRFLOW_CONN_{self.connection.upper()}='{value}'"
        )


class KlaviyoFinalAuthError(KlaviyoAuthError, AirflowFailException):
    """A :class:`KlaviyoAuthError` that ended the tries of a task."""


class KlaviyoFinalValidationError(KlaviyoValidationError, AirflowFailException):
    """A :class:`KlaviyoValidationError` that ended the tries of a task."""


def without_tries(error: KlaviyoError) -> None:
    """Make the error end the tries of its task, if no retry can help: a wrong key or argument stays so."""
    if type(error) is KlaviyoAuthError:
        error.__class__ = KlaviyoFinalAuthError
    elif type(error) is KlaviyoValidationError:
        error.__class__ = KlaviyoFinalValidationError


class KlaviyoRecipientCountError(KlaviyoError, AirflowFailException):
    """An audience is smaller or larger than the DAG allows; nothing was sent.

    :param count: recipients that the campaign would reach.
    :param minimum: the smallest number that is right; ``None``: no lower bound.
    :param maximum: the largest number that is right; ``None``: no upper bound.
    :param campaign_id: the campaign.
    :param usual: what the last sends had, if the bounds are shares of that.
    """

    def __init__(
        self,
        count: int,
        minimum: int | None = None,
        maximum: int | None = None,
        *,
        campaign_id: str | None = None,
        usual: int | None = None,
    ) -> None:
        super().__init__(count, minimum, maximum)
        self.count = count
        self.minimum = minimum
        self.maximum = maximum
        self.campaign_id = campaign_id
        self.usual = usual

    def __str__(self) -> str:
        is_low = self.minimum is not None and self.count < self.minimum
        check = "are the right ones, filled, and consented" if is_low else "are the right ones, and 'excluded'"
        campaign = f"Campaign {self.campaign_id}" if self.campaign_id else "The campaign"
        return (
            f"{campaign} would reach {self.count:,} recipients{self._compared}; this task allows {self._allowed}. "
            f"Nothing was sent. "
            f"Check that the lists and segments in 'audiences' {check}."
        )

    @property
    def _compared(self) -> str:
        if not self.usual:
            return ""
        difference = 100 * (self.count - self.usual) / self.usual
        fewer = "fewer" if difference < 0 else "more"
        return f", {abs(difference):.0f}% {fewer} than its last sends had ({self.usual:,}, the median)"

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
    EXISTS = "exists"
    """Klaviyo has a campaign of this name already, and ``if_exists="refuse"``."""
    RECENT = "recent"
    """A campaign to the same audience went out lately, or is about to, and ``if_recent="refuse"``."""
    NOT_APPROVED = "not approved"
    """A person said no, or nobody said yes in time."""
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
    REMOVES_TOO_MANY = "removes too many"
    """Mirroring the rows would take more profiles off the list than ``max_removed`` allows, or all of them."""
    NOT_CODE = "not code"
    """The template of this name was made with Klaviyo's drag-and-drop editor, so HTML is not written over it."""
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


class KlaviyoTemplateCheckError(KlaviyoError, AirflowFailException):
    """A mail, as Klaviyo fills it in, is not fit to be sent. Nothing was changed or sent.

    :param template_id: the template that was filled in.
    :param failed: what is wrong, as a sentence, by the name of the check.
    """

    def __init__(self, template_id: str, failed: Mapping[str, str]) -> None:
        super().__init__(template_id, failed)
        self.template_id = template_id
        self.failed = dict(failed)

    def __str__(self) -> str:
        checks = "1 check" if len(self.failed) == 1 else f"{len(self.failed)} checks"
        found = "".join(f"\n- {name}: {what}" for name, what in self.failed.items())
        return (
            f"Template {self.template_id}, filled in by Klaviyo, fails {checks}:{found}\nThis task changes and sends "
            f"nothing. Correct the template, then clear the task that writes it, or this one. If it is meant to be so, "
            f"change 'expect' or 'forbid', or name a built-in check in 'skip_checks'."
        )


def skip(message: str) -> NoReturn:
    """Skip the task, and have the log say why: Airflow itself only logs that it is skipped.

    :raises AirflowSkipException: with the message.
    """
    log.warning(message)
    raise AirflowSkipException(message)
