"""A request that has passed all checks, as handlers see it, and what they answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_klaviyo.api.operations import Operation
from airflow_provider_klaviyo.api.schemas import published
from airflow_provider_klaviyo.sandbox.clock import iso
from airflow_provider_klaviyo.sandbox.refusals import invalid
from airflow_provider_klaviyo.sandbox.settings import Settings
from airflow_provider_klaviyo.sandbox.store import Store


@dataclass(frozen=True, slots=True)
class Timing:
    """How long Klaviyo takes, in sandbox seconds.

    An immediate send is out after ``queued + adding``; ``sending`` later it is ``Sent``. A scheduled one is
    ``Scheduled`` after ``schedule_queued + schedule_adding``: 20 to 30 seconds were seen. A job over profiles is
    complete after ``queued + working``. A ``profile_count`` follows the membership ``counting`` later (a choice). A new
    segment has its members after ``filling``.
    """

    queued: float = 1.0
    adding: float = 2.0
    sending: float = 2.0
    schedule_queued: float = 5.0
    schedule_adding: float = 20.0
    reverting: float = 2.0
    estimating: float = 2.0
    working: float = 2.0
    counting: float = 2.0
    filling: float = 5.0


@dataclass(frozen=True, slots=True)
class ServedCall:
    """A validated request.

    :param id: the path's ``{id}`` or ``{job_id}``; empty when it has none.
    :param query: decoded query parameters.
    :param body: JSON values, valid by the published schema.
    :param revision: the revision applied.
    :param base: scheme and host for links, such as ``http://127.0.0.1:5528``.
    :param target: the request's path and query string, for ``links.self``.
    :param now: sandbox time in seconds since 1970.
    :param rules: what lists go by, where no document is published.
    """

    operation: Operation
    id: str
    query: Mapping[str, str]
    body: Any
    revision: str
    base: str
    target: str
    now: float
    store: Store
    timing: Timing
    settings: Settings
    rules: Mapping[str, Any] | None = None

    @property
    def published(self) -> Mapping[str, Any]:
        """What is published of the operation: its ``query`` and ``filters``."""
        return published(self.operation.id, self.revision) if self.rules is None else self.rules

    @property
    def data(self) -> Any:
        """The body's ``data``."""
        return self.body["data"]

    @property
    def attributes(self) -> Mapping[str, Any]:
        """The attributes given in the body."""
        given: Mapping[str, Any] = self.body["data"].get("attributes", {})
        return given

    @property
    def time(self) -> str:
        """Now, as Klaviyo writes it."""
        return iso(self.now)

    def listed(self, parameter: str) -> list[str]:
        """A comma-separated parameter's items."""
        return [item for item in self.query.get(parameter, "").split(",") if item]

    def check_ids_agree(self) -> None:
        """Refuse a PATCH whose body names another id than its path."""
        if self.data["id"] != self.id:
            raise invalid(f"The id {self.data['id']!r} is not the id in the path, {self.id!r}.", pointer="/data/id")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a handler answers.

    :param body: JSON values; ``None`` for an empty answer.
    :param headers: those besides the headers that every answer has.
    """

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[ServedCall], Reply]


@dataclass(frozen=True, slots=True)
class HTTPRequest:
    """A request as it came in.

    :param path: decoded path.
    :param query: decoded query parameters; the last one counts when a name is repeated.
    :param headers: by lower-case name.
    :param content: the body: bytes, or the fields of a form.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | Mapping[str, Any] = b""
    base: str = "http://127.0.0.1"
    target: str = "/"


@dataclass(frozen=True, slots=True)
class HTTPResponse:
    """A complete answer.

    :param committed: a write took effect.
    :param revision: the revision applied, once known.
    """

    status: int
    body: Any
    headers: Mapping[str, str]
    committed: bool = False
    revision: str | None = None
