"""Standard fields that an import cannot clear: one profile at a time."""

from __future__ import annotations

from airflow_provider_klaviyo.api.imports import clear_fields
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.imports.progress import Progress
from airflow_provider_klaviyo.imports.spool import Spool
from airflow_provider_klaviyo.never_twice.repeat import repeat


def clear_standard_fields(hook: KlaviyoHook, spool: Spool) -> None:
    """Clear them, of the profiles that are imported; the log has how many there are."""
    count = spool.count_clears()
    if not count:
        return
    hook.log.info(
        "%s profiles have standard fields to be cleared, which Klaviyo does one profile at a time, 750 a minute.",
        f"{count:,}",
    )
    progress = Progress(hook.log.info, "Cleared fields of {} profiles", count)

    def clear(identifiers: dict[str, str], fields: list[str]) -> None:
        hook.run(clear_fields(identifiers, fields))

    for done, (identifiers, fields) in enumerate(spool.clears(), start=1):
        repeat(hook.log, clear, identifiers, fields)
        progress.at(done)
    progress.end(count)
