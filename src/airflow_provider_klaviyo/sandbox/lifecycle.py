"""What happens to a campaign after it was sent; jobs over profiles and new segments are on the same agenda.

Nothing here waits: a send job puts its coming steps on the store's agenda, and :func:`settle` lets happen what is due
by a time. So the state at any moment follows from the writes before it and from nothing else.

Known of Klaviyo: the statuses, their order for a scheduled campaign, that reverting takes a moment, that an empty
audience ends as ``Cancelled: No Recipients``. Choices of the sandbox, where nothing is known:

- Every accepted send job of a campaign is a delivery of its own, also for one that is on its way or sent: the
  worst that a second POST could do.
- A send job is ``complete`` once the campaign is ``Scheduled`` or sending has begun, before it is ``Sent``.
- Recipients are counted when sending begins.
- A local send goes out at its time in UTC; a smart send time at the start of its day in UTC; a throttled one in
  hourly shares, of which those due before a cancellation stay sent.
"""

from __future__ import annotations

import math
from typing import Any

from airflow_provider_klaviyo.campaigns.status import CampaignStatus as Status
from airflow_provider_klaviyo.campaigns.status import JobStatus
from airflow_provider_klaviyo.sandbox import bulk, segments
from airflow_provider_klaviyo.sandbox.audience import channel, recipients
from airflow_provider_klaviyo.sandbox.clock import iso, parse
from airflow_provider_klaviyo.sandbox.documents import targets
from airflow_provider_klaviyo.sandbox.history import ACCEPTED, ESTIMATED, REVERTED, REVERTING, note, people
from airflow_provider_klaviyo.sandbox.model import Entity
from airflow_provider_klaviyo.sandbox.refusals import conflict
from airflow_provider_klaviyo.sandbox.served import Timing
from airflow_provider_klaviyo.sandbox.store import Store

HOUR = 3600.0
NOTHING_TO_STOP = (Status.DRAFT, Status.SENT)


def catch_up(store: Store, now: float) -> None:
    """Let everything happen that is due by now, in order: each event as a whole, or not at all when it fails."""
    for at, event in store.due(now):
        with store.whole():
            _happen(store, at, event)


def send(store: Store, campaign: Entity, now: float, timing: Timing) -> Entity:
    """Accept a send job: the campaign is on its way at once.

    :raises RefusedError: 409 when the campaign is cancelled, or is being reverted.
    """
    status = campaign.attributes["status"]
    if status.startswith(Status.CANCELLED):
        raise conflict(f"Campaign {campaign.id} is '{status}' and cannot be sent. Clone it to send it again.")
    if campaign.internal.get("reverting"):
        raise conflict(f"Campaign {campaign.id} is being reverted to a draft. Wait until its status is 'Draft'.")
    run = campaign.internal.get("run", 0) + 1
    wanted = _wanted_time(campaign.attributes["send_strategy"], now)
    scheduled = wanted > now

    def plan(at: float, **what: Any) -> None:
        store.plan(at, what="step", campaign=campaign.id, run=run, **what)

    if scheduled:
        adding_at = now + timing.schedule_queued
        ready_at = adding_at + timing.schedule_adding
        plan(adding_at, status=Status.ADDING_RECIPIENTS, job=JobStatus.PROCESSING)
        if ready_at < wanted:
            plan(ready_at, status=Status.SCHEDULED, job=JobStatus.COMPLETE)
        send_at = max(wanted, ready_at)
    else:
        plan(now + timing.queued, status=Status.ADDING_RECIPIENTS, job=JobStatus.PROCESSING)
        send_at = now + timing.queued + timing.adding
    shares = _shares(campaign.attributes["send_strategy"])
    for number, share in enumerate(shares):
        plan(send_at + number * HOUR, status=Status.SENDING, job=JobStatus.COMPLETE, share=share)
    plan(send_at + (len(shares) - 1) * HOUR + timing.sending, status=Status.SENT, job=JobStatus.COMPLETE)
    note(store, campaign.id, now, ACCEPTED, f"send {run}, {f'for {iso(wanted)}' if scheduled else 'at once'}")
    return store.put(
        campaign.having(
            status=Status.QUEUED_WITHOUT_RECIPIENTS, scheduled_at=iso(now), send_time=iso(wanted), updated_at=iso(now)
        ).knowing(run=run, open=[*campaign.internal.get("open", ()), run], job=JobStatus.QUEUED, revertible=scheduled)
    )


