"""JSON as it may come in: UTF-8, of a bounded depth, with numbers and texts that every reader of JSON can hold."""

from __future__ import annotations

import json
import math
import re
from typing import Any

DEEPEST = 100
"""How deep objects and lists may be nested."""

NESTING = frozenset((dict, list))

SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def read(content: bytes) -> Any:
    """The value of a JSON text. Of repeated names in an object the last counts.

    :raises ValueError: it is not JSON; it is nested deeper than :data:`DEEPEST`; it has a number that a double cannot
        hold (NaN, 1e400), or half a surrogate pair. The message is part of a sentence.
    """
    text = content.decode("utf-8-sig")
    try:
        value = json.loads(text, parse_constant=_refuse, parse_float=_float, parse_int=_int)
    except RecursionError:
        raise ValueError(f"it is nested deeper than {DEEPEST}") from None
    if _is_deeper(value):
        raise ValueError(f"it is nested deeper than {DEEPEST}")
    if SURROGATE.search(text) and not is_text(json.dumps(value, ensure_ascii=False)):
        raise ValueError("it has half a surrogate pair")
    return value


def is_text(value: str) -> bool:
    """True if the text is Unicode that can be written as UTF-8: without lone surrogates."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse(literal: str) -> Any:
    raise ValueError(f"{literal} is not a number")


def _float(literal: str) -> float:
    number = float(literal)
    if not math.isfinite(number):
        raise ValueError(f"{literal:.20} is out of range")
    return number


def _int(literal: str) -> int:
    _float(literal)
    return int(literal)


def _is_deeper(value: Any) -> bool:
    level = [value] if type(value) in NESTING else []
    for _ in range(DEEPEST):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) in NESTING
        ]
        if not level:
            return False
    return bool(level)
