"""What each operation does, by operation id. One that is not here answers with an example."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_provider_klaviyo.sandbox.handlers import (
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
)
from airflow_provider_klaviyo.sandbox.handlers.reading import many, one
from airflow_provider_klaviyo.sandbox.served import Handler

HANDLERS: Mapping[str, Handler] = {
    "get_accounts": many("account"),
    "get_account": one("account"),
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
}
