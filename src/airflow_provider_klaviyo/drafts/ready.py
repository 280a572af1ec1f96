"""The check of a draft right before it is sent: is the run on time, the content there, the draft as it was written?"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pendulum

from airflow_provider_klaviyo.api.document import Resource
from airflow_provider_klaviyo.api.errors import KlaviyoError, KlaviyoValidationError
from airflow_provider_klaviyo.api.text import duration
from airflow_provider_klaviyo.campaigns.strategies import window
from airflow_provider_klaviyo.drafts.draft import channel_of
from airflow_provider_klaviyo.drafts.edits import Draft, Written
from airflow_provider_klaviyo.drafts.recent import check_recent
from airflow_provider_klaviyo.exceptions import KlaviyoRefusedError, RefusalReason, skip
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.never_twice import look
from airflow_provider_klaviyo.never_twice.look import look_until, settled_after

if TYPE_CHECKING:
    from airflow.sdk import Context

LATE = timedelta(hours=24)
"""How late a scheduled run may be to count as on time, where its schedule does not have when the next one is due."""

QUESTIONS = 3
"""How often Airflow is asked what this run's tasks wrote: its client repeats each question for some 30 s itself."""

log = logging.getLogger(__name__)


def is_for_the_past(context: Context) -> bool:
    """True if this run is a backfill, or a scheduled run whose successor is already due (catch-up, a late clear)."""
    run = context["dag_run"]
    if run.run_type == "backfill":
        return True
    if run.run_type != "scheduled":
        return False
    return bool(pendulum.now("UTC") >= _successor(run, context.get("dag")))


def _successor(run: Any, dag: Any) -> datetime:
    """When the next run of the schedule is due: from the run's own interval, else from the DAG's schedule."""
    start, end = run.data_interval_start, run.data_interval_end
    due: datetime = run.run_after
    if start and end and end > start:
        interval: timedelta = end - start
        return due + interval
    timetable = getattr(dag, "timetable", None)
    delta = _fact(timetable, "delta")
    if isinstance(delta, timedelta):
        return due + delta
    if isinstance(expression := _fact(timetable, "expression"), str):
        from croniter import croniter

        local = pendulum.instance(due).in_timezone(_fact(timetable, "timezone") or "UTC")
        following: datetime = croniter(expression, local).get_next(datetime)
        return following
    return due + LATE


def _fact(timetable: Any, name: str) -> Any:
    """An attribute of a timetable; Airflow below 3.2 has it with an underscore."""
    return getattr(timetable, name, None) or getattr(timetable, f"_{name}", None)


