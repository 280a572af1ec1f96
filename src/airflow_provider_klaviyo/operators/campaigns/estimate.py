"""Count a campaign's recipients, and stop if the number looks wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_klaviyo.api.errors import KlaviyoConflictError, KlaviyoValidationError
from airflow_provider_klaviyo.campaigns.values import check_id, is_template
from airflow_provider_klaviyo.never_twice.repeat import repeat
from airflow_provider_klaviyo.tasks import CONNECTION, KlaviyoWaitingOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_klaviyo.campaigns.wait import WaitEvent


class KlaviyoEstimateRecipientsOperator(KlaviyoWaitingOperator):
    """Have Klaviyo count a campaign's recipients afresh, wait for the number, and fail if it is out of bounds.

    Put it before the send: a campaign whose audience is empty or far too large then never leaves.

    *Retry, clear, kill*: counts again; counting changes nothing. *Rate limit*: 1 request, and 2 for each look.

    :param campaign_id: the campaign. Templated.
    :param minimum: the smallest number that is right; ``None``: no lower bound. Templated.
    :param maximum: the largest number that is right; ``None``: no upper bound. Templated.
    :param deferrable: wait in the triggerer; default: ``[operators] default_deferrable``.
    :param poll_interval: seconds between looks; default 5.
    :param timeout: seconds after which the wait ends; default 900. "No results yet" is waited out until then.
    :returns: the number of recipients.
    :raises KlaviyoRecipientCountError: the number is out of bounds; nothing was sent, and retries do not help.
    """

    template_fields = ("campaign_id", "minimum", "maximum", *CONNECTION)
    default_poll_interval = 5.0
    default_timeout = 900.0

    def __init__(self, *, campaign_id: str, minimum: int | None = 1, maximum: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.campaign_id = campaign_id
        self.minimum = minimum
        self.maximum = maximum
        check_id("campaign_id", campaign_id)
        self._bounds()

    def _bounds(self, *, rendered: bool = False) -> tuple[int | None, int | None]:
        minimum = _bound("minimum", self.minimum, rendered=rendered)
        maximum = _bound("maximum", self.maximum, rendered=rendered)
        if minimum is not None and maximum is not None and minimum > maximum:
            raise KlaviyoValidationError(
                f"minimum is {minimum} and maximum is {maximum}; no number of recipients can be within. "
                f"Swap or widen them.",
                pointer="minimum",
            )
        return minimum, maximum

    def execute(self, context: Context) -> int:
        from airflow_provider_klaviyo.triggers.campaigns import KlaviyoRecipientEstimationJobTrigger

        self.check_rendered()
        check_id("campaign_id", self.campaign_id, rendered=True)
        self._bounds(rendered=True)
        self.show_link(context, self.campaign_id)
        self._start()
        trigger = KlaviyoRecipientEstimationJobTrigger(
            campaign_id=self.campaign_id,
            deadline=self.deadline(context),
            poll_interval=self.poll_interval,
            klaviyo_conn_id=self.klaviyo_conn_id,
            revision=self.revision,
        )
        return int(self.wait_for(context, trigger))

    def _start(self) -> None:
        """Start a count, or go on with the one that is running; started twice, it is counted twice, and that is all.

        :raises KlaviyoAmbiguousWriteError: the start was not answered, three times.
        """
        try:
            repeat(self.log, lambda: self.hook.start_estimation(self.campaign_id))
        except KlaviyoConflictError:
            self.log.info("Klaviyo is already counting the recipients of campaign %s.", self.campaign_id)

    def finish(self, context: Context, event: WaitEvent) -> int:
        from airflow_provider_klaviyo.exceptions import KlaviyoError, KlaviyoRecipientCountError

        count = event.get("count")
        if count is None:
            raise KlaviyoError(
                f"The wait for campaign {event['campaign_id']} ended without a count. Run the task again."
            )
        self.check_rendered()
        minimum, maximum = self._bounds(rendered=True)
        if (minimum is not None and count < minimum) or (maximum is not None and count > maximum):
            raise KlaviyoRecipientCountError(count, minimum, maximum, campaign_id=event["campaign_id"])
        self.log.info("Campaign %s reaches %s recipients.", event["campaign_id"], f"{count:,}")
        return count


def _bound(name: str, value: Any, *, rendered: bool) -> int | None:
    """A bound as a number; ``None`` for none, and for one that is still to be rendered.

    The text "None" is not a number: it comes of an XCom that is missing, and must not take the bound away.
    """
    if value is None or (is_template(value) and not rendered):
        return None
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = -1
    if number < 0 or isinstance(value, bool | float):
        raise KlaviyoValidationError(
            f"{name} is {value!r}; give a whole number of recipients, 0 or more, or None for no bound.", pointer=name
        )
    return number
