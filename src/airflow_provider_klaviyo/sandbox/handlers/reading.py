"""The reads that are the same for every resource type."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from airflow_provider_klaviyo.sandbox.documents import (
    FieldReader,
    collection,
    document,
    identifier,
    identifiers,
    targets,
)
from airflow_provider_klaviyo.sandbox.model import KINDS, Entity
from airflow_provider_klaviyo.sandbox.served import Handler, Reply, ServedCall


def one(type_: str) -> Handler:
    """``GET /api/things/{id}``."""

    def handler(call: ServedCall) -> Reply:
        return Reply(200, document(call, call.store.get(type_, call.id)))

    return handler


def many(
    type_: str,
    readers: Mapping[str, FieldReader] | None = None,
    listed: Callable[[Entity], bool] = lambda _: True,
) -> Handler:
    """``GET /api/things``.

    :param readers: how to read a filter's field where it is not an attribute.
    :param listed: True if a resource shows up in the list.
    """

    def handler(call: ServedCall) -> Reply:
        return Reply(200, collection(call, filter(listed, call.store.all(type_)), readers))

    return handler


def related(type_: str, name: str, readers: Mapping[str, FieldReader] | None = None) -> Handler:
    """``GET /api/things/{id}/others``: the resource or resources a relationship points at."""

    def handler(call: ServedCall) -> Reply:
        found = targets(call.store, call.store.get(type_, call.id), name)
        if KINDS[type_].relations[name].many:
            return Reply(200, collection(call, found, readers))
        return Reply(200, document(call, found[0] if found else None))

    return handler


def related_ids(type_: str, name: str, readers: Mapping[str, FieldReader] | None = None) -> Handler:
    """``GET /api/things/{id}/relationships/others``: types and ids only."""

    def handler(call: ServedCall) -> Reply:
        found = targets(call.store, call.store.get(type_, call.id), name)
        if KINDS[type_].relations[name].many:
            return Reply(200, identifiers(call, found, readers))
        data = identifier(found[0]) if found else None
        return Reply(200, {"data": data, "links": {"self": call.base + call.target}})

    return handler


def delete(type_: str) -> Handler:
    """``DELETE /api/things/{id}``."""

    def handler(call: ServedCall) -> Reply:
        call.store.delete(type_, call.id)
        return Reply(204)

    return handler
