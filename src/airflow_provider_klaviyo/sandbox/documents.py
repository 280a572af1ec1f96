"""Resources as JSON:API answers: links, relationships, included resources, sparse fieldsets, pages."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from airflow_provider_klaviyo.sandbox import conditions, jsontext
from airflow_provider_klaviyo.sandbox.clock import parse as parse_time
from airflow_provider_klaviyo.sandbox.consent import subscriptions
from airflow_provider_klaviyo.sandbox.counting import shown as shown_count
from airflow_provider_klaviyo.sandbox.model import KINDS, Entity
from airflow_provider_klaviyo.sandbox.refusals import invalid
from airflow_provider_klaviyo.sandbox.served import ServedCall
from airflow_provider_klaviyo.sandbox.store import Store

FieldReader = Callable[[Store, Entity], Any]

ADDITIONAL: Mapping[str, Mapping[str, Callable[[ServedCall, Entity], Any]]] = {
    "list": {"profile_count": lambda call, group: shown_count(group, call.now, call.timing.counting)},
    "segment": {"profile_count": lambda call, group: shown_count(group, call.now, call.timing.counting)},
    "profile": {
        "subscriptions": lambda _, profile: subscriptions(profile),
        "predictive_analytics": lambda _, __: None,
    },
    "template": {"definition": lambda _, __: None},
}
"""Attributes that are only returned when ``additional-fields[…]`` asks for them."""


def document(call: ServedCall, resource: Entity | None) -> dict[str, Any]:
    """An answer with one resource, and what ``include`` asks for."""
    links = {"self": call.base + call.target}
    if resource is None:
        return {"data": None, "links": links}
    answer = {"data": resource_object(call, resource), "links": links}
    return with_included(call, answer, [resource])


def collection(
    call: ServedCall, resources: Iterable[Entity], readers: Mapping[str, FieldReader] | None = None
) -> dict[str, Any]:
    """An answer with one page of resources: filtered, sorted, and with what ``include`` asks for.

    :param readers: how to read a filter's or sort's field where it is not an attribute of the resource.
    """
    found, links = page(call, selected(call, resources, readers or {}), readers or {})
    answer = {"data": [resource_object(call, resource) for resource in found], "links": links}
    return with_included(call, answer, found)


def identifiers(
    call: ServedCall, resources: Iterable[Entity], readers: Mapping[str, FieldReader] | None = None
) -> dict[str, Any]:
    """Like :func:`collection`, with type and id only."""
    found, links = page(call, selected(call, resources, readers or {}), readers or {})
    return {"data": [identifier(resource) for resource in found], "links": links}


def identifier(resource: Entity) -> dict[str, str]:
    """Type and id."""
    return {"type": resource.type, "id": resource.id}


def resource_object(call: ServedCall, resource: Entity) -> dict[str, Any]:
    """A resource as JSON:API: with its links, and only the fields asked for. A sparse one has no relationships."""
    attributes = dict(resource.attributes)
    for name in call.listed(f"additional-fields[{resource.type}]"):
        attributes[name] = ADDITIONAL[resource.type][name](call, resource)
    shown: dict[str, Any] = {"type": resource.type, "id": resource.id, "attributes": attributes}
    own = f"{call.base}/api/{KINDS[resource.type].path}/{resource.id}/"
    fields = call.query.get(f"fields[{resource.type}]")
    if fields is not None:
        shown["attributes"] = only(attributes, fields.split(","))
    elif relations := KINDS[resource.type].relations:
        shown["relationships"] = {
            name: {
                **({"data": _linkage(call, resource, name)} if relation.shown or _included(call, name) else {}),
                "links": {"self": f"{own}relationships/{name}/", "related": f"{own}{name}/"},
            }
            for name, relation in relations.items()
        }
    shown["links"] = {"self": own}
    return shown


def targets(store: Store, resource: Entity, name: str) -> list[Entity]:
    """The resources a relationship points at: none, one, or many."""
    relation = KINDS[resource.type].relations[name]
    if relation.inverse:
        return [
            other
            for other in store.all(relation.type)
            if resource.id in _ids(other.relationships.get(relation.inverse))
        ]
    found = (store.find(relation.type, id_) for id_ in _ids(resource.relationships.get(name)))
    return [other for other in found if other is not None]


def with_included(call: ServedCall, answer: dict[str, Any], resources: Sequence[Entity]) -> dict[str, Any]:
    """The answer with the resources that ``include`` asks for, each once."""
    names = call.listed("include")
    if not names:
        return answer
    others = {
        (other.type, other.id): other
        for resource in resources
        for name in names
        if name in KINDS[resource.type].relations
        for other in targets(call.store, resource, name)
    }
    return {**answer, "included": [resource_object(call, other) for other in others.values()]}


def _included(call: ServedCall, name: str) -> bool:
    return name in call.listed("include")


def _linkage(call: ServedCall, resource: Entity, name: str) -> Any:
    found = [identifier(other) for other in targets(call.store, resource, name)]
    if KINDS[resource.type].relations[name].many:
        return found
    return found[0] if found else None


def _ids(stored: str | list[str] | None) -> list[str]:
    return stored if isinstance(stored, list) else [stored] if stored else []


def only(attributes: Mapping[str, Any], fields: Iterable[str]) -> dict[str, Any]:
    """The attributes named, where ``send_strategy.method`` names a part of one.

    A part of what is named as a whole adds nothing, so that what is written into is never the resource's own.
    """
    result: dict[str, Any] = {}
    named = dict.fromkeys(fields)
    for field in named:
        parts = field.split(".")
        if any(".".join(parts[:count]) in named for count in range(1, len(parts))):
            continue
        source: Any = attributes
        target: Any = result
        *outer, last = parts
        for name in outer:
            source = source.get(name) if isinstance(source, Mapping) else None
            target = target.setdefault(name, {}) if isinstance(target, dict) else None
        if isinstance(source, Mapping) and isinstance(target, dict) and last in source:
            target[last] = source[last]
    return result


def _field(store: Store, resource: Entity, name: str, readers: Mapping[str, FieldReader]) -> Any:
    if reader := readers.get(name):
        return reader(store, resource)
    if name == "id":
        return resource.id
    value: Any = resource.attributes
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def selected(call: ServedCall, resources: Iterable[Entity], readers: Mapping[str, FieldReader]) -> list[Entity]:
    """The resources that the request's filter is met by."""
    expression = call.query.get("filter")
    if not expression:
        return list(resources)
    allowed = call.published.get("filters", {})
    clauses = conditions.check(conditions.parse(expression), allowed, call.now)

    def value(resource: Entity, clause: conditions.Clause) -> Any:
        actual = _field(call.store, resource, clause.field, readers)
        is_time = allowed[clause.field].get("value", {}).get("format") == "date-time"
        return parse_time(actual) if is_time and actual is not None else actual

    return [
        resource
        for resource in resources
        if all(conditions.holds(clause, value(resource, clause)) for clause in clauses)
    ]


