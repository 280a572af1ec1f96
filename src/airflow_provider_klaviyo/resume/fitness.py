"""Whether a draft may be sent, looked at right before it is."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_klaviyo.api.document import Resource
from airflow_provider_klaviyo.api.errors import KlaviyoError, KlaviyoValidationError
from airflow_provider_klaviyo.compat import AirflowSkipException
from airflow_provider_klaviyo.exceptions import KlaviyoRefusedError
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.resume.backfill import is_for_the_past
from airflow_provider_klaviyo.resume.edits import Draft, Notes
from airflow_provider_klaviyo.resume.looking import look_until, settled_after

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DraftCheck:
    """Refuses to send a draft that would reach people late, without content, at a time that has passed, or changed.

    :param in_backfill: ``refuse``, ``skip`` or ``send``: what to do in a run for the past.
    :param if_edited: ``warn``, ``refuse`` or ``send``: what to do when it is not as this run's tasks wrote it.
    :param writers: the tasks of this run that may have noted what they wrote of it.
    :param sent_by: until when the task waits for it to be sent (seconds since the epoch), if it does.
    """

    hook: KlaviyoHook
    context: Context
    in_backfill: str
    if_edited: str
    writers: Sequence[str]
    sent_by: float | None

    def __call__(self, campaign: Resource) -> bool:
        """Whether the campaign still is a draft: the last check may take a while.

        :raises KlaviyoRefusedError: a run for the past, or an edited draft and ``if_edited="refuse"``.
        :raises AirflowSkipException: a run for the past, and ``in_backfill="skip"``.
        :raises KlaviyoValidationError: the draft is not fit to be sent.
        """
        self._check_date(campaign)
        self._check_time(campaign)
        draft = Draft.read(self.hook, campaign)
        self._check_messages(draft)
        return self.if_edited == "send" or self._check_edits(draft)

    def _check_date(self, campaign: Resource) -> None:
        if self.in_backfill == "send" or not is_for_the_past(self.context):
            return
        run = self.context["dag_run"]
        what = f"Run {run.run_id} is for the past (a {run.run_type} run, due at {run.run_after:%Y-%m-%d %H:%M} UTC)"
        if self.in_backfill == "skip":
            raise AirflowSkipException(f"{what}: campaign {campaign.id} is not sent, as in_backfill='skip' says.")
        raise KlaviyoRefusedError(
            f"{what}: campaign {campaign.id} was not sent and is a draft. "
            f"If people are to get it now, set in_backfill='send' on this task; 'skip' skips it instead."
        )

    def _check_time(self, campaign: Resource) -> None:
        strategy = campaign.attributes.get("send_strategy") or {}
        planned = strategy.get("datetime")
        if planned is None:
            return
        moment = datetime.fromisoformat(planned)
        local = bool((strategy.get("options") or {}).get("is_local"))
        if moment < datetime.now(UTC) and not local:
            raise KlaviyoValidationError(
                f"The send time of campaign {campaign.id} has passed: {strategy['method']} at {planned}. Klaviyo would "
                f"send it at once. Nothing was sent: give it a send_strategy with a later time, or immediate(). (A "
                f"clone gets 'static' at the time of cloning: make it with KlaviyoCloneCampaignOperator.)",
                pointer="/send_strategy/datetime",
            )
        if self.sent_by is not None and moment.timestamp() > self.sent_by:
            raise KlaviyoValidationError(
                f"Campaign {campaign.id} is to be sent at {planned}, and this task would stop waiting before. Nothing "
                f"was sent: use wait_until='scheduled', or a larger timeout.",
                pointer="timeout",
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
        if not message.tells("template"):
            message = self.hook.get_message(message.id)
        return not message.related("template")

    def _check_edits(self, draft: Draft) -> bool:
        """Compare the draft with what this run's tasks wrote; a difference has to last, as reads may lag behind writes.

        :returns: whether it still is a draft.
        """
        notes = self._notes(draft.campaign.id)
        if not notes.differing(self.hook, draft):
            return True
        shows_by = settled_after(notes.last)

        def look() -> tuple[Draft, list[str]]:
            seen = Draft.read(self.hook, self.hook.get_campaign(draft.campaign.id))
            return seen, notes.differing(self.hook, seen) if seen.is_draft else []

        seen, edits = look_until(
            look,
            lambda seen: not seen[1] or time.time() >= shows_by,
            what=f"campaign {draft.campaign.id} is as this run's tasks wrote it",
            is_doubtful=lambda seen: bool(seen[1]),
        )
        if edits:
            self._tell(draft.campaign.id, edits)
        if seen.is_draft:
            self._check_time(seen.campaign)
        return seen.is_draft

    def _notes(self, campaign_id: str) -> Notes:
        try:
            return Notes.pull(self.context, campaign_id, self.writers)
        except Exception as error:
            what = f"What this run's tasks wrote of campaign {campaign_id} could not be read from XCom: {error!r}."
            if self.if_edited == "refuse":
                raise KlaviyoError(
                    f"{what} So whether it was edited cannot be told, and it was not sent, as if_edited='refuse' says. "
                    f"The next try reads again."
                ) from error
            log.warning("%s It is sent without looking whether somebody edited it.", what)
            return Notes({}, {}, 0.0)

    def _tell(self, campaign_id: str, edits: list[str]) -> None:
        what = (
            f"Campaign {campaign_id} was changed since this run's tasks wrote it, by a person or another program: "
            f"{', '.join(edits)}."
        )
        if self.if_edited == "refuse":
            raise KlaviyoRefusedError(
                f"{what} It was not sent. If it is to go out as it is, set if_edited='warn' on this task; to put back "
                f"what the DAG says, clear the tasks in brackets and this one."
            )
        log.warning("%s It is sent as it is now; if_edited='refuse' would stop it.", what)
