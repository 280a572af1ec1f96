"""Rate limits: fixed windows on the real clock, per account and operation."""

from __future__ import annotations

import time

import pytest

from airflow_provider_klaviyo.api.operations import get
from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from airflow_provider_klaviyo.sandbox.windows import ThrottledError, Windows
from tests.sandbox.sandbox_api import STILL

MINUTE = 1_800_000_000 // 60 * 60


@pytest.fixture
def limited(connect):
    with Sandbox(limits=True, speed=STILL, strict=True) as running:
        yield connect(running.url)


def wait_for_a_new_second() -> None:
    time.sleep(1.02 - time.time() % 1)


def test_a_call_too_many_is_refused_until_the_next_second(limited):
    wait_for_a_new_second()
    answers = [limited.get("/api/accounts") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 429, 429]
    refused = answers[-1]
    assert refused.headers["retry-after"] == "1"
    assert not [name for name in refused.headers if name.lower().startswith("ratelimit")]
    assert refused.json()["errors"][0]["detail"] == "Request was throttled. Expected available in 1 second."
    wait_for_a_new_second()
    assert limited.get("/api/accounts").status_code == 200


def test_all_private_keys_share_the_accounts_limits(limited, connect):
    other = connect(limited.url, key="pk_other")
    wait_for_a_new_second()
    assert [limited.get("/api/accounts").status_code, other.get("/api/accounts").status_code] == [200, 429]


def test_each_operation_has_its_own_limits(limited):
    wait_for_a_new_second()
    assert [limited.get(path).status_code for path in ("/api/accounts", "/api/accounts/Sandb0")] == [200, 200]


def test_the_headers_have_the_real_form(limited):
    wait_for_a_new_second()
    headers = limited.get("/api/lists").headers
    assert headers["ratelimit-limit"] == "75, 75;w=1, 750;w=60"
    assert headers["ratelimit-remaining"] == "74"
    assert headers["ratelimit-reset"] == "1"


def test_a_refused_key_uses_up_nothing(limited, connect):
    stranger = connect(limited.url, key="pk_invalid")
    wait_for_a_new_second()
    assert stranger.get("/api/accounts").status_code == 401
    assert limited.get("/api/accounts").status_code == 200


def test_a_profile_count_has_a_limit_of_its_own(limited):
    wait_for_a_new_second()
    query = {"additional-fields[segment]": "profile_count"}
    assert [limited.query("/api/segments/YsMa4H", query).status_code for _ in range(2)] == [200, 429]


def test_predictions_have_a_limit_of_their_own(limited):
    wait_for_a_new_second()
    query = {"additional-fields[profile]": "predictive_analytics"}
    answers = [limited.query("/api/profiles", query).status_code for _ in range(11)]
    assert answers == [200] * 10 + [429]


def test_the_minute_and_the_day_are_windows_too():
    operation = get("query_campaign_values")
    windows = Windows()
    windows.take("a", operation, operation.limits, MINUTE)
    windows.take("a", operation, operation.limits, MINUTE + 1)
    with pytest.raises(ThrottledError) as refused:
        windows.take("a", operation, operation.limits, MINUTE + 2)
    assert refused.value.retry_after == 58
    for minute in range(1, 112):
        for second in range(2):
            windows.take("a", operation, operation.limits, MINUTE + 60 * minute + second)
    windows.take("a", operation, operation.limits, MINUTE + 60 * 112)
    with pytest.raises(ThrottledError) as refused:
        windows.take("a", operation, operation.limits, MINUTE + 60 * 113)
    assert refused.value.retry_after == 86400 - (MINUTE + 60 * 113) % 86400
    windows.take("another account", operation, operation.limits, MINUTE + 60 * 113)


def test_a_daily_limit_shows_in_the_header():
    operation = get("query_campaign_values")
    headers = Windows().take("a", operation, operation.limits, MINUTE)
    assert headers["RateLimit-Limit"] == "1, 1;w=1, 2;w=60, 225;w=86400"


def test_limits_can_be_off(api):
    assert {api.get("/api/accounts").status_code for _ in range(20)} == {200}
