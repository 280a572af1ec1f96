"""A revision whose document is not public: each of its operations can be called, and what is known is checked."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest

from airflow_provider_klaviyo.api.checks import check_names
from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.api.filters import equals
from airflow_provider_klaviyo.api.message import TAKES_A_FILE
from airflow_provider_klaviyo.api.operations import Operation, get, later, match, operations, revisions
from airflow_provider_klaviyo.exceptions import KlaviyoRefusedError
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.operators.api import KlaviyoApiOperator
from tests.support.context import Task
from tests.support.hooks import asynchronous, synchronous
from tests.support.scripted import Scripted, http, json_api

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


EVERY = {**operations(), **later()}


def of_browsers(known: Operation) -> bool:
    """True for an operation that Klaviyo's SDK has in no revision: if this one has it is not known."""
    return known.path.startswith("/client/") and known.id != "get_client_ip_allowlist"


def test_the_revision_has_423_operations_by_klaviyos_sdk() -> None:
    assert len([known for known in EVERY.values() if not of_browsers(known)]) == 423
    assert len([known for known in EVERY.values() if of_browsers(known)]) == 11
    assert len({(known.method, known.path) for known in EVERY.values()}) == len(EVERY)


@pytest.mark.parametrize("known", EVERY.values(), ids=EVERY)
def test_each_operation_is_called_with_whatever_it_is_given(
    known: Operation, connect: Callable[..., None], tmp_path: Path
) -> None:
    made_up = random.Random(known.id)
    ids = {name: "".join(made_up.choices("aZ09é /?#%&=", k=8)) + "x" for name in known.path_parameters}
    query = {
        f"fields[{made_up.randrange(10**6)}]": ["a", "b"],
        "filter": 'new(x,"é&=")',
        "flag": made_up.random() < 0.5,
    }
    body = None if known.method in ("GET", "DELETE") else {**BODY, "more": [made_up.random(), None, {"é": True}]}
    if known.id in TAKES_A_FILE:
        picture = tmp_path / "picture.png"
        picture.write_bytes(b"a picture")
        body = {"file": str(picture), "more": "x"}
    arguments: dict[str, Any] = {"path_params": ids, "query": query, "body": body}
    status = known.success[0]
    answer = json_api(status, ANSWER) if known.document else http(status)
    with Scripted(*[answer] * 3) as server:
        connect(server.url, revision=REVISION)
        task = KlaviyoApiOperator(task_id="call", operation=known.id, revision=REVISION, **arguments)
        assert Task(lambda: task).run() == (ANSWER if known.document else None)
        for call in (synchronous, asynchronous):
            assert call("call", {"operation": known.id, **arguments}).status == status
    assert len(server.requests) == 3
    for request in server.requests:
        head, _, content = request.partition(b"\r\n\r\n")
        method, target, _ = head.partition(b"\r\n")[0].decode().split(" ")
        path, _, asked = target.partition("?")
        assert method == known.method
        assert [unquote(part) for part in path.split("/")] == [
            ids.get(part.strip("{}"), part) for part in known.path.split("/")
        ]
        assert dict(parse_qsl(asked)) == {
            name: ",".join(value) if isinstance(value, list) else str(value).lower() if name == "flag" else value
            for name, value in query.items()
        }
        assert re.findall(rb"\r\nrevision: (.*)", head, re.IGNORECASE) == [REVISION.encode() + b"\r"]
        if known.id in TAKES_A_FILE:
            assert b"a picture" in content
        else:
            assert (json.loads(content) if content else None) == body


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


def test_what_only_the_connections_revision_has_is_given_on_the_task_too_or_rendered(
    connect: Callable[..., None],
) -> None:
    for query in ({"new": "x"}, {"filter": equals("new", "x")}):
        with pytest.raises(KlaviyoValidationError, match="give it on the task, too"):
            KlaviyoApiOperator(task_id="call", operation="get_lists", query=query)
    with Scripted(json_api(200, {"data": []})) as server:
        connect(server.url, revision=REVISION)
        task = Task(lambda: KlaviyoApiOperator(task_id="call", operation="{{ 'get_' ~ 'lists' }}", query={"new": "x"}))
        assert task.run() == {"data": []}
    assert server.requests[0].startswith(b"GET /api/lists?new=x ")
