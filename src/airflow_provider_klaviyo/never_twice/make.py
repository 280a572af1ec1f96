"""Create and clone, at most once per task and campaign, whatever is retried, cleared or killed."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast

from airflow_provider_klaviyo.api.calls import Call
from airflow_provider_klaviyo.api.campaigns import Channel
from airflow_provider_klaviyo.api.document import Resource
from airflow_provider_klaviyo.api.errors import (
    KlaviyoAmbiguousWriteError,
    KlaviyoConflictError,
    KlaviyoError,
    KlaviyoNotFoundError,
)
from airflow_provider_klaviyo.api.message import ServerClock
from airflow_provider_klaviyo.api.request import Departure, departing
from airflow_provider_klaviyo.campaigns.status import CampaignStatus
from airflow_provider_klaviyo.exceptions import KlaviyoRefusedError, RefusalReason
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.never_twice.exists import existing
from airflow_provider_klaviyo.never_twice.look import (
    Action,
    after_make,
    begin_by,
    look_until,
    now,
    settled_after,
    show_by,
)
from airflow_provider_klaviyo.never_twice.notes import (
    BY_KLAVIYO,
    CampaignNote,
    IntentNote,
    Subject,
    TaskState,
    digest_of_audiences,
    moment,
)

if TYPE_CHECKING:
    from airflow_provider_klaviyo.campaigns.once import IfExists, OnClear

N = TypeVar("N", CampaignNote, IntentNote)

CLOCK_SKEW = 300.0
"""Seconds by which the scheduler's clock and Klaviyo's may be apart. The worker's own is corrected by Klaviyo's."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Made:
    """A campaign that this task has made.

    :param answer: the campaign as Klaviyo returned it when it was made; ``None`` if an earlier call made it: then it
        may still lack, or have other, settings.
    """

    id: str
    answer: Resource | None = None


@dataclass(frozen=True, slots=True)
class Sought:
    """What the campaign of an unanswered, or forgotten, call is known by.

    :param audiences: digests; it has one of these audiences.
    :param not_these: ids of campaigns that are another's.
    :param since: it was made no earlier: seconds since the epoch.
    :param show_by: it shows by then, if it was made at all.
    :param by_klaviyo: True if these are by Klaviyo's clock; else by that of a worker.
    :param is_noted: True if it is known by an intent; else only by what the DAG has now.
    :param newest: True if of several the newest is taken: after a clear that asked for a new one, where nothing could
        be noted.
    :param may_be_sent: True if it may have left the drafts: it was made before a clear.
    """

    subject: Subject
    audiences: frozenset[str]
    not_these: frozenset[str]
    since: float
    show_by: float
    by_klaviyo: bool
    is_noted: bool
    newest: bool
    may_be_sent: bool


