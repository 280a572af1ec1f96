"""Jobs over many profiles: imports, suppressions and subscriptions.

A job waits, works, and is complete. An import makes its profiles share by share while it works, and its counts grow;
they join the lists when it is complete. What another job does is seen when it is complete. The steps are on the store's
agenda, as those of a send. Known of Klaviyo: the statuses, that a job with failed rows is ``complete``, that
subscribing lifts suppressions, that whoever is not on the list named is unsubscribed altogether. Choices of the
sandbox:

- Whoever is on the list named is only taken off it by unsubscribing.
- Nobody confirms: on a list with double opt-in, subscribing changes nothing, unless it is a historical import.
- A row whose identifiers are two people's changes neither; a subscription has no job that could report it.
- Suppressing an unknown address makes a profile. A profile that is suppressed already, or is not, is skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from airflow_provider_klaviyo.campaigns.status import JobStatus
from airflow_provider_klaviyo.sandbox.clock import iso
from airflow_provider_klaviyo.sandbox.model import Entity
from airflow_provider_klaviyo.sandbox.people import Directory, join, leave
from airflow_provider_klaviyo.sandbox.refusals import RefusedError
from airflow_provider_klaviyo.sandbox.served import Timing
from airflow_provider_klaviyo.sandbox.store import Store

IMPORT, SUPPRESS, UNSUPPRESS = (
    "profile-bulk-import-job",
    "profile-suppression-bulk-create-job",
    "profile-suppression-bulk-delete-job",
)
CHANNELS: Mapping[str, str] = {"email": "email", "sms": "sms", "push": "mobile_push"}
"""The channels of a subscription, and their names in :mod:`~airflow_provider_klaviyo.sandbox.audience`."""
SHARES = (0.25, 0.5, 0.75)
"""What an import has done when, of its rows and of the time that it works."""
LIFTED = ("UNSUBSCRIBE", "SPAM_COMPLAINT", "USER_SUPPRESSED")


def begin(store: Store, job: Entity, now: float, timing: Timing) -> Entity:
    """Accept a job."""
    store.plan(now + timing.queued, what="job begins", type=job.type, id=job.id)
    if job.type == IMPORT:
        for share in SHARES:
            at = now + timing.queued + share * timing.working
            store.plan(at, what="job works", type=job.type, id=job.id, share=share)
    store.plan(now + timing.queued + timing.working, what="job ends", type=job.type, id=job.id)
    return store.put(job.having(status=JobStatus.QUEUED, created_at=iso(now)))


def plan_consent(store: Store, data: Mapping[str, Any], now: float, timing: Timing) -> None:
    """Accept a request to subscribe or unsubscribe, which is not a job that can be looked at."""
    store.plan(now + timing.queued, what="consent", data=data)


def happen(store: Store, at: float, event: Mapping[str, Any]) -> None:
    """A step of a job."""
    if event["what"] == "consent":
        _consent(store, event["data"], iso(at))
        return
    job = store.get(event["type"], event["id"])
    if event["what"] == "job begins":
        store.put(job.having(status=JobStatus.PROCESSING, started_at=iso(at)))
    elif job.internal.get("ends") == JobStatus.CANCELLED:
        if event["what"] == "job ends":
            store.put(job.having(status=JobStatus.CANCELLED, completed_at=iso(at)).knowing(rows=[]))
    elif event["what"] == "job works":
        store.put(_import_rows(store, job, iso(at), int(len(job.internal["rows"]) * event["share"])))
    else:
        done = WORK[job.type](store, job, iso(at))
        store.put(done.having(status=JobStatus.COMPLETE, completed_at=iso(at)).knowing(rows=[]))


def _import(store: Store, job: Entity, now: str) -> Entity:
    done = _import_rows(store, job, now, len(job.internal["rows"]))
    members = list(dict.fromkeys(done.relationships["profiles"]))
    for list_id in job.relationships["lists"]:
        if store.find("list", list_id):
            join(store, list_id, members, now)
    return done.related("profiles", members)


def _import_rows(store: Store, job: Entity, now: str, until: int) -> Entity:
    """Import the rows that are not imported yet, up to a number of them."""
    nulls = bool(job.internal.get("nulls"))
    directory = Directory(store)
    begin = job.internal.get("done", 0)
    profile_ids, error_ids = [*job.relationships["profiles"]], [*job.relationships["import-errors"]]
    for number, row in enumerate(job.internal["rows"][begin:until], start=begin):
        try:
            directory.meant(row["attributes"], row.get("id"))
            profile, _ = directory.upsert(row["attributes"], now, row.get("id"), meta=row.get("meta"), nulls=nulls)
        except RefusedError as refused:
            error_ids.append(_import_error(store, refused, number, row))
        else:
            profile_ids.append(profile.id)
    counted = job.having(completed_count=len(profile_ids), failed_count=len(error_ids)).knowing(done=until)
    return counted.related("profiles", profile_ids).related("import-errors", error_ids)


def _import_error(store: Store, refused: RefusedError, number: int, row: Mapping[str, Any]) -> str:
    reason = refused.reasons[0]
    pointer = (reason.pointer or "/data").replace("/data", f"/data/attributes/profiles/data/{number}", 1)
    attributes = {
        "code": refused.code,
        "title": refused.title,
        "detail": reason.detail,
        "source": {"pointer": pointer},
        "original_payload": row,
    }
    return store.put(Entity("import-error", store.new_id("import-error"), attributes)).id


def _suppress(store: Store, job: Entity, now: str) -> Entity:
    suppression = {"reason": "USER_SUPPRESSED", "timestamp": now}
    directory = Directory(store)
    completed = 0
    for profile in [*_members(store, job), *(directory.upsert({"email": row}, now)[0] for row in job.internal["rows"])]:
        if not profile.internal["suppressions"]:
            store.put(profile.knowing(suppressions=[suppression]))
            completed += 1
    return _counted(job, completed)


def _unsuppress(store: Store, job: Entity, _: str) -> Entity:
    directory = Directory(store)
    named = (directory.find({"email": row}) for row in job.internal["rows"])
    completed = 0
    for profile in [*_members(store, job), *(found for found in named if found)]:
        left = [one for one in profile.internal["suppressions"] if one["reason"] != "USER_SUPPRESSED"]
        if left != profile.internal["suppressions"]:
            store.put(profile.knowing(suppressions=left))
            completed += 1
    return _counted(job, completed)


def _members(store: Store, job: Entity) -> Iterator[Entity]:
    for name, type_ in (("lists", "list"), ("segments", "segment")):
        for group_id in job.relationships[name]:
            if group := store.find(type_, group_id):
                for id_ in group.relationships["profiles"]:
                    if profile := store.find("profile", id_):
                        yield profile


def _counted(job: Entity, completed: int) -> Entity:
    return job.having(completed_count=completed, skipped_count=job.attributes["total_count"] - completed)


WORK: Mapping[str, Callable[[Store, Entity, str], Entity]] = {
    IMPORT: _import,
    SUPPRESS: _suppress,
    UNSUPPRESS: _unsuppress,
}


def _consent(store: Store, data: Mapping[str, Any], now: str) -> None:
    is_historical = bool(data["attributes"].get("historical_import"))
    list_id = ((data.get("relationships") or {}).get("list") or {}).get("data", {}).get("id")
    group = store.find("list", list_id) if list_id else None
    directory = Directory(store)
    for row in data["attributes"]["profiles"]["data"]:
        given, consents = row["attributes"], _consents(row)
        try:
            known = directory.meant(given, row.get("id"))
        except RefusedError:
            continue
        if "UNSUBSCRIBED" in consents.values():
            if known and group and known.id in group.relationships["profiles"]:
                leave(store, group, {known.id}, now)
                group = store.get("list", group.id)
            elif known:
                _put_consent(store, known, consents)
            continue
        if group and group.attributes["opt_in_process"] == "double_opt_in" and not is_historical:
            continue
        is_addressed = bool(given.get("email") or given.get("phone_number"))
        if known is None and (not is_addressed or (group is None and is_historical)):
            continue
        profile = known or directory.add(given, now)
        _put_consent(store, profile, consents)
        if group:
            join(store, group.id, [profile.id], now)


def _consents(row: Mapping[str, Any]) -> dict[str, str]:
    """The marketing consent given or taken back in a row, by channel."""
    subscriptions = row["attributes"]["subscriptions"]
    return {
        channel: subscriptions[name]["marketing"]["consent"]
        for name, channel in CHANNELS.items()
        if "marketing" in subscriptions.get(name, {})
    }


def _put_consent(store: Store, profile: Entity, consents: Mapping[str, str]) -> None:
    suppressions = profile.internal["suppressions"]
    if consents.get("email") == "SUBSCRIBED":
        suppressions = [one for one in suppressions if one["reason"] not in LIFTED]
    consent = {**profile.internal["consent"], **consents}
    store.put(profile.knowing(consent=consent, suppressions=suppressions))
