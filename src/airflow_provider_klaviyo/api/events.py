"""Events of profiles, one or many at a time.

Each function is a :data:`~airflow_provider_klaviyo.api.calls.Call`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_klaviyo.api.calls import Call
from airflow_provider_klaviyo.api.request import build


def import_events(of_profiles: Sequence[tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]]) -> Call[None]:
    """Have Klaviyo record at most 1,000 events, 5 MB in all. A ``unique_id`` that is known changes nothing.

    :param of_profiles: profiles, each with its events. A profile has attributes, and ``id`` among them if it is known;
        an event ``metric`` (a name) and attributes.
    """
    body = {
        "data": {
            "type": "event-bulk-create-job",
            "attributes": {"events-bulk-create": {"data": [_of_one(*one) for one in of_profiles]}},
        }
    }
    yield build("bulk_create_events", body=body)


def create_event(profile: Mapping[str, Any], event: Mapping[str, Any]) -> Call[None]:
    """Have Klaviyo record one event. A ``unique_id`` that the profile has of this metric changes nothing.

    :param profile: as in :func:`import_events`.
    :param event: ``metric`` (a name), ``properties`` and other attributes.
    """
    data = _event(event)
    data["attributes"]["profile"] = _profile(profile)
    yield build("create_event", body={"data": data})


def _of_one(profile: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "type": "event-bulk-create",
        "attributes": {
            "profile": _profile(profile),
            "events": {"data": [_event(event) for event in events]},
        },
    }


def _profile(profile: Mapping[str, Any]) -> dict[str, Any]:
    own = {"id": profile["id"]} if profile.get("id") else {}
    attributes = {name: value for name, value in profile.items() if name != "id"}
    return {"data": {"type": "profile", **own, "attributes": attributes}}


def _event(event: Mapping[str, Any]) -> dict[str, Any]:
    metric = {"data": {"type": "metric", "attributes": {"name": event["metric"]}}}
    return {"type": "event", "attributes": {**event, "metric": metric}}
