"""Calls carried out without a server: each request is answered with a document made here."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from airflow_provider_klaviyo.api.calls import Call
from airflow_provider_klaviyo.api.document import Answer, read
from airflow_provider_klaviyo.api.errors import KlaviyoError
from airflow_provider_klaviyo.api.request import Request, absolute_url

C, M, T = "C1", "M1", "T1"
ATTRIBUTES = {
    "name": "One",
    "status": "Sent",
    "send_time": "2026-01-01T00:00:00+00:00",
    "audiences": {"included": ["L1"], "excluded": []},
    "estimated_recipient_count": 5,
    "send_strategy": {"method": "static"},
    "email": "ada@example.com",
    "definition": {
        "name": "One",
        "status": "sent",
        "send_options": {"send_time": "2026-01-01T00:00:00+00:00"},
        "details": {"subject": "One"},
    },
    "results": [{"groupings": {"campaign_id": C}, "statistics": {"opens": 1}}],
}


LISTS = ("accounts", "campaigns", "lists", "metrics", "profiles", "profiles_for_list", "segments", "tags", "templates")
"""What is asked for of which Klaviyo has several."""


def resource(kind: str, resource_id: str) -> dict[str, Any]:
    return {
        "type": kind,
        "id": resource_id,
        "attributes": ATTRIBUTES,
        "relationships": {
            "template": {"data": {"type": "template", "id": T}},
            "tags": {"data": [{"type": "tag", "id": T}]},
            "campaign-messages": {"data": [{"type": "campaign-message", "id": M}]},
            "campaign-variations": {"data": [{"type": "campaign-variation", "id": "V1"}]},
        },
    }


def kind_of(operation: str) -> tuple[str, str]:
    """What an operation answers with."""
    if operation == "list_campaign_messages":
        return "campaign-message", M
    if "send" in operation and "campaign" in operation:
        return "campaign-send-job", C
    if "estimation" in operation:
        job = "-job" if "job" in operation or "refresh" in operation else ""
        return f"campaign-recipient-estimation{job}", C
    if operation.startswith(("get_campaign_id", "get_campaign_for")):
        return "campaign", C
    for word, kind, resource_id in (
        ("unsuppress", "profile-suppression-bulk-delete-job", T),
        ("suppress", "profile-suppression-bulk-create-job", T),
        ("profiles_for_list", "profile", "P1"),
        ("list", "list", T),
        ("segment", "segment", T),
        ("template_for", "template", T),
        ("template_id", "template", T),
        ("image", "image", "I1"),
        ("tag", "tag", T),
        ("message", "campaign-message", M),
        ("assign_template", "campaign-message", M),
        ("template", "template", T),
        ("profile", "profile", T),
        ("account", "account", "A1"),
        ("metric", "metric", T),
        ("values", "campaign-values-report", T),
    ):
        if word in operation:
            return kind, resource_id
    return "campaign", C


def right(request: Request) -> Any:
    """The document that Klaviyo answers with, near enough."""
    operation = request.operation.id
    one = resource(*kind_of(operation))
    lists = (
        "accounts",
        "campaigns",
        "lists",
        "metrics",
        "profiles",
        "profiles_for_list",
        "segments",
        "tags",
        "templates",
    )
    several = operation.removeprefix("get_") in lists or "for_campaign" in operation or operation.startswith("list_")
    several = several and not operation.endswith("for_campaign_message")
    return {
        "data": [one, resource(one["type"], "other")][: 1 if operation == "get_accounts" else 2] if several else one,
        "included": [
            resource("campaign-message", M),
            resource("campaign-variation", "V1"),
            resource("tag", T),
            resource("template", T),
            resource("campaign", C),
        ],
        "links": {"self": "https://a.klaviyo.com/api", "next": None},
    }


def drive(made: Call[Any], answer: Callable[[Request], Any]) -> Any:
    """Carry out a call as the clients do, with answers made here."""
    try:
        request = next(made)
        while True:
            absolute_url("https://a.klaviyo.com", request.target)
            body = answer(request) if request.operation.document else None
            content = b"" if body is None else json.dumps(body).encode()
            try:
                document = read(request, Answer(200, {}, content))
            except KlaviyoError as error:
                request = made.throw(error)
            else:
                request = made.send(document)
    except StopIteration as stop:
        return stop.value
