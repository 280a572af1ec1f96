"""Create and clone, at most once per task, whatever is retried, cleared or killed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from airflow_provider_klaviyo.api.campaigns import Channel
from airflow_provider_klaviyo.api.document import Resource
from airflow_provider_klaviyo.api.errors import KlaviyoAmbiguousWriteError, KlaviyoError, KlaviyoNotFoundError
from airflow_provider_klaviyo.api.expiry import begun_by
from airflow_provider_klaviyo.campaigns.status import CampaignStatus
from airflow_provider_klaviyo.exceptions import KlaviyoRefusedError
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.resume.decide import Action, after_make
from airflow_provider_klaviyo.resume.looking import begin_by, epoch, look_until, noted, now, settled_after, show_by
from airflow_provider_klaviyo.resume.state import TaskState

INTENT = "klaviyo_intent"
CAMPAIGN = "klaviyo_campaign"

CLOCK_SKEW = timedelta(minutes=5)
"""How far this machine's clock and Klaviyo's may be apart."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Made:
    """A campaign that this task has made.

    :param answer: the campaign as Klaviyo told it when it was made; ``None`` if an earlier call made it: then it may
        still lack, or have other, settings.
    """

    id: str
    answer: Resource | None = None


@dataclass(frozen=True, slots=True)
class Sought:
    """What the campaign of an unanswered call is known by.

    :param audiences: it has one of these.
    :param since: it was made no earlier.
    :param newest: whether of several the newest is taken: after a clear that asked for a new one, where nothing could
        be noted.
    :param may_be_sent: whether it may have left the drafts: it was made before the task was cleared.
    :param show_by: it shows by then (seconds since the epoch), if it was made at all.
    """

    name: str
    channel: Channel
    audiences: Sequence[Mapping[str, Any]]
    since: datetime
    show_by: float
    newest: bool = False
    may_be_sent: bool = False


def make_once(
    hook: KlaviyoHook,
    state: TaskState,
    post: Callable[[], Resource],
    *,
    name: str,
    channel: Channel,
    audiences: Sequence[Mapping[str, Any]],
    on_clear: str,
) -> Made:
    """Make a campaign unless this task has made it already.

    The intent (name, time, and until when the call may begin) is noted before the call and the id after it. A task that
    finds an id adopts that campaign; one that finds only an intent looks for a campaign of that name made since, and
    makes one only if there is none. Where nothing can be noted (Airflow below 3.3), a later try looks for one made
    since the run began.

    :param post: makes the campaign; called at most once.
    :param audiences: the audiences that the campaign may have to be taken for the one intended.
    :param on_clear: ``adopt`` or ``new``: what to do with the campaign of an earlier generation after a clear.
    :raises KlaviyoRefusedError: several campaigns fit, or the one made has vanished: a person has to look.
    :raises KlaviyoAmbiguousWriteError: it cannot be told whether it was made; the next try looks again.
    """
    if on_clear == "new":
        _forget_earlier_generations(state)
    looked_for: dict[str, Any] | None = None
    while True:
        until = begin_by(hook, time.time())
        if known := _known(hook, state):
            return Made(known)
        intent = state.get(INTENT)
        if intent == looked_for:  # no other try has noted anything while this one looked
            break
        if intent:
            sought = Sought(intent["name"], channel, audiences, _time(intent["at"]), show_by(hook, intent))
        elif not state.durable and (state.is_retry if on_clear == "new" else state.is_rerun):
            sought = _unnoted(state, name, channel, audiences, on_clear)
        else:
            break
        if found := _look(hook, sought, same_try=False):
            return _keep(state, Made(found))
        looked_for = intent
    intent = {"name": name, "at": now(), "until": noted(until)}
    state.put(INTENT, **intent)
    try:
        with begun_by(until):
            made = post()
    except KlaviyoAmbiguousWriteError as error:
        intent["ended"] = now()
        state.put(INTENT, **intent)
        log.warning("%s Looking whether campaign %r was made.", error, name)
        sought = Sought(name, channel, audiences, _time(intent["at"]), show_by(hook, intent))
        found = _look(hook, sought, same_try=True)
        if found is None:
            error.message += f" No campaign named {name!r} shows; the next try looks again before it makes one."
            raise
        return _keep(state, Made(found))
    except KlaviyoError:
        if time.time() <= until:  # later, the note may be another try's
            state.drop(INTENT)
        raise
    return _keep(state, Made(made.id, made))


