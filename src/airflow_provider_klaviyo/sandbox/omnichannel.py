"""The sandbox's campaigns as revision 2026-10-15 has them: they are read, and not written.

Campaigns of the revisions before are listed there under their own ids, which was reported of a live account. The rest
is a choice, as nothing is published of it: each message has the campaign's status, in the words of messages, its send
time, and one variation with the content; a template is the message's own copy; an immediate send is a ``static`` one.
Audiences are not modelled. Whatever this file does not answer is refused, and the refusal says so; operations that have
nothing to do with campaigns answer as in the newest revision whose document the sandbox has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from airflow_provider_klaviyo.api.operations import OMNICHANNEL, Operation, is_later
from airflow_provider_klaviyo.campaigns.status import CampaignStatus as Status
from airflow_provider_klaviyo.campaigns.status import is_cancelled
from airflow_provider_klaviyo.sandbox import documents
from airflow_provider_klaviyo.sandbox.documents import FieldReader
from airflow_provider_klaviyo.sandbox.model import Entity
from airflow_provider_klaviyo.sandbox.refusals import invalid, refusal
from airflow_provider_klaviyo.sandbox.served import Handler, Reply, ServedCall
from airflow_provider_klaviyo.sandbox.store import Store, id_from

CAMPAIGN, MESSAGE, VARIATION = "campaign", "campaign-message", "campaign-variation"
OF_CAMPAIGNS = ("/api/campaigns", "/api/campaign-")
REPORTS = "query_campaign_values"

SENDING = (Status.SENDING, Status.SENDING_SEGMENTS, Status.VARIATIONS_SENT)
STRATEGIES = {"throttled": "throttled", "smart_send_time": "send_time_optimization"}

TEXT: Mapping[str, Any] = {"type": "string"}
TIME: Mapping[str, Any] = {
    "operators": {"single": ["greater-than", "greater-or-equal", "less-than", "less-or-equal"]},
    "value": {"type": "string", "format": "date-time"},
}
IDS: Mapping[str, Any] = {"operators": {"single": ["equals"], "list": ["any"]}, "value": TEXT}
NAME: Mapping[str, Any] = {"operators": {"single": ["contains"]}, "value": TEXT}
EQUAL: Mapping[str, Any] = {"operators": {"single": ["equals"]}, "value": TEXT}

LISTS: Mapping[str, Mapping[str, Any]] = {
    "get_campaigns": {
        "id": IDS,
        "name": NAME,
        "archived": {"operators": {"single": ["equals"]}, "value": {"type": "boolean"}},
        "builder": EQUAL,
        "created_at": TIME,
        "updated_at": TIME,
    },
    "list_campaign_messages": {
        "id": IDS,
        "campaign_id": EQUAL,
        "name": NAME,
        "status": EQUAL,
        "created": TIME,
        "updated": TIME,
    },
}
"""What each list is filtered, and sorted, by."""

INCLUDED = {CAMPAIGN: ("campaign-messages", "tags"), MESSAGE: ("campaign", "campaign-variations")}
PARAMETERS = ("include", "filter", "sort", "page[size]", "page[cursor]")
PAGE_SIZE, LARGEST_PAGE = 20, 100

READERS: Mapping[str, FieldReader] = {
    **{
        name: lambda _, resource, name=name: resource.attributes["definition"][name]  # type: ignore[misc]
        for name in ("name", "archived", "builder", "status")
    },
    "campaign_id": lambda _, message: message.relationships["campaign"],
}


def is_concerned(operation: Operation) -> bool:
    """True if an operation is another one in this revision than in those before."""
    return is_later(operation) or (operation.path.startswith(OF_CAMPAIGNS) and operation.id != REPORTS)


def handler(operation: Operation) -> Handler:
    """What answers such an operation."""
    return HANDLERS.get(operation.id, _refuse)


def rules(operation: Operation) -> Mapping[str, Any]:
    """What lists go by, in the form of the published documents."""
    size = {"schema": {"default": PAGE_SIZE, "maximum": LARGEST_PAGE}}
    return {"filters": LISTS.get(operation.id, {}), "query": {"page[size]": size}}


def get_campaigns(call: ServedCall) -> Reply:
    return _listed(call, CAMPAIGN, (_campaign(one) for one in call.store.all(CAMPAIGN)))


def get_campaign(call: ServedCall) -> Reply:
    _check(call, CAMPAIGN)
    campaign = _campaign(call.store.get(CAMPAIGN, call.id))
    answer = {"data": _shown(call, campaign), "links": {"self": call.base + call.target}}
    return Reply(200, _with_included(call, answer, [campaign]))


def list_campaign_messages(call: ServedCall) -> Reply:
    return _listed(call, MESSAGE, (_message(call.store, one) for one in call.store.all(MESSAGE)))


def _listed(call: ServedCall, type_: str, resources: Iterable[Entity]) -> Reply:
    _check(call, type_)
    page, links = documents.page(call, documents.selected(call, resources, READERS), READERS)
    answer = {"data": [_shown(call, one) for one in page], "links": links}
    return Reply(200, _with_included(call, answer, page))


def _refuse(call: ServedCall) -> Reply:
    raise refusal(
        400,
        "not_modelled",
        "Not in the sandbox.",
        f"The sandbox does not model {call.operation.id} in revision {OMNICHANNEL}: of its campaigns it only answers "
        f"{', '.join(HANDLERS)}. Nothing was done. Write campaigns in an earlier revision.",
    )


HANDLERS: Mapping[str, Handler] = {
    "get_campaigns": get_campaigns,
    "get_campaign": get_campaign,
    "list_campaign_messages": list_campaign_messages,
}


def _check(call: ServedCall, type_: str) -> None:
    """Refuse parameters that there are not.

    :raises RefusedError: 400.
    """
    parameters = PARAMETERS if call.operation.id in LISTS else PARAMETERS[:1]
    for name in call.query:
        if name not in parameters and not (name.startswith("fields[") and name.endswith("]")):
            raise invalid(f"'{name}' is not a valid parameter.", parameter=name)
    for name in call.listed("include"):
        if name not in INCLUDED[type_]:
            raise invalid(f"'{name}' cannot be included with a {type_}.", parameter="include")
    sort = call.query.get("sort", "").removeprefix("-")
    if sort and sort not in LISTS[call.operation.id]:
        raise invalid(f"'{sort}' is not an allowed sort field.", parameter="sort")
    size = call.query.get("page[size]", "1")
    if not size.isascii() or not size.isdigit() or not 1 <= int(size[:9]) <= LARGEST_PAGE:
        raise invalid(f"page[size] must be between 1 and {LARGEST_PAGE}.", parameter="page[size]")


def _campaign(campaign: Entity) -> Entity:
    old = campaign.attributes
    definition = {
        "name": old["name"],
        "builder": "wizard",
        "archived": old["archived"],
        "color": None,
        "description": None,
        "send_settings": None,
    }
    attributes = {"definition": definition, "created_at": old["created_at"], "updated_at": old["updated_at"]}
    return Entity(CAMPAIGN, campaign.id, attributes, campaign.relationships)


def _message(store: Store, message: Entity) -> Entity:
    campaign = store.get(CAMPAIGN, message.relationships["campaign"]).attributes
    tracking, strategy = campaign["tracking_options"] or {}, campaign["send_strategy"]["method"]
    definition = {
        "name": message.attributes["definition"].get("label"),
        "status": _status(campaign["status"]),
        "tracking_options": {
            "is_add_utm": tracking.get("add_tracking_params", False),
            "is_tracking_clicks": tracking.get("is_tracking_clicks"),
            "is_tracking_opens": tracking.get("is_tracking_opens"),
        },
        "send_options": {
            "send_time": campaign["send_time"],
            "send_times": None,
            "send_strategy": STRATEGIES.get(strategy, "static"),
            "is_ignoring_unsubscribes": False,
        },
        "ab_test": None,
    }
    relations = {"campaign": message.relationships["campaign"], "campaign-variations": [_variation_id(message.id)]}
    return Entity(MESSAGE, message.id, {"definition": definition, **_times(message)}, relations)


def _variation(message: Entity) -> Entity:
    old = message.attributes["definition"]
    content = old.get("content") or {}
    if old["channel"] == "email":
        names = ("subject", "preview_text", "from_email", "from_label", "reply_to_email")
        details = {"template_id": message.relationships["template"], **{name: content[name] for name in names}}
    else:
        details = {name: content.get(name) for name in ("title", "body") if name in content}
    definition = {"name": old.get("label"), "details": details}
    relations = {"campaign-message": message.id}
    return Entity(VARIATION, _variation_id(message.id), {"definition": definition, **_times(message)}, relations)


def _variation_id(message_id: str) -> str:
    return id_from(VARIATION, message_id)


def _times(message: Entity) -> dict[str, Any]:
    return {"created": message.attributes["created_at"], "updated": message.attributes["updated_at"]}


def _status(status: str) -> str:
    """A campaign's status in the words of a message's."""
    if is_cancelled(status):
        return "cancelled"
    if status in (Status.DRAFT, Status.SENT):
        return status.lower()
    return "sending" if status in SENDING else "scheduled"


def _shown(call: ServedCall, resource: Entity) -> dict[str, Any]:
    """A resource as an answer has it; a sparse one without relationships."""
    own = f"{call.base}/api/{resource.type}s/{resource.id}/"
    shown = {"type": resource.type, "id": resource.id, "attributes": resource.attributes, "links": {"self": own}}
    fields = call.query.get(f"fields[{resource.type}]")
    if fields is not None:
        return {**shown, "attributes": documents.only(resource.attributes, fields.split(","))}
    relationships = {}
    for name, ids in resource.relationships.items():
        links = {"self": f"{own}relationships/{name}/", "related": f"{own}{name}/"}
        type_ = {"campaign-messages": MESSAGE, "campaign-variations": VARIATION, "tags": "tag"}.get(name, name)
        data: Any = [{"type": type_, "id": id_} for id_ in ids] if isinstance(ids, list) else {"type": type_, "id": ids}
        relationships[name] = {"data": data, "links": links}
    return {**shown, "relationships": relationships}


def _with_included(call: ServedCall, answer: dict[str, Any], resources: Iterable[Entity]) -> dict[str, Any]:
    """The answer with the resources that ``include`` asks for, each once."""
    names = call.listed("include")
    if not names:
        return answer
    store = call.store
    read: Mapping[str, Callable[[str], dict[str, Any]]] = {
        "campaign": lambda id_: _shown(call, _campaign(store.get(CAMPAIGN, id_))),
        "campaign-messages": lambda id_: _shown(call, _message(store, store.get(MESSAGE, id_))),
        "tags": lambda id_: documents.resource_object(call, store.get("tag", id_)),
    }
    included: dict[tuple[str, str], dict[str, Any]] = {}
    for resource in resources:
        for name in names:
            if name == "campaign-variations":
                found = [_shown(call, _variation(store.get(MESSAGE, resource.id)))]
            else:
                ids = resource.relationships[name]
                found = [read[name](id_) for id_ in (ids if isinstance(ids, list) else [ids])]
            included |= {(one["type"], one["id"]): one for one in found}
    return {**answer, "included": list(included.values())}
