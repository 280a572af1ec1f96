"""A filter that ``KlaviyoApiOperator`` is given: built or as text, and as it is understood."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from airflow_provider_klaviyo.api.filters import any_of, equals, greater_or_equal
from airflow_provider_klaviyo.exceptions import (
    KlaviyoValidationError,
)
from airflow_provider_klaviyo.operators.api import KlaviyoApiOperator
from tests.support.context import Task
from tests.support.rendering import run
from tests.support.sandbox import DRAFT_EMAIL, LIST
from tests.support.scripted import Scripted, json_api


def api_task(operation: str, *, durable: bool = True, **arguments: Any) -> Task:
    return Task(lambda: KlaviyoApiOperator(task_id="call", operation=operation, **arguments), durable=durable)


def filters_sent(server: Scripted) -> list[str]:
    return [parse_qs(urlsplit(request.split()[1].decode()).query)["filter"][0] for request in server.requests]


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("greater-than(created,2026-05-04 09:00:00+02:00)", "greater-than(created,2026-05-04T07:00:00Z)"),
        ("equals(name,'A'), greater-than(created, 2026-05-04T09:00:00+00:00)",
         'and(equals(name,"A"),greater-than(created,2026-05-04T09:00:00Z))'),
        ("any(id,['A', 'B'])", 'any(id,["A","B"])'),
        (any_of("id", ["A"]), 'any(id,["A"])'),
        ("no filter that is understood here", "no filter that is understood here"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("all_pages", [False, True])
def test_a_filters_text_is_sent_as_it_is_understood(connect, given, sent, all_pages):
    with Scripted(json_api(200, {"data": []})) as server:
        connect(server.url)
        api_task("get_lists", query={"filter": given}, all_pages=all_pages).run()
    assert filters_sent(server) == [sent]


def test_a_rendered_datetime_in_a_filter_is_sent_as_klaviyo_reads_it(connect):
    with Scripted(json_api(200, {"data": []})) as server:
        connect(server.url)
        run(
            lambda _: KlaviyoApiOperator(
                task_id="call", operation="get_lists", query={"filter": "greater-than(created,{{ dag_run.run_after }})"}
            )
        )
    (sent,) = filters_sent(server)
    assert re.fullmatch(r"greater-than\(created,\d{4}-\d\d-\d\dT[\d:.]+Z\)", sent)


def test_a_filter_is_built_and_sent(klaviyo):
    since = datetime(2022, 1, 1, tzinfo=UTC)
    wanted = equals("messages.channel", "email") & any_of("id", [DRAFT_EMAIL]) & greater_or_equal("created_at", since)
    found = api_task("get_campaigns", query={"filter": wanted}).run()
    assert [campaign["id"] for campaign in found["data"]] == [DRAFT_EMAIL]


def test_a_filter_as_text_may_hold_jinja_and_is_checked_once_rendered(klaviyo):
    query = {"filter": "equals(messages.channel,'email'),contains(nam,'{{ run_id }}')"}
    with pytest.raises(KlaviyoValidationError, match=r"contains.nam,.manual__now..*cannot filter by 'nam'"):
        api_task("get_campaigns", query=query).run()


def test_equals_takes_one_value_where_it_is_published_with_a_list(connect):
    with Scripted(json_api(200, {"data": []})) as server:
        connect(server.url)
        for wanted in (equals("email", "ada@example.com"), "equals(email,['ada@example.com'])"):
            api_task("get_profiles_for_list", path_params={"id": LIST}, query={"filter": wanted}).run()
    assert len(server.requests) == 2


def test_a_filter_that_is_not_understood_here_is_left_to_klaviyo(connect, caplog):
    with Scripted(json_api(200, {"data": []})) as server:
        connect(server.url)
        api_task("get_lists", query={"filter": "or(equals(name,'A'),equals(name,'B'))"}).run()
    assert b"filter=or%28" in server.requests[0]
    assert "left to Klaviyo" in caplog.text
