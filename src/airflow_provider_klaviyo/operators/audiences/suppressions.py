"""Suppress addresses, and lift that."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_klaviyo.api.errors import (
    KlaviyoError,
    KlaviyoRateLimitError,
    KlaviyoTransientError,
    KlaviyoValidationError,
)
from airflow_provider_klaviyo.campaigns.status import JobStatus
from airflow_provider_klaviyo.campaigns.values import Field, check_id, positive
from airflow_provider_klaviyo.never_twice.repeat import repeat
from airflow_provider_klaviyo.operators.audiences.batches import batches, each, rows_named
from airflow_provider_klaviyo.operators.audiences.rows import email, once, rows_of
from airflow_provider_klaviyo.tasks import CONNECTION, KlaviyoTask

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_klaviyo.api.document import Resource

PER_JOB = 100
"""Addresses of one job."""


class _SuppressionOperator(KlaviyoTask):
    """Base of the two: jobs are begun, and waited for in the worker."""

    template_fields = ("emails", "list_id", "segment_id", *CONNECTION)
    ui_color = "#f6f1eb"
    any_revision = True
    what: ClassVar[str]

    def __init__(
        self,
        *,
        emails: Sequence[str] | None = None,
        list_id: str | None = None,
        segment_id: str | None = None,
        poll_interval: float | timedelta = 10.0,
        timeout: float | timedelta = 3600.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.emails = emails
        self.list_id = list_id
        self.segment_id = segment_id
        self.poll_interval = positive("poll_interval", poll_interval)
        self.timeout = positive("timeout", timeout)
        given = [name for name in ("emails", "list_id", "segment_id") if getattr(self, name) is not None]
        if len(given) != 1:
            raise KlaviyoValidationError(
                f"{' and '.join(given) or 'nothing'} is given; give exactly one of emails, list_id and segment_id.",
                pointer="emails",
            )
        self._checked()

    def _checked(self, *, rendered: bool = False) -> list[tuple[int, str]]:
        """The addresses, each once, with their numbers; none for a list or segment."""
        if self.emails is None:
            name = "list_id" if self.list_id is not None else "segment_id"
            check_id(name, getattr(self, name), rendered=rendered)
            return []
        rows = rows_of(self.emails, Field("/emails", rendered=rendered), email)
        return once(rows, lambda address: str(address).lower())

    @abstractmethod
    def _begin(self, **whom: Any) -> Resource:
        """Begin a job."""

    @abstractmethod
    def _look(self, job_id: str) -> Resource:
        """A job, as it is now."""

    def execute(self, context: Context) -> dict[str, int]:
        self.check_rendered()
        emails = self._checked(rendered=True)
        until = time.monotonic() + self.timeout
        if self.emails is None:
            whom = {"list_id": self.list_id, "segment_id": self.segment_id}
            job_ids = [repeat(self.log, self._begin, **whom).id]
        else:
            job_ids = []
            for part in each(self.log, batches(emails, PER_JOB), what=f"addresses to {self.what} are accepted"):
                with rows_named(part[0][0], part[-1][0]):
                    job_ids.append(repeat(self.log, self._begin, emails=[address for _, address in part]).id)
        counts = {"accepted": 0, "completed": 0, "skipped": 0}
        for number, job_id in enumerate(job_ids):
            job = self._wait(job_id, until, f"{number} of {len(job_ids)} jobs were complete")
            for name, of_job in (("accepted", "total"), ("completed", "completed"), ("skipped", "skipped")):
                counts[name] += job.get(f"{of_job}_count") or 0
        self.log.info(
            "%d jobs are complete: of %s addresses, %s changed, and %s were as asked already or could not be changed.",
            len(job_ids),
            *(f"{count:,}" for count in counts.values()),
        )
        return counts

    def _wait(self, job_id: str, until: float, so_far: str) -> Mapping[str, Any]:
        """A job's attributes, once it is complete. A look that fails for a passing reason does not end the wait.

        :raises KlaviyoError: it was cancelled, or it is not complete in time.
        """
        status = "not seen"
        while True:
            try:
                job = self._look(job_id).attributes
            except (KlaviyoTransientError, KlaviyoRateLimitError) as error:
                self.log.warning("Looking at job %s failed: %s", job_id, error)
            else:
                status = str(job.get("status"))
                if status == JobStatus.COMPLETE:
                    return job
                if status == JobStatus.CANCELLED:
                    raise KlaviyoError(
                        f"Job {job_id}, to {self.what}, was cancelled in Klaviyo; {so_far}. Run the task again."
                    )
            left = until - time.monotonic()
            if left <= 0:
                raise KlaviyoError(
                    f"Job {job_id}, to {self.what}, is {status} after {self.timeout:g} s; {so_far}. Klaviyo goes on "
                    f"with it; raise 'timeout' to wait longer."
                )
            time.sleep(min(self.poll_interval, left))


class KlaviyoSuppressProfilesOperator(_SuppressionOperator):
    """Suppress addresses: no marketing email is sent to them, whatever their consent. Waits for Klaviyo's jobs.

    An address without a profile gets one. The wait is in the worker.

    *Retry, kill, lost answer, clear*: begins the jobs again; who is suppressed already is counted as skipped. *Rate
    limit*: 2 requests and more for each 100 addresses, or for the list or segment: 1 to begin a job, 1 for each look;
    75/s and 750/min per account.

    :param emails: the addresses; an empty list is an error. Templated. Give exactly one of the three.
    :param list_id: the list whose members are meant, as they are now. Templated.
    :param segment_id: the segment whose members are meant, as they are now. Templated.
    :param poll_interval: seconds between looks at a job.
    :param timeout: seconds after which the wait ends.
    :returns: ``{"accepted": int, "completed": int, "skipped": int}``: profiles that the jobs were for, those that were
        changed, and those that were as asked already or could not be changed.
    :raises KlaviyoValidationError: an address that cannot be one, by its number; nothing was posted. Or Klaviyo refused
        a job, of a list that it does not have, say.
    :raises KlaviyoAmbiguousWriteError: a job's beginning was not answered, several times.
    :raises KlaviyoError: a job was cancelled, or is not complete in time.
    """

    what = "suppress"

    def _begin(self, **whom: Any) -> Resource:
        return self.hook.suppress(**whom)

    def _look(self, job_id: str) -> Resource:
        return self.hook.get_suppress_job(job_id)


class KlaviyoUnsuppressProfilesOperator(_SuppressionOperator):
    """Lift what ``KlaviyoSuppressProfilesOperator`` did, and waits for Klaviyo's jobs.

    Who unsubscribed, bounced or complained stays suppressed, and is counted as skipped. The wait is in the worker.

    *Retry, kill, lost answer, clear*: begins the jobs again; who is not suppressed any more is counted as skipped.
    *Rate limit*: 2 requests and more for each 100 addresses, or for the list or segment: 1 to begin a job, 1 for each
    look; 75/s and 750/min per account.

    :param emails: the addresses; an empty list is an error. Templated. Give exactly one of the three.
    :param list_id: the list whose members are meant, as they are now. Templated.
    :param segment_id: the segment whose members are meant, as they are now. Templated.
    :param poll_interval: seconds between looks at a job.
    :param timeout: seconds after which the wait ends.
    :returns: ``{"accepted": int, "completed": int, "skipped": int}``: profiles that the jobs were for, those that were
        changed, and those that were as asked already or could not be changed.
    :raises KlaviyoValidationError: an address that cannot be one, by its number; nothing was posted. Or Klaviyo refused
        a job, of a list that it does not have, say.
    :raises KlaviyoAmbiguousWriteError: a job's beginning was not answered, several times.
    :raises KlaviyoError: a job was cancelled, or is not complete in time.
    """

    what = "unsuppress"

    def _begin(self, **whom: Any) -> Resource:
        return self.hook.unsuppress(**whom)

    def _look(self, job_id: str) -> Resource:
        return self.hook.get_unsuppress_job(job_id)
