"""Events and metrics. A metric comes into being with its first event.

An event can be read at once; Klaviyo takes a moment. It is kept apart by its profile, its metric and its ``unique_id``,
which is the second it happened when missing: the same one again is accepted, and changes nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from airflow_provider_klaviyo.sandbox.clock import WRITTEN, iso, parse
from airflow_provider_klaviyo.sandbox.documents import FieldReader
from airflow_provider_klaviyo.sandbox.handlers.reading import many, one, related, related_ids
from airflow_provider_klaviyo.sandbox.model import Entity
from airflow_provider_klaviyo.sandbox.people import Directory
from airflow_provider_klaviyo.sandbox.refusals import invalid
from airflow_provider_klaviyo.sandbox.served import Handler, Reply, ServedCall
from airflow_provider_klaviyo.sandbox.store import id_from

EVENTS_PER_JOB, PROPERTIES = 1000, 400
LARGEST = 1e15
"""The largest value of an event (a choice): reports add them up."""
OWN = "Klaviyo"
FIELDS: Mapping[str, FieldReader] = {
    "metric_id": lambda _, event: event.relationships["metric"],
    "metric": lambda _, event: event.relationships["metric"],
    "profile_id": lambda _, event: event.relationships["profile"],
    "profile": lambda _, event: event.relationships["profile"],
}


def create_event(call: ServedCall) -> Reply:
    attributes = call.attributes
    _check_event(attributes, "/data/attributes")
    _record(call, Directory(call.store), attributes["profile"]["data"], [attributes])
    return Reply(202)


def bulk_create_events(call: ServedCall) -> Reply:
    """All or none: a malformed event, or an event that is in the request twice, refuses the request."""
    bulks = call.attributes["events-bulk-create"]["data"]
    events = [bulk["attributes"]["events"]["data"] for bulk in bulks]
    total = sum(map(len, events))
    if total > EVENTS_PER_JOB:
        raise invalid(f"At most {EVENTS_PER_JOB} events per request, not {total}.", pointer="/data/attributes")
    directory = Directory(call.store)
    seen = set()
    for number, (bulk, own) in enumerate(zip(bulks, events, strict=True)):
        pointer = f"/data/attributes/events-bulk-create/data/{number}/attributes"
        profile = bulk["attributes"]["profile"]["data"]
        _check_profile(directory, profile, f"{pointer}/profile/data/attributes")
        for place, event in enumerate(own):
            at = f"{pointer}/events/data/{place}/attributes"
            _check_event(event["attributes"], at)
            unique = event["attributes"].get("unique_id")
            if unique is not None and unique in seen:
                raise invalid(f"The unique_id '{unique}' is in the request twice.", pointer=f"{at}/unique_id")
            seen.add(unique)
    for bulk, own in zip(bulks, events, strict=True):
        _record(call, directory, bulk["attributes"]["profile"]["data"], [event["attributes"] for event in own])
    return Reply(202)


def new_metric(id_: str, name: str, integration: str | None, now: str) -> Entity:
    """A metric that is not in the store yet.

    :param integration: where its events come from; Klaviyo itself when missing.
    """
    source = integration or OWN
    attributes = {
        "name": name,
        "created": now,
        "updated": now,
        "integration": {
            "object": "integration",
            "id": id_from("integration", source),
            "key": source.lower(),
            "name": source,
            "category": "Internal" if source == OWN else "API",
        },
    }
    return Entity("metric", id_, attributes, {"flow-triggers": []})


def _record(call: ServedCall, directory: Directory, given: Mapping[str, Any], events: list[Mapping[str, Any]]) -> None:
    profile, _ = directory.upsert(given["attributes"], call.time, given.get("id"))
    for event in events:
        at = parse(event["time"]) if event.get("time") else call.now
        metric = _metric(call, event["metric"]["data"]["attributes"])
        unique = event.get("unique_id") or str(int(at))
        id_ = id_from("event", profile.id, metric.id, unique, length=11)
        if call.store.find("event", id_):
            continue
        properties = dict(event["properties"])
        if event.get("value") is not None:
            properties["$value"] = event["value"]
        attributes = {
            "timestamp": int(at),
            "event_properties": properties,
            "datetime": iso(at),
            "uuid": str(uuid.uuid5(uuid.NAMESPACE_OID, id_)),
        }
        links = {"profile": profile.id, "metric": metric.id, "attributions": []}
        call.store.put(Entity("event", id_, attributes, links, {"value": event.get("value")}))
        latest = profile.attributes["last_event_date"]
        profile = call.store.put(profile.having(last_event_date=max(iso(at), latest or "")))


def _metric(call: ServedCall, given: Mapping[str, Any]) -> Entity:
    """The metric of that name, from the service named or any; a new one when there is none."""
    for metric in call.store.all("metric"):
        service = given.get("service") or metric.attributes["integration"]["name"]
        if (metric.attributes["name"], metric.attributes["integration"]["name"]) == (given["name"], service):
            return metric
    made = new_metric(call.store.new_id("metric"), given["name"], given.get("service") or "API", call.time)
    return call.store.put(made)


def _check_profile(directory: Directory, given: Mapping[str, Any], pointer: str) -> None:
    known = directory.find(given["attributes"], given.get("id"))
    if known is None and not any(given["attributes"].get(name) for name in ("email", "phone_number", "external_id")):
        raise invalid("Give an id, an email, a phone_number or an external_id that is known.", pointer=pointer)
    directory.check(given["attributes"], besides=known.id if known else None)


def _check_event(event: Mapping[str, Any], pointer: str) -> None:
    if not event["metric"]["data"]["attributes"]["name"]:
        raise invalid("A metric needs a name.", pointer=f"{pointer}/metric/data/attributes/name")
    if len(event["properties"]) > PROPERTIES:
        raise invalid(f"An event has at most {PROPERTIES} properties.", pointer=f"{pointer}/properties")
    if event.get("time") and not WRITTEN[0] <= parse(event["time"]) <= WRITTEN[1]:
        raise invalid(f"The time {event['time']} is out of range.", pointer=f"{pointer}/time")
    if abs(event.get("value") or 0) > LARGEST:
        raise invalid(f"The value {event['value']} is out of range.", pointer=f"{pointer}/value")


HANDLERS: Mapping[str, Handler] = {
    "create_event": create_event,
    "create_client_event": create_event,
    "bulk_create_events": bulk_create_events,
    "get_events": many("event", FIELDS),
    "get_event": one("event"),
    "get_metric_for_event": related("event", "metric"),
    "get_metric_id_for_event": related_ids("event", "metric"),
    "get_profile_for_event": related("event", "profile"),
    "get_profile_id_for_event": related_ids("event", "profile"),
    "get_metrics": many("metric"),
    "get_metric": one("metric"),
    "get_flows_triggered_by_metric": related("metric", "flow-triggers"),
    "get_ids_for_flows_triggered_by_metric": related_ids("metric", "flow-triggers"),
}
