"""A new segment: its members come late, and nothing says so."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.test_sandbox_neighbours import resource

NEWSLETTER, PREVIEW = "Y6nRLr", "WEmgye"


def membership(*group_ids: str, is_member: bool = True) -> dict[str, Any]:
    return {
        "type": "profile-group-membership",
        "is_member": is_member,
        "group_ids": list(group_ids),
        **({"timeframe_filter": None} if is_member else {}),
    }


def created(api: Any, *groups: list[dict[str, Any]]) -> str:
    definition = {"condition_groups": [{"conditions": conditions} for conditions in groups]}
    made = api.send("POST", "/api/segments", resource("segment", {"name": "New", "definition": definition}))
    assert made.status_code == 201, made.text
    assert made.json()["data"]["attributes"]["is_processing"] is False
    return str(made.json()["data"]["id"])


def members(api: Any, type_: str, id_: str) -> set[str]:
    return {one["id"] for one in api.get(f"/api/{type_}s/{id_}/relationships/profiles?page[size]=100").json()["data"]}


def count(api: Any, id_: str) -> int:
    answer = api.query(f"/api/segments/{id_}", {"additional-fields[segment]": "profile_count"}).json()["data"]
    assert answer["attributes"]["is_processing"] is False
    return int(answer["attributes"]["profile_count"])


def test_the_members_come_late_and_the_count_later(api):
    id_ = created(api, [membership(NEWSLETTER)])
    assert (members(api, "segment", id_), count(api, id_)) == (set(), 0)
    api.advance(5.5)
    everybody = members(api, "list", NEWSLETTER)
    assert members(api, "segment", id_) == everybody
    assert count(api, id_) == 0
    api.advance(2)
    assert count(api, id_) == len(everybody) > 0


@pytest.mark.parametrize(
    ("groups", "meant"),
    [
        ([[membership(NEWSLETTER, PREVIEW)]], lambda news, preview: news | preview),
        ([[membership(NEWSLETTER), membership(PREVIEW)]], lambda news, preview: news | preview),
        ([[membership(NEWSLETTER)], [membership(PREVIEW)]], lambda news, preview: news & preview),
        ([[membership(NEWSLETTER)], [membership(PREVIEW, is_member=False)]], lambda news, preview: news - preview),
        ([], lambda *_: set()),
    ],
)
def test_conditions_on_membership_are_evaluated(api, groups, meant):
    id_ = created(api, *groups)
    api.advance(10)
    assert members(api, "segment", id_) == meant(members(api, "list", NEWSLETTER), members(api, "list", PREVIEW))


def test_a_changed_definition_changes_the_members_in_a_while(api):
    id_ = created(api, [membership(NEWSLETTER)])
    api.advance(10)
    definition = {"condition_groups": [{"conditions": [membership(PREVIEW)]}]}
    body = resource("segment", {"definition": definition}, id=id_)
    assert api.send("PATCH", f"/api/segments/{id_}", body).status_code == 200
    assert members(api, "segment", id_) == members(api, "list", NEWSLETTER)
    api.advance(10)
    assert members(api, "segment", id_) == members(api, "list", PREVIEW)


def test_a_segment_that_is_deleted_before_it_is_filled_stays_deleted(api):
    id_ = created(api, [membership(NEWSLETTER)])
    assert api.http.delete(f"/api/segments/{id_}").status_code == 204
    api.advance(10)
    assert api.get(f"/api/segments/{id_}").status_code == 404
