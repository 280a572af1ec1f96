"""Every operation Klaviyo publishes: where it lives, how often it may be called, what it needs.

The tables are read from ``spec/`` on first use, so importing this module costs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

from msgspec import Raw, Struct
from msgspec.json import decode

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.api.text import nearest

SPEC = Path(__file__).parent / "spec"

PUBLISHED, LATER = "operations", "later"
"""Names of the two tables: the operations of published documents, and those of a later revision."""

DEFAULT_REVISION = "2026-04-15"


class Limits(Struct, frozen=True):
    """How many calls one account may make in each fixed window.

    :param burst: calls per second.
    :param steady: calls per minute.
    :param daily: calls per day; ``None`` when there is no daily limit.
    """

    burst: int
    steady: int
    daily: int | None = None


class Operation(Struct, frozen=True):
    """One published operation.

    :param id: Klaviyo's operation id, such as ``get_campaign``.
    :param method: HTTP method in upper case.
    :param path: path template, such as ``/api/campaigns/{id}``.
    :param aliases: other names of the same operation in Klaviyo's SDKs.
    :param limits: published rate limits.
    :param scopes: the scopes an API key needs, all of them.
    :param success: documented success statuses. The live service may answer another 2xx.
    :param document: True if a success comes with a JSON:API document, by what Klaviyo publishes.
    :param revisions: those of :func:`revisions` that have this operation, oldest first.
    """

    id: str
    method: str
    path: str
    aliases: tuple[str, ...]
    limits: Limits
    scopes: tuple[str, ...]
    success: tuple[int, ...]
    document: bool
    revisions: tuple[str, ...]

    @property
    def is_write(self) -> bool:
        """True if it may change something: anything but a GET, unless it needs nothing but ``:read`` scopes.

        The latter are the queries of Klaviyo's reporting, and the rendering of a template, which are POSTs.
        """
        reads_only = bool(self.scopes) and all(scope.endswith(":read") for scope in self.scopes)
        return self.method != "GET" and not reads_only

    @property
    def path_parameters(self) -> tuple[str, ...]:
        """Names of the ``{…}`` parts of the path, in order."""
        return tuple(part[1:-1] for part in self.path.split("/") if part.startswith("{"))


@cache
def revisions() -> tuple[str, ...]:
    """The revisions whose published documents this package carries, oldest first."""
    return _table(PUBLISHED).revisions


@cache
def operations() -> Mapping[str, Operation]:
    """All operations by id. Aliases are not keys: use :func:`get` to find an operation by either name."""
    return _all(PUBLISHED)


@cache
def later() -> Mapping[str, Operation]:
    """The operations of a revision whose document Klaviyo has not published: nothing is known of their bodies."""
    return _all(LATER)


def is_later(operation: Operation) -> bool:
    """True for one of :func:`later`."""
    return operation.id in _table(LATER).operations


def _all(table: str) -> Mapping[str, Operation]:
    return MappingProxyType({name: _operation(table, name) for name in _table(table).operations})


@cache
def _operation(table: str, name: str) -> Operation:
    """One of a table, made when it is first asked for: a task needs a few of some four hundred."""
    row = decode(_table(table).operations[name])
    return Operation(
        id=name,
        method=row["method"],
        path=row["path"],
        aliases=tuple(row["aliases"]),
        limits=Limits(**row["limits"]),
        scopes=tuple(row["scopes"]),
        success=tuple(row["success"]),
        document=row["document"],
        revisions=tuple(row["revisions"]),
    )


def get(name: str) -> Operation:
    """The operation with this id or alias; one of :func:`later`, too.

    :raises KlaviyoValidationError: there is no such operation; the message suggests the nearest names.
    """
    for table in (PUBLISHED, LATER):
        if found := name if name in _table(table).operations else _names(table).get(name):
            return _operation(table, found)
    hint = nearest(name, [*_names(PUBLISHED), *_names(LATER)], most=3) or " See Klaviyo's API reference."
    raise KlaviyoValidationError(f"Klaviyo has no operation {name!r}.{hint}")


def match(method: str, path: str, *, with_later: bool = False) -> tuple[Operation, dict[str, str]] | None:
    """The operation a request is for, with its path parameters; ``None`` when there is none.

    A trailing slash is tolerated, and a literal segment beats a parameter: ``/api/campaigns/clone`` is matched by a
    published ``…/clone`` before ``/api/campaigns/{id}``.

    :param path: the decoded path without query string.
    :param with_later: True for those of :func:`later`, too.
    """
    segments = path.rstrip("/").split("/")
    candidates = _routes(with_later).get((method.upper(), len(segments)), ())
    for template, operation in candidates:
        parameters = {}
        for expected, actual in zip(template, segments, strict=True):
            if expected.startswith("{"):
                if not actual:
                    break
                parameters[expected[1:-1]] = actual
            elif expected != actual:
                break
        else:
            return operation, parameters
    return None


class _Table(Struct, frozen=True):
    """A table as it is kept; a row is read when its operation is made."""

    operations: dict[str, Raw]
    revisions: tuple[str, ...] = ()


@cache
def _table(name: str) -> _Table:
    return decode((SPEC / f"{name}.json").read_bytes(), type=_Table)


@cache
def _names(table: str) -> Mapping[str, str]:
    """The ids of a table's operations by each of their names; where two have the same, it is the id's."""
    rows = _table(table).operations
    aliases = {alias: name for name, row in rows.items() for alias in decode(row)["aliases"]}
    return aliases | {name: name for name in rows}


@cache
def _routes(with_later: bool) -> Mapping[tuple[str, int], list[tuple[list[str], Operation]]]:
    """Path templates by method and length, those with the earliest literal segments first."""
    routes: dict[tuple[str, int], list[tuple[list[str], Operation]]] = {}
    known = {**later(), **operations()} if with_later else operations()
    for operation in known.values():
        template = operation.path.split("/")
        routes.setdefault((operation.method, len(template)), []).append((template, operation))
    for candidates in routes.values():
        candidates.sort(key=lambda candidate: [segment.startswith("{") for segment in candidate[0]])
    return routes


NEWEST_OF_CAMPAIGNS = "2026-07-15"
"""The newest revision whose campaigns have one audience, one strategy and one status, as everything here reads them."""

OMNICHANNEL = "2026-10-15"
"""The revision with omnichannel campaigns, whose messages have a status each. They are read here, and not written."""

BETA_SINCE = "2026-04-15"
"""From here on, the beta revisions (``2026-04-15.pre``) have campaigns of the other kind already."""


def check_revision(revision: str) -> str:
    """An API revision as Klaviyo writes it.

    :raises KlaviyoValidationError: not of the form ``YYYY-MM-DD`` or ``YYYY-MM-DD.pre``.
    """
    if not isinstance(revision, str) or not re.fullmatch(r"\d{4}-\d{2}-\d{2}(\.\w+)?", revision, re.ASCII):
        raise KlaviyoValidationError(
            f"revision is {revision!r}; a Klaviyo API revision looks like {DEFAULT_REVISION!r}.", pointer="revision"
        )
    return revision


def is_omnichannel(revision: str | None) -> bool:
    """True for the revision whose omnichannel campaigns are read here.

    :param revision: as Klaviyo writes it; ``None``: not known yet.
    """
    return revision == OMNICHANNEL


def check_campaigns(revision: str, *, reads: bool = False) -> None:
    """Refuse a revision whose campaigns are of another kind.

    Its campaigns are trees of audiences, messages and variations, and have no status of their own: what reads or
    writes the old kind would misread the answers, and may leave a guard out.

    :param revision: as Klaviyo writes it: ``YYYY-MM-DD``, or ``YYYY-MM-DD.pre``.
    :param reads: True for what reads omnichannel campaigns, too.
    :raises KlaviyoValidationError: it is such a revision; the message names the newest of the other kind.
    """
    date, _, beta = revision.partition(".")
    if date <= NEWEST_OF_CAMPAIGNS and not (beta and date >= BETA_SINCE):
        return
    if not is_omnichannel(revision):
        raise KlaviyoValidationError(
            f"revision is {revision!r}, whose campaigns are of another kind: the campaign operators, sensors, triggers "
            f"and hook methods of this package speak revisions up to {NEWEST_OF_CAMPAIGNS!r}. Set "
            f"revision={NEWEST_OF_CAMPAIGNS!r} on the task, or in the connection's extra. KlaviyoApiOperator and "
            f"hook.call take any revision.",
            pointer="revision",
        )
    if not reads:
        raise KlaviyoValidationError(
            f"revision is {revision!r}, whose campaigns are of another kind: this package reads them with "
            f"KlaviyoListCampaignsOperator, KlaviyoCampaignStatusSensor, KlaviyoCampaignReportOperator, "
            f"KlaviyoCampaignStatusEventTrigger and hook.list_campaigns, and writes none. For this, set "
            f"revision={NEWEST_OF_CAMPAIGNS!r} on the task; the connection, and tasks that read, may keep theirs. "
            f"KlaviyoApiOperator and hook.call take any revision.",
            pointer="revision",
        )
