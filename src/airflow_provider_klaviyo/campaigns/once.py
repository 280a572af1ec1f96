"""What becomes of a campaign that is to be made when there is one already: this task's, or anybody's."""

from __future__ import annotations

from typing import Literal, get_args

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.campaigns.values import check_choice

OnClear = Literal["adopt", "new"]
"""After a clear: go on with what this task made before, or make another beside it."""

IfExists = Literal["make", "adopt", "skip", "refuse"]
"""If there is one of the name that this task has not made: make another, go on with it, skip, or fail."""


def check_once(on_clear: OnClear, if_exists: IfExists) -> None:
    """Judge what is to become of a campaign that is made when there is one already.

    :raises KlaviyoValidationError: one of them is not known, or they contradict each other.
    """
    check_choice("on_clear", on_clear, get_args(OnClear))
    check_choice("if_exists", if_exists, get_args(IfExists))
    if on_clear == "new" and if_exists != "make":
        raise KlaviyoValidationError(
            f"on_clear='new' makes another campaign of the same name after a clear, and if_exists={if_exists!r} makes "
            f"none beside one. Leave out one of them.",
            pointer="if_exists",
        )
