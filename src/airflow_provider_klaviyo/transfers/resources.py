"""What of an account can be written to files: how Klaviyo lists it, and what a row of it has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from airflow_provider_klaviyo.api import filters
from airflow_provider_klaviyo.api.campaigns import CHANNELS, only
from airflow_provider_klaviyo.api.checks import facts
from airflow_provider_klaviyo.api.document import Resource
from airflow_provider_klaviyo.api.errors import KlaviyoApiError
from airflow_provider_klaviyo.api.filters import Filter
from airflow_provider_klaviyo.api.operations import get, revisions

Kind = Literal["text", "time", "whole", "number", "flag", "ids", "json"]
"""What a column has. ``ids`` is a list of texts, ``json`` any JSON value."""

Row = dict[str, Any]

AHEAD = timedelta(minutes=5)
"""How far this machine's clock may be ahead of Klaviyo's, which refuses to filter by a time that lies ahead of its."""

SECOND = timedelta(seconds=1)

SUBSCRIPTIONS, PREDICTIONS = "subscriptions", "predictive_analytics"
ADDITIONAL = (SUBSCRIPTIONS, PREDICTIONS)
"""Attributes of profiles that Klaviyo answers with only when they are asked for."""


@dataclass(frozen=True, slots=True)
class Source:
    """How Klaviyo lists a kind of resource.

    :param operation: lists them.
    :param type: Klaviyo's word for one.
    :param time: the attribute that ``since`` and ``until`` are about.
    :param ids: columns with ids of related resources: their kind, and the relationship.
    :param by_channel: True if Klaviyo lists one channel at a time.
    """

    operation: str
    type: str
    time: str
    ids: Mapping[str, tuple[Kind, str]] = field(default_factory=dict)
    by_channel: bool = False


SOURCES: Mapping[str, Source] = {
    "campaigns": Source(
        "get_campaigns", "campaign", "updated_at", {"message_ids": ("ids", "campaign-messages")}, by_channel=True
    ),
    "profiles": Source("get_profiles", "profile", "updated"),
    "events": Source(
        "get_events", "event", "datetime", {"profile_id": ("text", "profile"), "metric_id": ("text", "metric")}
    ),
    "lists": Source("get_lists", "list", "updated"),
    "segments": Source("get_segments", "segment", "updated"),
}


class Export:
    """One reading of a kind of resource.

    :param revision: Klaviyo's API revision. Of one without a published document here, the newest that there is counts.
    :param fields: attributes, or parts of them (``location.city``), that rows have; empty: all.
    :param wanted: which resources; ``None``: all.
    :param since: rows whose time is this one or later; ``None``: from the first.
    :param until: rows whose time is before this one.
    """

    def __init__(
        self,
        source: Source,
        *,
        revision: str,
        fields: Sequence[str],
        wanted: Filter | None,
        since: datetime | None,
        until: datetime,
    ) -> None:
        self.source = source
        self._revision = revision
        self._fields = [*dict.fromkeys((*fields, source.time))] if fields else []
        self._wanted = wanted
        self._since = since
        self._until = until
        self.columns = self._columns()

    def queries(self, now: datetime) -> Iterator[tuple[str | None, dict[str, Any]]]:
        """The lists to read, each with the channel that it is of, and its query. Rows come in the order of their time.

        :param now: by this machine's clock.
        """
        size = facts(self.source.operation, self._revision)["query"]["page[size]"]["schema"]["maximum"]
        query = {"sort": self.source.time, "page[size]": size}
        if self._fields and not self.source.ids:  # Klaviyo leaves out the ids of what is related from a sparse answer
            query[f"fields[{self.source.type}]"] = ",".join(self._fields)
        if self.source.type == "profile" and (additional := [name for name in ADDITIONAL if name in self.columns]):
            query["additional-fields[profile]"] = ",".join(additional)
        for channel in CHANNELS if self.source.by_channel else (None,):
            parts = [filters.equals("messages.channel", channel)] if channel else []
            parts += [self._wanted] if self._wanted else []
            parts += self._window(now)
            wanted = Filter(tuple(clause for part in parts for clause in part.clauses))
            yield channel, query | ({"filter": str(wanted)} if wanted.clauses else {})

    def rows(self, resources: Sequence[Resource], channel: str | None) -> list[Row]:
        """The rows of a page: those within the window, whatever Klaviyo filters by."""
        return [self._row(resource, channel) for resource in resources if self._is_within(resource)]

    def _window(self, now: datetime) -> list[Filter]:
        """As much of the window as Klaviyo filters by. It is exact in :meth:`rows`."""
        time = self.source.time
        operators = facts(self.source.operation, self._revision)["filters"][time]["operators"]["single"]
        found = []
        if self._since is not None and "greater-or-equal" in operators:
            found.append(filters.greater_or_equal(time, self._since))
        elif self._since is not None:
            found.append(filters.greater_than(time, self._since - SECOND))
        if "less-than" in operators and self._until < now - AHEAD:
            found.append(filters.less_than(time, self._until))
        return found

    def _is_within(self, resource: Resource) -> bool:
        if resource.attributes.get(self.source.time) is None:
            return self._since is None
        text = resource.text(self.source.time)
        try:
            read = datetime.fromisoformat(text)
        except ValueError:
            raise KlaviyoApiError(
                f"{self.source.time} of {resource.type} {resource.id} is not a time, so it is not known if it lies "
                f"within the window. Nothing was written."
            ) from None
        at = read if read.tzinfo else read.replace(tzinfo=UTC)
        return (self._since is None or at >= self._since) and at < self._until

    def _row(self, resource: Resource, channel: str | None) -> Row:
        source = self.source
        row: Row = dict.fromkeys(self.columns)
        row["id"] = resource.id
        if source.by_channel:
            row["channel"] = channel
        for name, (kind, relationship) in source.ids.items():
            ids = resource.related(relationship)
            row[name] = ids if kind == "ids" else next(iter(ids), None)
        attributes = only(resource.attributes, self._fields) if self._fields else resource.attributes
        row |= {name: value for name, value in attributes.items() if name in self.columns and name != "id"}
        return row

    def _columns(self) -> dict[str, Kind]:
        from airflow_provider_klaviyo.api.schemas import attributes

        source = self.source
        known = get(source.operation).revisions
        schemas = attributes(source.operation, self._revision if self._revision in revisions() else known[-1])
        named = {name.partition(".")[0] for name in self._fields} or schemas.keys() - {PREDICTIONS}
        kinds = {name: _kind(schema) for name, schema in schemas.items() if name in named}
        own: dict[str, Kind] = {"id": "text", **({"channel": "text"} if source.by_channel else {})}
        ids = {name: kind for name, (kind, _) in source.ids.items()}
        last = {name: kinds.pop(name) for name in ADDITIONAL if name in kinds}
        return {**own, **ids, **kinds, **last}


def _kind(schema: Mapping[str, Any]) -> Kind:
    match schema.get("type"), schema.get("format"):
        case "string", "date-time":
            return "time"
        case "string", _:
            return "text"
        case "integer", _:
            return "whole"
        case "number", _:
            return "number"
        case "boolean", _:
            return "flag"
        case _:
            return "json"
