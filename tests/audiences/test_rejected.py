from __future__ import annotations

import pytest

from airflow_provider_klaviyo.audiences.rejected import Rejection, most_rejected
from airflow_provider_klaviyo.exceptions import KlaviyoValidationError


@pytest.mark.parametrize(
    ("given", "rows", "allowed"),
    [
        (0, 100, 0),
        (10, 5, 10),
        ("10", 100, 10),
        (0.01, 1_000, 10),
        (0.29, 100, 29),
        ("0.01", 199, 1),
        ("1%", 1_000, 10),
        (1.0, 7, 7),
        (0.5, 0, 0),
    ],
)
def test_a_number_or_a_share_of_the_rows_may_be_rejected(given, rows, allowed):
    assert most_rejected(given, rows) == allowed


@pytest.mark.parametrize("given", [-1, 1.5, "x", "", None, True, "101%", "-1", float("nan"), [1]])
def test_anything_else_is_refused(given):
    with pytest.raises(KlaviyoValidationError, match="max_rejected is"):
        most_rejected(given, 100)


def test_a_log_does_not_have_the_values_of_a_row():
    rejection = Rejection("it is not an e-mail address", "email", 7, {"email": "ada"})
    assert str(rejection) == "row 7, email: it is not an e-mail address"
