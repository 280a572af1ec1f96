"""The wait that all triggers share; a trigger only decides what to look at."""

from __future__ import annotations

import math
import time
from abc import abstractmethod
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, ClassVar, Protocol, TypeVar, cast

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_klaviyo.api.calls import Call
from airflow_provider_klaviyo.api.errors import KlaviyoError, KlaviyoValidationError
from airflow_provider_klaviyo.api.text import duration, shown
from airflow_provider_klaviyo.campaigns.values import check_connection, check_id
from airflow_provider_klaviyo.campaigns.wait import Observation, RowLook, Wait, WaitEvent
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.triggers.poller import Waiter, wait_with_others

SAID_AGAIN = 1800.0
"""Seconds after which the log has a line though nothing has changed."""

Seen = TypeVar("Seen", contravariant=True)
Event = TypeVar("Event", covariant=True)


class KlaviyoWaitTrigger(BaseTrigger):
    """Looks at a campaign until a wait is over, and fires one event (a ``WaitEvent`` of ``campaigns.wait``).

    All triggers of a connection look together: see :mod:`airflow_provider_klaviyo.triggers.poller`. They only read, so
    one may run twice or start over (a triggerer that dies is replaced) without harm; the deadline is absolute and does
    not move. Looks that fail for a passing reason never end the wait. The arguments are stored by Airflow in plain
    text: ids, numbers and a connection's name, never a secret.

    :param campaign_id: the campaign.
    :param klaviyo_conn_id: connection of type ``klaviyo``.
    :param revision: Klaviyo API revision; default: the connection's.
    :param poll_interval: seconds between looks.
    :param deadline: when to give up, seconds since the epoch.
    :param head_start: give up so many seconds before Airflow ends the deferral: in place of ``deadline``, for a task
        that starts from its trigger. Airflow fixed that end when it first deferred the task.
    """

    reads_omnichannel: ClassVar[bool] = False
    """True if it reads omnichannel campaigns, too."""

    timeout_after: datetime | None = None
    """When Airflow ends the deferral; set by the triggerer."""

    def __init__(
        self,
        *,
        campaign_id: str,
        poll_interval: float,
        deadline: float = math.inf,
        head_start: float | None = None,
        klaviyo_conn_id: str = "klaviyo_default",
        revision: str | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.campaign_id = campaign_id
        self.deadline = deadline
        self.head_start = head_start
        self.poll_interval = poll_interval
        self.klaviyo_conn_id = klaviyo_conn_id
        self.revision = revision

    @abstractmethod
    def look(self, revision: str) -> Call[Observation]:
        """One look.

        :param revision: API revision in use.
        """

    def row_look(self) -> RowLook | None:
        """Reads this campaign's row of a list, made for each run; ``None``: it takes a look of its own."""
        return None

    def wait(self) -> Wait:
        """The wait, at its start."""
        return Wait(self.campaign_id, self.gives_up_at, self.poll_interval)

    def check_rendered(self) -> None:
        """Judge what the triggerer has rendered, of a task that begins there: an undefined name is nothing to it.

        :raises KlaviyoValidationError: the campaign's id, the connection or the revision cannot be one.
        """
        check_id("campaign_id", self.campaign_id, rendered=True)
        check_connection(self.klaviyo_conn_id, self.revision, rendered=True)

    @property
    def gives_up_at(self) -> float:
        """When the wait ends, seconds since the epoch.

        :raises KlaviyoError: it hangs on the deferral's end, and there is none.
        """
        if self.head_start is None:
            return self.deadline
        if self.timeout_after is None:
            raise KlaviyoError("head_start is given, but this deferral has no end: give a deadline instead.")
        end = self.timeout_after
        return (end if end.tzinfo else end.replace(tzinfo=UTC)).timestamp() - self.head_start

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments, as Airflow stores them."""
        kind = type(self)
        end = {"deadline": self.deadline} if self.head_start is None else {"head_start": self.head_start}
        return f"{kind.__module__}.{kind.__qualname__}", {
            "campaign_id": self.campaign_id,
            **end,
            "poll_interval": self.poll_interval,
            "klaviyo_conn_id": self.klaviyo_conn_id,
            "revision": self.revision,
        }

    def wait_here(self, hook: KlaviyoHook) -> WaitEvent:
        """The same wait in the worker, for an operator that is not deferrable."""
        wait = _LoggedWait(self)
        while True:
            failure = None
            try:
                event = wait.after(hook.run(self.look(hook.api_revision)))
            except KlaviyoError as error:
                failure = error
                event = wait.after_failure(error)
            if event is not None:
                return event
            time.sleep(wait.pause(failure))

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look, pause, and fire one event when the wait is over."""
        wait = _LoggedWait(self)
        try:
            self.check_rendered()
        except KlaviyoValidationError as error:
            yield TriggerEvent(dict(cast("WaitEvent", wait.after_failure(error))))
            return
        row_look = self.row_look()
        waiter = Waiter(
            wait,
            self.campaign_id,
            self.look,
            row_look,
            singly=row_look is None,
            reads_omnichannel=self.reads_omnichannel,
        )
        event = await wait_with_others(waiter, self.klaviyo_conn_id, self.revision)
        yield TriggerEvent(dict(event))


class LoggedWait(Protocol[Seen, Event]):
    """A wait on the real clock, which logs what changes."""

    @property
    def deadline(self) -> float:
        """When to give up, seconds since the epoch."""

    def after(self, seen: Seen) -> Event | None:
        """Take in a look; the event if the wait is over."""

    def after_failure(self, error: KlaviyoError) -> Event | None:
        """Take in a look that failed; the event if that ends the wait."""

    def pause(self, failure: KlaviyoError | None) -> float:
        """Seconds until the next look."""
        ...


class _LoggedWait:
    """A trigger's wait on the real clock, which logs what changes.

    The task logs how it ended, not this: where a thousand waits end together, a line of each would fill the pipe
    to the triggerer's supervisor, and the event loop would stand still until that has caught up.
    """

    def __init__(self, trigger: KlaviyoWaitTrigger) -> None:
        self._trigger = trigger
        self._log = trigger.logger()  # of its class: ``log`` would make one for each wait
        self._wait = trigger.wait()
        self._began = self._logged_at = time.time()
        self._logged = ""

    @property
    def deadline(self) -> float:
        return self._wait.deadline

    def after(self, observation: Observation) -> WaitEvent | None:
        now = time.time()
        event = self._wait.after(observation, now)
        if event is None and ((news := self._news(now)) != self._logged or now - self._logged_at >= SAID_AGAIN):
            self._logged, self._logged_at = news, now
            waited = duration(now - self._began)
            until = f", until {shown(self.deadline)} UTC at most" if math.isfinite(self.deadline) else ""
            self._log.info("Campaign %s: %s, for %s so far%s.", self._wait.campaign_id, news, waited, until)
        return event

    def _news(self, now: float) -> str:
        status, often, sent_at = self._wait.status, f"every {self._wait.interval:g} s", self._wait.rests_until
        if sent_at is None or sent_at <= now:
            return f"{status}. Looking {often}"
        return f"{status}, to be sent at {shown(sent_at)} UTC. Looking seldom until then, and {often} after"

    def after_failure(self, error: KlaviyoError) -> WaitEvent | None:
        self._log.warning("Looking at campaign %s failed: %s", self._wait.campaign_id, error)
        return self._wait.after_failure(error, time.time())

    def pause(self, failure: KlaviyoError | None) -> float:
        return self._wait.pause(time.time(), failure)