def _unnoted(
    state: TaskState, name: str, channel: Channel, audiences: Sequence[Mapping[str, Any]], on_clear: str
) -> Sought:
    """What an earlier try may have made, where nothing could be noted."""
    return Sought(
        name,
        channel,
        audiences,
        state.run_began,
        settled_after(state.try_began.timestamp()),
        newest=on_clear == "new",
        may_be_sent=state.was_cleared,
    )


def _forget_earlier_generations(state: TaskState) -> None:
    for key in (INTENT, CAMPAIGN):
        note = state.get(key)
        if note and note.get("generation") != state.generation:
            log.info("The task was cleared, and on_clear='new': what was made before is left alone (%s).", note)
            state.drop(key)


def _known(hook: KlaviyoHook, state: TaskState) -> str | None:
    """The campaign noted by an earlier try, if it is still there."""
    note = state.get(CAMPAIGN)
    if not note:
        return None
    shows_by = settled_after(epoch(note["at"]))

    def exists() -> bool:
        try:
            hook.get_campaign(note["id"])
        except KlaviyoNotFoundError:
            return False
        return True

    if look_until(exists, lambda there: there or time.time() >= shows_by, what=f"campaign {note['id']} is there"):
        log.info("Going on with campaign %s, made by an earlier try of this task.", note["id"])
        return str(note["id"])
    if note.get("generation") != state.generation:
        log.warning("Campaign %s, made before the task was cleared, is deleted: making another.", note["id"])
        state.drop(INTENT)
        state.drop(CAMPAIGN)
        return None
    raise KlaviyoRefusedError(
        f"Campaign {note['id']}, made by an earlier try of this task, is no longer in Klaviyo. If that was meant, "
        f"clear the task to make another; nothing was made now."
    )


def _look(hook: KlaviyoHook, sought: Sought, *, same_try: bool) -> str | None:
    """The one campaign that fits; ``None`` when there is none."""

    def fitting() -> list[Resource]:
        found = hook.find_campaigns(channel=sought.channel, name=sought.name, created_since=sought.since - CLOCK_SKEW)
        fits = [campaign for campaign in found if _is_for(campaign, sought.audiences)]
        return fits[-1:] if sought.newest else fits

    def decide(found: list[Resource]) -> Action:
        return after_make(len(found), settled=time.time() >= sought.show_by, same_try=same_try)

    found = look_until(
        fitting,
        lambda seen: decide(seen) is not Action.LOOK_AGAIN,
        what=f"a campaign named {sought.name!r} was made",
        is_doubtful=lambda seen: not seen,
    )
    action = decide(found)
    if action is Action.REFUSE:
        ids = ", ".join(campaign.id for campaign in found)
        raise KlaviyoRefusedError(
            f"Several campaigns named {sought.name!r} were made since {sought.since:%Y-%m-%d %H:%M:%S %Z}: {ids}. "
            f"Which of them is this task's cannot be told, so none is used. Delete the spare ones in Klaviyo and run "
            f"the task again; to keep them apart, give each run's campaign a name of its own."
        )
    if action is Action.ADOPT:
        _require_draft(found[0], sought)
        log.info("Campaign %s was made by a call whose answer was lost: going on with it.", found[0].id)
        return found[0].id
    return None


def _require_draft(campaign: Resource, sought: Sought) -> None:
    """:raises KlaviyoRefusedError: the campaign is no draft: somebody has taken it on, so it is hardly this task's."""
    status = campaign.attributes["status"]
    if status != CampaignStatus.DRAFT and not sought.may_be_sent:
        raise KlaviyoRefusedError(
            f"Campaign {campaign.id}, named {sought.name!r} as this task's is to be, was made since "
            f"{sought.since:%Y-%m-%d %H:%M:%S %Z} and is {status!r}. Whether this task or another made it cannot be "
            f"told; none was made now. Look at it in Klaviyo; give each run's campaign a name of its own."
        )


def _is_for(campaign: Resource, audiences: Sequence[Mapping[str, Any]]) -> bool:
    return any(_sets(campaign.attributes.get("audiences") or {}) == _sets(wanted) for wanted in audiences)


def _sets(audiences: Mapping[str, Any]) -> tuple[set[str], set[str]]:
    return set(audiences.get("included") or ()), set(audiences.get("excluded") or ())


def _keep(state: TaskState, made: Made) -> Made:
    state.put(CAMPAIGN, id=made.id, at=now())
    return made


def _time(moment: str) -> datetime:
    return datetime.fromisoformat(moment)
