"""All state of the sandbox, in memory."""

from __future__ import annotations

import hashlib
import heapq
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from airflow_provider_klaviyo.sandbox.clock import Clock
from airflow_provider_klaviyo.sandbox.model import IDENTIFIERS, KINDS, Entity
from airflow_provider_klaviyo.sandbox.refusals import not_found

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
PAIRS = [first + second for first in CROCKFORD for second in CROCKFORD]
FIVE_BITS = bytes(ord(CROCKFORD[byte & 31]) for byte in range(256))
"""What each byte becomes in a long id."""
BASE62 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

Entities = dict[str, dict[str, Entity]]
Event = tuple[float, int, dict[str, Any]]
Change = tuple[str, str | None, Any]
"""What to put back: a type, an id, and what had it (or nothing); without an id: all that there was of the type."""


def id_from(*facts: str, length: int = 6) -> str:
    """An id in Klaviyo's short form that follows from facts."""
    digest = hashlib.sha256(":".join(facts).encode()).digest()
    return "".join(BASE62[byte % 62] for byte in digest[:length])


@dataclass
class Store:
    """What the account holds, what is due to happen, and what was sent.

    :param resources: by type, then id, oldest first. Only :meth:`put` and :meth:`delete` change them.
    :param agenda: a heap of what is due: time, number, what.
    :param sends: deliveries, oldest first. One that changes is replaced, so that the old state can be kept.
    :param counter: how many ids and events were made; ids follow from it, so that a run can be repeated.
    :param before: the campaigns as they were before the last write.
    """

    resources: Entities = field(default_factory=dict)
    agenda: list[Event] = field(default_factory=list)
    sends: list[dict[str, Any]] = field(default_factory=list)
    counter: int = 0
    before: Entities = field(default_factory=dict)
    _owners: dict[str, dict[Any, str]] = field(default_factory=lambda: {name: {} for name in IDENTIFIERS})
    _places: dict[tuple[str, int], int] = field(default_factory=dict)
    _changes: list[Change] | None = None

    def owner(self, name: str, value: Any) -> str | None:
        """The id of the profile that has an identifier."""
        return self._owners[name].get(value)

    def find(self, type_: str, id_: str) -> Entity | None:
        """The resource, or ``None``."""
        return self.resources.get(type_, {}).get(id_)

    def get(self, type_: str, id_: str) -> Entity:
        """The resource.

        :raises RefusedError: 404 when there is none.
        """
        resource = self.find(type_, id_)
        if resource is None:
            raise not_found(type_, id_)
        return resource

    def all(self, type_: str) -> Iterator[Entity]:
        """All resources of a type, oldest first."""
        yield from self.resources.get(type_, {}).values()

    def put(self, resource: Entity) -> Entity:
        """Add a resource, or replace the one with its id."""
        kind = self.resources.setdefault(resource.type, {})
        known = kind.get(resource.id)
        if self._changes is not None:
            self._changes.append((resource.type, resource.id, known))
        kind[resource.id] = resource
        if resource.type == "profile":
            self._identify(known, resource)
        return resource

    def delete(self, type_: str, id_: str) -> None:
        """Remove a resource.

        :raises RefusedError: 404 when there is none.
        """
        known = self.get(type_, id_)
        if self._changes is not None:
            self._changes.append((type_, None, dict(self.resources[type_])))
        del self.resources[type_][id_]
        if type_ == "profile":
            self._identify(known, None)

    def _identify(self, before: Entity | None, after: Entity | None) -> None:
        """A profile's identifiers are no longer what they were, but what they are now."""
        for name, owners in self._owners.items():
            old = before.attributes.get(name) if before else None
            new = after.attributes.get(name) if after else None
            if before and old and old != new and owners.get(old) == before.id:
                del owners[old]
            if after and new:
                owners[new] = after.id

    def new_id(self, type_: str) -> str:
        """An unused id in the form that Klaviyo uses for the type: 26 characters in order of creation, or 6."""
        while True:
            self.counter += 1
            if type_ in KINDS and KINDS[type_].long_ids:
                count = self.counter
                order = CROCKFORD[count >> 30 & 31] + "".join([PAIRS[count >> shift & 1023] for shift in (20, 10, 0)])
                digest = hashlib.sha256(f"{type_}:{count}".encode()).digest()
                id_ = "01K" + order + digest[:16].translate(FIVE_BITS).decode()
            else:
                id_ = id_from(type_, str(self.counter))
            if self.find(type_, id_) is None:
                return id_

    def place(self, campaign_id: str, run: int) -> int | None:
        """Where the delivery of a campaign's send job is among :attr:`sends`; ``None`` when there is none yet."""
        for number in range(len(self._places), len(self.sends)):
            delivery = self.sends[number]
            self._places[delivery["campaign_id"], delivery["run"]] = number
        return self._places.get((campaign_id, run))

    def plan(self, at: float, **what: Any) -> None:
        """Put an event on the agenda."""
        self.counter += 1
        heapq.heappush(self.agenda, (at, self.counter, what))

    def due(self, now: float) -> Iterator[tuple[float, dict[str, Any]]]:
        """Take the events off the agenda whose time has come, in order."""
        while self.agenda and self.agenda[0][0] <= now:
            at, _, what = heapq.heappop(self.agenda)
            yield at, what

    @contextmanager
    def whole(self) -> Iterator[None]:
        """What is changed in the block is changed as a whole: all is as it was when the block ends in an exception."""
        outer, self._changes = self._changes, []
        agenda, sends = list(self.agenda), list(self.sends)
        counter, before = self.counter, self.before
        try:
            yield
        except BaseException:
            changes, self._changes = self._changes, None
            self._take_back(changes)
            self.agenda, self.sends, self._places = agenda, sends, {}
            self.counter, self.before = counter, before
            raise
        else:
            if outer is not None:
                outer += self._changes
        finally:
            self._changes = outer

    def _take_back(self, changes: list[Change]) -> None:
        """Undo changes, the last one first."""
        for type_, id_, before in reversed(changes):
            kind = self.resources[type_]
            if id_ is None:
                for gone in (before.keys() - kind.keys()) if type_ == "profile" else ():
                    self._identify(None, before[gone])
                self.resources[type_] = before
                continue
            if type_ == "profile":
                self._identify(kind[id_], before)
            if before is None:
                del kind[id_]
            else:
                kind[id_] = before

    def campaigns(self) -> Entities:
        """The campaigns and messages as they are now; later changes do not reach what is returned."""
        return {type_: dict(self.resources.get(type_, {})) for type_ in ("campaign", "campaign-message")}

    def before_last_write(self) -> Store:
        """A view for reading in which the last write to a campaign has not happened yet."""
        return Store({**self.resources, **self.before}, self.agenda, self.sends, self.counter, _owners=self._owners)

    def to_json(self) -> dict[str, Any]:
        """Everything, as JSON values."""
        return {
            "resources": [asdict(resource) for kind in self.resources.values() for resource in kind.values()],
            "agenda": self.agenda,
            "sends": self.sends,
            "counter": self.counter,
        }

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Store:
        """The store that :meth:`to_json` wrote."""
        agenda = [(at, number, what) for at, number, what in saved["agenda"]]
        heapq.heapify(agenda)
        store = cls(agenda=agenda, sends=saved["sends"], counter=saved["counter"])
        for resource in saved["resources"]:
            store.put(Entity(**resource))
        store.before = store.campaigns()
        return store


def save(path: Path, store: Store, clock: Clock) -> None:
    """Write the state; a crash leaves the old file or the new one, never half of one."""
    unfinished = path.with_name(path.name + ".new")
    unfinished.write_text(json.dumps({"ahead": clock.ahead, "store": store.to_json()}), encoding="utf-8")
    os.replace(unfinished, path)


def load(path: Path) -> tuple[Store, float] | None:
    """The saved state, and how far the clock was ahead; ``None`` when nothing was saved yet.

    :raises ValueError: the file is not one of the sandbox's.
    """
    if not path.exists():
        return None
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        ahead = saved["ahead"]
        if isinstance(ahead, bool):
            raise TypeError("ahead is not a number")
        Clock(ahead=ahead)
        return Store.from_json(saved["store"]), ahead
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} holds no sandbox state ({error}). Remove it, or name another file.") from None