def _orderable(value: Any) -> tuple[bool, Any]:
    return (False, "") if value is None else (True, value)


def page(
    call: ServedCall, resources: list[Entity], readers: Mapping[str, FieldReader]
) -> tuple[list[Entity], dict[str, str | None]]:
    """One page and its links. A cursor names the last resource of the page before, so that a new one shifts nothing."""
    sort = call.query.get("sort", "")
    if sort:
        resources.sort(
            key=lambda resource: (*_orderable(_field(call.store, resource, sort.lstrip("-"), readers)), resource.id),
            reverse=sort.startswith("-"),
        )
    links: dict[str, str | None] = {"self": call.base + call.target, "next": None, "prev": None}
    size_rules = call.published["query"].get("page[size]")
    if size_rules is None:
        return resources, links
    size = int(call.query.get("page[size]", size_rules["schema"]["default"]))
    start = _start(call, resources)
    found = resources[start : start + size]
    if start + size < len(resources):
        links["next"] = _with_cursor(call, start + size, found[-1].id)
    if start:
        links["prev"] = _with_cursor(call, max(0, start - size), None)
    return found, links


def _start(call: ServedCall, resources: Sequence[Entity]) -> int:
    cursor = call.query.get("page[cursor]")
    if not cursor:
        return 0
    try:
        offset, after = jsontext.read(base64.urlsafe_b64decode(cursor.encode()))
        offset = max(0, int(offset))
    except (ValueError, TypeError):
        raise invalid(f"Invalid cursor {cursor!r}.", parameter="page[cursor]") from None
    return next((number + 1 for number, resource in enumerate(resources) if resource.id == after), offset)


def _with_cursor(call: ServedCall, offset: int, after: str | None) -> str:
    cursor = base64.urlsafe_b64encode(json.dumps([offset, after]).encode()).decode()
    target = urlsplit(call.target)
    query = [(name, value) for name, value in parse_qsl(target.query) if name != "page[cursor]"]
    text = "&".join(f"{quote(name)}={quote(value)}" for name, value in [*query, ("page[cursor]", cursor)])
    return f"{call.base}{target.path}?{text}"
