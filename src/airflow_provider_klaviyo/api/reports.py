"""Figures of campaigns, and the metrics that conversions are counted by.

Each function is a :data:`~airflow_provider_klaviyo.api.calls.Call`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from airflow_provider_klaviyo.api import filters
from airflow_provider_klaviyo.api.calls import MAX_PAGES, Call, paginate
from airflow_provider_klaviyo.api.document import Document, Resource, unanswered
from airflow_provider_klaviyo.api.errors import KlaviyoApiError
from airflow_provider_klaviyo.api.request import Request, build, following

AT_ONCE = 100
"""Campaigns that one report is filtered by at most."""


def get_metrics() -> Call[list[Resource]]:
    """All metrics of the account. Several may have one name, each of another integration."""
    return (yield from paginate("get_metrics"))


def get_campaign_figures(
    campaign_ids: Sequence[str],
    *,
    statistics: Sequence[str],
    timeframe: Mapping[str, str],
    conversion_metric_id: str,
    group_by: Sequence[str],
    patience: float | None = None,
) -> Call[list[dict[str, Any]]]:
    """Statistics of at most 100 campaigns, as Klaviyo groups them: ``{"groupings": {…}, "statistics": {…}}``.

    A campaign of which nothing was sent in the timeframe has none.

    :param statistics: Klaviyo's names of them, such as ``opens`` and ``conversion_value``.
    :param timeframe: ``{"key": …}``, or ``{"start": …, "end": …}``, which Klaviyo reads in the account's time zone.
    :param conversion_metric_id: the metric that counts as a conversion.
    :param group_by: what each row is for, such as ``campaign_id``.
    :param patience: seconds that it waits for the rate limit at most; 1/s, 2/min and 225/day per account.
    :raises KlaviyoRateLimitError: that would take longer; ``retry_after`` has for how long.
    """
    attributes = {
        "statistics": list(statistics),
        "timeframe": dict(timeframe),
        "conversion_metric_id": conversion_metric_id,
        "group_by": list(group_by),
        "filter": str(filters.contains_any("campaign_id", campaign_ids)),
    }
    body = {"data": {"type": "campaign-values-report", "attributes": attributes}}
    request = replace(build("query_campaign_values", body=body), patience=patience)
    results: list[dict[str, Any]] = []
    for _ in range(MAX_PAGES):
        document = yield request
        results += _results(request, document)
        if document.next is None:
            return results
        request = replace(following(request, document.next), patience=patience)
    raise KlaviyoApiError(f"More than {MAX_PAGES} pages.", call=str(request))


def _results(request: Request, document: Document) -> list[dict[str, Any]]:
    """:raises KlaviyoApiError: they are not of the form that Klaviyo publishes."""
    data = document.body.get("data")
    attributes = data.get("attributes") if isinstance(data, Mapping) else None
    results = attributes.get("results") if isinstance(attributes, Mapping) else None
    if not isinstance(results, list) or not all(_is_result(one) for one in results):
        raise unanswered(request, "answered in a form that it does not publish: results is not a list of figures")
    return results


def _is_result(one: Any) -> bool:
    return isinstance(one, dict) and all(isinstance(one.get(name), dict) for name in ("groupings", "statistics"))
