"""All state of the sandbox, in memory."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from airflow_provider_klaviyo.sandbox.errors import not_found
from airflow_provider_klaviyo.sandbox.model import KINDS, Resource

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
BASE62 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

Resources = dict[str, dict[str, Resource]]
Event = tuple[float, int, dict[str, Any]]


def id_from(*facts: str, length: int = 6) -> str:
    """An id in Klaviyo's short form that follows from facts."""
    digest = hashlib.sha256(":".join(facts).encode()).digest()
    return "".join(BASE62[byte % 62] for byte in digest[:length])


@dataclass
class Store:
    """What the account holds, what is due to happen, and what was sent.

    :param resources: by type, then id, oldest first.
    :param agenda: a heap of what is due: time, number, what.
    :param sends: deliveries, oldest first.
    :param counter: how many ids and events were made; ids follow from it, so that a run can be repeated.
    :param before: the campaigns as they were before the last write.
    """

    resources: Resources = field(default_factory=dict)
    agenda: list[Event] = field(default_factory=list)
    sends: list[dict[str, Any]] = field(default_factory=list)
    counter: int = 0
    before: Resources = field(default_factory=dict)

    def find(self, type_: str, id_: str) -> Resource | None:
        """The resource, or ``None``."""
        return self.resources.get(type_, {}).get(id_)

    def get(self, type_: str, id_: str) -> Resource:
        """The resource.

        :raises RefusedError: 404 when there is none.
        """
        resource = self.find(type_, id_)
        if resource is None:
            raise not_found(type_, id_)
        return resource

    def all(self, type_: str) -> Iterator[Resource]:
        """All resources of a type, oldest first."""
        yield from self.resources.get(type_, {}).values()

    def put(self, resource: Resource) -> Resource:
        """Add a resource, or replace the one with its id."""
        self.resources.setdefault(resource.type, {})[resource.id] = resource
        return resource

    def delete(self, type_: str, id_: str) -> None:
        """Remove a resource.

        :raises RefusedError: 404 when there is none.
        """
        self.get(type_, id_)
        del self.resources[type_][id_]

    def new_id(self, type_: str) -> str:
        """An unused id in the form that Klaviyo uses for the type: 26 characters in order of creation, or 6."""
        while True:
            self.counter += 1
            if type_ in KINDS and KINDS[type_].long_ids:
                order = "".join(CROCKFORD[(self.counter >> shift) & 31] for shift in range(30, -1, -5))
                digest = hashlib.sha256(f"{type_}:{self.counter}".encode()).digest()
                id_ = "01K" + order + "".join(CROCKFORD[byte & 31] for byte in digest[:16])
            else:
                id_ = id_from(type_, str(self.counter))
            if self.find(type_, id_) is None:
                return id_

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
        resources = {type_: dict(kind) for type_, kind in self.resources.items()}
        agenda, sends = list(self.agenda), [dict(delivery) for delivery in self.sends]
        counter, before = self.counter, self.before
        try:
            yield
        except BaseException:
            self.resources, self.agenda, self.sends = resources, agenda, sends
            self.counter, self.before = counter, before
            raise

    def campaigns(self) -> Resources:
        """The campaigns and messages as they are now; later changes do not reach what is returned."""
        return {type_: dict(self.resources.get(type_, {})) for type_ in ("campaign", "campaign-message")}

    def before_last_write(self) -> Store:
        """A view for reading in which the last write to a campaign has not happened yet."""
        return Store({**self.resources, **self.before}, self.agenda, self.sends, self.counter)

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
            store.put(Resource(**resource))
        store.before = store.campaigns()
        return store
