"""Count a campaign's recipients, and stop if the number looks wrong."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from airflow_provider_klaviyo.api.errors import KlaviyoConflictError, KlaviyoRateLimitError
from airflow_provider_klaviyo.campaigns.bounds import Bounds, bound
from airflow_provider_klaviyo.campaigns.values import Field, Output, check_id, filled, show
from airflow_provider_klaviyo.never_twice.repeat import repeat
from airflow_provider_klaviyo.tasks import CONNECTION, KlaviyoWaitingOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_klaviyo.campaigns.wait import WaitEvent

PATIENCE = 5.0
"""Seconds that a deferrable task waits for the reports' rate limit in its worker slot."""


class KlaviyoEstimateRecipientsOperator(KlaviyoWaitingOperator):
    """Have Klaviyo count a campaign's recipients afresh, wait for the number, and fail if it is out of bounds.

    Put it before the send: a campaign whose audience is empty or far too large then never leaves.

    A bound is a number of recipients, or a share of what such a campaign usually has: ``minimum="50%"`` with
    ``compare_with="Weekly news"`` is half of the median of the last 5 sends of the same channel whose names begin with
    "Weekly news", within a year. Without such a send the task fails: with nothing to compare with, it cannot guard.

    *Retry, clear, kill*: counts again; counting changes nothing. *Rate limit*: 1 request, and 2 for each look. With a
    share 4 more; one of them is a report, of which Klaviyo takes 2 a minute
    and 225 a day from the whole account. If that is to be waited for, a deferrable task does so without a worker slot.

    :param campaign_id: the campaign. Templated.
    :param minimum: the smallest number that is right, or a share; ``None``: no lower bound. Templated.
    :param maximum: the largest number that is right, or a share; ``None``: no upper bound. Templated.
    :param compare_with: what the names of the sends begin with that a share is of, to the letter. Templated.
    :param last_sends: how many of them count, at most: the latest, 1 to 100.
    :param deferrable: wait in the triggerer; default: ``[operators] default_deferrable``.
    :param poll_interval: seconds between looks; default 5.
    :param timeout: seconds after which the wait ends; default 900. "No results yet" is waited out until then. A wait
        for the reports' rate limit may take as long again.
    :returns: the number of recipients.
    :raises KlaviyoRecipientCountError: the number is out of bounds; nothing was sent, and retries do not help.
    :raises KlaviyoNotFoundError: a bound is a share, and there is no send to compare with.
    :raises KlaviyoRateLimitError: no more reports for longer than ``timeout``.
    """

    template_fields = ("campaign_id", "minimum", "maximum", "compare_with", *CONNECTION)
    default_poll_interval = 5.0
    default_timeout = 900.0

    def __init__(
        self,
        *,
        campaign_id: str | Output,
        minimum: int | str | Output | None = 1,
        maximum: int | str | Output | None = None,
        compare_with: str | Output | None = None,
        last_sends: int = 5,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.campaign_id = campaign_id
        self.minimum = minimum
        self.maximum = maximum
        self.compare_with = compare_with
        self.last_sends = last_sends
        check_id("campaign_id", campaign_id)
        if isinstance(last_sends, bool) or not isinstance(last_sends, int) or not 1 <= last_sends <= 100:
            raise Field("last_sends").error(f"is {show(last_sends)}", "Give a whole number, 1 to 100.")
        self._bounds()

    def _bounds(self, *, rendered: bool = False) -> Bounds:
        bounds = Bounds(
            bound("minimum", self.minimum, rendered=rendered), bound("maximum", self.maximum, rendered=rendered)
        )
        if self.compare_with is not None:
            filled(self.compare_with, Field("/compare_with", rendered=rendered))
        elif bounds.shares:
            name = bounds.shares[0]
            raise Field(name).error(
                f"is {getattr(self, name)!r}, a share of earlier sends",
                "Give compare_with, too: what their names begin with.",
            )
        return bounds

    def execute(self, context: Context) -> int:
        self.check_rendered()
        return self._count(context, self.deadline(context))

    def go_on(self, context: Context, event: Any) -> int:
        """Begin again after the wait for the reports' rate limit."""
        self.check_rendered()
        return self._count(context, time.time() + self.timeout)

    def _count(self, context: Context, deadline: float) -> int:
        from airflow_provider_klaviyo.triggers.campaigns import KlaviyoRecipientEstimationJobTrigger

        check_id("campaign_id", self.campaign_id, rendered=True)
        bounds = self._bounds(rendered=True)
        self.show_link(context, self.campaign_id)
        usual = self._usual(self.deadline(context)) if bounds.shares else None
        self._start()
        trigger = KlaviyoRecipientEstimationJobTrigger(
            campaign_id=self.campaign_id,
            deadline=deadline,
            poll_interval=self.poll_interval,
            klaviyo_conn_id=self.klaviyo_conn_id,
            revision=self.revision,
        )
        return int(self.wait_for(context, trigger, usual=usual))

    def _usual(self, deadline: float) -> int:
        """What the last sends had; while Klaviyo takes no report, the task is deferred."""
        from airflow_provider_klaviyo.api.text import shown
        from airflow_provider_klaviyo.drafts.last_sends import usual_recipients
        from airflow_provider_klaviyo.triggers.pause import KlaviyoPauseTrigger, when_taken

        left = max(0.0, deadline - time.time())
        patience = min(left, PATIENCE) if self.deferrable else left
        given = (self.hook, self.campaign_id, str(self.compare_with), self.last_sends)
        try:
            return repeat(self.log, usual_recipients, *given, patience=patience)
        except KlaviyoRateLimitError as error:
            if not self.deferrable:
                raise
            until = when_taken(error, deadline)
            self.log.warning("%s This task waits until %s UTC, without a worker slot.", error, shown(until))
            return self.defer(trigger=KlaviyoPauseTrigger(until=until), method_name="go_on")

    def _start(self) -> None:
        """Start a count, or go on with the one that is running; started twice, it is counted twice, and that is all.

        :raises KlaviyoAmbiguousWriteError: the start was not answered, three times.
        """
        try:
            repeat(self.log, lambda: self.hook.start_estimation(self.campaign_id))
        except KlaviyoConflictError:
            self.log.info("Klaviyo is already counting the recipients of campaign %s.", self.campaign_id)

    def finish(self, context: Context, event: WaitEvent, usual: int | None = None) -> int:
        from airflow_provider_klaviyo.exceptions import KlaviyoError, KlaviyoRecipientCountError

        count = event.get("count")
        if count is None:
            raise KlaviyoError(
                f"The wait for campaign {event['campaign_id']} ended without a count. Run the task again."
            )
        self.check_rendered()
        minimum, maximum = self._bounds(rendered=True).of(usual or 0)
        if (minimum is not None and count < minimum) or (maximum is not None and count > maximum):
            raise KlaviyoRecipientCountError(count, minimum, maximum, campaign_id=event["campaign_id"], usual=usual)
        self.log.info("Campaign %s reaches %s recipients.", event["campaign_id"], f"{count:,}")
        return count
