"""Text that can be sent (UTF-8 has no lone surrogates, Python's strings may), and the nearest of some names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError


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


def nearest(name: object, known: Iterable[str], *, most: int = 1) -> str:
    """A hint that names the nearest known names, with a space before it; empty when none is near."""
    near = difflib.get_close_matches(str(name), list(known), n=most, cutoff=0.5)
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""


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
