"""What Airflow's metrics tell of calls to Klaviyo."""

from __future__ import annotations

from airflow_provider_klaviyo.api.operations import Operation
from airflow_provider_klaviyo.compat import Stats


def count(operation: Operation, status: int | None, waited: float) -> None:
    """Count one exchange.

    :param status: HTTP status; ``None`` when no answer was had.
    :param waited: seconds that it waited for its turn.
    """
    tags = {"operation": operation.id}
    Stats.incr("klaviyo.api.requests", tags={**tags, "status": str(status or "none")})
    if status == 429:
        Stats.incr("klaviyo.api.throttled", tags=tags)
    if waited:
        Stats.timing("klaviyo.api.wait_seconds", waited * 1000, tags=tags)
