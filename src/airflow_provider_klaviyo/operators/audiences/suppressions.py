"""Suppress addresses, and lift that."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_klaviyo.api.errors import KlaviyoError, KlaviyoValidationError
from airflow_provider_klaviyo.api.text import duration
from airflow_provider_klaviyo.campaigns.status import JobStatus
from airflow_provider_klaviyo.campaigns.values import Field, Output, check_id
from airflow_provider_klaviyo.never_twice.repeat import repeat
from airflow_provider_klaviyo.operators.audiences.batches import batches, each, rows_named
from airflow_provider_klaviyo.operators.audiences.rows import email, once, rows_of
from airflow_provider_klaviyo.tasks import CONNECTION, KlaviyoWaitingTask, error_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_klaviyo.api.document import Resource
    from airflow_provider_klaviyo.audiences.jobs import JobKind, JobsEvent

PER_JOB = 100
"""Addresses of one job."""


class _SuppressionOperator(KlaviyoWaitingTask):
    """Base of the two: jobs are begun, and waited for."""

    template_fields = ("emails", "list_id", "segment_id", *CONNECTION)
    ui_color = "#f6f1eb"
    any_revision = True
    default_poll_interval = 10.0
    default_timeout = 3600.0
    what: ClassVar[JobKind]

    def __init__(
        self,
        *,
        emails: Sequence[str] | Output | None = None,
        list_id: str | Output | None = None,
        segment_id: str | Output | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.emails = emails
        self.list_id = list_id
        self.segment_id = segment_id
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
        from airflow_provider_klaviyo.triggers.jobs import KlaviyoJobsTrigger

        self.check_rendered()
        emails = self._checked(rendered=True)
        if self.emails is None:
            whom = {"list_id": self.list_id, "segment_id": self.segment_id}
            job_ids = [repeat(self.log, self._begin, **whom).id]
        else:
            job_ids = []
            for part in each(self.log, batches(emails, PER_JOB), what=f"addresses to {self.what} are accepted"):
                with rows_named(part[0][0], part[-1][0]):
                    job_ids.append(repeat(self.log, self._begin, emails=[address for _, address in part]).id)
        trigger = KlaviyoJobsTrigger(
            job_ids=job_ids,
            deadline=self.deadline(context),
            poll_interval=self.poll_interval,
            kind=self.what,
            klaviyo_conn_id=self.klaviyo_conn_id,
            revision=self.revision,
        )
        if self.deferrable:
            self.defer_to(trigger, trigger.deadline, job_ids=job_ids)
        return self._finish(trigger.wait_here(self.hook), job_ids)

    def execute_complete(self, context: Context, event: Any, job_ids: list[str]) -> dict[str, int]:
        """Go on after the triggerer's wait.

        :raises KlaviyoError: of the type that ended the wait.
        """
        from airflow_provider_klaviyo.audiences.jobs import parse

        return self._finish(parse(event), job_ids)

    def _finish(self, event: JobsEvent, job_ids: Sequence[str]) -> dict[str, int]:
        """The counts of all jobs.

        :raises KlaviyoError: one was cancelled, or is not over in time.
        """
        if event["outcome"] == "error":
            raise error_of(event["error"])
        if pending := event["pending"]:
            raise KlaviyoError(
                f"{len(pending)} of {len(job_ids)} jobs to {self.what} are not over after {duration(self.timeout)}, "
                f"the first is {pending[0]}. Klaviyo goes on with them; raise 'timeout' to wait longer."
            )
        counts = {"accepted": 0, "completed": 0, "skipped": 0}
        for job_id in job_ids:
            job = self._look(job_id).attributes
            if job.get("status") == JobStatus.CANCELLED:
                raise KlaviyoError(f"Job {job_id}, to {self.what}, was cancelled in Klaviyo. Run the task again.")
            for name, of_job in (("accepted", "total"), ("completed", "completed"), ("skipped", "skipped")):
                counts[name] += job.get(f"{of_job}_count") or 0
        self.log.info(
            "%d jobs are complete: of %s addresses, %s changed, and %s were as asked already or could not be changed.",
            len(job_ids),
            *(f"{count:,}" for count in counts.values()),
        )
        return counts


class KlaviyoSuppressProfilesOperator(_SuppressionOperator):
    """Suppress addresses: no marketing email is sent to them, whatever their consent. Waits for Klaviyo's jobs.

    An address without a profile gets one.

    *Retry, kill, lost answer, clear*, while jobs are begun and while they are waited for: begins the jobs again, which
    does no harm; who is suppressed already is counted as skipped. *Rate limit*: 3 requests and more for each 100
    addresses, or for the list or segment: 1 to begin a job, 1 for each look, 1 for the result; 75/s and 750/min per
    account.

    :param emails: the addresses; an empty list is an error. Templated. Give exactly one of the three.
    :param list_id: the list whose members are meant, as they are now. Templated.
    :param segment_id: the segment whose members are meant, as they are now. Templated.
    :param deferrable: wait in the triggerer; default: ``[operators] default_deferrable``.
    :param poll_interval: seconds between looks; default 10.
    :param timeout: seconds from the start of the try after which the wait ends; default one hour.
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

    Who unsubscribed, bounced or complained stays suppressed, and is counted as skipped.

    *Retry, kill, lost answer, clear*, while jobs are begun and while they are waited for: begins the jobs again; who is
    not suppressed any more is counted as skipped. Who was suppressed since by somebody else, by this or another task,
    is not suppressed any more then. *Rate limit*: 3 requests and more for each 100 addresses, or for the list or
    segment: 1 to begin a job, 1 for each look, 1 for the result; 75/s and 750/min per account.

    :param emails: the addresses; an empty list is an error. Templated. Give exactly one of the three.
    :param list_id: the list whose members are meant, as they are now. Templated.
    :param segment_id: the segment whose members are meant, as they are now. Templated.
    :param deferrable: wait in the triggerer; default: ``[operators] default_deferrable``.
    :param poll_interval: seconds between looks; default 10.
    :param timeout: seconds from the start of the try after which the wait ends; default one hour.
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