def make_once(
    hook: KlaviyoHook,
    state: TaskState,
    post: Call[Resource],
    subject: Subject,
    *,
    audiences: Sequence[Mapping[str, Any]],
    on_clear: OnClear,
    if_exists: IfExists = "make",
) -> Made:
    """Make a campaign unless this task has made it already.

    The intent (what the campaign is recognised by, and until when the call may begin) is noted before the call and the
    id after it. A task that finds the id of this very campaign adopts it; one that finds only an intent looks for a
    campaign of that name made since, and makes one only if there is none. Where notes may be missing (below Airflow
    3.3, and after a clear), it looks for one made since the run began.

    :param post: makes the campaign; carried out at most once.
    :param audiences: the audiences that the campaign may have to be taken for the one intended.
    :param on_clear: ``adopt`` or ``new``: what to do with the campaign of an earlier generation after a clear.
    :param if_exists: what to do with one of this name that this task has not made; see :func:`~.exists.existing`.
    :raises KlaviyoRefusedError: several campaigns fit, the one made has vanished, or this try has made one of this name
        already: a person has to look.
    :raises KlaviyoAmbiguousWriteError: it cannot be known if it was made; the next try looks again.
    """
    digests = frozenset(map(digest_of_audiences, audiences))
    _refuse_twin(state, subject)
    looked_for: Sought | None = None
    while True:
        until = begin_by(hook, time.time())
        if known := _known(hook, state, subject, on_clear):
            state.done(_note(subject))
            return Made(known)
        sought = _sought(hook, state, subject, digests, on_clear)
        if sought is None or sought == looked_for:  # no other try has noted anything while this one looked
            break
        if found := _look(hook, sought, same_try=False):
            return _keep(hook, state, subject, Made(found))
        looked_for = sought
    if there := existing(hook, subject, if_exists):
        return _keep(hook, state, subject, Made(there))
    clock = hook.get_conn().clock
    beside: list[Resource] = []
    if on_clear == "new" and state.was_cleared and state.durable:
        beside = _namesakes(hook, subject, state.run_began.timestamp(), by_klaviyo=False)
    intent = state.put(
        IntentNote(
            name=subject.name,
            channel=subject.channel,
            source=subject.source,
            audiences=digests,
            beside=frozenset(campaign.id for campaign in beside),
            at=clock.now(),
            until=until - clock.ahead,
            clock=BY_KLAVIYO if clock.is_known else None,
        )
    )
    departure = Departure(until)
    try:
        made = hook.run(departing(post, departure))
        _check_name(made, subject)
    except (KlaviyoAmbiguousWriteError, KlaviyoConflictError) as error:
        # A conflict may be what a gateway got that repeated a call which was carried out.
        intent = state.put(_by_klaviyo(replace(intent, ended=clock.now() if intent.by_klaviyo else time.time()), clock))
        log.warning("%s Checking if campaign %r was made.", error, subject.name)
        found = _look(hook, _intended(hook, state, subject, digests, on_clear, intent), same_try=True)
        if found is None and isinstance(error, KlaviyoConflictError):
            state.drop(intent)
            raise
        if found is None:
            state.put(_by_klaviyo(intent, clock))
            error.message += f" No campaign named {subject.name!r} shows; the next try looks again before it makes one."
            raise
        return _keep(hook, state, subject, Made(found))
    except Exception as error:
        if isinstance(error, KlaviyoError) or not departure.has_left:
            state.drop(intent)
        raise
    return _keep(hook, state, subject, Made(made.id, made))


def _check_name(made: Resource, subject: Subject) -> None:
    """:raises KlaviyoAmbiguousWriteError: the answer is another campaign's: of a cache, or of another call."""
    name = made.attributes.get("name")
    if isinstance(name, str) and name.split() != subject.name.split():
        raise KlaviyoAmbiguousWriteError(
            f"Klaviyo was asked to make a campaign named {subject.name!r}, and answered with {made.id}, named "
            f"{name!r}. It is not known if it was made."
        )


def _refuse_twin(state: TaskState, subject: Subject) -> None:
    """:raises KlaviyoRefusedError: this execution of the task has made a campaign of this name already."""
    if state.has_done(_note(subject)):
        raise KlaviyoRefusedError(
            f"This task has just made a campaign named {subject.name!r}. A second one of the same name could not be "
            f"kept apart from it when the task is tried again, so none was made. Give each campaign that a task makes "
            f"a name of its own.",
            reason=RefusalReason.MADE_BEFORE,
        )


def _note(subject: Subject, campaign_id: str = "", at: float = 0.0) -> CampaignNote:
    return CampaignNote(id=campaign_id, name=subject.name, channel=subject.channel, source=subject.source, at=at)


def _by_klaviyo(intent: IntentNote, clock: ServerClock) -> IntentNote:
    """The intent with its times by Klaviyo's clock, if that is known by now: another worker may read it."""
    if intent.by_klaviyo or not clock.is_known:
        return intent
    times = {name: at - clock.ahead for name in ("at", "until", "ended") if (at := getattr(intent, name)) is not None}
    return replace(intent, clock=BY_KLAVIYO, **times)


