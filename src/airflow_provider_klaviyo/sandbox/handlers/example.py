"""What the sandbox keeps no state of: an answer of the published shape, marked by a header.

Nothing is remembered: what was created is not in the next list, and any id is known, unless the published ids are
fixed. The answer takes its id from the path, and takes over posted attributes and relationships where it has such. An
id of something that the sandbox does keep, as in ``/api/lists/{id}/flow-triggers``, must exist.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_klaviyo.api.schemas import answer_errors, published
from airflow_provider_klaviyo.sandbox import conditions
from airflow_provider_klaviyo.sandbox.documents import only
from airflow_provider_klaviyo.sandbox.examples import Examples, path_of
from airflow_provider_klaviyo.sandbox.model import KINDS
from airflow_provider_klaviyo.sandbox.refusals import not_found
from airflow_provider_klaviyo.sandbox.served import Reply, ServedCall

MARK = {"x-klaviyo-sandbox": "example"}
"""The header of an answer that is made up."""


def answer_by_example(call: ServedCall) -> Reply:
    """An answer with the published status and shape."""
    _check_request(call)
    schema = published(call.operation.id, call.revision).get("answer")
    status = call.operation.success[0]
    if schema is None:
        return Reply(status, headers=MARK)
    examples = Examples(call.revision, call.base)
    resources, is_list = examples.resources(schema)
    fixed = examples.fixed_ids(schema)
    if call.operation.path.endswith("}") and fixed and call.id not in fixed:
        raise not_found(resources[0]["type"], call.id)
    links: dict[str, Any] = {"self": call.base + call.target}
    if is_list:
        links |= {"next": None, "prev": None}
    else:
        _name(call, resources[0])
    body = {"data": resources if is_list else resources[0], "links": links}
    if isinstance(_posted(call), Mapping):
        body["data"] = _with_posted(call, body)
    if names := call.listed("include"):
        body["included"] = _included(examples.included(schema), resources, names)
    for resource in [*resources, *body.get("included", ())]:
        _make_sparse(call, resource)
    return Reply(status, body, MARK)


def _check_request(call: ServedCall) -> None:
    segment = call.operation.path.split("/")[2]
    kept = next((type_ for type_, kind in KINDS.items() if kind.path == segment), None)
    if call.id and kept:
        call.store.get(kept, call.id)
    if call.operation.method == "PATCH" and _names_itself(call):
        call.check_ids_agree()
    if call.query.get("filter"):
        allowed = published(call.operation.id, call.revision).get("filters", {})
        conditions.check(conditions.parse(call.query["filter"]), allowed, call.now)


def _posted(call: ServedCall) -> Any:
    return call.body.get("data") if isinstance(call.body, Mapping) else None


def _names_itself(call: ServedCall) -> bool:
    return call.operation.path.endswith("}") and isinstance(_posted(call), Mapping) and "id" in _posted(call)


def _name(call: ServedCall, resource: dict[str, Any]) -> None:
    """Give a single resource the id that the path or the body has for it, or a new one when it is created."""
    if "id" not in resource:
        return
    old = resource["id"]
    if call.operation.path.endswith("}"):
        resource["id"] = call.id
    elif call.operation.method == "POST":
        resource["id"] = call.data.get("id") or call.store.new_id(resource["type"])
    own, renamed = (f"{call.base}/api/{path_of(resource['type'])}/{id_}/" for id_ in (old, resource["id"]))
    for links in (resource.get("links", {}), *(r["links"] for r in resource.get("relationships", {}).values())):
        links.update({name: link.replace(own, renamed) for name, link in links.items()})


def _with_posted(call: ServedCall, body: Mapping[str, Any]) -> dict[str, Any]:
    """The resource with what was posted, but for what the answer's schema does not allow."""
    made: dict[str, Any] = body["data"]
    posted = _posted(call)
    given = {name: value for name, value in posted.get("attributes", {}).items() if name in made.get("attributes", {})}
    linked = {
        name: {**made["relationships"][name], "data": relation["data"]}
        for name, relation in posted.get("relationships", {}).items()
        if name in made.get("relationships", {}) and "data" in relation
    }
    if given:
        trial = {**body, "data": {**made, "attributes": {**made["attributes"], **given}}}
        problems = answer_errors(call.operation.id, call.operation.success[0], trial, call.revision)
        wrong = {name for problem in problems for name in (problem.pointer or "").split("/")[3:4]}
        made["attributes"] |= {name: value for name, value in given.items() if name not in wrong}
    if linked:
        made["relationships"] |= linked
    return made


def _included(
    candidates: list[dict[str, Any]], resources: list[dict[str, Any]], names: list[str]
) -> list[dict[str, Any]]:
    """Those of the candidates that a relationship named points at."""
    wanted = set()
    for resource in resources:
        for name in names:
            data = resource.get("relationships", {}).get(name, {}).get("data") or []
            wanted |= {item["type"] for item in (data if isinstance(data, list) else [data])}
    return [candidate for candidate in candidates if candidate["type"] in wanted]


def _make_sparse(call: ServedCall, resource: dict[str, Any]) -> None:
    fields = call.query.get(f"fields[{resource['type']}]")
    if fields is not None:
        resource.pop("relationships", None)
        if "attributes" in resource:
            resource["attributes"] = only(resource["attributes"], fields.split(","))
