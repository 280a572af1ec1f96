"""Every published operation of every revision answers as published: good requests, bad ones, and nonsense."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_klaviyo.api.operations import get, operations
from airflow_provider_klaviyo.api.schemas import answer_errors, request_errors
from airflow_provider_klaviyo.sandbox.handlers import HANDLERS
from airflow_provider_klaviyo.sandbox.seed import seeded
from airflow_provider_klaviyo.sandbox.served import HTTPResponse
from airflow_provider_klaviyo.sandbox.service import Klaviyo
from tests.sandbox.prepared import ELSEWHERE, ask, prepare
from tests.sandbox.valid_requests import Requests

ROUNDS = 12
EVERY = [
    pytest.param(name, revision, marks=() if revision == operation.revisions[-1] else pytest.mark.thorough)
    for name, operation in operations().items()
    for revision in operation.revisions
]
NONSENSE: list[Any] = [[], "x", 5, {}, {"data": None}, {"data": "x"}, {"data": {"type": "x", "attributes": None}}]
BAD_QUERIES = (
    {"nonsense": "1"},
    {"page[size]": "0"},
    {"page[size]": "x"},
    {"page[cursor]": "NQ=="},
    {"page[cursor]": "✓"},
    {"filter": "equals(name"},
    {"filter": "less-than(created,[1])"},
    {"filter": "has(profile)"},
    {"sort": "nonsense"},
    {"include": "nonsense"},
    {"fields[list]": "nonsense"},
)


@pytest.fixture(scope="module")
def klaviyo() -> Klaviyo:
    return Klaviyo(seeded, limits=False)


def check(name: str, revision: str, query: dict[str, str], answer: HTTPResponse) -> None:
    """The answer is a success as published, or a refusal in Klaviyo's shape."""
    assert answer.status < 500, answer.body
    sparse = any(parameter.startswith("fields[") for parameter in query)
    assert answer_errors(name, answer.status, answer.body, revision, sparse=sparse) == []


@pytest.mark.parametrize(("name", "revision"), EVERY)
def test_a_valid_request_gets_a_published_answer(klaviyo, name, revision):
    statuses = set()
    known = prepare(klaviyo)
    fresh = klaviyo.store.to_json()
    for seed in range(ROUNDS):
        klaviyo.store = type(klaviyo.store).from_json(json.loads(json.dumps(fresh)))
        requests = Requests(revision, seed, known)
        id_ = requests.id_for(name)
        query, body = requests.query(name), requests.body(name, id_)
        assert request_errors(name, query, body, revision) == []
        answer = ask(klaviyo, name, revision, requests.path(name, id_), query, body)
        check(name, revision, query, answer)
        statuses.add(answer.status)
        if name not in HANDLERS:
            assert answer.status in get(name).success, answer.body
            assert answer.headers["x-klaviyo-sandbox"] == "example"
    assert name in ELSEWHERE or statuses & set(get(name).success), statuses


@pytest.mark.parametrize(("name", "revision"), EVERY)
def test_nonsense_is_refused_in_klaviyos_shape(klaviyo, name, revision):
    requests = Requests(revision, 0, prepare(klaviyo))
    id_ = requests.id_for(name)
    path, query, body = requests.path(name, id_), requests.query(name), requests.body(name, id_)
    for bad in BAD_QUERIES:
        check(name, revision, {**query, **bad}, ask(klaviyo, name, revision, path, {**query, **bad}, body))
    assert ask(klaviyo, name, revision, path, {**query, "nonsense": "1"}, body).status == 400
    for bad in NONSENSE:
        answer = ask(klaviyo, name, revision, path, query, bad)
        check(name, revision, query, answer)
        assert answer.status == 400, (bad, answer.body)
    for raw in (b"{", b"\xff\xfe", b"[" * 100_000):
        assert ask(klaviyo, name, revision, path, query, raw).status == 400
