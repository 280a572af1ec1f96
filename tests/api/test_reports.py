"""Figures of campaigns: their pages, odd answers, and the patience of a request."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from airflow_provider_klaviyo.api.errors import KlaviyoAmbiguousWriteError, KlaviyoRateLimitError
from airflow_provider_klaviyo.api.limits import Budget, MemoryBookings
from airflow_provider_klaviyo.api.operations import get
from airflow_provider_klaviyo.api.reports import get_campaign_figures
from airflow_provider_klaviyo.api.request import Request
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoAsyncHook, KlaviyoHook
from tests.support.driven import drive
from tests.support.sandbox import Klaviyo

ASKED: dict[str, Any] = {
    "statistics": ["opens"],
    "timeframe": {"key": "today"},
    "conversion_metric_id": "RESQ6t",
    "group_by": ["campaign_id", "campaign_message_id"],
}
REPORT = "query_campaign_values"


def answer(results: Any, following: str | None = None) -> dict[str, Any]:
    data = {"type": "campaign-values-report", "attributes": {"results": results}}
    return {"data": data, "links": {"next": following}}


def test_all_pages_are_asked_for_with_the_same_body_and_patience():
    requests: list[Request] = []
    one = {"groupings": {"campaign_id": "C1"}, "statistics": {"opens": 1}}

    def page(request: Request) -> dict[str, Any]:
        requests.append(request)
        following = "https://a.klaviyo.com/api/campaign-values-reports?page_cursor=2"
        return answer([one], following if len(requests) == 1 else None)

    assert drive(get_campaign_figures(["C1"], **ASKED, patience=3), page) == [one, one]
    first, second = requests
    assert first.body == second.body
    assert (first.patience, second.patience) == (3, 3)
    assert "page_cursor=2" in second.target


@pytest.mark.parametrize("results", [None, {}, [None], [{"groupings": {}}], [{"groupings": [], "statistics": {}}]])
def test_figures_of_another_form_are_no_answer(results):
    with pytest.raises(KlaviyoAmbiguousWriteError, match="results is not a list of figures"):
        drive(get_campaign_figures(["C1"], **ASKED), lambda _: answer(results))


def test_an_impatient_request_is_not_slept_for_after_a_429(klaviyo: Klaviyo):
    klaviyo.fail(REPORT, "throttle", retry_after=30, times=2)
    started = time.monotonic()
    with pytest.raises(KlaviyoRateLimitError) as failed:
        KlaviyoHook().get_campaign_figures(["C1"], **ASKED, patience=5)
    assert failed.value.retry_after == 30

    async def in_the_triggerer() -> None:
        async with KlaviyoAsyncHook() as hook:
            await hook.get_campaign_figures(["C1"], **ASKED, patience=5)

    with pytest.raises(KlaviyoRateLimitError):
        asyncio.run(in_the_triggerer())
    assert time.monotonic() - started < 5
    assert klaviyo.fired() == [2]


def test_an_impatient_call_is_refused_by_the_budget_where_a_patient_one_would_wait():
    budget = Budget("A1", MemoryBookings(), share=1.0, max_wait=3600)
    operation = get(REPORT)
    assert budget.acquire(operation) == 0
    budget.charge(operation)
    with pytest.raises(KlaviyoRateLimitError, match="a call waits 5 s at most") as refused:
        budget.acquire(operation, patience=5)
    assert 50 < (refused.value.retry_after or 0) <= 61
    with pytest.raises(KlaviyoRateLimitError, match="a call waits 5 s at most"):
        asyncio.run(budget.aacquire(operation, patience=5))


def test_patience_does_not_exceed_what_the_connection_waits():
    budget = Budget("A1", MemoryBookings(), share=1.0, max_wait=0)
    operation = get(REPORT)
    budget.acquire(operation)
    with pytest.raises(KlaviyoRateLimitError, match="a call waits 0 s at most"):
        budget.acquire(operation, patience=60)
