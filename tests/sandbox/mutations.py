"""Requests bent at random: the same for the same seed."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from airflow_provider_klaviyo.api.operations import get
from tests.sandbox.valid_requests import Requests

TEXTS = ("", " ", "\x00", "é ✓", "\ud800", "a" * 5000, "../..", "{{ a }}", "%00", "null", "NaN", "+15550100002")
TEXTS += ("ada.alder@example.com", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "2026-03-01", "YzykDM")
NUMBERS = (0, -1, 2**31, 2**63, 10**400, 1e308, -1e308, 5e-324, 1.5, True)
EXACT = ("NaN", "-Infinity", "1e400", "9" * 5000, "\\ud83d", "01", "'")
"""JSON, or what is nearly so, that stands where a value stood."""

HEADERS: tuple[tuple[str, bytes], ...] = (
    ("Host", b"["),
    ("Host", b"\xff"),
    ("Host", b"evil.example.com"),
    ("Origin", b"http://["),
    ("Origin", b"null"),
    ("Authorization", b"Basic \xff"),
    ("Authorization", b"Klaviyo-API-Key pk_readonly"),
    ("Authorization", b"Bearer \xff"),
    ("Content-Type", b"multipart/form-data"),
    ("Content-Type", b"multipart/form-data; boundary=data"),
    ("Content-Type", b"application/json; charset=\xff"),
    ("Content-Type", b"text/plain"),
    ("Content-Encoding", b"gzip"),
    ("Content-Encoding", b"br, deflate"),
    ("Accept-Encoding", b"\xff"),
    ("revision", b"2026-02-30"),
    ("revision", b"\xff"),
    ("X-Forwarded-Host", b"["),
    ("X-Klaviyo-Revision-Fall-Forward-Opt-Out", b"\xff"),
)
QUERIES = ("page[size]", "page[cursor]", "filter", "sort", "include", "fields[profile]", "additional-fields[profile]")


@dataclass
class Asked:
    """A request as it is sent."""

    method: str
    target: bytes
    headers: dict[str, bytes] = field(default_factory=dict)
    content: bytes = b""


class Mutations:
    """Makes requests of one revision, most of them bent in one or two places.

    :param known: an id that exists of each resource type.
    """

    def __init__(self, revision: str, seed: int, known: dict[str, str]) -> None:
        self.requests = Requests(revision, seed, known)
        self.random = random.Random(seed)
        self.revision = revision

    def request(self, name: str) -> Asked:
        """A request for an operation."""
        id_ = self.requests.id_for(name)
        query = list(self.requests.query(name).items())
        body = self.requests.body(name, id_)
        asked = Asked(get(name).method, b"")
        asked.headers = {
            "Authorization": b"Klaviyo-API-Key pk_test",
            "revision": self.revision.encode(),
            "Content-Type": b"application/vnd.api+json",
        }
        path = self.requests.path(name, id_)
        asked.content = b"" if body is None else json.dumps(body).encode()
        bends: list[Callable[[], None]] = [
            lambda: self._bend_query(query),
            lambda: self._bend_header(asked),
            lambda: self._bend_bytes(asked),
        ]
        if body is not None:
            bends += [lambda: self._bend_body(asked, body)] * 5
        for bend in self.random.sample(bends, self.random.choice((0, 1, 1, 2))):
            bend()
        if "{" in get(name).path and self.random.random() < 0.2:
            path = path.replace(id_, self.random.choice(("%00", "%2f", "%ff", "%ed%a0%80", "a" * 3000, "..", "%20")))
        asked.target = f"{path}?{urlencode(query, errors='replace')}".encode()
        return asked

    def _bend_query(self, query: list[tuple[str, str]]) -> None:
        name = self.random.choice([*(name for name, _ in query), *QUERIES])
        value = self.random.choice(
            (*TEXTS, *map(str, NUMBERS), "and(" * 300, "equals(email,", "-created", "W10=", "[1,2]")
        )
        query.append((name, value))

    def _bend_header(self, asked: Asked) -> None:
        name, value = self.random.choice(HEADERS)
        asked.headers[name] = value

    def _bend_bytes(self, asked: Asked) -> None:
        if asked.content:
            place = self.random.randrange(len(asked.content))
            put = self.random.choice((b"", b"\xff", b'"', b"\x00", b"}", b"[" * 200, b"\xed\xa0\x80"))
            asked.content = asked.content[:place] + put + asked.content[place + self.random.randint(0, 3) :]

    def _bend_body(self, asked: Asked, body: Any) -> None:
        bent = copy.deepcopy(body)
        places = list(_places(bent))
        if not places:
            return
        holder, key = self.random.choice(places)
        exact = None
        match self.random.randrange(7):
            case 0:
                holder[key] = self.random.choice(TEXTS)
            case 1:
                holder[key] = self.random.choice(NUMBERS)
            case 2:
                holder[key] = self.random.choice((None, [], {}, [None], {"data": None}, {"id": 1}, [[]]))
            case 3:
                del holder[key]
            case 4 if isinstance(holder, dict):
                holder[self.random.choice((*TEXTS, "id", "data", "type", "meta", "relationships"))] = 1
            case 5:
                for _ in range(self.random.choice((3, 97, 300))):
                    holder[key] = [holder[key]]
            case _:
                exact = self.random.choice(EXACT)
                holder[key] = "EXACT"
        asked.content = json.dumps(bent).encode()
        if exact is not None:
            asked.content = asked.content.replace(b'"EXACT"', exact.encode())


def _places(value: Any) -> Any:
    """Every place in a body: what holds it, and where."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])
