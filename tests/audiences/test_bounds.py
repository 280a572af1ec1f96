from __future__ import annotations

import pytest

from airflow_provider_klaviyo.audiences.bounds import at_most
from airflow_provider_klaviyo.exceptions import KlaviyoValidationError


@pytest.mark.parametrize(
    ("given", "total", "allowed"),
    [
        (0, 100, 0),
        (10, 5, 10),
        ("10", 100, 10),
        (0.01, 1_000, 10),
        (0.29, 100, 29),
        ("0.01", 199, 1),
        ("1%", 1_000, 10),
        (" 20 % ", 10, 2),
        (1.0, 7, 7),
        (0.5, 0, 0),
    ],
)
def test_a_number_or_a_share_is_allowed(given, total, allowed):
    assert at_most("max_rejected", given, total) == allowed


@pytest.mark.parametrize("given", [-1, 1.5, "x", "", None, True, "101%", "-1", float("nan"), [1]])
def test_anything_else_is_refused(given):
    with pytest.raises(KlaviyoValidationError, match="max_removed is"):
        at_most("max_removed", given, 100)
