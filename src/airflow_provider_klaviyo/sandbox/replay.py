"""A saved request log is sent again, to a fresh account."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.parse import quote, urlencode

from airflow_provider_klaviyo.api.operations import revisions
from airflow_provider_klaviyo.sandbox.controls import Controls

KEPT_IDS = 100
"""The most ids of an answer that the log keeps."""

OF_THE_CALLER = (401, 403, 429)
"""Statuses that follow from a key or from the rate limits, which the log does not have: they become faults."""

TOKEN = re.compile(r"[0-9A-Za-z]+")


@dataclass(frozen=True, slots=True)
class Replayed:
    """A request that was sent again.

    :param number: its place in the log, from 1 on.
    :param method: its method.
    :param path: its path.
    :param was: its status in the log; ``None`` when the connection was cut.
    :param now: its status now; ``None`` when the connection was cut, or it could not be sent.
    :param why: why it could not be sent.
    """

    number: int
    method: str
    path: str
    was: int | None
    now: int | None
    why: str = ""

    @property
    def is_same(self) -> bool:
        """True if it ended as it did."""
        return self.was == self.now and not self.why


def ids_of(body: Any) -> list[str]:
    """The ids in an answer, as ``type:id``, each once, in its order: at most :data:`KEPT_IDS`."""
    found: dict[str, None] = {}
    left = [body]
    while left and len(found) < KEPT_IDS:
        match left.pop():
            case {"type": str(type_), "id": str(id_), **rest}:
                found[f"{type_}:{id_}"] = None
                left += reversed(rest.values())
            case dict(values):
                left += reversed(values.values())
            case list(values):
                left += reversed(values)
    return list(found)


def read(text: str) -> list[dict[str, Any]]:
    """The requests of a log that ``klaviyo-sandbox requests --json`` has written.

    :raises ValueError: it is not such a log.
    """
    rows = json.loads(text)
    if not isinstance(rows, list) or not all(
        isinstance(row, dict) and {"method", "path"} <= row.keys() for row in rows
    ):
        raise ValueError("it is not a list of requests, as klaviyo-sandbox requests --json writes it")
    return rows


def replay(rows: Sequence[Mapping[str, Any]], controls: Controls) -> list[Replayed]:
    """Send the requests again, one after the other, to a sandbox that is emptied first.

    Its clock begins at the time of the log and goes through the same pauses, and each fault hits the request that it
    hit. The ids of what is made are replaced by those that it has now.

    :raises ControlError: the sandbox cannot be reached.
    """
    before = next((row["clock"] for row in rows if isinstance(row.get("clock"), int | float)), None)
    controls.call("POST", "/sandbox/reset", None if before is None else {"clock": before})
    ids: dict[str, str] = {}
    done: list[Replayed] = []
    logged = 0
    for number, row in enumerate(rows, 1):
        time = row.get("clock")
        if isinstance(time, int | float) and before is not None and time > before:
            controls.call("POST", "/sandbox/clock", {"advance": time - before})
        before = time if isinstance(time, int | float) else before
        path = _renamed(row["path"], ids)
        why = _why_not(row)
        now = None if why else _again(row, path, controls, ids)
        done.append(Replayed(number, row["method"], path, row.get("status"), now, why))
        if not why:
            found = controls.find(f"/sandbox/requests/{logged + 1}")
            if found is not None:
                logged += 1
                _learn(ids, row.get("ids") or (), found["ids"])
    return done


def _why_not(row: Mapping[str, Any]) -> str:
    """Why a request cannot be sent again; empty when it can."""
    path, body = row["path"], row.get("body")
    if row.get("forgotten"):
        return "the log has forgotten its query and body: it was full"
    if isinstance(body, Mapping) and "omitted_bytes" in body:
        return f"the log does not have its body of {body['omitted_bytes']} bytes"
    if not path.startswith(("/api/", "/client/")):
        return "only requests to the API are sent again"
    return ""


def _again(row: Mapping[str, Any], path: str, controls: Controls, ids: Mapping[str, str]) -> int | None:
    """Send a request again; its status, ``None`` when the connection is cut."""
    body = row.get("body")
    if fault := _fault(row):
        controls.call("POST", "/sandbox/faults", fault)
    query = urlencode({name: _renamed(str(value), ids) for name, value in (row.get("query") or {}).items()})
    headers = {"Authorization": "Klaviyo-API-Key pk_replay", "revision": row.get("revision") or revisions()[-1]}
    content = None if body is None else json.dumps(_renamed(body, ids)).encode()
    if content is not None:
        headers["Content-Type"] = "application/vnd.api+json"
    try:
        return controls.request(row["method"], quote(path) + (f"?{query}" if query else ""), content, headers).status
    except (OSError, HTTPException):
        return None


def _fault(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """The fault that has the request end as it did."""
    kind, status = row.get("fault"), row.get("status")
    rule: dict[str, Any] = {"operation": row.get("operation") or "*", "fault": kind}
    if kind == "delay":
        return None
    if kind:
        return rule | ({"status": status} if kind.startswith("status_") else {})
    return rule | {"fault": "status_before_commit", "status": status} if status in OF_THE_CALLER else None


def _learn(ids: dict[str, str], old: Sequence[str], new: Sequence[str]) -> None:
    """Pair the ids of two answers to a request: those that both have stay, the others follow each other by type."""
    known = {f"{one.partition(':')[0]}:{ids.get(one.partition(':')[2], one.partition(':')[2])}" for one in old}
    fresh = [one for one in new if one not in known]
    for one in old:
        type_, _, id_ = one.partition(":")
        if id_ in ids or one in new:
            continue
        match_ = next((other for other in fresh if other.startswith(f"{type_}:")), None)
        if match_ is not None:
            fresh.remove(match_)
            ids[id_] = match_.partition(":")[2]


def _renamed(value: Any, ids: Mapping[str, str]) -> Any:
    """A value with the ids that its objects have now."""
    match value:
        case str():
            return TOKEN.sub(lambda found: ids.get(found[0], found[0]), value)
        case dict():
            return {name: _renamed(one, ids) for name, one in value.items()}
        case list():
            return [_renamed(one, ids) for one in value]
        case _:
            return value