def _sought(
    hook: KlaviyoHook, state: TaskState, subject: Subject, digests: frozenset[str], on_clear: str
) -> Sought | None:
    """What an earlier call of this task, or of what it was before a clear, may have made; ``None``: nothing."""
    intent = _noted(state, IntentNote, subject)
    if intent is not None and (on_clear == "adopt" or intent.generation == state.generation):
        return _intended(hook, state, subject, digests, on_clear, intent)
    if not (state.may_have_forgotten if on_clear == "adopt" else state.is_retry and not state.durable):
        return None
    return Sought(
        subject,
        digests,
        _others(state, subject, on_clear),
        since=state.run_began.timestamp(),
        by_klaviyo=False,
        show_by=settled_after(state.quiet_since),
        is_noted=False,
        newest=on_clear == "new",
        may_be_sent=state.was_cleared,
    )


def _intended(
    hook: KlaviyoHook,
    state: TaskState,
    subject: Subject,
    digests: frozenset[str],
    on_clear: str,
    intent: IntentNote,
) -> Sought:
    """What the call of a noted intent may have made."""
    began = state.run_began.timestamp()
    since = intent.at or began
    is_exact = intent.by_klaviyo or on_clear == "new"
    shows_by = show_by(hook, intent)
    if not intent.by_klaviyo:
        shows_by = max(shows_by, settled_after(state.try_began))
    return Sought(
        subject,
        digests | intent.audiences,
        _others(state, subject, on_clear) | intent.beside,
        since=since if is_exact else min(since, began),
        by_klaviyo=intent.by_klaviyo,
        show_by=shows_by,
        is_noted=True,
        newest=False,
        may_be_sent=state.was_cleared and on_clear == "adopt",
    )


def _others(state: TaskState, subject: Subject, on_clear: str) -> frozenset[str]:
    """Ids of campaigns that are noted as another's, or as that of another generation where each has its own."""
    return frozenset(
        note.id
        for note in state.all(CampaignNote)
        if not note.fits(subject) or (on_clear == "new" and note.generation != state.generation)
    )


def _noted(state: TaskState, kind: type[N], subject: Subject) -> N | None:
    """The note of a campaign: first one that has all of its subject."""
    fitting = [note for note in state.all(kind) if note.fits(subject)]
    return next((note for note in fitting if note.channel is not None), fitting[0] if fitting else None)


def _known(hook: KlaviyoHook, state: TaskState, subject: Subject, on_clear: str) -> str | None:
    """The campaign noted by an earlier try, if it is still there."""
    note = _noted(state, CampaignNote, subject)
    if note is None or not note.id:
        return None
    is_earlier = note.generation != state.generation
    if is_earlier and on_clear == "new":
        log.info("The task was cleared, and on_clear='new': campaign %s, made before, is left alone.", note.id)
        return None
    shows_by = settled_after(note.at)

    def exists() -> bool:
        try:
            hook.get_campaign(note.id)
        except KlaviyoNotFoundError:
            return False
        return True

    if look_until(exists, lambda there: there or now(hook) >= shows_by, what=f"campaign {note.id} is there"):
        log.info("Going on with campaign %s, made by an earlier try of this task.", note.id)
        return note.id
    if is_earlier:
        log.warning("Campaign %s, made before the task was cleared, is deleted: making another.", note.id)
        state.drop(note)
        if intent := _noted(state, IntentNote, subject):
            state.drop(intent)
        return None
    raise KlaviyoRefusedError(
        f"Campaign {note.id}, made by an earlier try of this task, is no longer in Klaviyo. If that was meant, "
        f"clear the task to make another; nothing was made now.",
        reason=RefusalReason.VANISHED,
        campaign_id=note.id,
    )


