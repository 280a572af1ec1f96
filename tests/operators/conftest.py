"""What several of the operators' test files share."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
import time_machine

from tests.conftest import Connect
from tests.support.clocks import Hours
from tests.support.sandbox import Klaviyo

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
