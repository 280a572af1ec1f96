"""The extra ``rate_limit``: calls keep to the account's limits, whichever key and process makes them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import time_machine

from airflow_provider_klaviyo.exceptions import KlaviyoRateLimitError, KlaviyoValidationError
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoAsyncHook, KlaviyoHook
from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from tests.support.sandbox import DRAFT_EMAIL

Connect = Callable[..., KlaviyoHook]


@pytest.fixture(scope="module")
def limited() -> Iterator[Sandbox]:
    """A sandbox with Klaviyo's limits."""
    with Sandbox(limits=True, strict=True) as running:
        yield running


@pytest.fixture
def connect(limited: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Connect:
    """Makes a hook whose connection has the extra; its budget is kept in a directory of the test's own."""
    httpx.post(f"{limited.url}/sandbox/reset").raise_for_status()
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))

    def hook(key: str, url: str = limited.url, **extra: Any) -> KlaviyoHook:
        connection = {"conn_type": "klaviyo", "host": url, "password": key, "extra": extra}
        monkeypatch.setenv(f"AIRFLOW_CONN_{key.upper()}", json.dumps(connection))
        return KlaviyoHook(key)

    return hook


def statuses(limited: Sandbox) -> list[int]:
    return [request["status"] for request in httpx.get(f"{limited.url}/sandbox/requests").json()]


def test_two_keys_of_one_account_keep_to_its_limit_together(limited: Sandbox, connect: Connect, tmp_path: Path) -> None:
    hooks = [connect("pk_one", rate_limit={}), connect("pk_two", rate_limit={})]
    for hook in hooks:
        hook.get_campaign(DRAFT_EMAIL)
    with ThreadPoolExecutor(2) as both:
        list(both.map(lambda hook: [hook.get_campaign(DRAFT_EMAIL) for _ in range(14)], hooks))
    assert statuses(limited) == [200] * 30
    assert [path.read_text() for path in (tmp_path / "klaviyo-limits" / "accounts").iterdir()] == ["Sandb0"] * 2


async def test_worker_and_triggerer_share_the_budget(limited: Sandbox, connect: Connect) -> None:
    worker = connect("pk_one", rate_limit={})
    async with KlaviyoAsyncHook("pk_one") as triggerer:
        for _ in range(8):
            worker.get_campaign(DRAFT_EMAIL)
            await triggerer.get_campaign(DRAFT_EMAIL)
    assert statuses(limited) == [200] * 16


def test_without_pacing_the_limit_is_hit_and_waited_out(
    limited: Sandbox, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock stands still but for what is slept, so that all calls fall into one second on any machine."""
    hook = connect("pk_one")
    with time_machine.travel(time.time(), tick=False) as clock:
        monkeypatch.setattr(time, "sleep", clock.shift)
        for _ in range(15):
            hook.get_campaign(DRAFT_EMAIL)
    assert statuses(limited) == [200] * 10 + [429] + [200] * 5


def test_a_429_of_a_day_stops_every_process_and_names_the_time(limited: Sandbox, connect: Connect) -> None:
    throttle = {"operation": "get_campaign", "fault": "throttle", "retry_after": 67_608, "times": 1}
    httpx.post(f"{limited.url}/sandbox/faults", json=throttle).raise_for_status()
    for key in ("pk_one", "pk_two"):
        connect(key, rate_limit={}).call("get_tags")
    for key in ("pk_one", "pk_two"):
        with pytest.raises(KlaviyoRateLimitError) as caught:
            connect(key, rate_limit={}).get_campaign(DRAFT_EMAIL)
        assert caught.value.retry_after == pytest.approx(67_608, abs=60)
    assert statuses(limited).count(429) == 1


@pytest.mark.parametrize(
    ("extra", "part"),
    [
        ({"shares": 1}, "share"),
        ({"share": 0}, "more than 0"),
        ({"share": "much"}, "at most 1"),
        ({"max_wait": 100_000}, "3600"),
        ({"redis": "redis://:secret@[bad"}, "redis://"),
        ("fast", "0.9"),
        (1, "false"),
        (0, "false"),
        ([], "false"),
        (0.5, "false"),
        ({"share": True}, "more than 0"),
        ({"share": "nan"}, "more than 0"),
        ({"max_wait": True}, "3600"),
        ({"max_wait": float("inf")}, "3600"),
        ({"redis": "localhost:6379"}, "redis://"),
        ({"redis": "/tmp/secret"}, "redis://"),
        ({"redis": 6379}, "redis://"),
        ({"redis": False}, "redis://"),
    ],
)
def test_an_extra_that_is_not_understood_is_refused_without_showing_secrets(
    connect: Connect, extra: Any, part: str
) -> None:
    with pytest.raises(KlaviyoValidationError, match="rate_limit") as caught:
        connect("pk_one", rate_limit=extra).get_conn()
    assert part in str(caught.value)
    assert "secret" not in str(caught.value)


def test_klaviyo_is_paced_and_this_machine_is_not_by_default(connect: Connect) -> None:
    def paced(url: str, **extra: Any) -> bool:
        return connect("pk_one", url, **extra).get_conn().settings.pacing is not None

    assert paced("")
    assert not paced("", rate_limit=False)
    for text in ("false", "False", " FALSE ", "off", "no", "0"):
        assert not paced("", rate_limit=text)
    for yes in (True, "true", "True", "on", "yes", "1"):
        assert paced("http://127.0.0.1:1", rate_limit=yes)
    for nothing in (None, ""):
        assert paced("", rate_limit=nothing)
        assert not paced("http://127.0.0.1:1", rate_limit=nothing)
    assert paced("", rate_limit={"share": None, "max_wait": None, "redis": None})
    assert not paced("http://127.0.0.1:1")
    assert paced("http://127.0.0.1:1", rate_limit={})
