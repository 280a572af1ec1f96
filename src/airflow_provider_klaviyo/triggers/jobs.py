"""The wait for jobs over profiles, in the triggerer or in a worker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_klaviyo.api.errors import KlaviyoError
from airflow_provider_klaviyo.api.text import duration
from airflow_provider_klaviyo.audiences.jobs import JobKind, JobsEvent, JobsWait, look_at_jobs
from airflow_provider_klaviyo.campaigns.wait import facts
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook, opened


class KlaviyoJobsTrigger(BaseTrigger):
    """Looks at jobs over profiles until all are over, and fires one event (a ``JobsEvent`` of ``audiences.jobs``).

    It only reads, so it may run twice or start over without harm; the deadline is absolute. Looks that fail for a
    passing reason never end the wait. The arguments are stored by Airflow in plain text: ids, numbers and a
    connection's name.

    :param job_ids: the jobs, in the order in which they were made.
    :param deadline: when to give up, seconds since the epoch.
    :param poll_interval: seconds between looks.
    :param kind: what the jobs do: ``"import"``, ``"suppress"`` or ``"unsuppress"``.
    :param klaviyo_conn_id: connection of type ``klaviyo``.
    :param revision: Klaviyo API revision; default: the connection's.
    """

    def __init__(
        self,
        *,
        job_ids: Sequence[str],
        deadline: float,
        poll_interval: float,
        kind: JobKind = "import",
        klaviyo_conn_id: str = "klaviyo_default",
        revision: str | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.job_ids = list(job_ids)
        self.deadline = deadline
        self.poll_interval = poll_interval
        self.kind = kind
        self.klaviyo_conn_id = klaviyo_conn_id
        self.revision = revision

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments, as Airflow stores them."""
        kind = type(self)
        return f"{kind.__module__}.{kind.__qualname__}", {
            "job_ids": self.job_ids,
            "deadline": self.deadline,
            "poll_interval": self.poll_interval,
            "kind": self.kind,
            "klaviyo_conn_id": self.klaviyo_conn_id,
            "revision": self.revision,
        }

    def wait_here(self, hook: KlaviyoHook) -> JobsEvent:
        """The same wait in the worker, for an operator that is not deferrable."""
        wait = JobsWait(self.job_ids, self.deadline, self.poll_interval)
        while True:
            failure = None
            try:
                event = self._after(wait, hook.run(look_at_jobs(wait.pending, self.kind)))
            except KlaviyoError as error:
                failure = error
                event = self._after_failure(wait, error)
            if event is not None:
                return event
            time.sleep(wait.pause(time.time(), failure))

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look, pause, and fire one event when the wait is over."""
        yield TriggerEvent(dict(await self._wait()))

    async def _wait(self) -> JobsEvent:
        wait = JobsWait(self.job_ids, self.deadline, self.poll_interval)
        try:
            async with opened(self.klaviyo_conn_id, self.revision, any_revision=True) as hook:
                while True:
                    failure = None
                    try:
                        event = self._after(wait, await hook.run(look_at_jobs(wait.pending, self.kind)))
                    except KlaviyoError as error:
                        failure = error
                        event = self._after_failure(wait, error)
                    if event is not None:
                        return event
                    await asyncio.sleep(wait.pause(time.time(), failure))
        except KlaviyoError as error:
            return JobsEvent(outcome="error", pending=wait.pending, error=facts(error))

    def _after(self, wait: JobsWait, pending: list[str]) -> JobsEvent | None:
        if len(pending) != len(wait.pending):
            done, left = len(self.job_ids) - len(pending), max(0.0, self.deadline - time.time())
            self.log.info("%d of %d %s jobs are over, %s left.", done, len(self.job_ids), self.kind, duration(left))
        return wait.after(pending, time.time())

    def _after_failure(self, wait: JobsWait, error: KlaviyoError) -> JobsEvent | None:
        self.log.warning("Looking at %s job %s failed: %s", self.kind, wait.pending[0], error)
        return wait.after_failure(error, time.time())


KlaviyoImportJobsTrigger = KlaviyoJobsTrigger
"""The name under which deferred imports have it, too."""
