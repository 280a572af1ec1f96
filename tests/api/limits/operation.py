"""An operation with limits of a test's own choice."""

from __future__ import annotations

from msgspec.structs import replace

from airflow_provider_klaviyo.api import operations
from airflow_provider_klaviyo.api.operations import Limits, Operation


def operation(limits: Limits) -> Operation:
    return replace(operations.get("get_campaign"), limits=limits)
