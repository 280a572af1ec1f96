"""An account with something of every kind, and how to ask it: for tests that go over all operations."""

from __future__ import annotations

import json
from typing import Any

from airflow_provider_klaviyo.api.operations import get
from airflow_provider_klaviyo.sandbox.served import HTTPRequest, HTTPResponse
from airflow_provider_klaviyo.sandbox.service import Klaviyo

REVISION = "2026-04-15"
ELSEWHERE = {
    "cancel_campaign_send",
    "create_campaign",
    "get_campaign_send_job",
    "get_image_for_campaign_message",
    "get_image_id_for_campaign_message",
    "merge_profiles",
    "refresh_campaign_recipient_estimation",
    "send_campaign",
    "update_image_for_campaign_message",
    "upload_image_from_file",
}
"""Operations that need more than a valid request to succeed. They do in test_sandbox_operations.py and
test_sandbox_neighbours.py."""
PREPARATION: list[tuple[str, Any]] = [
    (
        "create_event",
        {
            "type": "event",
            "attributes": {
                "properties": {"items": 2},
                "unique_id": "order-1",
                "metric": {"data": {"type": "metric", "attributes": {"name": "Placed Order"}}},
                "profile": {"data": {"type": "profile", "attributes": {"email": "ada.alder@example.com"}}},
            },
        },
    ),
    (
        "bulk_import_profiles",
        {
            "type": "profile-bulk-import-job",
            "attributes": {"profiles": {"data": [{"type": "profile", "attributes": {"email": "no address"}}]}},
            "relationships": {"lists": {"data": [{"type": "list", "id": "YzykDM"}]}},
        },
    ),
    *(
        (name, {"type": type_, "relationships": {"list": {"data": {"type": "list", "id": "NoOne0"}}}, "attributes": {}})
        for name, type_ in (
            ("bulk_suppress_profiles", "profile-suppression-bulk-create-job"),
            ("bulk_unsuppress_profiles", "profile-suppression-bulk-delete-job"),
        )
    ),
    (
        "create_universal_content",
        {
            "type": "template-universal-content",
            "attributes": {
                "name": "Footer",
                "definition": {
                    "content_type": "block",
                    "type": "html",
                    "data": {"content": "<p>Bye</p>", "display_options": {}},
                },
            },
        },
    ),
    ("create_tag_group", {"type": "tag-group", "attributes": {"name": "Season"}}),
    (
        "refresh_campaign_recipient_estimation",
        {"type": "campaign-recipient-estimation-job", "id": "01H5QQV9F57XJHJDMD86RX4QM5"},
    ),
]
"""Requests after which there is something of each kind that the sandbox keeps."""


def prepare(klaviyo: Klaviyo) -> dict[str, str]:
    """Make something of every kind, and tell the id of each."""
    klaviyo.reset()
    for name, data in PREPARATION:
        answer = ask(klaviyo, name, REVISION, get(name).path, {}, {"data": data})
        assert answer.status in get(name).success, answer.body
    klaviyo.clock.advance(60)
    klaviyo.catch_up()
    known = {type_: next(iter(resources)) for type_, resources in klaviyo.store.resources.items() if resources}
    known["tag-group"] = list(klaviyo.store.resources["tag-group"])[-1]
    known["campaign-recipient-estimation"] = known["campaign-recipient-estimation-job"] = known["campaign"]
    return known | {"mapped-metric": "revenue"}


def ask(klaviyo: Klaviyo, name: str, revision: str, path: str, query: dict[str, str], body: Any) -> HTTPResponse:
    content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {
        "authorization": "Klaviyo-API-Key pk_test",
        "revision": revision,
        "content-type": "application/vnd.api+json",
    }
    return klaviyo.answer(HTTPRequest(get(name).method, path, query, headers, content))