def _look(hook: KlaviyoHook, sought: Sought, *, same_try: bool) -> str | None:
    """The one campaign that fits; ``None`` when there is none."""
    subject, began = sought.subject, datetime.fromtimestamp(sought.since, UTC)
    clock = hook.get_conn().clock

    def namesakes() -> tuple[list[Resource], list[Resource]]:
        """Those that fit, and those of the same name for other audiences."""
        found = _namesakes(hook, subject, sought.since, by_klaviyo=sought.by_klaviyo)
        found = [campaign for campaign in found if campaign.id not in sought.not_these]
        fits = [campaign for campaign in found if _audiences(campaign) in sought.audiences]
        return fits[-1:] if sought.newest else fits, [campaign for campaign in found if campaign not in fits]

    def decide(found: list[Resource]) -> Action:
        moment = clock.now() if sought.by_klaviyo else time.time()
        return after_make(len(found), settled=moment >= sought.show_by, same_try=same_try)

    found, strangers = look_until(
        namesakes,
        lambda seen: decide(seen[0]) is not Action.LOOK_AGAIN,
        what=f"a campaign named {subject.name!r} was made",
        is_doubtful=lambda seen: not seen[0],
    )
    action = decide(found)
    if action is Action.REFUSE:
        ids = ", ".join(campaign.id for campaign in found)
        raise KlaviyoRefusedError(
            f"Several campaigns named {subject.name!r} were made since {began:%Y-%m-%d %H:%M:%S} UTC: {ids}. "
            f"It cannot be known which of them is this task's, so none is used. Delete the spare ones in Klaviyo and "
            f"run the task again; to keep them apart, give each run's campaign a name of its own.",
            reason=RefusalReason.SEVERAL_MATCH,
        )
    if action is Action.ADOPT:
        _require_draft(found[0], sought)
        log.info("Campaign %s was made by a call whose answer was lost, or forgotten: going on with it.", found[0].id)
        return found[0].id
    gone_out = [campaign.id for campaign in strangers if not _is_draft(campaign)]
    if gone_out and sought.may_be_sent and not sought.is_noted:
        raise KlaviyoRefusedError(
            f"Campaign {', '.join(gone_out)}, named {subject.name!r} as this task's is to be, went out since this run "
            f"began, to other audiences than the DAG has now. If it is what this task made before it was cleared, "
            f"another one would reach people twice; so none was made. If another is meant, give it another name, or "
            f"set on_clear='new'.",
            reason=RefusalReason.NAMESAKE_SENT,
            campaign_id=gone_out[0],
        )
    return None


def _namesakes(hook: KlaviyoHook, subject: Subject, since: float, *, by_klaviyo: bool) -> list[Resource]:
    """The campaigns of this name and channel that were made since, oldest first.

    Klaviyo refuses to look from a moment on that is yet to come, by its clock. Until that is known, all are looked at.
    """
    clock = hook.get_conn().clock
    channel = cast("Channel", subject.channel)

    def earliest() -> float:
        return since - CLOCK_SKEW - (0.0 if by_klaviyo else max(0.0, clock.ahead))

    begin = datetime.fromtimestamp(min(earliest(), clock.now() - 1), UTC) if clock.is_known else None
    found = hook.find_campaigns(channel=channel, name=subject.name, created_since=begin)
    made = ((campaign, moment(campaign.attributes.get("created_at"))) for campaign in found)
    return [campaign for campaign, at in made if at is None or at >= earliest()]


def _require_draft(campaign: Resource, sought: Sought) -> None:
    """:raises KlaviyoRefusedError: it is not a draft: somebody has taken it on, so it is hardly this task's."""
    if _is_draft(campaign) or sought.may_be_sent:
        return
    raise KlaviyoRefusedError(
        f"Campaign {campaign.id}, named {sought.subject.name!r} as this task's is to be, was made since "
        f"{datetime.fromtimestamp(sought.since, UTC):%Y-%m-%d %H:%M:%S} UTC and is "
        f"{campaign.attributes.get('status')!r}. It cannot be known if this task or another made it; none was made "
        f"now. Look at it in Klaviyo; give each run's campaign a name of its own.",
        reason=RefusalReason.NOT_A_DRAFT,
        campaign_id=campaign.id,
    )


def _is_draft(campaign: Resource) -> bool:
    return bool(campaign.attributes.get("status") == CampaignStatus.DRAFT)


def _audiences(campaign: Resource) -> str:
    audiences = campaign.attributes.get("audiences")
    return digest_of_audiences(audiences if isinstance(audiences, Mapping) else {})


def _keep(hook: KlaviyoHook, state: TaskState, subject: Subject, made: Made) -> Made:
    state.put(_note(subject, made.id, now(hook)))
    return made
