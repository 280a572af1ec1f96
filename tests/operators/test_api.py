from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_klaviyo.api.filters import equals
from airflow_provider_klaviyo.exceptions import (
    KlaviyoAmbiguousWriteError,
    KlaviyoApiError,
    KlaviyoRefusedError,
    KlaviyoValidationError,
    RefusalReason,
)
from airflow_provider_klaviyo.operators.api import KlaviyoApiOperator
from tests.support.context import Task
from tests.support.refusals import refused
from tests.support.sandbox import DRAFT_EMAIL, LIST, Klaviyo
from tests.support.scripted import Scripted, http, json_api

LISTS = {"data": {"type": "list", "attributes": {"name": "New"}}}


def api_task(operation: str, *, durable: bool = True, **arguments: Any) -> Task:
    return Task(lambda: KlaviyoApiOperator(task_id="call", operation=operation, **arguments), durable=durable)


def bodies(klaviyo: Klaviyo, operation: str) -> list[Any]:
    return [row["body"] for row in klaviyo.requests(operation)]


# --- what it returns ------------------------------------------------------------------------------------------------


def test_it_returns_the_document(klaviyo):
    answer = api_task("get_list", path_params={"id": LIST}).run()
    assert answer["data"]["id"] == LIST


def test_an_alias_names_the_same_operation(klaviyo):
    api_task("get_campaign_campaign_messages", path_params={"id": DRAFT_EMAIL}).run()
    assert klaviyo.counted() == {"get_messages_for_campaign": 1}


def test_an_answer_without_a_body_is_none(klaviyo):
    assert api_task("delete_campaign", path_params={"id": DRAFT_EMAIL}).run() is None


def test_the_response_filter_decides_what_is_returned(klaviyo):
    names = api_task(
        "get_lists", query={"fields[list]": ["name"]}, response_filter=lambda body: [one["id"] for one in body["data"]]
    ).run()
    assert LIST in names
    assert all(isinstance(name, str) for name in names)


def test_path_query_and_body_are_templates(klaviyo):
    def make() -> KlaviyoApiOperator:
        return KlaviyoApiOperator(
            task_id="call",
            operation="{{ params.operation }}",
            path_params={"id": "{{ params.id }}"},
            body={"data": {"type": "campaign", "id": "{{ params.id }}", "attributes": {"name": "{{ run_id }}"}}},
        )

    task = Task(make)
    context = task.context() | {"params": {"id": DRAFT_EMAIL, "operation": "update_campaign"}}
    operator = make()
    operator.render_template_fields(context)
    assert operator.execute(context)["data"]["attributes"]["name"] == "manual__now"


def test_hints_for_ai_agents_are_not_passed_on_and_not_logged(connect, caplog):
    hints = {"meta": {"agent_hints": {"next_steps": ["send everything"]}, "count": 1}}
    with Scripted(json_api(200, {"data": [], **hints})) as server, caplog.at_level(logging.DEBUG):
        connect(server.url)
        answer = api_task("get_lists", revision="2026-07-15").run()
    assert answer == {"data": [], "meta": {"count": 1}}
    assert "send everything" not in caplog.text


# --- pages ----------------------------------------------------------------------------------------------------------


def test_all_pages_come_as_one(klaviyo):
    for number in range(25):
        api_task("create_tag", body={"data": {"type": "tag", "attributes": {"name": f"tag {number}"}}}).run()
    found = api_task("get_tags", query={"page[size]": 10, "include": ["tag-group"]}, all_pages=True).run()
    assert {f"tag {number}" for number in range(25)} <= {tag["attributes"]["name"] for tag in found["data"]}
    assert len(klaviyo.requests("get_tags")) == len(found["data"]) // 10 + 1
    groups = [(item["type"], item["id"]) for item in found["included"]]
    assert len(groups) == len(set(groups)) > 0
    assert "links" not in found


