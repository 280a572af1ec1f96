"""What several of the operators' test files share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import time_machine

from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from tests.conftest import Connect
from tests.support.clocks import Hours
from tests.support.sandbox import DRAFT_EMAIL, Klaviyo

if TYPE_CHECKING:
    from proof.gateway import Gateway


@pytest.fixture
def hours(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hours]:
    """Lets time pass at once."""
    with time_machine.travel(time.time(), tick=True) as traveller:
        yield Hours(monkeypatch, traveller)


@pytest.fixture
def gateway(klaviyo: Klaviyo, connect: Connect) -> Iterator[Gateway]:
    """What stands between ``klaviyo_default`` and the sandbox, and answers in its stead when a test has it do so."""
    from proof.gateway import Gateway

    with Gateway(klaviyo.url) as between:
        connect(between.url)
        yield between


@pytest.fixture
def state(tmp_path: Path) -> str:
    """Where an import keeps its state: nothing is there yet."""
    return f"file://{tmp_path}/new/state"


@pytest.fixture
def a_list(klaviyo: Klaviyo) -> str:
    """A list without members."""
    return KlaviyoHook().create_list("Mirrored").id


@pytest.fixture
def sent(klaviyo: Klaviyo) -> str:
    """A campaign that was sent, and a day has passed."""
    klaviyo.send(DRAFT_EMAIL)
    klaviyo.wait_for_sends()
    klaviyo.advance(86_400.0)
    return DRAFT_EMAIL


@pytest.fixture
def pauses(hours: Hours, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the triggerer has paused; the time passes at once."""
    paused: list[float] = []
    sleep = asyncio.sleep

    async def pass_by(seconds: float) -> None:
        if seconds < 1:
            await sleep(seconds)
        else:
            paused.append(seconds)
            hours.pass_by(seconds)

    monkeypatch.setattr(asyncio, "sleep", pass_by)
    return paused


@pytest.fixture
def person(klaviyo: Klaviyo) -> KlaviyoHook:
    """Writes to Klaviyo outside of any task."""
    return KlaviyoHook()
