"""Requests and answers against Klaviyo's published documents."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.api.operations import operations, revisions
from airflow_provider_klaviyo.api.schemas import Problem, answer_errors, request_errors

REVISIONS = revisions()

STRATEGY = "/data/attributes/send_strategy"
DEFINITION = "/data/attributes/campaign-messages/data/0/attributes/definition"
THROTTLED = {"method": "throttled", "datetime": "2026-12-01T09:00:00Z"}


def campaign(definition: Any = None, **attributes: Any) -> dict[str, Any]:
    message = {"type": "campaign-message", "attributes": {"definition": definition or {"channel": "email"}}}
    return {
        "data": {
            "type": "campaign",
            "attributes": {
                "name": "Sale",
                "audiences": {"included": ["YzykDM"]},
                "campaign-messages": {"data": [message]},
                **attributes,
            },
        }
    }


def problem_with(body: Any, revision: str = REVISIONS[0]) -> Problem:
    problems = request_errors("create_campaign", {}, body, revision)
    assert len(problems) == 1, problems
    return problems[0]


@pytest.mark.parametrize("revision", REVISIONS)
@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"send_strategy": None},
        {"send_strategy": {"method": "immediate"}},
        {"send_strategy": {**THROTTLED, "throttle_percentage": 25}},
        {"send_strategy": {"method": "smart_send_time", "date": "2026-12-01"}},
        {"send_strategy": {"method": "static", "datetime": "2026-12-01T09:00:00", "options": None}},
        {"send_options": {"use_smart_sending": False}},
        {"tracking_options": {"is_tracking_clicks": None}},
        {"definition": {"channel": "sms", "content": {"body": "Hi"}}},
        {"definition": {"channel": "mobile_push", "content": {"title": "Hi", "body": "Ho"}}},
        {"definition": {"channel": "mobile_push", "notification_type": "silent", "kv_pairs": {"a": "b"}}},
    ],
)
def test_a_good_request_has_no_problem(attributes, revision):
    assert request_errors("create_campaign", {}, campaign(**attributes), revision) == []


def test_a_wrong_value_inside_an_alternative_is_named_with_the_allowed_ones():
    problem = problem_with(campaign(send_strategy={**THROTTLED, "throttle_percentage": 12}))
    assert problem.pointer == f"{STRATEGY}/throttle_percentage"
    assert problem.allowed == (10, 11, 13, 14, 17, 20, 25, 33, 50)
    assert "12" in problem.message


def test_what_is_allowed_depends_on_the_revision():
    body = campaign(send_strategy={**THROTTLED, "throttle_percentage": 5})
    assert request_errors("create_campaign", {}, body, "2026-04-15") != []
    assert request_errors("create_campaign", {}, body, "2026-07-15") == []


def test_an_unknown_alternative_is_reported_at_the_field_that_chooses_it():
    problem = problem_with(campaign(send_strategy={"method": "later"}))
    assert problem.pointer == f"{STRATEGY}/method"
    assert problem.allowed == ("static", "throttled", "immediate", "smart_send_time")


@pytest.mark.parametrize(
    ("attributes", "pointer", "words"),
    [
        ({"name": 5}, "/data/attributes/name", "not of type string"),
        ({"audiences": {}}, "/data/attributes/audiences/included", "is required"),
        ({"audience": {}}, "/data/attributes/audience", "not a valid field"),
        ({"send_strategy": {}}, f"{STRATEGY}/method", "is required"),
        ({"send_strategy": {"method": "static"}}, f"{STRATEGY}/datetime", "is required"),
        ({"send_strategy": {"method": "static", "datetime": "soon"}}, f"{STRATEGY}/datetime", "not a valid date-time"),
        (
            {"send_strategy": {"method": "immediate", "datetime": "2026-12-01T09:00:00Z"}},
            f"{STRATEGY}/datetime",
            "field",
        ),
        ({"definition": {"channel": "fax"}}, f"{DEFINITION}/channel", "email, sms, mobile_push"),
        (
            {"definition": {"channel": "mobile_push", "notification_type": "loud", "content": {"body": "Hi"}}},
            f"{DEFINITION}/notification_type",
            "Allowed: standard, silent",
        ),
        (
            {"definition": {"channel": "email", "render_options": {}}},
            f"{DEFINITION}/render_options",
            "not a valid field",
        ),
        (
            {"definition": {"channel": "sms", "render_options": {"shorten_links": "yes"}}},
            f"{DEFINITION}/render_options/shorten_links",
            "not of type boolean",
        ),
    ],
)
def test_a_problem_points_at_the_field_and_says_what_is_wrong(attributes, pointer, words):
    problem = problem_with(campaign(**attributes))
    assert problem.pointer == pointer
    assert words in problem.message


def test_several_problems_are_all_reported():
    problems = request_errors("create_campaign", {}, campaign(name=None, audiences={"included": [7]}))
    assert {problem.pointer for problem in problems} == {
        "/data/attributes/name",
        "/data/attributes/audiences/included/0",
    }


@pytest.mark.parametrize(
    ("query", "parameter", "words"),
    [
        ({"filter": "f", "page[size]": "500"}, "page[size]", "between 1 and 100"),
        ({"filter": "f", "page[size]": "ten"}, "page[size]", "not an integer"),
        ({"filter": "f", "sort": "status"}, "sort", "-created_at"),
        ({"filter": "f", "include": "tags,flows"}, "include", "'flows'"),
        ({"filter": "f", "fields[campaign]": ["name", "nam"]}, "fields[campaign]", "'nam'"),
        ({"filter": "f", "filters": "x"}, "filters", "not a parameter"),
        ({}, "filter", "is required"),
    ],
)
def test_a_wrong_query_parameter_is_named(query, parameter, words):
    problems = request_errors("get_campaigns", query)
    assert [problem.parameter for problem in problems] == [parameter]
    assert words in problems[0].message


def test_a_good_query_has_no_problem():
    query = {"filter": "f", "page[size]": 50, "include": "tags,campaign-messages", "fields[campaign]": "name,status"}
    assert request_errors("get_campaigns", query) == []


def test_a_body_where_none_belongs_and_none_where_one_belongs_are_problems():
    assert request_errors("delete_campaign", {}, {"data": {}})
    assert request_errors("create_campaign", {}, None)


@pytest.mark.parametrize(("name", "revision"), [("no_such_operation", REVISIONS[0]), ("get_campaign", "2020-01-01")])
def test_an_unknown_operation_or_revision_is_refused(name, revision):
    with pytest.raises(KlaviyoValidationError):
        request_errors(name, {}, None, revision)


def test_an_operation_of_a_later_revision_is_refused_in_an_earlier_one():
    with pytest.raises(KlaviyoValidationError, match="no operation 'create_object_type'"):
        request_errors("create_object_type", {}, {}, "2026-04-15")


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_operation_of_a_revision_can_be_checked(revision):
    """A schema that refers to nothing, or is not a schema, would raise."""
    for operation in operations().values():
        if revision in operation.revisions:
            request_errors(operation.id, {}, {"data": {}}, revision)
            answer_errors(operation.id, 200, {"data": {}}, revision)


def campaign_answer(**attributes: Any) -> dict[str, Any]:
    return {
        "data": {
            "type": "campaign",
            "id": "01H",
            "attributes": {
                "name": "Sale",
                "status": "Draft",
                "archived": False,
                "audiences": {"included": []},
                "send_options": {"use_smart_sending": True, "ignore_unsubscribes": False},
                "send_strategy": {"method": "unsupported"},
                "created_at": "2026-09-04T13:38:46.333844+00:00",
                "updated_at": "2026-09-04T13:38:46.333844+00:00",
                **attributes,
            },
            "links": {"self": "http://localhost/"},
        },
        "links": {"self": "http://localhost/", "next": None},
    }


def test_a_good_answer_may_have_new_fields_and_a_null_link():
    assert answer_errors("get_campaign", 200, campaign_answer(colour="red")) == []


def test_an_answer_with_a_wrong_value_is_reported_at_its_field():
    problems = answer_errors("get_campaign", 200, campaign_answer(status="Flying"))
    assert [problem.pointer for problem in problems] == ["/data/attributes/status"]


def test_attributes_may_be_missing_from_a_sparse_answer_only():
    answer = campaign_answer()
    del answer["data"]["attributes"]["name"]
    assert answer_errors("get_campaign", 200, answer, sparse=True) == []
    assert [problem.pointer for problem in answer_errors("get_campaign", 200, answer)] == ["/data/attributes/name"]


def test_an_error_answer_is_checked_against_the_error_schema():
    error = {"id": "1", "code": "invalid", "title": "Invalid input.", "detail": "No.", "status": 400}
    assert answer_errors("get_campaign", 400, {"errors": [error]}) == []
    del error["detail"]
    assert [problem.pointer for problem in answer_errors("get_campaign", 400, {"errors": [error]})] == [
        "/errors/0/detail"
    ]


def test_an_empty_answer_is_right_only_where_it_is_published():
    assert answer_errors("delete_campaign", 204, None) == []
    assert answer_errors("get_campaign", 200, None)
    assert answer_errors("delete_campaign", 204, {"data": None})