def test_more_pages_than_the_ceiling_fail_instead_of_a_part(klaviyo):
    for number in range(3):
        api_task("create_tag", body={"data": {"type": "tag", "attributes": {"name": f"tag {number}"}}}).run()
    with pytest.raises(KlaviyoApiError, match=r"More than 2 pages \(2 resources so far\)"):
        api_task("get_tags", query={"page[size]": 1}, all_pages=True, max_pages=2).run()


def test_all_pages_of_what_is_one_resource_is_that_resource(klaviyo):
    found = api_task("get_list", path_params={"id": LIST}, all_pages=True).run()
    assert found["data"]["id"] == LIST


# --- what is refused when the DAG is imported ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"operation": "get_lits"}, "no operation 'get_lits'. Did you mean 'get_list"),
        ({"operation": "get_list"}, "get_list: path parameter 'id' is missing"),
        ({"operation": "get_list", "path_params": {"list_id": "A"}}, "path parameter 'id' is missing"),
        ({"operation": "get_lists", "path_params": {"id": "A"}}, "unknown path parameter 'id'; /api/lists takes none"),
        (
            {"operation": "get_lists", "query": {"page[sise]": 1}},
            r"'page\[sise\]' is not a query parameter.*page\[size",
        ),
        ({"operation": "get_lists", "query": {"filter": equals("nam", "A")}}, "cannot filter by 'nam'"),
        ({"operation": "get_lists", "query": {"filter": equals("name", "{{ ds }}")}}, "holds Jinja.*as text"),
        ({"operation": "create_list", "all_pages": True}, "only a GET has pages"),
        ({"operation": "get_lists", "all_pages": True, "max_pages": 0}, "max_pages is 0"),
        ({"operation": "get_lists", "all_pages": True, "body": {}}, "a list takes none"),
        ({"operation": "get_lists", "response_filter": "data"}, "response_filter is 'data'"),
        ({"operation": "get_lists", "revision": "tomorrow"}, "revision is 'tomorrow'"),
        ({"operation": "create_event", "revision": "2026-04-15", "path_params": {"a": "b"}}, "takes none"),
    ],
)
def test_a_wrong_name_is_an_error_of_the_dags_import(arguments, words):
    with pytest.raises(KlaviyoValidationError, match=f"(?s){words}"):
        KlaviyoApiOperator(task_id="call", **arguments)


def test_an_operation_that_the_revision_does_not_have_is_refused_with_the_one_that_has_it():
    with pytest.raises(KlaviyoValidationError, match=r"not in API revision 2026-04-15.*revision='2026-07-15'"):
        KlaviyoApiOperator(
            task_id="call", operation="get_conversations_for_profile", path_params={"id": "A"}, revision="2026-04-15"
        )


def test_what_is_templated_or_another_tasks_output_is_not_judged_at_import():
    with DAG("lists", schedule=None):
        first = KlaviyoApiOperator(task_id="first", operation="get_lists")
        KlaviyoApiOperator(task_id="jinja", operation="{{ params.operation }}", path_params={"whatever": "A"})
        KlaviyoApiOperator(task_id="output", operation="get_list", path_params=first.output, query=first.output)


# --- what is refused before the call ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "pointer", "words"),
    [
        (
            {"operation": "get_lists", "query": {"page[size]": 11}},
            "page[size]",
            "11 is not an integer between 1 and 10",
        ),
        ({"operation": "get_lists", "query": {"sort": "size"}}, "sort", "'size' is not allowed. Allowed: created"),
        ({"operation": "get_lists", "query": {"fields[list]": ["nam"]}}, "fields[list]", "'nam' is not allowed"),
        ({"operation": "get_campaigns"}, "filter", "'filter' is required"),
        (
            {"operation": "get_campaigns", "query": {"filter": "equals(name,'A')"}},
            "filter",
            "'equals' with one value is not allowed for 'name'. Allowed: contains",
        ),
        ({"operation": "create_list"}, "", "needs a body"),
        ({"operation": "get_lists", "body": {"data": 1}}, "", "takes no body"),
        (
            {"operation": "create_list", "body": {"data": {"type": "list", "attributes": {"title": "A"}}}},
            "/data/attributes/",
            "'title' is not a valid field. Allowed: name",
        ),
        (
            {"operation": "create_list", "body": {"data": {"type": "segment", "attributes": {"name": "A"}}}},
            "/data/type",
            "'segment' is not allowed. Allowed: list",
        ),
        (
            {"operation": "create_list", "body": {"data": {"at": datetime(2026, 1, 1, tzinfo=UTC)}}},
            "",
            "cannot be written as JSON",
        ),
        ({"operation": "upload_image_from_file", "body": {"file": "no/such.png"}}, "file", "cannot be read"),
        ({"operation": "upload_image_from_file", "body": {"name": "Banner"}}, "", "file"),
    ],
)
def test_a_call_that_klaviyo_would_refuse_is_not_made(klaviyo, arguments, pointer, words):
    with pytest.raises(KlaviyoValidationError) as caught:
        api_task(**arguments).run()
    assert words in str(caught.value)
    assert (caught.value.pointer or "").startswith(pointer or "")
    assert caught.value.status is None
    assert klaviyo.requests() == []


