"""Consent and suppression of many profiles.

Each function is a :data:`~airflow_provider_klaviyo.api.calls.Call`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_klaviyo.api.calls import Call
from airflow_provider_klaviyo.api.document import Resource
from airflow_provider_klaviyo.api.request import build

Row = Mapping[str, Any]
"""One profile: ``email``, ``phone_number`` or ``id``; ``channels``; and ``consented_at`` (ISO 8601) or not."""


def subscribe(
    rows: Sequence[Row],
    *,
    list_id: str | None = None,
    historical_import: bool = False,
    custom_source: str | None = None,
) -> Call[None]:
    """Have Klaviyo subscribe at most 1,000 profiles to marketing. It does so later, and has no job to look at.

    :param rows: the profiles, each a dict with ``email``, ``phone_number`` or ``id``, and ``channels``: a list of
        ``email``, ``sms`` …
    :param list_id: the list that they join, whose opt-in process counts; ``None``: the account's counts.
    :param historical_import: no confirmation is asked for; each row then needs ``consented_at``.
    :param custom_source: where the consent comes from, as Klaviyo shows it.
    """
    attributes: dict[str, Any] = {"profiles": {"data": [_profile(row, "SUBSCRIBED") for row in rows]}}
    if historical_import:
        attributes["historical_import"] = True
    if custom_source is not None:
        attributes["custom_source"] = custom_source
    yield build(
        "bulk_subscribe_profiles", body=_body("profile-subscription-bulk-create-job", attributes, list_id=list_id)
    )


def unsubscribe(rows: Sequence[Row], *, list_id: str | None = None) -> Call[None]:
    """Have Klaviyo unsubscribe at most 100 profiles from marketing. It does so later, and has no job to look at.

    :param rows: the profiles, as for :func:`subscribe`.
    :param list_id: whoever is on this list is taken off it; all others are unsubscribed from everything.
    """
    attributes = {"profiles": {"data": [_profile(row, "UNSUBSCRIBED") for row in rows]}}
    yield build(
        "bulk_unsubscribe_profiles", body=_body("profile-subscription-bulk-delete-job", attributes, list_id=list_id)
    )


def suppress(
    emails: Sequence[str] = (), *, list_id: str | None = None, segment_id: str | None = None
) -> Call[Resource]:
    """Have Klaviyo suppress at most 100 addresses, or the members of a list or segment: no email is sent to them.

    :param emails: the addresses; or give a list or a segment.
    :returns: the job.
    """
    kind = "profile-suppression-bulk-create-job"
    body = _suppression(kind, emails, list_id, segment_id)
    return (yield build("bulk_suppress_profiles", body=body)).about(kind)


def unsuppress(
    emails: Sequence[str] = (), *, list_id: str | None = None, segment_id: str | None = None
) -> Call[Resource]:
    """Have Klaviyo lift what :func:`suppress` did. Those who unsubscribed or bounced stay suppressed.

    :param emails: the addresses; or give a list or a segment.
    :returns: the job.
    """
    kind = "profile-suppression-bulk-delete-job"
    body = _suppression(kind, emails, list_id, segment_id)
    return (yield build("bulk_unsuppress_profiles", body=body)).about(kind)


def get_suppress_job(job_id: str) -> Call[Resource]:
    """A job of :func:`suppress`, with its status and counts."""
    document = yield build("get_bulk_suppress_profiles_job", path_params={"job_id": job_id})
    return document.about("profile-suppression-bulk-create-job", job_id)


def get_unsuppress_job(job_id: str) -> Call[Resource]:
    """A job of :func:`unsuppress`, with its status and counts."""
    document = yield build("get_bulk_unsuppress_profiles_job", path_params={"job_id": job_id})
    return document.about("profile-suppression-bulk-delete-job", job_id)


def _profile(row: Row, consent: str) -> dict[str, Any]:
    given: dict[str, Any] = {"consent": consent}
    if row.get("consented_at"):
        given["consented_at"] = row["consented_at"]
    attributes = {name: row[name] for name in ("email", "phone_number") if row.get(name)}
    attributes["subscriptions"] = {channel: {"marketing": given} for channel in row["channels"]}
    own = {"id": row["id"]} if row.get("id") else {}
    return {"type": "profile", **own, "attributes": attributes}


def _suppression(kind: str, emails: Sequence[str], list_id: str | None, segment_id: str | None) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    if emails:
        attributes["profiles"] = {"data": [{"type": "profile", "attributes": {"email": email}} for email in emails]}
    return _body(kind, attributes, list_id=list_id, segment_id=segment_id)


def _body(
    kind: str, attributes: dict[str, Any], *, list_id: str | None = None, segment_id: str | None = None
) -> dict[str, Any]:
    data: dict[str, Any] = {"type": kind, "attributes": attributes}
    groups = {"list": list_id, "segment": segment_id}
    related = {name: {"data": {"type": name, "id": id_}} for name, id_ in groups.items() if id_ is not None}
    return {"data": {**data, "relationships": related} if related else data}
