"""The edges of a task process: its calls to Klaviyo and its state store, where it can be cut off, killed or paused.

What is wrapped is the transport of each client (one request, one answer) and Airflow's accessor of the state store;
the code between those edges runs as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
from openapi_client.rest import RESTClientObject

from airflow_provider_klaviyo.api.aio import KlaviyoAsyncClient
from airflow_provider_klaviyo.api.client import KlaviyoClient
from airflow_provider_klaviyo.api.operations import match
from benchmarks.never_twice.clock import VirtualClock, VirtualLoop
from benchmarks.never_twice.faults import CUTS, LAG, READ_TIMEOUT, Effect, Killed, Plan, Point

T = TypeVar("T")

CLOSED = "http://127.0.0.1:1"
"""Nothing listens there."""


class StoreRefusedError(Exception):
    """Airflow's API refused a write to the state store."""


@dataclass
class World:
    """What the processes of one run share.

    :param url: the sandbox.
    :param patience: real seconds that stand for :data:`READ_TIMEOUT`.
    :param lag_ends: when reads show everything again, however few there were.
    :param idle_rules: faults that the sandbox was told, and did not come to.
    """

    url: str
    clock: VirtualClock
    plan: Plan
    patience: float
    control: requests.Session
    lag_ends: float | None = None
    idle_rules: int = 0

    def end_lag(self) -> None:
        """Take the sandbox's rules back, counting those that never fired."""
        rules = self.control.get(f"{self.url}/sandbox/faults").json()
        self.idle_rules += sum(rule["fired"] < 1 and rule["fault"] != "stale" for rule in rules)
        self.control.delete(f"{self.url}/sandbox/faults").raise_for_status()
        self.lag_ends = None


class Hang:
    """A place to hang for one thread: it tells who waits for it that it has stopped, and waits to be released."""

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self.hangs = False
        self._released = threading.Event()

    def hang(self) -> None:
        self.hangs = True
        self.stopped.set()
        self._released.wait()
        self.hangs = False

    def release(self) -> None:
        self._released.set()


@dataclass
class Process:
    """A task process, or a trigger in the triggerer.

    :param triggerer: calls are polls, and a kill is the triggerer's.
    :param dead: set when the triggerer dies.
    """

    world: World
    task: str
    hang: Hang = field(default_factory=Hang)
    triggerer: bool = False
    dead: asyncio.Event = field(default_factory=asyncio.Event)

    def reach(self, what: str, side: str) -> Effect | None:
        """Pass a point: be killed or paused there, or told what else is to happen."""
        effect = self.world.plan.effect(Point(self.task, what, side))
        if effect is not None and effect.kind == "kill":
            self._lag(effect)
            raise Killed
        if effect is not None and effect.kind == "pause":
            self.hang.hang()
            return None
        return effect

    @contextlib.contextmanager
    def call(self, operation: str) -> Iterator[bool]:
        """Around one exchange; yields whether it is to be refused."""
        if self.world.lag_ends is not None and time.time() > self.world.lag_ends:
            self.world.end_lag()
        what = f"{'poll' if self.triggerer else 'call'} {operation}"
        effect = self.reach(what, "before")
        rule = CUTS.get(effect.kind) if effect else None
        if rule:
            self._arm({"operation": operation, **rule})
        began = time.monotonic()
        try:
            yield effect is not None and rule is None
        except Exception:
            waited = time.monotonic() - began
            if waited >= 0.95 * self.world.patience:
                self.world.clock.advance(READ_TIMEOUT - waited)
            self._lag(effect)
            self.reach(what, "after")
            raise
        self._lag(effect)
        self.reach(what, "after")

    def _lag(self, effect: Effect | None) -> None:
        if effect and effect.stale:
            self.world.lag_ends = time.time() + LAG
            self._arm({"operation": "*", "fault": "stale", "reads": effect.stale})

    def _arm(self, rule: dict[str, Any]) -> None:
        self.world.control.post(f"{self.world.url}/sandbox/faults", json=rule).raise_for_status()


_local = threading.local()


@contextlib.contextmanager
def running(process: Process) -> Iterator[None]:
    """What this thread does meanwhile is done by that process."""
    before = getattr(_local, "process", None)
    _local.process = process
    try:
        yield
    finally:
        _local.process = before


def current() -> Process:
    """The process that this thread stands for."""
    process: Process = _local.process
    return process


class Store:
    """Airflow's accessor of a task's state: writes take effect at once; a process that Airflow gave up is refused.

    :param notes: the task instance's notes, which outlive its tries.
    :param is_current: whether Airflow still takes this process for the task's.
    :param forgets: which notes are not written (the mutant).
    """

    def __init__(
        self, notes: dict[str, Any], is_current: Callable[[], bool], forgets: Callable[[str, Any], bool]
    ) -> None:
        self._notes = notes
        self._is_current = is_current
        self._forgets = forgets

    def get(self, key: str, default: Any = None) -> Any:
        self._check()
        return self._notes.get(key, default)

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        effect = current().reach(f"store set {key}", "before")
        if effect is not None:
            raise StoreRefusedError(f"{key}: 500 from Airflow's API server (made up)")
        self._check()
        if not self._forgets(key, value):
            self._notes[key] = value
        current().reach(f"store set {key}", "after")

    def delete(self, key: str) -> None:
        effect = current().reach(f"store delete {key}", "before")
        if effect is not None:
            raise StoreRefusedError(f"{key}: 500 from Airflow's API server (made up)")
        self._check()
        self._notes.pop(key, None)

    def _check(self) -> None:
        if not self._is_current():
            raise StoreRefusedError("404: task instance not found (a later try has begun)")


@contextlib.contextmanager
def transports_wrapped() -> Iterator[None]:
    """Let every exchange of our clients and of the SDK pass by the current process."""
    ours, ours_async, sdk = KlaviyoClient._send_once, KlaviyoAsyncClient._send_once, RESTClientObject.request

    def send_once(client: KlaviyoClient, request: Any) -> Any:
        with current().call(request.operation.id) as refused, _pointing(client, refused):
            return ours(client, request)

    async def send_once_async(client: KlaviyoAsyncClient, request: Any) -> Any:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.busy += 1
        try:
            with current().call(request.operation.id) as refused, _pointing(client, refused):
                return await ours_async(client, request)
        except Killed:
            current().dead.set()
        finally:
            loop.busy -= 1
        return await loop.create_future()

    def sdk_request(client: RESTClientObject, method: str, url: str, **rest: Any) -> Any:
        parts = urlsplit(url)
        found = match(method.upper(), parts.path)
        with current().call(found[0].id if found else parts.path) as refused:
            target = f"{CLOSED}{parts.path}?{parts.query}" if refused else url
            return sdk(client, method, target, **rest)  # type: ignore[no-untyped-call]

    KlaviyoClient._send_once = send_once  # type: ignore[method-assign, assignment]
    KlaviyoAsyncClient._send_once = send_once_async  # type: ignore[method-assign, assignment]
    RESTClientObject.request = sdk_request  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        KlaviyoClient._send_once = ours  # type: ignore[method-assign]
        KlaviyoAsyncClient._send_once = ours_async  # type: ignore[method-assign]
        RESTClientObject.request = sdk  # type: ignore[method-assign]


@contextlib.contextmanager
def _pointing(client: KlaviyoClient | KlaviyoAsyncClient, nowhere: bool) -> Iterator[None]:
    settings = client.settings
    if nowhere:
        client.settings = replace(settings, base_url=CLOSED)
    try:
        yield
    finally:
        client.settings = settings
