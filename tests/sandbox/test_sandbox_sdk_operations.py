"""Klaviyo's own Python SDK calls every operation it has, and its models take the sandbox's answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from klaviyo_api import KlaviyoAPI

from airflow_provider_klaviyo.api.operations import get, operations
from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from airflow_provider_klaviyo.sandbox.seed import seeded
from airflow_provider_klaviyo.sandbox.service import Klaviyo
from tests.sandbox.prepared import ELSEWHERE, PREPARATION, REVISION, prepare
from tests.sandbox.sandbox_api import STILL, Api
from tests.sandbox.valid_requests import Requests

ROUNDS = 12


def methods(sdk: KlaviyoAPI) -> dict[str, Callable[..., Any]]:
    """The SDK's methods that are operations, by operation id."""
    groups = [getattr(sdk, name) for name, value in vars(KlaviyoAPI).items() if isinstance(value, property)]
    return {name: getattr(group, name) for group in groups for name in vars(group) if name in operations()}


NAMES = sorted(name for name in methods(KlaviyoAPI("pk_test")) if REVISION in get(name).revisions)


@pytest.fixture(scope="module")
def running() -> Iterator[Api]:
    with Sandbox(limits=False, speed=STILL, strict=True) as sandbox:
        api = Api(sandbox.url)
        yield api
        api.http.close()


@pytest.fixture(scope="module")
def sdk(running: Api) -> dict[str, Callable[..., Any]]:
    return methods(KlaviyoAPI("pk_test", max_delay=1, max_retries=0, test_host=running.url))


@pytest.fixture(scope="module")
def known() -> dict[str, str]:
    """The ids of what the same requests make in any fresh account."""
    return prepare(Klaviyo(seeded, limits=False))


@pytest.fixture
def api(running: Api) -> Api:
    """A fresh account with something of every kind."""
    running.send("POST", "/sandbox/reset")
    for name, data in PREPARATION:
        assert running.send("POST", get(name).path, {"data": data}).is_success
    running.advance(60)
    return running


def test_the_sdk_calls_far_more_operations_than_campaigns_need():
    assert len(set(NAMES) - ELSEWHERE) > 280


@pytest.mark.parametrize("name", NAMES)
def test_the_sdks_models_take_the_answer(api, sdk, known, name):
    accepted = 0
    for seed in range(ROUNDS):
        requests = Requests(REVISION, seed, known)
        id_ = requests.id_for(name)
        body = requests.body(name, id_)
        given = [*[id_] * len(get(name).path_parameters), *([] if body is None else [body])]
        before = len(api.requests())
        try:
            sdk[name](*given, **requests.required_query(name))
        except Exception:
            answered = api.requests()[before:]
            assert all(entry["status"] >= 400 for entry in answered), "a success that the SDK could not read"
        else:
            accepted += 1
            break
    assert accepted or name in ELSEWHERE
