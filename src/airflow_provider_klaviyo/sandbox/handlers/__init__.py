"""What each operation does, by operation id. One that is not here answers with an example."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_provider_klaviyo.sandbox.call import Handler
from airflow_provider_klaviyo.sandbox.handlers import (
    accounts,
    audiences,
    bulk,
    campaigns,
    events,
    images,
    jobs,
    messages,
    profiles,
    reports,
    tags,
    templates,
    universal_content,
)

HANDLERS: Mapping[str, Handler] = {
    **accounts.HANDLERS,
    **audiences.HANDLERS,
    **bulk.HANDLERS,
    **campaigns.HANDLERS,
    **events.HANDLERS,
    **images.HANDLERS,
    **jobs.HANDLERS,
    **messages.HANDLERS,
    **profiles.HANDLERS,
    **reports.HANDLERS,
    **tags.HANDLERS,
    **templates.HANDLERS,
    **universal_content.HANDLERS,
}
