"""Jobs over many profiles: import, suppress, subscribe.

Here they are checked and accepted; what they do is in :mod:`~airflow_provider_klaviyo.sandbox.bulk`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_klaviyo.sandbox import bulk
from airflow_provider_klaviyo.sandbox.clock import iso, parse
from airflow_provider_klaviyo.sandbox.documents import document
from airflow_provider_klaviyo.sandbox.handlers.reading import many, one, related, related_ids
from airflow_provider_klaviyo.sandbox.imports import check_profiles
from airflow_provider_klaviyo.sandbox.model import Entity
from airflow_provider_klaviyo.sandbox.people import FORMS
from airflow_provider_klaviyo.sandbox.refusals import invalid
from airflow_provider_klaviyo.sandbox.served import Handler, Reply, ServedCall

PROFILES = "/data/attributes/profiles/data"
IMPORTED, SUBSCRIBED, UNSUBSCRIBED, SUPPRESSED = 10_000, 1000, 100, 100
"""How many profiles a request may name."""
ADDRESSES: Mapping[str, str] = {"email": "email", "sms": "phone_number", "whatsapp": "phone_number"}
"""The identifier that consent to a channel needs."""
WEEK = 7 * 86400.0


def bulk_import_profiles(call: ServedCall) -> Reply:
    """Rows that are well-formed but no profile fail one by one; see the job's import errors."""
    rows = call.attributes["profiles"]["data"]
    _check_count(rows, IMPORTED)
    check_profiles(rows)
    lists = _related(call).get("lists", {}).get("data", [])
    for number, reference in enumerate(lists):
        _check_group(call, "list", reference["id"], f"/data/relationships/lists/data/{number}/id")
    job = Entity(
        bulk.IMPORT,
        call.store.new_id(bulk.IMPORT),
        {
            "total_count": len(rows),
            "completed_count": 0,
            "failed_count": 0,
            "started_at": None,
            "completed_at": None,
            "expires_at": iso(call.now + WEEK),
        },
        {"lists": [reference["id"] for reference in lists], "profiles": [], "import-errors": []},
        {"rows": rows, "nulls": call.settings.import_nulls == "clear", "ends": call.settings.jobs_end},
    )
    return Reply(202, document(call, bulk.begin(call.store, job, call.now, call.timing)))


def suppression_job(type_: str) -> Handler:
    """Suppress, or lift the suppression of, the addresses or the members of the list or segment named."""

    def handler(call: ServedCall) -> Reply:
        rows = (call.attributes.get("profiles") or {}).get("data", [])
        _check_count(rows, SUPPRESSED)
        groups = {name: relation["data"]["id"] for name, relation in _related(call).items() if relation.get("data")}
        if len(groups) + bool(rows) != 1:
            raise invalid("Give profiles, a list or a segment, and one of these only.", pointer="/data")
        emails = list(dict.fromkeys(row["attributes"]["email"] for row in rows))
        for number, email in enumerate(emails):
            _check_identifiers({"email": email}, number)
        for name, id_ in groups.items():
            _check_group(call, name, id_, f"/data/relationships/{name}/data/id")
        members = [call.store.get(name, id_).relationships["profiles"] for name, id_ in groups.items()]
        job = Entity(
            type_,
            call.store.new_id(type_),
            {
                "total_count": sum(map(len, members)) + len(emails),
                "completed_count": 0,
                "skipped_count": 0,
                "completed_at": None,
            },
            {f"{name}s": [groups[name]] if name in groups else [] for name in ("list", "segment")},
            {"rows": emails, "ends": call.settings.jobs_end},
        )
        return Reply(202, document(call, bulk.begin(call.store, job, call.now, call.timing)))

    return handler


def bulk_subscribe_profiles(call: ServedCall) -> Reply:
    rows = call.attributes["profiles"]["data"]
    _check_count(rows, SUBSCRIBED)
    _check_rows(call, rows)
    if call.attributes.get("historical_import"):
        for number, row in enumerate(rows):
            _check_consent_is_dated(call, row, number)
    bulk.plan_consent(call.store, call.data, call.now, call.timing)
    return Reply(202)


def bulk_unsubscribe_profiles(call: ServedCall) -> Reply:
    rows = call.attributes["profiles"]["data"]
    _check_count(rows, UNSUBSCRIBED)
    _check_rows(call, rows)
    bulk.plan_consent(call.store, call.data, call.now, call.timing)
    return Reply(202)


