"""Send a campaign."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_klaviyo.api.errors import KlaviyoError, KlaviyoNotFoundError, KlaviyoValidationError
from airflow_provider_klaviyo.api.text import duration
from airflow_provider_klaviyo.campaigns import CampaignStatus
from airflow_provider_klaviyo.campaigns.values import Output, check_choice, check_id
from airflow_provider_klaviyo.tasks import CONNECTION, KlaviyoWaitingOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_klaviyo.api.document import Resource
    from airflow_provider_klaviyo.campaigns.wait import WaitEvent

InBackfill = Literal["refuse", "skip", "send"]
WaitUntil = Literal["sent", "scheduled"]
IfEdited = Literal["warn", "refuse", "send"]
IfRecent = Literal["refuse", "skip"]
KillAction = Literal["keep", "revert", "cancel"]

PATIENCE = 5.0
"""Seconds that a task whose campaign is sent waits for the rate limit to know its recipients, at most."""

TARGETS = {"sent": CampaignStatus.SENT, "scheduled": CampaignStatus.SCHEDULED}


class KlaviyoSendCampaignOperator(KlaviyoWaitingOperator):
    """Put a campaign on its way, once, and wait until it is sent.

    The campaign is read first. A draft is checked (every email has a template, the send time lies ahead) and sent; one
    that is on its way already is waited for; one that was sent by somebody else, or cancelled, is refused.

    *Retry, kill, lost answer*: Klaviyo is asked to send at most once. What an earlier try did follows from the
    campaign's status and from what this task noted (Airflow 3.3 and later: task state store, key ``klaviyo_send``).
    The draft is read again right before the call leaves, if it was read more than 2 seconds ago.
    *Clear*: waits for the send that was made, or ends well if it is through; it is not sent again. Where the note may
    be gone (Airflow 3.4 empties the store when a task is cleared in its UI), a campaign that was sent since the run
    began is taken for this run's own.
    *Outlets*: an asset's event has the campaign as its ``extra``: ``campaign_id``, ``name``, ``status``, ``send_time``,
    ``channel``, ``recipients`` (as estimated). An ``AssetAlias`` gets the campaign's own asset.
    *Mark failed while waiting*: ``kill_action`` decides what becomes of the send. *Any other end of a try* (clear, mark
    success, ``execution_timeout``, a worker that shuts down, kill -9) leaves it alone: the next try adopts it.
    *Rate limit*: 5 requests, and 1 for each look; 2 more for ``not_within``; 1 more where a task has set the image, and
    6 or more where the draft was edited, to be sure of it.

    :param campaign_id: the campaign. Templated.
    :param wait_until: ``"sent"``; ``"scheduled"``: it is on Klaviyo's schedule, or further; ``None``: do not wait.
    :param in_backfill: what to do in a backfill, and in a scheduled run whose successor is already due: ``"refuse"``
        (fail), ``"skip"``, or ``"send"``. A send that was already made is adopted all the same.
    :param if_edited: what to do with a draft that no longer is as this run's tasks wrote it, because a person or
        another program changed it since: ``"warn"`` (name the fields in the log, and send it as it is), ``"refuse"``
        (send nothing), or ``"send"`` (do not compare). Compared is what this package's operators upstream of this
        task have written; what ``KlaviyoApiOperator`` or a hook wrote counts as an edit.
    :param not_within: do not send if Klaviyo has another campaign of this channel to the same included audiences that
        goes out less than this before or after, or is on its way at a time that is not known: ``timedelta(hours=20)``.
        Who made it does not matter; a cancelled one does not count. ``None``: do not look.
    :param if_recent: what to do then: ``"refuse"`` (fail), or ``"skip"`` this task and those after it. The draft stays.
    :param run_note: True: put the link to the campaign into the run's note, on Airflow 3.4 and later. It takes the
        place of what a person wrote there, as Airflow lets no task read it; so nothing is written by a mapped task, and
        in a run of which something was cleared.
    :param kill_action: what to do with the send when a person marks this task as failed while it runs or waits:
        ``"keep"`` (Klaviyo goes on); ``"revert"``: back to a draft, unless sending has begun; ``"cancel"``: for good,
        also in mid-send. One brief attempt, shown in the task's log; it may fail, and then Klaviyo goes on. To send
        after a revert, clear the task once the campaign is a draft. Needs Airflow 3.3 while the task is deferred;
        before, that is ``"keep"``.
    :param deferrable: wait in the triggerer; default: ``[operators] default_deferrable``.
    :param poll_interval: seconds between looks; default 30.
    :param timeout: seconds after which the wait ends; default 86,400 (a day). The send goes on.
    :returns: the campaign's id.
    :raises KlaviyoRefusedError: sending could mail people twice, late, or what was edited; nothing was sent.
    :raises AirflowSkipException: nothing was sent, as ``in_backfill`` or ``if_recent`` asks.
    :raises KlaviyoValidationError: the draft is not fit to be sent; nothing was sent.
    :raises KlaviyoCampaignFailed: Klaviyo cancelled the campaign, or a person did; the message has why.
    :raises KlaviyoAmbiguousWriteError: it is not known if Klaviyo took the send; the next try reads again.
    :raises KlaviyoWaitTimeoutError: it was not sent in time.
    """

    template_fields = ("campaign_id", *CONNECTION)
    default_poll_interval = 30.0
    default_timeout = 86_400.0

    _ti: Any = None
    _killed = False

    def __init__(
        self,
        *,
        campaign_id: str | Output,
        wait_until: WaitUntil | None = "sent",
        in_backfill: InBackfill = "refuse",
        if_edited: IfEdited = "warn",
        not_within: timedelta | None = None,
        if_recent: IfRecent = "refuse",
        run_note: bool = False,
        kill_action: KillAction = "keep",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.campaign_id = campaign_id
        self.wait_until = wait_until
        self.in_backfill = in_backfill
        self.if_edited = if_edited
        self.not_within = not_within
        self.if_recent = if_recent
        self.run_note = run_note
        self.kill_action = kill_action
        check_id("campaign_id", campaign_id)
        check_choice("wait_until", wait_until, (*TARGETS, None))
        check_choice("in_backfill", in_backfill, ("refuse", "skip", "send"))
        check_choice("if_edited", if_edited, ("warn", "refuse", "send"))
        check_choice("if_recent", if_recent, ("refuse", "skip"))
        if not_within is not None and (not isinstance(not_within, timedelta) or not_within <= timedelta(0)):
            raise KlaviyoValidationError(
                f"not_within is {not_within!r}; give a timedelta of more than 0, such as timedelta(hours=20).",
                pointer="not_within",
            )
        check_choice("run_note", run_note, (True, False))
        check_choice("kill_action", kill_action, ("keep", "revert", "cancel"))

    def execute(self, context: Context) -> str:
        from airflow_provider_klaviyo.drafts.ready import ReadyCheck
        from airflow_provider_klaviyo.never_twice.notes import TaskState
        from airflow_provider_klaviyo.never_twice.send import send_once
        from airflow_provider_klaviyo.triggers.campaigns import KlaviyoCampaignStatusTrigger

        self.check_rendered()
        check_id("campaign_id", self.campaign_id, rendered=True)
        self.show_link(context, self.campaign_id)
        deadline = self.deadline(context)
        is_fit = ReadyCheck(
            self.hook,
            context,
            in_backfill=self.in_backfill,
            if_edited=self.if_edited,
            not_within=self.not_within,
            if_recent=self.if_recent,
            writers=self.writers(),
            sent_by=deadline if self.wait_until == "sent" else None,
        )

        def check(campaign: Resource) -> bool:
            still_draft = is_fit(campaign)
            if self._killed:
                raise KlaviyoError(f"The task was killed before the send: campaign {campaign.id} was not sent.")
            return still_draft

        self._ti = context["ti"]
        name = str(send_once(self.hook, TaskState(context), self.campaign_id, check).attributes.get("name"))
        if self._killed:
            self.on_kill()
        if self.run_note:
            from airflow_provider_klaviyo.operators.run_note import note_run

            note_run(self, context)
        if self.wait_until is None:
            self._tell(context, "On its way:", name)
            return self.campaign_id
        trigger = KlaviyoCampaignStatusTrigger(
            campaign_id=self.campaign_id,
            target_statuses=[TARGETS[self.wait_until]],
            after_send=True,
            kill_action=self.kill_action,
            deadline=deadline,
            poll_interval=self.poll_interval,
            klaviyo_conn_id=self.klaviyo_conn_id,
            revision=self.revision,
        )
        return str(self.wait_for(context, trigger, name=name))

    def finish(self, context: Context, event: WaitEvent, name: str = "") -> Any:
        self._tell(context, event["status"], name or self.campaign_id)
        return event["campaign_id"]

    def _tell(self, context: Context, status: str, name: str) -> None:
        """Log what became of the campaign, and give the events of the task's outlets its facts."""
        recipients = self._estimated() if self.wait_until or self.outlets else None
        to = "" if recipients is None else f" to {recipients:,} recipients (as estimated)"
        took = duration(time.time() - self.began(context))
        self.log.info("%s %r%s in %s: %s", status, name, to, took, self.campaign_url)
        if self.outlets:
            from airflow_provider_klaviyo.operators.campaigns.outlets import describe_outlets

            describe_outlets(self.hook, context, self.outlets, self.campaign_id, recipients)

    def _estimated(self) -> int | None:
        """How many recipients the campaign was estimated to reach; ``None`` if that cannot be read soon."""
        try:
            return self.hook.get_estimation(self.campaign_id, patience=PATIENCE)
        except KlaviyoNotFoundError:
            return None
        except KlaviyoError as error:
            self.log.warning("The number of recipients of campaign %s could not be read: %s", self.campaign_id, error)
            return None

    def on_kill(self) -> None:
        """Begin no send any more; stop the one that was begun, if that is asked for and a person failed the task."""
        self._killed = True
        if self.kill_action == "keep" or self._ti is None:
            return
        from airflow_provider_klaviyo.never_twice.kill import stop_now

        self.log.warning(stop_now(self.hook.get_conn().settings, self._ti, self.campaign_id, self.kill_action))
