from __future__ import annotations

from airflow_provider_klaviyo.audiences.rejected import Rejection


def test_a_log_does_not_have_the_values_of_a_row():
    rejection = Rejection("it is not an e-mail address", "email", 7, {"email": "ada"})
    assert str(rejection) == "row 7, email: it is not an e-mail address"
