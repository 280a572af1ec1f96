"""Send, at most once per campaign, whatever is retried, cleared or killed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace

from airflow_provider_klaviyo.api import campaigns
from airflow_provider_klaviyo.api.document import Resource
from airflow_provider_klaviyo.api.errors import KlaviyoAmbiguousWriteError, KlaviyoConflictError, KlaviyoError
from airflow_provider_klaviyo.api.request import Departure, departing
from airflow_provider_klaviyo.campaigns.status import CampaignStatus, is_cancelled, judge
from airflow_provider_klaviyo.exceptions import KlaviyoCampaignFailed, KlaviyoRefusedError, RefusalReason
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.never_twice.look import (
    Action,
    Remembered,
    before_send,
    begin_by,
    look_until,
    now,
    settled_after,
    show_by,
)
from airflow_provider_klaviyo.never_twice.notes import SendNote, TaskState, moment

FRESH = 2.0
"""Seconds for which a draft that was read is taken to be as it was read."""

log = logging.getLogger(__name__)


def send_once(hook: KlaviyoHook, state: TaskState, campaign_id: str, check: Callable[[Resource], bool]) -> Resource:
    """Put a campaign on its way unless it already is. When this returns, it is.

    The campaign is read first, and what this task remembers of an earlier send decides together with what was read;
    the table is :func:`~.look.before_send`. It is read again right before the call
    leaves, if the reading is more than :data:`FRESH` seconds old by then.

    :param check: looks at the draft before the call and raises if it is not fit to be sent. It returns True if the
        campaign still is a draft, as far as it has looked again.
    :returns: the campaign as it was read last.
    :raises KlaviyoRefusedError: sending could mail people twice.
    :raises KlaviyoCampaignFailed: the campaign is cancelled.
    :raises KlaviyoAmbiguousWriteError: it cannot be known if it is on its way; the next try reads again.
    """
    sending = _Sending(hook, state, campaign_id, check)
    campaign, action = sending.read()
    while action is Action.WRITE:
        campaign, action = sending.post() if check(campaign) else sending.read()
    if action is Action.REFUSE:
        raise _refusal(campaign)
    sending.accepted()
    log.info("Campaign %s is on its way (%s).", campaign_id, _status(campaign))
    return campaign


class _OvertakenError(Exception):
    """Right before the call the campaign was a draft no longer, so it was not made."""


class _Sending:
    """One task's send of one campaign."""

    def __init__(
        self, hook: KlaviyoHook, state: TaskState, campaign_id: str, check: Callable[[Resource], bool]
    ) -> None:
        self._hook = hook
        self._state = state
        self._id = campaign_id
        self._check = check
        self._read_at = (0.0, 0.0)
        self._note = self._noted()

    def read(self, *, same_try: bool = False) -> tuple[Resource, Action]:
        """The campaign, and what follows from its status and from what is remembered."""

        def decide(seen: Resource) -> Action:
            return before_send(_status(seen), self._remembered(seen), same_try=same_try)

        campaign = look_until(
            self._campaign,
            lambda seen: decide(seen) is not Action.LOOK_AGAIN,
            what=f"campaign {self._id} is on its way",
            is_doubtful=lambda seen: _is_draft(seen) and self._remembered(seen).intended,
        )
        return campaign, decide(campaign)

    def post(self) -> tuple[Resource, Action]:
        """Ask Klaviyo to send; returns the campaign, and what follows: to adopt or to refuse what came of it.

        Nothing is asked if another try has noted something since this one read, or if the campaign is a draft no
        longer; then it is what follows from that.
        """
        earlier, until, clock = self._note, begin_by(self._hook, time.time()), self._hook.get_conn().clock
        if self._state.durable and (other := self._noted()) != earlier:
            self._note = other
            return self.read()
        note = self._put(SendNote(campaign=self._id, at=clock.now(), until=until - clock.ahead))
        departure = Departure(until, self._last_look)
        try:
            self._hook.run(departing(campaigns.send_campaign(self._id), departure))
        except _OvertakenError:
            self._take_back(note, earlier)
            return self.read()
        except KlaviyoAmbiguousWriteError as error:
            self._put(replace(note, ended=now(self._hook)))
            log.warning("%s Checking if campaign %s is on its way.", error, self._id)
            campaign, action = self.read(same_try=True)
            if action is Action.GIVE_UP:
                raise _undecided(self._id, error) from error
            return campaign, action
        except KlaviyoConflictError:
            # It was refused; or it was carried out, and then repeated by a gateway: until that shows, the note stays.
            self._put(replace(note, ended=now(self._hook)))
            campaign, action = self.read(same_try=True)
            if action is Action.GIVE_UP:
                self._take_back(note, earlier)
                raise
            return campaign, action
        except Exception as error:
            if isinstance(error, KlaviyoError) or not departure.has_left:
                self._take_back(note, earlier)
            raise
        self.accepted()
        return self._campaign(), Action.ADOPT

    def accepted(self) -> None:
        """Note that the campaign is on its way, as this task wanted."""
        if self._note is None or not self._note.accepted:
            ended = now(self._hook)
            if self._note is None and self._state.may_have_forgotten:
                log.info(
                    "Campaign %s was put on its way since this run began, and what was noted before a clear may be "
                    "gone: it is taken for this run's own send.",
                    self._id,
                )
            note = self._note or SendNote(campaign=self._id, at=ended)
            self._put(replace(note, ended=ended, accepted=True))

    def _campaign(self) -> Resource:
        self._read_at = (time.monotonic(), time.time())
        return self._hook.get_campaign(self._id)

    @property
    def _age(self) -> float:
        """Seconds since the campaign was read, also those that this machine slept: by one of its clocks they passed."""
        monotonic, of_day = self._read_at
        return max(time.monotonic() - monotonic, time.time() - of_day)

    def _last_look(self) -> None:
        """Read and check the draft again if it is a while ago: notes, XComs and the turn may have taken long.

        :raises _OvertakenError: it is a draft no longer.
        """
        for check in (self._check, _is_draft):  # a check may take long itself: then the status is read once more
            if self._age <= FRESH:
                return
            campaign = self._campaign()
            if not (_is_draft(campaign) and check(campaign)):
                raise _OvertakenError

    def _noted(self) -> SendNote | None:
        return self._state.find(SendNote, lambda note: note.campaign == self._id)

    def _put(self, note: SendNote) -> SendNote:
        self._note = self._state.put(note)
        return self._note

    def _take_back(self, note: SendNote, earlier: SendNote | None) -> None:
        self._state.restore(note, earlier)
        self._note = self._noted() if self._state.durable else earlier

    def _remembered(self, campaign: Resource) -> Remembered:
        """What this task remembers of a send of its own.

        Where a note may be missing, it has to suppose that one was posted since the run began.
        """
        note, clock = self._note, self._hook.get_conn().clock
        if note is not None:
            return Remembered(
                intended=True,
                accepted=note.accepted,
                settled=clock.now() >= show_by(self._hook, note),
                cleared=note.generation != self._state.generation,
            )
        if not self._state.may_have_forgotten:
            return Remembered()
        sent = moment(campaign.attributes.get("send_time"))
        before_this_run = sent is not None and sent < self._state.run_began.timestamp() - clock.ahead
        return Remembered(
            intended=not before_this_run,
            settled=clock.now() >= settled_after(self._state.quiet_since - clock.ahead),
            cleared=self._state.was_cleared,
        )


def _status(campaign: Resource) -> str:
    return str(campaign.attributes.get("status"))


def _is_draft(campaign: Resource) -> bool:
    return _status(campaign) == CampaignStatus.DRAFT


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
            f"reverted it. It was not sent now. To send it after all, clear this task.",
            reason=RefusalReason.REVERTED,
            campaign_id=campaign.id,
        )
    sent = campaign.attributes.get("send_time") or "an unknown time"
    return KlaviyoRefusedError(
        f"Campaign {campaign.id} ({campaign.attributes.get('name')!r}) was already sent, at {sent}, and not by this "
        f"task. It was not sent again. To resend it, clone it (KlaviyoCloneCampaignOperator).",
        reason=RefusalReason.ALREADY_SENT,
        campaign_id=campaign.id,
    )
