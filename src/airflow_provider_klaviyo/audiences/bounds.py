"""How many of a number of things may be: a number, or a share of them."""

from __future__ import annotations

import math
from typing import Any

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError


def at_most(name: str, given: Any, total: int) -> int:
    """How many of ``total`` are allowed.

    :param name: the argument that it is, such as ``max_rejected``.
    :param given: a number (``10``), a share (``0.01``), or text of either, as Jinja makes it; ``"1%"`` too.
    :raises KlaviyoValidationError: it is neither.
    """
    value = given.strip() if isinstance(given, str) else given
    try:
        if isinstance(value, bool) or value is None:
            raise TypeError
        if isinstance(value, str) and value.endswith("%"):
            share: float | None = float(value[:-1]) / 100
        elif isinstance(value, int) or (isinstance(value, str) and value.isdecimal()):
            share = None
        else:
            share = float(value)
        if share is None:
            if int(value) < 0:
                raise ValueError
            return int(value)
        if not 0 <= share <= 1:
            raise ValueError
        return math.floor(share * total + 1e-9)
    except (TypeError, ValueError):
        raise KlaviyoValidationError(
            f"{name} is {given!r}; give a whole number, 0 or more, or a share, such as 0.01 or '1%'.", pointer=name
        ) from None
