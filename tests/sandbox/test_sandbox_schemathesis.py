"""Schemathesis reads the published document and asks the sandbox whatever it allows, and whatever it does not.

In the newest revision, which has every operation; test_sandbox_every_operation.py goes over all revisions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from airflow_provider_klaviyo.api.operations import operations, revisions
from airflow_provider_klaviyo.api.schemas import answer_errors
from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from tests.sandbox.openapi_document import rebuilt
from tests.sandbox.sandbox_api import STILL

REVISIONS = revisions()

EXAMPLES = 1
"""Requests of each kind per operation. More take longer: 12 are 200 s."""

NEWEST = REVISIONS[-1]
PUBLISHED = {
    found.ok().definition.raw["operationId"]: found.ok()
    for found in schemathesis.openapi.from_dict(rebuilt(NEWEST)).get_all_operations()
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with Sandbox(limits=False, speed=STILL, strict=True) as sandbox:
        yield sandbox.url


def ask(operation: Any, mode: GenerationMode, url: str) -> list[Any]:
    """Send generated requests, each with its answer."""
    answers = []

    @seed(1)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def run(case: Any) -> None:
        headers = {"Authorization": "Klaviyo-API-Key pk_test", "revision": NEWEST}
        answers.append((case, case.call(base_url=url, headers=headers)))

    run()
    return answers


def test_every_operation_is_asked():
    assert PUBLISHED.keys() == operations().keys()


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.thorough if number % 5 else ()) for number, name in enumerate(PUBLISHED)],
)
def test_no_request_meets_a_failure_or_an_answer_that_is_not_as_published(url, name):
    operation = PUBLISHED[name]
    answers = ask(operation, GenerationMode.POSITIVE, url)
    try:
        answers += ask(operation, GenerationMode.NEGATIVE, url)
    except Unsatisfiable:
        assert "body" not in operation.definition.raw  # a path alone cannot be wrong
    assert answers
    for case, answer in answers:
        assert answer.status_code < 500, answer.text
        body = answer.json() if answer.content else None
        if answer.status_code in (404, 405) and "errors" in (body or {}):
            continue  # the path made up may be none
        sparse = any(parameter.startswith("fields[") for parameter in case.query or {})
        assert answer_errors(name, answer.status_code, body, NEWEST, sparse=sparse) == []
