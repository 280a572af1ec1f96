"""How many recipients are right: a number, or a share of what earlier sends had."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.campaigns.values import is_template

_PERCENT = re.compile(r"\s*([0-9]{1,6}(?:\.[0-9]{1,6})?)\s*%\s*")


@dataclass(frozen=True, slots=True)
class Share:
    """A share of what earlier sends had: ``Share(Fraction(1, 2))`` is half of it."""

    of: Fraction


Bound = int | Share | None


def bound(name: str, value: Any, *, rendered: bool = False) -> Bound:
    """A bound, as a task is given it; ``None`` for none, and for one that is still to be rendered.

    The text "None" is not a bound: it comes of an XCom that is missing, and must not take the bound away.

    :param value: a number of recipients, or a share of earlier ones, such as ``"50%"``.
    :raises KlaviyoValidationError: it is neither.
    """
    if value is None or (is_template(value) and not rendered):
        return None
    if isinstance(value, str) and (percent := _PERCENT.fullmatch(value)):
        return Share(Fraction(percent[1]) / 100)
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = -1
    if number < 0 or isinstance(value, bool | float):
        raise KlaviyoValidationError(
            f"{name} is {value!r}; give a whole number of recipients, 0 or more, a share of what earlier sends had, "
            f"such as '50%', or None for no bound.",
            pointer=name,
        )
    return number


@dataclass(frozen=True, slots=True)
class Bounds:
    """The smallest and the largest number that is right; ``None``: no such bound.

    :raises KlaviyoValidationError: no number can be within.
    """

    minimum: Bound
    maximum: Bound

    def __post_init__(self) -> None:
        low, high = self.minimum, self.maximum
        numbers = isinstance(low, int) and isinstance(high, int) and low > high
        shares = isinstance(low, Share) and isinstance(high, Share) and low.of > high.of
        if numbers or shares:
            raise KlaviyoValidationError(
                f"minimum is {_text(low)} and maximum is {_text(high)}; no number of recipients can be within. Swap or "
                f"widen them.",
                pointer="minimum",
            )

    @property
    def shares(self) -> list[str]:
        """Which of the two is a share."""
        return [name for name in ("minimum", "maximum") if isinstance(getattr(self, name), Share)]

    def of(self, usual: int) -> tuple[int | None, int | None]:
        """Both as numbers, with shares of ``usual``. What is exactly the share is within."""
        low, high = self.minimum, self.maximum
        return (
            math.ceil(low.of * usual) if isinstance(low, Share) else low,
            math.floor(high.of * usual) if isinstance(high, Share) else high,
        )


def _text(value: Bound) -> str:
    return f"{float(value.of * 100):g}%" if isinstance(value, Share) else str(value)
