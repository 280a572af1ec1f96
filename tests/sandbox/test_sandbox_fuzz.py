"""Thousands of bent requests at every operation, control and page, on one account: never a 5xx, and a refused request
leaves everything as it was. More seeds (SANDBOX_FUZZ_SEEDS) take longer: one is 20 s."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from typing import Any

import httpx
import pytest

from airflow_provider_klaviyo.api.operations import operations, revisions
from tests.sandbox.hostile import Target
from tests.sandbox.mutations import EXACT, HEADERS, NUMBERS, TEXTS, Asked, Mutations
from tests.sandbox.prepared import prepare

REVISIONS = revisions()

SEEDS = range(int(os.environ.get("SANDBOX_FUZZ_SEEDS", "1")))
PATHS = ("/", "/sandbox/state", "/sandbox/sends", "/sandbox/requests", "/sandbox/faults", "/sandbox/clock", "/page/x")


def control(chance: random.Random) -> Asked:
    """A request to a control or the page."""
    number = chance.choice((*map(repr, NUMBERS), *EXACT, "3", "0.5", "100000", '"1"', "[]"))
    asked = Asked("POST", b"/sandbox/clock", {}, f'{{"advance": {number}}}'.encode())
    match chance.randrange(4):
        case 0:
            name = chance.choice(("seconds", "times", "skip", "status", "retry_after", "reads", "fault", "operation"))
            rule = f'{{"operation": "get_account", "skip": 1000000, "fault": "garbage", "{name}": {number}}}'
            asked = Asked("POST", b"/sandbox/faults", {}, rule.encode())
        case 1:
            text = chance.choice(TEXTS).encode(errors="replace")
            query = b"".join(b"%%%02x" % byte for byte in text[:500])
            asked = Asked("GET", b"/sandbox/state?open=%s&reader=%s&campaigns=%s&requests=%s" % ((query,) * 4))
        case 2:
            asked = Asked("GET", chance.choice(PATHS).encode())
    if chance.random() < 0.2:
        name, value = chance.choice(HEADERS)
        asked.headers = {name: value}
    return asked


def send(target: Target, asked: Asked) -> httpx.Response:
    request = target.api.http.build_request(
        asked.method,
        "/",
        headers=list(asked.headers.items()),
        content=asked.content,
        extensions={"target": asked.target},
    )
    if not asked.target.startswith((b"/api", b"/client")):
        del request.headers["authorization"], request.headers["revision"]
    return target.api.http.send(request)


def check_answer(target: Target, asked: Asked, before: str) -> tuple[int, str]:
    """The answer's status, and what the sandbox holds after it."""
    answer = send(target, asked)
    assert answer.status_code < 500, (asked, answer.text)
    after = state(target)
    assert answer.status_code < 400 or after == before, (asked, answer.text)
    if "json" in answer.headers.get("content-type", "") and answer.content:
        json.loads(answer.content, parse_constant=pytest.fail)
    return answer.status_code, after


def state(target: Target) -> str:
    server = target.sandbox._server
    return json.dumps([server.klaviyo.store.to_json(), server.faults.rows()])


@pytest.mark.parametrize(
    "revisions", [REVISIONS[-1:], pytest.param(REVISIONS, marks=pytest.mark.thorough)], ids=["newest", "all"]
)
@pytest.mark.parametrize("seed", SEEDS)
def test_no_request_is_met_by_a_failure_or_leaves_half_of_itself(target, seed, revisions):
    chance = random.Random(seed)
    klaviyo = target.sandbox._server.klaviyo
    statuses: Counter[int] = Counter()
    committed = 0
    for revision in revisions:
        known = prepare(klaviyo)
        mutations = Mutations(revision, seed, known)
        names = [name for name, operation in operations().items() if revision in operation.revisions]
        chance.shuffle(names)
        before = state(target)
        for name in names:
            for asked in (*(mutations.request(name) for _ in range(2)), control(chance)):
                status, after = check_answer(target, asked, before)
                statuses[status] += 1
                committed += after != before
                if target.sandbox._server.faults.rows():
                    target.sandbox._server.faults.clear()
                    after = state(target)
                before = after
            known |= latest(klaviyo)
    assert committed > 12 * len(revisions), statuses
    assert statuses[200] > 120 * len(revisions), statuses
    assert statuses[400] > 120 * len(revisions), statuses


def latest(klaviyo: Any) -> dict[str, str]:
    """The newest id of each type, so that what was made is used."""
    return {type_: next(reversed(resources)) for type_, resources in klaviyo.store.resources.items() if resources}
