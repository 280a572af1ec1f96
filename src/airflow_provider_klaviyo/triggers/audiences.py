"""The trigger that waits until a list or a segment is filled."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_klaviyo.api.errors import KlaviyoError
from airflow_provider_klaviyo.audiences.ready import Audience, ReadyEvent, ReadyWait, Size, look_at_size
from airflow_provider_klaviyo.triggers.poller import Waiter, wait_with_others


class KlaviyoAudienceReadyTrigger(BaseTrigger):
    """Looks at a list or a segment until it is filled, and fires one event (a ``ReadyEvent`` of ``audiences.ready``).

    It only reads, so it may run twice or start over (a triggerer that dies is replaced) without harm: the quiet period
    then begins anew, the deadline is absolute and does not move. Looks that fail for a passing reason never end the
    wait. The arguments are stored by Airflow in plain text: ids, numbers and a connection's name, never a secret.

    *Rate limit*: Klaviyo counts profiles 15 times a minute for an account. All triggers of a connection look by one
    poller, 12 times a minute at most, and those that wait for the same audience share each look.

    :param list_id: the list; or
    :param segment_id: the segment.
    :param minimum: the number of profiles that is enough.
    :param settled: seconds for which the number has to stand still.
    :param poll_interval: seconds between looks.
    :param deadline: when to give up, seconds since the epoch.
    :param klaviyo_conn_id: connection of type ``klaviyo``.
    :param revision: Klaviyo API revision; default: the connection's.
    """

    def __init__(
        self,
        *,
        list_id: str | None = None,
        segment_id: str | None = None,
        minimum: int,
        settled: float,
        poll_interval: float,
        deadline: float,
        klaviyo_conn_id: str = "klaviyo_default",
        revision: str | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.list_id = list_id
        self.segment_id = segment_id
        self.minimum = minimum
        self.settled = settled
        self.poll_interval = poll_interval
        self.deadline = deadline
        self.klaviyo_conn_id = klaviyo_conn_id
        self.revision = revision

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments, as Airflow stores them."""
        return f"{__name__}.{type(self).__name__}", {
            "list_id": self.list_id,
            "segment_id": self.segment_id,
            "minimum": self.minimum,
            "settled": self.settled,
            "poll_interval": self.poll_interval,
            "deadline": self.deadline,
            "klaviyo_conn_id": self.klaviyo_conn_id,
            "revision": self.revision,
        }

    def wait(self) -> ReadyWait:
        """The wait, at its start."""
        audience = audience_of(self.list_id, self.segment_id)
        return ReadyWait(audience, self.minimum, self.settled, self.deadline, self.poll_interval)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look, pause, and fire one event when the wait is over."""
        wait = LoggedReadyWait(self.wait(), self.logger())
        audience = wait.wait.audience
        waiter = Waiter(wait, str(audience), lambda _: look_at_size(audience), singly=True, counts=True)
        event = await wait_with_others(waiter, self.klaviyo_conn_id, self.revision)
        yield TriggerEvent(dict(event))


def audience_of(list_id: str | None, segment_id: str | None) -> Audience:
    """The list, or else the segment."""
    return Audience("list", list_id) if list_id is not None else Audience("segment", segment_id or "")


class LoggedReadyWait:
    """A wait on the real clock, which logs each change of the number once.

    :param log: the trigger's or the task's logger.
    """

    def __init__(self, wait: ReadyWait, log: Any) -> None:
        self.wait = wait
        self._log = log

    @property
    def deadline(self) -> float:
        return self.wait.deadline

    def after(self, size: Size) -> ReadyEvent | None:
        before = self.wait.size
        event = self.wait.after(size, time.time())
        if size != before:
            seen = "not seen before" if before is None else f"before: {before}"
            self._log.info("The %s has %s (%s).", self.wait.audience, size, seen)
        return event

    def after_failure(self, error: KlaviyoError) -> ReadyEvent | None:
        self._log.warning("Looking at the %s failed: %s", self.wait.audience, error)
        return self.wait.after_failure(error, time.time())

    def pause(self, failure: KlaviyoError | None) -> float:
        return self.wait.pause(time.time(), failure)
