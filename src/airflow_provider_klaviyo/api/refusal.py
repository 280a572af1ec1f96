"""An answer that refuses a call: what Klaviyo says in it, about what, and when the call may come again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import time
from typing import Any

from airflow_provider_klaviyo.api.errors import place
from airflow_provider_klaviyo.api.text import UNCLEAN, http_date, is_text

TOLD = 5
"""Errors of an answer whose words are in the message; all are in ``errors``."""


def errors_of(body: Mapping[str, Any] | None, status: int) -> list[dict[str, Any]]:
    """The errors of an answer in Klaviyo's own format; empty when it is not in that: then it proves no refusal.

    Klaviyo publishes ``code``, ``title`` and ``detail``, all texts, for each, and answers with the status beside them.
    A gateway's ``{"errors": ["slow down"]}`` or ``{"error": {…}}`` is not in its format.
    """
    errors = (body or {}).get("errors")
    if not isinstance(errors, list) or not all(_is_klaviyos(error, status) for error in errors):
        return []
    return errors


def _is_klaviyos(error: Any, status: int) -> bool:
    return (
        isinstance(error, dict)
        and all(isinstance(error.get(name), str) for name in ("code", "title", "detail"))
        and is_text(error["code"])
        and bool(error["code"].strip())
        and error.get("status", status) in (status, str(status))
    )


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds of the ``Retry-After`` header (a number or an HTTP date), a day at most; 1 s when it cannot be read."""
    text = (headers.get("retry-after") or "").strip()
    is_number = text.removeprefix("-").replace(".", "", 1).isdecimal()  # and not inf, nan or 1e400
    if is_number:
        return min(max(0.0, float(text)), 86_400.0)
    date = http_date(text)
    return 1.0 if date is None else min(max(0.0, date - time()), 86_400.0)


def source(error: Mapping[str, Any]) -> dict[str, str]:
    """What an error is about, as far as Klaviyo says: ``pointer`` into the body, or ``parameter``."""
    found = error.get("source")
    named = found.items() if isinstance(found, Mapping) else ()
    return {name: value for name, value in named if is_text(value)}


def said(errors: Sequence[Mapping[str, Any]]) -> str:
    """Klaviyo's own words: of the first errors, each cut to what a person reads, and how many more there are."""
    texts = []
    for error in errors[:TOLD]:
        named = source(error)
        field = named.get("pointer") or named.get("parameter")
        text = UNCLEAN.sub("\ufffd", error["detail"] or error["title"])[:500]
        if field and place(field) not in text:
            text = f"{text.removesuffix('.')} ({place(field)[:200]})."
        texts.append(text)
    if len(errors) > TOLD:
        texts.append(f"And {len(errors) - TOLD:,} more.")
    return " ".join(texts)
