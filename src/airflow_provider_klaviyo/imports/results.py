"""What became of import jobs that are over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from airflow_provider_klaviyo.api.document import Resource
from airflow_provider_klaviyo.api.errors import KlaviyoError
from airflow_provider_klaviyo.api.imports import get_import_errors, get_import_job
from airflow_provider_klaviyo.audiences.keys import identifiers_of, keys_of
from airflow_provider_klaviyo.audiences.rejected import Rejection
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.imports.posting import row_of
from airflow_provider_klaviyo.imports.rejected_file import RejectedRows


@dataclass(slots=True)
class Results:
    """What jobs have done.

    :param accepted: profiles that they have imported.
    :param refused: keys of those that they have not.
    :param is_named: False if a job has not named one that it has not.
    """

    accepted: int = 0
    refused: set[bytes] = field(default_factory=set)
    is_named: bool = True


def read_results(hook: KlaviyoHook, job_ids: Sequence[str], rejected: RejectedRows) -> Results:
    """What jobs have done.

    :param rejected: takes the rows that they have not imported, and is written.
    :raises KlaviyoError: some were cancelled; the message names them.
    """
    results = Results()
    cancelled = []
    for job_id in job_ids:
        job = hook.run(get_import_job(job_id))
        results.accepted += job.completed
        if not job.is_complete:
            cancelled.append(job_id)
        if job.failed:
            for error in hook.run(get_import_errors(job_id)):
                rejection = _rejection(error, job_id)
                rejected.add(rejection)
                keys = keys_of(rejection.key)
                results.refused.update(keys[:1])
                results.is_named = results.is_named and bool(keys)
    rejected.write_to_those_before()
    if cancelled:
        raise KlaviyoError(
            f"Klaviyo cancelled {len(cancelled)} of {len(job_ids)} import jobs: {', '.join(cancelled)}. "
            f"{results.accepted:,} profiles were imported, and of theirs it is not known which. Clear this task to "
            f"import all rows again, which does no harm."
        )
    return results


def _rejection(error: Resource, job_id: str) -> Rejection:
    source, payload = error.attributes.get("source"), error.attributes.get("original_payload")
    row = row_of(source.get("pointer")) if isinstance(source, Mapping) else None
    return Rejection(
        f"Klaviyo: {error.attributes.get('detail') or error.attributes.get('title')}",
        row[1] if row else None,
        key=identifiers_of(payload) if isinstance(payload, Mapping) else {},
        job=job_id,
    )
