"""Bulk imports of profiles: the jobs, and what went wrong in them.

Each function is a :data:`~airflow_provider_klaviyo.api.calls.Call`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_klaviyo.api import filters
from airflow_provider_klaviyo.api.calls import Call, paginate
from airflow_provider_klaviyo.api.document import Resource
from airflow_provider_klaviyo.api.errors import KlaviyoNotFoundError
from airflow_provider_klaviyo.api.lists import get_list
from airflow_provider_klaviyo.api.request import build

JOB = "profile-bulk-import-job"


@dataclass(frozen=True, slots=True)
class ImportJob:
    """A job as it was seen.

    :param status: Klaviyo's word for it.
    :param completed: profiles that were imported so far.
    :param failed: rows that were not.
    """

    id: str
    status: str
    completed: int
    failed: int

    @property
    def is_over(self) -> bool:
        return self.is_complete or self.status.lower().startswith("cancel")

    @property
    def is_complete(self) -> bool:
        """True if each row was imported, or is among the errors."""
        return self.status.lower() == "complete"


def import_profiles(content: bytes) -> Call[str]:
    """Begin a job that makes or changes up to 10,000 profiles. Twice leaves the same profiles as once.

    :param content: the whole document, as JSON.
    :returns: the job's id.
    :raises KlaviyoValidationError: a row, or a list, is not as Klaviyo wants it; no job was made.
    """
    return (yield build("bulk_import_profiles", content=content)).about(JOB).id


def get_import_job(job_id: str) -> Call[ImportJob]:
    """A job as it stands. Jobs are kept for some seven days.

    :raises KlaviyoNotFoundError: there is no such job (any more).
    """
    query = {f"fields[{JOB}]": ["status", "completed_count", "failed_count"]}
    document = yield build("get_bulk_import_profiles_job", path_params={"job_id": job_id}, query=query)
    job = document.about(JOB)
    return ImportJob(job.id, job.text("status"), job.number("completed_count"), job.number("failed_count"))


def jobs_that_join(list_id: str) -> Call[list[str]]:
    """Ids of the jobs that are not over, and put profiles on a list. One request, and one for each job."""
    wanted = filters.any_of("status", ["queued", "processing"])
    query = {"filter": str(wanted), f"fields[{JOB}]": ["status"], "page[size]": 100}
    found = []
    for job in (yield from paginate("get_bulk_import_profiles_jobs", query=query)):
        lists = yield build("get_list_ids_for_bulk_import_profiles_job", path_params={"id": job.id})
        if any(one.id == list_id for one in lists.resources):
            found.append(job.id)
    return found


def get_import_errors(job_id: str) -> Call[list[Resource]]:
    """All rows of a job that were not imported, each with what was wrong with it: 100 a page."""
    query = {"page[size]": 100}
    return (yield from paginate("get_errors_for_bulk_import_profiles_job", path_params={"id": job_id}, query=query))


def names_of_lists(list_ids: Collection[str]) -> Call[dict[str, str]]:
    """The names of those of some lists that there are, by id. One request a list.

    A list that there is not is left out.
    """
    found = {}
    for list_id in list_ids:
        try:
            found[list_id] = (yield from get_list(list_id)).name
        except KlaviyoNotFoundError:
            continue
    return found


def clear_fields(identifiers: Mapping[str, str], fields: Collection[str]) -> Call[None]:
    """Clear standard fields of one profile, which a bulk import cannot; a profile that is not there is made.

    :param fields: such as ``title`` or ``location.city``.
    """
    attributes: dict[str, Any] = {name: value for name, value in identifiers.items() if name != "id"}
    for name in fields:
        first, _, second = name.partition(".")
        if second:
            attributes.setdefault(first, {})[second] = None
        else:
            attributes[first] = None
    data = {"type": "profile", "attributes": attributes}
    if "id" in identifiers:
        data["id"] = identifiers["id"]
    yield build("create_or_update_profile", body={"data": data})
