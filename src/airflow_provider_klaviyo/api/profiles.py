"""Single profiles: read by id or by address.

Each function is a :data:`~airflow_provider_klaviyo.api.calls.Call`.
"""

from __future__ import annotations

from airflow_provider_klaviyo.api import filters
from airflow_provider_klaviyo.api.calls import Call
from airflow_provider_klaviyo.api.document import Resource
from airflow_provider_klaviyo.api.request import build


def get_profile(profile_id: str) -> Call[Resource]:
    """One profile.

    :raises KlaviyoNotFoundError: no such profile.
    """
    return (yield build("get_profile", path_params={"id": profile_id})).about("profile", profile_id)


def find_profile(email: str) -> Call[Resource | None]:
    """The profile of an address, if there is one.

    :param email: the address.
    """
    found = (yield build("get_profiles", query={"filter": str(filters.equals("email", email))})).resources
    return found[0] if found else None
