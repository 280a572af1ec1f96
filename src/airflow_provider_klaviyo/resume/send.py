"""Send, at most once per campaign, whatever is retried, cleared or killed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from airflow_provider_klaviyo.api.document import Resource
from airflow_provider_klaviyo.api.errors import (
    KlaviyoAmbiguousWriteError,
    KlaviyoConflictError,
    KlaviyoError,
)
from airflow_provider_klaviyo.api.expiry import begun_by
from airflow_provider_klaviyo.campaigns.status import CampaignStatus, is_cancelled, judge
from airflow_provider_klaviyo.exceptions import KlaviyoCampaignFailed, KlaviyoRefusedError
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.resume.decide import Action, Note, before_send
from airflow_provider_klaviyo.resume.looking import begin_by, look_until, noted, now, settled_after, show_by
from airflow_provider_klaviyo.resume.state import TaskState

SEND = "klaviyo_send"

log = logging.getLogger(__name__)


def send_once(hook: KlaviyoHook, state: TaskState, campaign_id: str, check: Callable[[Resource], bool]) -> None:
    """Put a campaign on its way unless it already is. When this returns, it is.

    The campaign is read first, and what this task remembers of an earlier send decides together with what was read;
    the table is :func:`~airflow_provider_klaviyo.resume.decide.before_send`.

    :param check: looks at the draft before the call and raises if it is not fit to be sent. It returns whether the
        campaign still is a draft, if it had to be looked at again.
    :raises KlaviyoRefusedError: sending could mail people twice.
    :raises KlaviyoCampaignFailed: the campaign is cancelled.
    :raises KlaviyoAmbiguousWriteError: it cannot be told whether it is on its way; the next try reads again.
    """
    sending = _Sending(hook, state, campaign_id)
    campaign, action = sending.read()
    while action is Action.WRITE:
        campaign, action = sending.post() if check(campaign) else sending.read()
    if action is Action.REFUSE:
        raise _refusal(campaign)
    sending.accepted()
    log.info("Campaign %s is on its way (%s).", campaign_id, _status(campaign))


class _Sending:
    """One task's send of one campaign.

    The note under ``klaviyo_send``: ``campaign``; ``at``, when the call was about to be made; ``until``, when it had to
    begin; ``ended``, when its answer came or was given up; ``accepted``, whether Klaviyo took it.
    """

    def __init__(self, hook: KlaviyoHook, state: TaskState, campaign_id: str) -> None:
        self._hook = hook
        self._state = state
        self._id = campaign_id
        self._note = self._noted()

    def read(self, *, same_try: bool = False) -> tuple[Resource, Action]:
        """The campaign, and what follows from its status and from what is remembered."""

        def decide(seen: Resource) -> Action:
            return before_send(_status(seen), self._remembered(seen), same_try=same_try)

        campaign = look_until(
            lambda: self._hook.get_campaign(self._id),
            lambda seen: decide(seen) is not Action.LOOK_AGAIN,
            what=f"campaign {self._id} is on its way",
            is_doubtful=lambda seen: _status(seen) == CampaignStatus.DRAFT and self._remembered(seen).intended,
        )
        return campaign, decide(campaign)

    def post(self) -> tuple[Resource, Action]:
        """Ask Klaviyo to send; the campaign, and whether to adopt or to refuse what came of it.

        Nothing is asked if another try has noted something since this one read; then it is what follows from that.
        """
        earlier, until = self._note, begin_by(self._hook, time.time())
        if self._state.durable and (other := self._noted()) != earlier:
            self._note = other
            return self.read()
        self._write_note(at=now(), until=noted(until))
        try:
            with begun_by(until):
                self._hook.send_campaign(self._id)
        except KlaviyoAmbiguousWriteError as error:
            self._write_note(**self._note | {"ended": now()})
            log.warning("%s Looking whether campaign %s is on its way.", error, self._id)
            campaign, action = self.read(same_try=True)
            if action is Action.GIVE_UP:
                raise _undecided(self._id, error) from error
            return campaign, action
        except KlaviyoConflictError:
            self._take_back(earlier)
            campaign, action = self.read()
            if action is Action.WRITE:
                raise
            return campaign, action
        except KlaviyoError:
            if time.time() <= until:  # later, the note may be another try's
                self._take_back(earlier)
            raise
        self.accepted()
        return self._hook.get_campaign(self._id), Action.ADOPT

    def accepted(self) -> None:
        """Note that the campaign is on its way, as this task wanted."""
        if not self._note.get("accepted"):
            self._write_note(**{"at": now(), **self._note, "ended": now(), "accepted": True})

    def _noted(self) -> dict[str, Any]:
        note = self._state.get(SEND)
        return note if note.get("campaign") == self._id else {}

    def _write_note(self, **facts: Any) -> None:
        self._note = {**facts, "campaign": self._id, "generation": self._state.generation}
        self._state.put(SEND, **self._note)

    def _take_back(self, earlier: Mapping[str, Any]) -> None:
        self._note = dict(earlier)
        self._state.restore(SEND, self._note)

    def _remembered(self, campaign: Resource) -> Note:
        """What this task remembers of a send of its own.

        Where nothing can be remembered, a later try has to suppose that an earlier one posted.
        """
        note = self._note
        if note:
            return Note(
                intended=True,
                accepted=bool(note.get("accepted")),
                settled=time.time() >= show_by(self._hook, note),
                cleared=note.get("generation") != self._state.generation,
            )
        if self._state.durable or not self._state.is_rerun:
            return Note()
        sent = campaign.attributes.get("send_time")
        before_this_run = sent is not None and datetime.fromisoformat(sent) < self._state.run_began
        return Note(
            intended=not before_this_run, settled=time.time() >= settled_after(self._state.try_began.timestamp())
        )


def _status(campaign: Resource) -> str:
    return str(campaign.attributes["status"])


def _undecided(campaign_id: str, error: KlaviyoAmbiguousWriteError) -> KlaviyoAmbiguousWriteError:
    return KlaviyoAmbiguousWriteError(
        f"The send of campaign {campaign_id} was not answered, and it is still a draft. Most likely it was not carried "
        f"out; the next try reads again, and sends only if it still is a draft then. Check it in Klaviyo.",
        status=error.status,
        request_id=error.request_id,
    )


def _refusal(campaign: Resource) -> Exception:
    status = _status(campaign)
    if is_cancelled(status):
        return KlaviyoCampaignFailed(campaign.id, status, judge(status, ()).reason)
    if status == CampaignStatus.DRAFT:
        return KlaviyoRefusedError(
            f"Campaign {campaign.id} was put on its way by an earlier try of this task and is a draft again: somebody "
            f"reverted it. It was not sent now. To send it after all, clear this task."
        )
    sent = campaign.attributes.get("send_time") or "an unknown time"
    return KlaviyoRefusedError(
        f"Campaign {campaign.id} ({campaign.attributes.get('name')!r}) was already sent, at {sent}, and not by this "
        f"task. It was not sent again. To resend it, clone it (KlaviyoCloneCampaignOperator)."
    )