def cancel(store: Store, campaign: Entity, now: float) -> None:
    """Stop for good what was not sent yet.

    :raises RefusedError: 409 when there is nothing to stop.
    """
    status = campaign.attributes["status"]
    if status in NOTHING_TO_STOP or status.startswith(Status.CANCELLED):
        raise conflict(f"Campaign {campaign.id} is '{status}': there is no send to cancel.")
    note(store, campaign.id, now, Status.CANCELLED, _stopped(campaign))
    store.put(
        campaign.having(status=Status.CANCELLED, updated_at=iso(now)).knowing(
            open=[], job=JobStatus.CANCELLED, reverting=False
        )
    )


def revert(store: Store, campaign: Entity, now: float, timing: Timing) -> None:
    """Take a scheduled campaign off the schedule at once. It is a draft again a moment later.

    :raises RefusedError: 409 when it is not scheduled, or sending has begun.
    """
    status = campaign.attributes["status"]
    if not campaign.internal.get("open") or not campaign.internal["revertible"]:
        raise conflict(f"Campaign {campaign.id} is '{status}' and cannot be reverted to a draft.")
    note(store, campaign.id, now, REVERTING, _stopped(campaign))
    store.put(campaign.knowing(open=[], job=JobStatus.CANCELLED, reverting=True))
    store.plan(now + timing.reverting, what="draft", campaign=campaign.id)


def estimate(store: Store, campaign: Entity, now: float, timing: Timing) -> Entity:
    """Begin to count the recipients; the last result is gone.

    :raises RefusedError: 409 when a count is under way.
    """
    if (campaign.internal.get("estimation") or {}).get("status") == JobStatus.PROCESSING:
        raise conflict(f"A recipient estimation for campaign {campaign.id} is already running.")
    store.plan(now + timing.estimating, what="estimated", campaign=campaign.id)
    return store.put(campaign.knowing(estimation={"status": JobStatus.PROCESSING}))


def _happen(store: Store, at: float, event: dict[str, Any]) -> None:
    if event["what"] == segments.FILLED:
        segments.fill(store, at, event)
        return
    if "campaign" not in event:
        bulk.happen(store, at, event)
        return
    campaign = store.find("campaign", event["campaign"])
    if campaign is not None:
        match event["what"]:
            case "step":
                _step(store, campaign, at, event)
            case "draft":
                _draft(store, campaign, at)
            case "estimated":
                _estimated(store, campaign, at)


def _step(store: Store, campaign: Entity, at: float, event: dict[str, Any]) -> None:
    run = event["run"]
    if run not in campaign.internal["open"]:
        return
    if "share" in event and not _deliver(store, campaign, at, run, event["share"]):
        event = {"run": run, "status": Status.CANCELLED_NO_RECIPIENTS, "job": JobStatus.COMPLETE}
    status = event["status"]
    _note_step(store, campaign, at, event)
    is_over = status == Status.SENT or status.startswith(Status.CANCELLED)
    facts: dict[str, Any] = {"open": [other for other in campaign.internal["open"] if not (is_over and other == run)]}
    if run == campaign.internal["run"]:
        facts |= {"job": event["job"]}
        facts |= {
            "revertible": campaign.internal["revertible"] and status in (Status.ADDING_RECIPIENTS, Status.SCHEDULED)
        }
        campaign = campaign.having(status=status, updated_at=iso(at))
    store.put(campaign.knowing(**facts))