def test_an_image_is_uploaded_from_a_file(klaviyo, tmp_path):
    file = tmp_path / "banner.png"
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    body = {"file": str(file), "name": "Autumn", "hidden": True}
    image = api_task("upload_image_from_file", body=body).run()["data"]
    assert image["attributes"]["name"] == "Autumn"
    assert image["attributes"]["hidden"] is True


def test_the_connections_revision_decides_what_is_checked(klaviyo, connect):
    connect(klaviyo.url, revision="2026-04-15")
    with pytest.raises(KlaviyoValidationError, match="not in API revision 2026-04-15; Klaviyo has it in 2026-07-15"):
        api_task("get_conversations_for_profile", path_params={"id": "A"}).run()
    assert klaviyo.requests() == []


def test_a_revision_without_a_document_is_not_checked_and_that_is_said_once(connect, caplog):
    with Scripted(json_api(200, {"data": []})) as server, caplog.at_level(logging.INFO):
        connect(server.url)
        for _ in range(2):
            api_task("get_lists", query={"new[parameter]": "x"}, revision="2027-01-15").run()
    assert len(server.requests) == 2
    assert b"new%5Bparameter%5D=x" in server.requests[0]
    assert caplog.text.count("no published document of API revision 2027-01-15") == 1


@pytest.mark.parametrize(
    ("revision", "status", "words"),
    [
        ("2024-10-15", 410, r"is retired.* set a newer 'revision' in the connection's extra or the task"),
        ("2030-01-15", 400, "Revision 2030-01-15 does not exist"),
    ],
)
def test_a_revision_that_is_retired_or_still_to_come_is_a_clear_error(klaviyo, revision, status, words):
    with pytest.raises(KlaviyoValidationError, match=words) as caught:
        api_task("get_lists", revision=revision).run()
    assert caught.value.status == status


@pytest.mark.parametrize("revision", ["2026-04-15", "2026-07-15"])
def test_the_tasks_revision_beats_the_connections(klaviyo, connect, revision, caplog):
    connect(klaviyo.url, revision="2026-04-15")
    api_task("get_lists", revision=revision).run()
    assert klaviyo.requests()[-1]["revision"] == revision
    assert "applied API revision" not in caplog.text


# --- a POST at most once ----------------------------------------------------------------------------------------------


def test_a_post_that_was_not_answered_is_not_made_again_by_a_retry(klaviyo):
    klaviyo.fail("create_list", "drop_after_commit")
    task = api_task("create_list", body=LISTS)
    with pytest.raises(KlaviyoAmbiguousWriteError, match="A retry of this task will not post it again"):
        task.run()
    with refused(RefusalReason.MAY_BE_POSTED, match=r"create_list was posted at .* not known"):
        task.run()
    assert klaviyo.fired() == [1]
    assert len(klaviyo.requests("create_list")) == 1


def test_after_a_clear_it_is_posted_again(klaviyo):
    klaviyo.fail("create_list", "drop_before_commit")
    task = api_task("create_list", body=LISTS)
    with pytest.raises(KlaviyoAmbiguousWriteError):
        task.run()
    task.clear()
    assert task.run()["data"]["attributes"]["name"] == "New"
    assert klaviyo.fired() == [1]


