"""The request log as the page shows it: rows, what is looked for among them, and one of them whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from airflow_provider_klaviyo.sandbox.documents import targets
from airflow_provider_klaviyo.sandbox.journal import Entry, Journal
from airflow_provider_klaviyo.sandbox.model import Entity
from airflow_provider_klaviyo.sandbox.page.curl import curl
from airflow_provider_klaviyo.sandbox.page.faults import in_words
from airflow_provider_klaviyo.sandbox.store import Store

SHOWN = 200
"""The most rows of a list."""

SEARCHED = 20_000
"""How far back the request log is searched, in requests, so that a look never holds up the API."""

UNPACKED = 2_000
"""How many bodies are looked into in a search, for the same reason."""

CAMPAIGN_PATHS = ("/api/campaign", "/api/tag")
"""Where the paths begin of the requests that can be about a campaign."""

STATUSES = ("2xx", "3xx", "4xx", "5xx", "cut")
"""Kinds of answers; ``cut``: there was none."""


def found(journal: Journal, store: Store, asked: Mapping[str, str]) -> dict[str, Any]:
    """The requests that are looked for, newest first.

    :param asked: ``requests``: a text of the row; ``status``: one of :data:`STATUSES`, or a status; ``operation``: an
        operation's id; ``campaign``: a campaign's id. What is missing or empty is not looked for.
    """
    text, status, operation = (asked.get(name, "") for name in ("requests", "status", "operation"))
    campaign_id = asked.get("campaign", "")
    if not (text or status or operation or campaign_id):
        return {"total": len(journal), "shown": [row(entry) for entry in islice(journal.newest_first(), SHOWN)]}
    entries: Iterable[Entry] = islice(journal.newest_first(), SEARCHED)
    if status:
        entries = (entry for entry in entries if status in (_kind(entry), str(entry.status)))
    if operation:
        entries = (entry for entry in entries if entry.operation == operation)
    if text:
        wanted = text.casefold()
        entries = (entry for entry in entries if _contains(entry, wanted))
    if campaign_id:
        entries = about(entries, store.find("campaign", campaign_id), campaign_id, store)
    return rows(entries)


def rows(entries: Iterable[Entry]) -> dict[str, Any]:
    """The first of these requests, and how many there are."""
    shown: list[dict[str, Any]] = []
    total = 0
    for total, entry in enumerate(entries, 1):
        if total <= SHOWN:
            shown.append(row(entry))
    return {"total": total, "shown": shown}


def row(entry: Entry) -> dict[str, Any]:
    """A request without headers, body and answer."""
    return {
        "number": entry.number,
        "at": entry.at,
        "operation": entry.operation,
        "method": entry.method,
        "path": entry.path,
        "query": "&".join(f"{name}={value}" for name, value in entry.query.items()),
        "status": entry.status,
        "committed": entry.committed,
        "revision": entry.revision,
        "fault": entry.fault,
    }


def find(journal: Journal, number: str) -> Entry | None:
    """The request of a number; ``None`` also when it is not a number."""
    return journal.find(int(number)) if number.isascii() and number.isdigit() and len(number) < 19 else None


def opened(journal: Journal, number: str, url: str) -> dict[str, Any] | None:
    """One request whole, with the reason of an error, the fault in words, and the command that sends it again.

    :param url: the sandbox's own.
    """
    entry = find(journal, number)
    if entry is None:
        return None
    return {
        **row(entry),
        "headers": entry.headers,
        "body": entry.body,
        "answer": entry.answer,
        "answer_headers": entry.answer_headers,
        "forgotten": entry.forgotten,
        "reasons": reasons(entry.answer) if entry.status is None or entry.status >= 400 else [],
        "rule": in_words(entry.rule) if entry.rule else None,
        "curl": curl(entry, url),
        "newer": entry.number + 1 if journal.find(entry.number + 1) else None,
        "older": entry.number - 1 if journal.find(entry.number - 1) else None,
    }


def reasons(answer: Any) -> list[dict[str, str]]:
    """What an error says, and at what it points."""
    match answer:
        case {"errors": list(errors)}:
            return [_reason(error) for error in errors if isinstance(error, dict)]
        case {"error": str(error), **rest}:
            return [{"detail": str(rest.get("error_description") or error), "at": "", "code": error}]
        case _:
            return []


def _reason(error: Mapping[str, Any]) -> dict[str, str]:
    source = error.get("source") or {}
    at = source.get("pointer") or source.get("parameter") or ""
    return {"detail": str(error.get("detail") or error.get("title")), "at": str(at), "code": str(error.get("code", ""))}


def about(entries: Iterable[Entry], campaign: Entity | None, campaign_id: str, store: Store) -> Iterator[Entry]:
    """Those that mention the campaign or its messages by id, or give or look for its exact name.

    :param campaign: ``None`` when it is no longer there: then only its id is looked for.
    """
    name, ids = None, [campaign_id]
    if campaign is not None:
        name = campaign.attributes["name"]
        ids += [message.id for message in targets(store, campaign, "campaign-messages")]
    quoted = [] if name is None else [f'"{name}"', f"'{name}'"]
    sought = ids if name is None else [*ids, name]
    left = UNPACKED
    for entry in entries:
        if not entry.path.startswith(CAMPAIGN_PATHS):
            continue
        if any(part in text for part in (*ids, *quoted) for text in (entry.path, *entry.query.values(), *entry.ids)):
            yield entry
        elif entry.method != "GET" and left > 0:
            left -= 1
            if entry.may_say(sought) and _says(entry.body, name, ids):
                yield entry


def _says(value: Any, name: str | None, ids: list[str]) -> bool:
    """True if there is a text with one of the ids in it, or that is the name."""
    match value:
        case str():
            return value == name or any(id_ in value for id_ in ids)
        case dict():
            return any(_says(one, name, ids) for one in value.values())
        case list():
            return any(_says(one, name, ids) for one in value)
        case _:
            return False


def _kind(entry: Entry) -> str:
    return "cut" if entry.status is None else f"{entry.status // 100}xx"


def _contains(entry: Entry, wanted: str) -> bool:
    committed = "committed" if entry.committed else ""
    texts = (entry.operation, entry.method, entry.path, entry.status, committed, entry.fault, entry.revision)
    return wanted in f"{texts} {entry.query}".casefold()