@dataclass(slots=True)
class ReadyCheck:
    """Refuses to send a draft that would reach people late, without content, at a time that has passed, or changed.

    It may be asked several times of the same draft; what this run's tasks wrote of it is read once.

    :param in_backfill: ``refuse``, ``skip`` or ``send``: what to do in a run for the past.
    :param if_edited: ``warn``, ``refuse`` or ``send``: what to do when it is not as this run's tasks wrote it.
    :param not_within: how far from other campaigns to its audience it has to be; ``None``: that is not looked at.
    :param if_recent: ``refuse`` or ``skip``: what to do when it is not.
    :param writers: the tasks of this run that may have recorded what they wrote of it.
    :param sent_by: until when the task waits for it to be sent (seconds since the epoch), if it does.
    """

    hook: KlaviyoHook
    context: Context
    in_backfill: str
    if_edited: str
    not_within: timedelta | None
    if_recent: str
    writers: Sequence[str]
    sent_by: float | None
    _written: Written | None = field(default=None, init=False)

    def __call__(self, campaign: Resource) -> bool:
        """True if the campaign still is a draft: the last check may take a while.

        :raises KlaviyoRefusedError: a run for the past, an edited draft, or another campaign to its audience of late,
            and that is to be refused.
        :raises AirflowSkipException: a run for the past, or another campaign, and that is to be skipped.
        :raises KlaviyoValidationError: the draft is not fit to be sent.
        """
        self._check_date(campaign)
        self._check_time(campaign)
        draft = Draft.read(self.hook, campaign)
        self._check_messages(draft)
        still_draft = self.if_edited == "send" or self._check_edits(draft)
        if self.not_within is not None and draft.messages:
            check_recent(self.hook, campaign, channel_of(draft.messages[0]), self.not_within, self.if_recent)
        return still_draft

    def _check_date(self, campaign: Resource) -> None:
        if self.in_backfill == "send" or not is_for_the_past(self.context):
            return
        run = self.context["dag_run"]
        what = f"Run {run.run_id} is for the past (a {run.run_type} run, due at {run.run_after:%Y-%m-%d %H:%M} UTC)"
        if self.in_backfill == "skip":
            skip(f"{what}: campaign {campaign.id} is not sent, as in_backfill='skip' asks.")
        raise KlaviyoRefusedError(
            f"{what}: campaign {campaign.id} was not sent and is a draft. "
            f"If people are to get it now, set in_backfill='send' on this task; 'skip' skips it instead.",
            reason=RefusalReason.PAST_RUN,
            campaign_id=campaign.id,
        )

    def _check_time(self, campaign: Resource) -> None:
        strategy: Any = campaign.attributes.get("send_strategy")
        try:
            planned = window(strategy)
        except KlaviyoValidationError as error:
            error.message = (
                f"When campaign {campaign.id} is to go out is not known, so it was not sent: {error.message}"
            )
            raise
        if planned is None:
            return
        now, given = datetime.now(UTC), strategy[planned.field]
        pointer = f"/send_strategy/{planned.field}"
        if planned.has_passed(now):
            raise KlaviyoValidationError(
                f"The send time of campaign {campaign.id} has passed: {strategy.get('method')} at {given}. Klaviyo "
                f"would send it at once, or in a way that it does not document. Nothing was sent: give it a "
                f"send_strategy with a later time, or immediate(). (A clone gets 'static' at the time of cloning: make "
                f"it with KlaviyoCloneCampaignOperator.)",
                pointer=pointer,
            )
        if self.sent_by is not None and planned.over.timestamp() > self.sent_by:
            raise KlaviyoValidationError(
                f"Campaign {campaign.id} is to be sent at {given} ({strategy.get('method')}) and may go out until "
                f"{planned.over:%Y-%m-%d %H:%M} UTC. This task would stop waiting "
                f"{duration(planned.over.timestamp() - self.sent_by)} earlier. Nothing was sent: use "
                f"wait_until='scheduled', or a larger timeout.",
                pointer="timeout",
            )
        if planned.is_local and planned.first < now and not planned.late_get_it:
            log.warning(
                "Campaign %s is for each recipient's own time zone, and in some it is past %s already. Recipients "
                "there may get it a day later, or not at all: send_past_recipients_immediately=True sends at once.",
                campaign.id,
                given,
            )

    def _check_messages(self, draft: Draft) -> None:
        bare = [message.id for message in draft.messages if self._lacks_template(message)]
        if bare:
            raise KlaviyoValidationError(
                f"Campaign {draft.campaign.id} has no template for its email message {', '.join(bare)}. Nothing was "
                f"sent: assign one first (KlaviyoAssignTemplateOperator).",
                pointer="/relationships/template",
            )

    def _lacks_template(self, message: Resource) -> bool:
        definition: dict[str, Any] = message.attributes.get("definition") or {}
        if definition.get("channel") != "email":
            return False
        if not message.has_related("template"):
            message = self.hook.get_message(message.id)
        return not message.related("template")

    def _check_edits(self, draft: Draft) -> bool:
        """Compare the draft with what this run's tasks wrote; a difference has to last, as reads may lag behind writes.

        :returns: True if it still is a draft.
        """
        written = self._written_by_run(draft.campaign.id)
        if not written.differing(self.hook, draft):
            return True
        shows_by = settled_after(written.last)

        def read_again() -> tuple[Draft, list[str]]:
            seen = Draft.read(self.hook, self.hook.get_campaign(draft.campaign.id))
            return seen, written.differing(self.hook, seen) if seen.is_draft else []

        seen, edits = look_until(
            read_again,
            lambda seen: not seen[1] or time.time() >= shows_by,
            what=f"campaign {draft.campaign.id} is as this run's tasks wrote it",
            is_doubtful=lambda seen: bool(seen[1]),
        )
        if edits:
            self._report(draft.campaign.id, edits)
        if seen.is_draft:
            self._check_time(seen.campaign)
        return seen.is_draft

    def _written_by_run(self, campaign_id: str) -> Written:
        for question in range(1, QUESTIONS + 1):
            if self._written is not None:
                break
            try:
                self._written = Written.pull(self.context, campaign_id, self.writers)
            except Exception as error:
                what = f"What this run's tasks wrote of campaign {campaign_id} could not be read from XCom: {error!r}."
                if question < QUESTIONS:
                    log.info("%s Asking again.", what)
                    time.sleep(look.PAUSE)
                elif self.if_edited == "refuse":
                    raise KlaviyoError(
                        f"{what} So it cannot be known if it was edited, and it was not sent, as if_edited='refuse' "
                        f"asks. The next try reads again."
                    ) from error
                else:
                    log.warning("%s It is sent without looking if somebody edited it.", what)
        return self._written or Written({}, {}, 0.0)

    def _report(self, campaign_id: str, edits: list[str]) -> None:
        what = (
            f"Campaign {campaign_id} was changed since this run's tasks wrote it, by a person or another program: "
            f"{', '.join(edits)}."
        )
        if self.if_edited == "refuse":
            raise KlaviyoRefusedError(
                f"{what} It was not sent. If it is to go out as it is, set if_edited='warn' on this task; to put back "
                f"what the DAG has, clear the tasks in brackets and this one.",
                reason=RefusalReason.EDITED,
                campaign_id=campaign_id,
            )
        log.warning("%s It is sent as it is now; if_edited='refuse' would stop it.", what)
