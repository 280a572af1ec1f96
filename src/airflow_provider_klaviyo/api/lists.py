"""Lists and segments: found and made by name, and the profiles on a list.

Each function is a :data:`~airflow_provider_klaviyo.api.calls.Call`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

from airflow_provider_klaviyo.api import filters
from airflow_provider_klaviyo.api.calls import Call, paginate
from airflow_provider_klaviyo.api.document import Document, Resource
from airflow_provider_klaviyo.api.errors import KlaviyoNotFoundError
from airflow_provider_klaviyo.api.request import build, following

ASKED = 50
"""Addresses that are asked for at a time: they stand in the URL, which must not grow too long."""

PER_CALL = 1_000
"""Profiles that one call puts on a list, or takes off it."""

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
    """A new segment; Klaviyo finds its members in the minutes that follow.

    :param definition: its conditions, as Klaviyo has them: ``{"condition_groups": […]}``.
    """
    attributes = {"name": name, "definition": dict(definition)}
    return (yield build("create_segment", body={"data": {"type": "segment", "attributes": attributes}})).about(
        "segment"
    )


def find_audience(audience_id: str) -> Call[Resource | None]:
    """The list or segment of an id; ``None``: there is neither."""
    for kind, operation in (("list", "get_list"), ("segment", "get_segment")):
        try:
            return (yield build(operation, path_params={"id": audience_id})).about(kind, audience_id)
        except KlaviyoNotFoundError:
            continue
    return None


def add_profiles_to_list(list_id: str, profile_ids: Sequence[str]) -> Call[None]:
    """Put at most :data:`PER_CALL` profiles on a list; one that is on it stays. Nobody's consent is changed.

    :raises KlaviyoNotFoundError: no such list.
    """
    yield build("add_profiles_to_list", path_params={"id": list_id}, body=_profiles(profile_ids))


def remove_profiles_from_list(list_id: str, profile_ids: Sequence[str]) -> Call[None]:
    """Take at most :data:`PER_CALL` profiles off a list. Nobody's consent is changed.

    :raises KlaviyoNotFoundError: no such list.
    """
    yield build("remove_profiles_from_list", path_params={"id": list_id}, body=_profiles(profile_ids))


def members_by(list_id: str, field: Literal["email", "phone_number"], values: Collection[str]) -> Call[dict[str, str]]:
    """Those of some addresses that are of profiles on a list: in lower case, and each as Klaviyo has it.

    :param field: what kind of address they are.
    :param values: the addresses.
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


def members(list_id: str, link: str | None = None) -> Call[Document]:
    """A page of 100 of the profiles on a list, with their identifiers only.

    :param link: the page, as the one before has it in :attr:`Document.next`; ``None``: the first.
    :raises KlaviyoNotFoundError: no such list.
    """
    query = {"fields[profile]": ["email", "phone_number", "external_id"], "page[size]": 100}
    request = build("get_profiles_for_list", path_params={"id": list_id}, query=query)
    return (yield request if link is None else following(request, link))


def _profiles(ids: Sequence[str]) -> dict[str, list[dict[str, str]]]:
    return {"data": [{"type": "profile", "id": profile_id} for profile_id in ids]}