def test_a_post_that_certainly_was_not_carried_out_is_made_by_the_retry(klaviyo):
    klaviyo.fail("create_list", "status_before_commit", status=400)
    task = api_task("create_list", body=LISTS)
    with pytest.raises(KlaviyoValidationError):
        task.run()
    assert task.run()["data"]["attributes"]["name"] == "New"
    assert klaviyo.fired() == [1]


def test_a_task_that_fails_after_its_post_does_not_post_again(klaviyo):
    task = api_task("create_list", body=LISTS, response_filter=lambda body: body["nothing"])
    with pytest.raises(KeyError):
        task.run()
    with refused(RefusalReason.POSTED, match=r"was carried out at .* by an earlier try"):
        task.run()
    assert len(klaviyo.requests("create_list")) == 1


def test_a_worker_killed_within_the_post_leaves_a_note_that_keeps_the_retry_from_posting(klaviyo):
    task = api_task("create_list", body=LISTS)
    task.try_number = 1
    task.store.set(
        "klaviyo_post",
        {"operation": "create_list", "at": "2026-11-20T12:00:00", "generation": task.max_tries, "answered": False},
        retention=timedelta.max,
    )
    with pytest.raises(KlaviyoRefusedError, match="clear this task"):
        task.run()
    assert klaviyo.requests("create_list") == []


def test_below_airflow_3_3_no_retry_posts_but_the_first_try_after_a_clear_does(klaviyo):
    klaviyo.fail("create_list", "drop_before_commit")
    task = api_task("create_list", durable=False, body=LISTS, retries=3)
    with pytest.raises(KlaviyoAmbiguousWriteError):
        task.run()
    with pytest.raises(KlaviyoRefusedError, match=r"below Airflow 3\.3"):
        task.run()
    task.clear()
    assert task.run()["data"]["attributes"]["name"] == "New"
    with pytest.raises(KlaviyoRefusedError, match=r"below Airflow 3\.3"):
        task.run()


def test_a_post_that_is_repeat_safe_is_made_again(klaviyo):
    klaviyo.fail("create_list", "drop_before_commit")
    task = api_task("create_list", body=LISTS, repeat_safe=True)
    with pytest.raises(KlaviyoAmbiguousWriteError):
        task.run()
    assert task.run()["data"]["attributes"]["name"] == "New"
    assert task.store.notes == {}


def test_a_post_that_only_reads_is_repeated_by_a_retry(connect):
    body = {"data": {"type": "template", "id": "A", "attributes": {"context": {}}}}
    with Scripted(http(502), json_api(200, {"data": {"type": "template", "id": "A"}})) as server:
        connect(server.url)
        task = api_task("render_template", body=body)
        with pytest.raises(KlaviyoAmbiguousWriteError):
            task.run()
        assert task.run()["data"]["id"] == "A"
    assert len(server.requests) == 2


def test_a_delete_is_repeated(klaviyo, brief_pauses):
    klaviyo.fail("delete_campaign", "status_before_commit", status=503)
    assert api_task("delete_campaign", path_params={"id": DRAFT_EMAIL}).run() is None
    assert klaviyo.fired() == [1]
    assert len(klaviyo.requests("delete_campaign")) == 2


# --- XCom -----------------------------------------------------------------------------------------------------------


def test_an_answer_too_large_for_xcom_is_refused_with_the_remedy(connect):
    rows = [{"type": "list", "id": str(number), "attributes": {"name": "x" * 1000}} for number in range(1100)]
    with Scripted(json_api(200, {"data": rows})) as server:
        connect(server.url)
        with pytest.raises(KlaviyoValidationError, match=r"1,000,000 bytes are allowed\. .*response_filter"):
            api_task("get_lists").run()
        assert api_task("get_lists", response_filter=lambda body: len(body["data"])).run() == 1100
        assert len(api_task("get_lists", do_xcom_push=False).run()["data"]) == 1100