def create_client_subscription(call: ServedCall) -> Reply:
    """A form's subscription: one profile, without subscriptions named those of the addresses given."""
    row = call.attributes["profile"]["data"]
    marketing = {"marketing": {"consent": "SUBSCRIBED"}}
    named = {"email": "email", "sms": "phone_number"}
    channels = {channel: marketing for channel, name in named.items() if row["attributes"].get(name)}
    row = {**row, "attributes": {"subscriptions": channels, **row["attributes"]}}
    _check_rows(call, [row])
    data = {"attributes": {"profiles": {"data": [row]}}, "relationships": call.data["relationships"]}
    bulk.plan_consent(call.store, data, call.now, call.timing)
    return Reply(202)


def _related(call: ServedCall) -> Mapping[str, Any]:
    given: Mapping[str, Any] = call.data.get("relationships") or {}
    return given


def _check_count(rows: list[Any], most: int) -> None:
    if len(rows) > most:
        raise invalid(f"At most {most} profiles per request, not {len(rows)}.", pointer=PROFILES)


def _check_group(call: ServedCall, type_: str, id_: str, pointer: str) -> None:
    if call.store.find(type_, id_) is None:
        raise invalid(f"There is no {type_} with id '{id_}'.", pointer=pointer)


def _check_rows(call: ServedCall, rows: list[Any]) -> None:
    """Each row names a profile that is known, or can be made; the list named exists."""
    if group := _related(call).get("list", {}).get("data"):
        _check_group(call, "list", group["id"], "/data/relationships/list/data/id")
    for number, row in enumerate(rows):
        given = row["attributes"]
        known = call.store.find("profile", row["id"]) if row.get("id") else None
        _check_channels({**(known.attributes if known else {}), **given}, number)
        if known:
            continue
        if not any(given.get(name) for name in ("email", "phone_number")):
            raise invalid("Give an email or a phone_number.", pointer=f"{PROFILES}/{number}/attributes")
        _check_identifiers(given, number)


def _check_channels(given: Mapping[str, Any], number: int) -> None:
    """Consent needs the address that it is for. Live accounts were reported to say so of SMS; of email it is a choice,
    and that the address of a profile named by its id will do."""
    for channel, name in ADDRESSES.items():
        if given["subscriptions"].get(channel) and not given.get(name):
            raise invalid(
                f"'{name}' must not be empty when the {channel} channel is included in 'subscriptions'.",
                pointer=f"{PROFILES}/{number}/attributes/{name}",
            )


def _check_identifiers(given: Mapping[str, Any], number: int) -> None:
    for name, form in FORMS.items():
        if given.get(name) and not form.fullmatch(given[name]):
            pointer = f"{PROFILES}/{number}/attributes/{name}"
            raise invalid(f"'{given[name]}' is not a valid {name.replace('_', ' ')}.", pointer=pointer)


def _check_consent_is_dated(call: ServedCall, row: Mapping[str, Any], number: int) -> None:
    for channel, kinds in row["attributes"]["subscriptions"].items():
        at = kinds.get("marketing", {}).get("consented_at")
        if "marketing" in kinds and (at is None or parse(at) > call.now):
            raise invalid(
                "A historical import needs a consented_at in the past.",
                pointer=f"{PROFILES}/{number}/attributes/subscriptions/{channel}/marketing/consented_at",
            )


HANDLERS: Mapping[str, Handler] = {
    "bulk_import_profiles": bulk_import_profiles,
    "get_bulk_import_profiles_jobs": many(bulk.IMPORT),
    "get_bulk_import_profiles_job": one(bulk.IMPORT),
    "get_errors_for_bulk_import_profiles_job": related(bulk.IMPORT, "import-errors"),
    "get_list_for_bulk_import_profiles_job": related(bulk.IMPORT, "lists"),
    "get_list_ids_for_bulk_import_profiles_job": related_ids(bulk.IMPORT, "lists"),
    "get_profiles_for_bulk_import_profiles_job": related(bulk.IMPORT, "profiles"),
    "get_profile_ids_for_bulk_import_profiles_job": related_ids(bulk.IMPORT, "profiles"),
    "bulk_suppress_profiles": suppression_job(bulk.SUPPRESS),
    "get_bulk_suppress_profiles_jobs": many(bulk.SUPPRESS),
    "get_bulk_suppress_profiles_job": one(bulk.SUPPRESS),
    "bulk_unsuppress_profiles": suppression_job(bulk.UNSUPPRESS),
    "get_bulk_unsuppress_profiles_jobs": many(bulk.UNSUPPRESS),
    "get_bulk_unsuppress_profiles_job": one(bulk.UNSUPPRESS),
    "bulk_subscribe_profiles": bulk_subscribe_profiles,
    "bulk_unsubscribe_profiles": bulk_unsubscribe_profiles,
    "create_client_subscription": create_client_subscription,
}
