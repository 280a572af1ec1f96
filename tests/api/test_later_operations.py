"""The operations of a revision whose document is not public: each can be called, and what is known is checked."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest

from airflow_provider_klaviyo.api.checks import check_names
from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.api.operations import Operation, get, later, match, operations, revisions
from airflow_provider_klaviyo.exceptions import KlaviyoRefusedError
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.operators.api import KlaviyoApiOperator
from tests.support.context import Task
from tests.support.scripted import Scripted, json_api

REVISION = "2026-10-15"
BODY = {"data": {"type": "thing", "attributes": {"a field": {"that": ["nobody", "knows"]}}}}
ANSWER = {"data": {"type": "thing", "id": "1", "attributes": {"more": True}}}

each = pytest.mark.parametrize("known", later().values(), ids=later())


@each
def test_it_is_found_by_its_name_and_is_no_other_operation(known: Operation) -> None:
    assert get(known.id) is known
    assert all(get(alias) is known for alias in known.aliases)
    assert known.id not in operations()
    assert known.revisions == (REVISION,)
    assert revisions()[-1] < REVISION
    assert match(known.method, known.path) is None or match(known.method, known.path)[0].path != known.path
    assert known.limits.burst > 0
    assert known.scopes


@each
def test_it_is_called_with_whatever_fields_it_is_given(known: Operation, connect: Callable[..., None]) -> None:
    call = {"path_params": dict.fromkeys(known.path_parameters, "1"), "query": {"a parameter": "x"}}
    with Scripted(json_api(known.success[0], ANSWER)) as server:
        connect(server.url)
        task = KlaviyoApiOperator(
            task_id="call",
            operation=known.id,
            revision=REVISION,
            body=None if known.method in ("GET", "DELETE") else BODY,
            **call,
        )
        assert Task(lambda: task).run() == (ANSWER if known.document else None)
    [request] = server.requests
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(f"{known.method} {known.path.replace('{id}', '1')}?a%20parameter=x ".encode())
    assert re.search(rb"\r\nrevision: 2026-10-15\r\n", head, re.IGNORECASE)
    assert not body or json.loads(body) == BODY


@each
def test_it_is_refused_in_an_older_revision_before_anything_is_sent(
    known: Operation, connect: Callable[..., None]
) -> None:
    with pytest.raises(KlaviyoValidationError, match=f"revision='{REVISION}'"):
        check_names(known.id, revision=revisions()[-1])
    with Scripted() as server:
        connect(server.url)
        with pytest.raises(KlaviyoValidationError, match=f"{known.id} is not in API revision 2026-04-15"):
            KlaviyoHook().call(known.id, path_params=dict.fromkeys(known.path_parameters, "1"))
    assert server.requests == []


def test_a_path_parameter_that_is_missing_is_an_error_when_the_dag_is_imported() -> None:
    name = next(known.id for known in later().values() if known.path_parameters)
    with pytest.raises(KlaviyoValidationError, match="path parameter 'id' is missing"):
        KlaviyoApiOperator(task_id="call", operation=name, path_params={})


def test_a_read_only_connection_refuses_its_writes(connect: Callable[..., None]) -> None:
    writes = [known for known in later().values() if known.is_write]
    assert writes
    with Scripted() as server:
        connect(server.url, read_only=True)
        hook = KlaviyoHook(revision=REVISION)
        for known in writes:
            with pytest.raises(KlaviyoRefusedError, match="read-only"):
                hook.call(known.id, path_params=dict.fromkeys(known.path_parameters, "1"))
    assert server.requests == []


def test_an_operation_of_all_revisions_is_called_in_it_too(connect: Callable[..., None]) -> None:
    with Scripted(json_api(200, {"data": []})) as server:
        connect(server.url)
        assert KlaviyoHook(revision=REVISION).call("get_lists", query={"new": "x"}).body == {"data": []}
    assert b"revision: 2026-10-15" in server.requests[0]
