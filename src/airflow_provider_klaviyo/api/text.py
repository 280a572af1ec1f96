"""Text that can be sent (UTF-8 has no lone surrogates, Python's strings may), and text for people."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, TypeGuard

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError

UNCLEAN = re.compile("[\0\ud800-\udfff]")
"""Characters that not every place can hold: NUL, and half of a pair."""

LATEST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()


def is_text(value: object) -> TypeGuard[str]:
    """True for a text that can be written, stored and sent: without NUL and lone surrogates."""
    return isinstance(value, str) and UNCLEAN.search(value) is None


def check_text(value: Any, pointer: str) -> None:
    """Refuse half a character anywhere in a value: in a string, or in the keys and items of dicts and lists.

    :param pointer: where the value stands: a JSON pointer, or the name of a parameter.
    :raises KlaviyoValidationError: there is one; ``pointer`` names where.
    """
    for where, text in _texts(value, pointer):
        try:
            text.encode()
        except UnicodeEncodeError as error:
            name = where.strip("/").replace("/", ".")
            raise KlaviyoValidationError(
                f"{name} is {_brief(text, error.start)}, whose character {error.start + 1} is a lone surrogate: half a "
                f"character, which cannot be sent. Give whole characters; the text was cut within one, or read in the "
                f"wrong encoding.",
                pointer=where,
            ) from None


def printable(name: object) -> str:
    """A name for an error message, which itself must be sendable."""
    return str(name).encode("utf-8", "backslashreplace").decode()


def duration(seconds: float) -> str:
    """A length of time as people say it: ``8 s``, ``12 min``, ``3 h 5 min``, ``2 days 4 h``."""
    if seconds < 119.5:
        return f"{seconds:.1g} s" if seconds < 1 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} days {hours} h" if hours else f"{days} days"


def shown(timestamp: float) -> str:
    """A moment for people, in UTC; at the end of the year 9999 at the latest.

    :param timestamp: seconds since the epoch.
    """
    return f"{datetime.fromtimestamp(min(timestamp, LATEST), UTC):%Y-%m-%d %H:%M:%S}"


def epoch(moment: Any) -> float | None:
    """A moment as Klaviyo writes it, in seconds since the epoch; ``None`` for what is not a moment."""
    try:
        return datetime.fromisoformat(moment).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


@lru_cache(maxsize=4)
def http_date(text: str) -> float | None:
    """Seconds since the epoch of a date in a header, which many answers in a row have; ``None``: it is not one."""
    try:
        return parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def nearest(name: object, known: Iterable[str], *, most: int = 1) -> str:
    """A hint that names the nearest known names, with a space before it; empty when none is near."""
    found = near(str(name), known, most=most, cutoff=0.5)
    return f" Did you mean {' or '.join(map(repr, found))}?" if found else ""


def near(name: str, known: Iterable[str], *, most: int = 1, cutoff: float) -> list[str]:
    """Those known names that are near, the nearest first.

    :param cutoff: how near, from 0 to 1: the same.
    """
    import difflib  # takes a millisecond, and only mistakes need it

    return difflib.get_close_matches(name, list(known), n=most, cutoff=cutoff)


def _texts(value: Any, pointer: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield pointer, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            where = f"{pointer}/{printable(key)}"
            yield from _texts(key, where)
            yield from _texts(item, where)
    elif isinstance(value, list | tuple | set | frozenset):
        for index, item in enumerate(value):
            yield from _texts(item, f"{pointer}/{index}")


def _brief(text: str, position: int) -> str:
    start = max(0, position - 30)
    return f"{'…' if start else ''}{text[start : position + 30]!a}"
