"""Lists and segments: found and made by name, and the profiles on a list.

Each function is a :data:`~airflow_provider_klaviyo.api.calls.Call`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

from airflow_provider_klaviyo.api import filters
from airflow_provider_klaviyo.api.calls import Call, paginate
from airflow_provider_klaviyo.api.document import Resource
from airflow_provider_klaviyo.api.request import build

ASKED = 50
"""Addresses that are asked for at a time: they stand in the URL, which must not grow too long."""

OptIn = Literal["single_opt_in", "double_opt_in"]


def get_list(list_id: str) -> Call[Resource]:
    """One list.

    :raises KlaviyoNotFoundError: no such list.
    """
    return (yield build("get_list", path_params={"id": list_id})).about("list", list_id)


def find_lists(name: str) -> Call[list[Resource]]:
    """The lists of exactly this name. Klaviyo allows several."""
    found = yield from paginate("get_lists", query={"filter": str(filters.any_of("name", [name]))})
    return [one for one in found if one.name == name]


def create_list(name: str, *, opt_in_process: OptIn | None = None) -> Call[Resource]:
    """A new list, without profiles.

    :param opt_in_process: ``None``: the account's default.
    """
    attributes: dict[str, Any] = {"name": name}
    if opt_in_process is not None:
        attributes["opt_in_process"] = opt_in_process
    return (yield build("create_list", body={"data": {"type": "list", "attributes": attributes}})).about("list")


def find_segments(name: str) -> Call[list[Resource]]:
    """The segments of exactly this name. Klaviyo allows several."""
    found = yield from paginate("get_segments", query={"filter": str(filters.any_of("name", [name]))})
    return [one for one in found if one.name == name]


def create_segment(name: str, definition: Mapping[str, Any]) -> Call[Resource]:
    """A new segment; Klaviyo finds its members in the minutes that follow."""
    attributes = {"name": name, "definition": dict(definition)}
    return (yield build("create_segment", body={"data": {"type": "segment", "attributes": attributes}})).about(
        "segment"
    )


def add_profiles_to_list(list_id: str, profile_ids: Sequence[str]) -> Call[None]:
    """Put at most 1,000 profiles on a list; one that is on it stays. Nobody's consent is changed.

    :raises KlaviyoNotFoundError: no such list.
    """
    yield build("add_profiles_to_list", path_params={"id": list_id}, body=_profiles(profile_ids))


def remove_profiles_from_list(list_id: str, profile_ids: Sequence[str]) -> Call[None]:
    """Take at most 1,000 profiles off a list. Nobody's consent is changed.

    :raises KlaviyoNotFoundError: no such list.
    """
    yield build("remove_profiles_from_list", path_params={"id": list_id}, body=_profiles(profile_ids))


def members_by(list_id: str, field: Literal["email", "phone_number"], values: Collection[str]) -> Call[dict[str, str]]:
    """Those of some addresses that are of profiles on a list: in lower case, and each as Klaviyo has it.

    :param field: what kind of address they are.
    :raises KlaviyoNotFoundError: no such list.
    """
    asked = sorted({*values, *map(str.lower, values)})
    members: dict[str, str] = {}
    for start in range(0, len(asked), ASKED):
        wanted = str(filters.any_of(field, asked[start : start + ASKED]))
        query = {"filter": wanted, "fields[profile]": [field], "page[size]": 100}
        found = yield from paginate("get_profiles_for_list", path_params={"id": list_id}, query=query)
        written = [profile.text(field) for profile in found]
        members |= {value.lower(): value for value in written}
    return members


def _profiles(ids: Sequence[str]) -> dict[str, list[dict[str, str]]]:
    return {"data": [{"type": "profile", "id": profile_id} for profile_id in ids]}