def _note_step(store: Store, campaign: Entity, at: float, event: dict[str, Any]) -> None:
    """Write down a step of a send, also of one that another has come after."""
    detail = f"send {event['run']}"
    if event["status"] in (Status.SENDING, Status.SENT):
        delivery = _delivery(store, campaign, event["run"])
        reached, of = (delivery["sent"], len(delivery["audience"])) if delivery else (0, 0)
        detail += f", to {people(reached) if reached == of else f'{reached:,} of {people(of)}'}"
    note(store, campaign.id, at, event["status"], detail)


def _stopped(campaign: Entity) -> str:
    """The sends that are stopped."""
    return ", ".join(f"send {run}" for run in campaign.internal.get("open", ()))


def _delivery(store: Store, campaign: Entity, run: int) -> dict[str, Any] | None:
    place = store.place(campaign.id, run)
    return None if place is None else store.sends[place]


def _deliver(store: Store, campaign: Entity, at: float, run: int, share: float) -> bool:
    """Send a share of a delivery; the first one fixes who gets it. False when there is nobody."""
    place = store.place(campaign.id, run)
    if place is None:
        audience = recipients(store, campaign)
        if not audience:
            return False
        place = len(store.sends)
        delivery = {
            "campaign_id": campaign.id,
            "name": campaign.attributes["name"],
            "channel": channel(store, campaign),
            "at": iso(at),
            "run": run,
            "audience": audience,
        }
        store.sends.append(delivery)
    delivery = store.sends[place]
    store.sends[place] = {**delivery, "sent": math.ceil(len(delivery["audience"]) * share)}
    return True


def _draft(store: Store, campaign: Entity, at: float) -> None:
    if campaign.internal["reverting"]:
        note(store, campaign.id, at, REVERTED)
        draft = campaign.having(status=Status.DRAFT, scheduled_at=None, send_time=None, updated_at=iso(at))
        store.put(draft.knowing(reverting=False))


def _estimated(store: Store, campaign: Entity, at: float) -> None:
    if campaign.internal["estimation"] is not None:
        count = len(recipients(store, campaign))
        note(store, campaign.id, at, ESTIMATED, people(count))
        store.put(campaign.knowing(estimation={"status": JobStatus.COMPLETE, "count": count}))


def _wanted_time(strategy: dict[str, Any], now: float) -> float:
    """When sending is to begin: now, or the time of the strategy when that is later."""
    match strategy["method"]:
        case "static" | "throttled":
            return max(now, parse(strategy["datetime"]))
        case "smart_send_time":
            return max(now, parse(strategy["date"]))
        case _:
            return now


def _shares(strategy: dict[str, Any]) -> list[float]:
    """The part of the recipients that is reached after each hour."""
    if strategy["method"] != "throttled":
        return [1.0]
    percentage = strategy["throttle_percentage"]
    return [min(1.0, hour * percentage / 100) for hour in range(1, math.ceil(100 / percentage) + 1)]


def deliveries(store: Store) -> list[dict[str, Any]]:
    """One row per delivery of a campaign, oldest first, with how many it has reached and who they are."""
    return [
        {
            **{key: delivery[key] for key in ("campaign_id", "name", "channel", "at")},
            "recipients": delivery["sent"],
            "addresses": delivery["audience"][: delivery["sent"]],
        }
        for delivery in store.sends
    ]


def campaigns(store: Store) -> list[dict[str, Any]]:
    """Klaviyo's attributes of all campaigns, oldest first, each with its id, its channel and its messages."""
    return [
        {
            "id": campaign.id,
            "channel": channel(store, campaign),
            **campaign.attributes,
            "messages": [message.attributes["definition"] for message in targets(store, campaign, "campaign-messages")],
        }
        for campaign in store.all("campaign")
    ]
