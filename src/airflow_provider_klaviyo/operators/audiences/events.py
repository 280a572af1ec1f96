"""Import events, many at a time."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_klaviyo.campaigns.values import (
    Field,
    Output,
    check_choice,
    filled,
    identifier,
    key_values,
    mapping,
    show,
    text,
)
from airflow_provider_klaviyo.never_twice.repeat import repeat
from airflow_provider_klaviyo.operators.audiences.batches import each, rows_named
from airflow_provider_klaviyo.operators.audiences.rows import email, moment, phone_number, rows_of
from airflow_provider_klaviyo.tasks import CONNECTION, KlaviyoTask

if TYPE_CHECKING:
    from airflow.sdk import Context

Numbered = tuple[int, dict[str, Any]]
"""An event, with its number in ``events``, from 0."""

EVENTS, BYTES = 1_000, 5_000_000
"""Of one request, at most."""
AROUND = 400
"""Bytes that a request has around each event and its profile, at most."""
PROPERTIES, LONGEST = 400, 100_000
"""Properties of an event, and bytes of one string, at most."""
IDENTIFIERS = ("email", "phone_number", "external_id", "id", "anonymous_id")


def _number(value: Any, field: Field) -> Any:
    """A number, or what Jinja makes of one."""
    if field.pending(value):
        return value
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise field.error(f"is {show(value)}", "Give a number.")
    return number


def _properties(value: Any, field: Field) -> Any:
    read = key_values(value, field)
    if isinstance(read, dict):
        if len(read) > PROPERTIES:
            raise field.error(f"has {len(read)} entries", f"Klaviyo takes {PROPERTIES} at most: leave some out.")
        for name, item in read.items():
            if isinstance(item, str) and len(item.encode()) > LONGEST:
                raise field.at(name).error(
                    f"is {len(item.encode()):,} bytes long", f"Klaviyo takes {LONGEST:,} at most: shorten it."
                )
    return read


def _profile(value: Any, field: Field) -> Any:
    if field.pending(value):
        return value
    if not isinstance(value, Mapping):
        raise field.error(f"is of type {type(value).__name__}", f"Give a dict with one of: {', '.join(IDENTIFIERS)}.")
    profile = {name: item for name, item in mapping(value, field, OF_PROFILE).items() if item is not None}
    if not any(profile.get(name) for name in IDENTIFIERS):
        raise field.error(f"has none of: {', '.join(IDENTIFIERS)}", "Give one of them.")
    return profile


OF_PROFILE = {
    "email": email,
    "phone_number": phone_number,
    "external_id": filled,
    "id": identifier,
    "anonymous_id": filled,
    **dict.fromkeys(("first_name", "last_name", "organization", "locale", "title", "image"), text),
    "location": key_values,
    "properties": key_values,
}
"""What an event may have of its profile, and how it is read."""
OF_EVENT = {
    "metric": filled,
    "profile": _profile,
    "properties": _properties,
    "time": moment,
    "value": _number,
    "value_currency": filled,
    "unique_id": filled,
}
"""What an event may have, and how it is read."""


class KlaviyoImportEventsOperator(KlaviyoTask):
    """Import events: something that profiles did, such as an order. A profile that Klaviyo does not have is made.

    Klaviyo records them in the minutes that follow, and has no job to wait for. Flows that a metric triggers begin,
    unless ``backfill``.

    Klaviyo keeps one event of each ``unique_id``. One that has none gets a digest of all that is in it, its time too:
    so it is the same event in each try, run and DAG. Of the same event twice, one is imported.

    *Retry, kill, lost answer, clear*: imports again; what Klaviyo has it keeps as it is. *Rate limit*: 1 request for
    each 1,000 events or 5 MB; 10/s and 150/min per account.

    :param events: rows with ``metric`` (its name), ``profile`` (``email``, ``phone_number``, ``external_id``, ``id`` or
        ``anonymous_id``, and attributes that are to change), ``time`` (an aware datetime, or ISO 8601 with an offset)
        and, if wanted, ``properties``, ``value``, ``value_currency`` and ``unique_id``. With a ``unique_id`` the time
        may be missing: it is then when Klaviyo gets the event. Templated.
    :param backfill: True if the events are history: no flow begins.
    :returns: ``{"accepted": int, "duplicates": int}``: events that Klaviyo has taken, and rows left out because another
        row is the same event.
    :raises KlaviyoValidationError: an event that cannot be right, by its number and field, or two that have the same
        ``unique_id`` and are not the same; nothing was posted. Or Klaviyo refused a request; the log has how many
        events were accepted before.
    :raises KlaviyoAmbiguousWriteError: a request was not answered, several times.
    """

    template_fields = ("events", *CONNECTION)
    template_fields_renderers: ClassVar[dict[str, str]] = {"events": "json"}
    ui_color = "#f6f1eb"
    any_revision = True

    def __init__(self, *, events: Sequence[Mapping[str, Any]] | Output, backfill: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.events = events
        self.backfill = backfill
        check_choice("backfill", backfill, (True, False))
        self._rows()

    def _rows(self, *, rendered: bool = False) -> list[Any]:
        return rows_of(self.events, Field("/events", rendered=rendered), self._row)

    def _row(self, value: Any, field: Field) -> Any:
        if field.pending(value):
            return value
        if not isinstance(value, Mapping):
            raise field.error(f"is of type {type(value).__name__}", f"Give a dict with some of: {', '.join(OF_EVENT)}.")
        read = mapping(value, field, OF_EVENT, required=("metric", "profile"))
        event = {"properties": {}, **{name: item for name, item in read.items() if item is not None}}
        if "time" not in event and "unique_id" not in event:
            raise field.at("time").error(
                "is missing", "Give when it was, or a unique_id: an event without them is another one in each try."
            )
        if self.backfill:
            event["backfill"] = True
        return event

    def execute(self, context: Context) -> dict[str, int]:
        self.check_rendered()
        rows = self._rows(rendered=True)
        events = self._once(rows)
        for part in each(self.log, _requests(events), what="events are accepted"):
            with rows_named(part[0][0], part[-1][0]):
                repeat(self.log, self.hook.import_events, _by_profile(part))
        return {"accepted": len(events), "duplicates": len(rows) - len(events)}

    def _once(self, rows: list[dict[str, Any]]) -> list[Numbered]:
        """The events, each once and with its ``unique_id``.

        :raises KlaviyoValidationError: two of one ``unique_id`` are not the same.
        """
        from airflow_provider_klaviyo.never_twice.notes import digest

        first: dict[str, Numbered] = {}
        for number, row in enumerate(rows):
            event = row if "unique_id" in row else {**row, "unique_id": digest(row)}
            earlier, same = first.setdefault(event["unique_id"], (number, event))
            if same != event:
                raise Field(f"/events/{number}/unique_id").error(
                    f"is that of event {earlier} too, and they are not the same",
                    "Give each event a unique_id of its own, or leave it out.",
                )
        return list(first.values())


def _requests(events: list[Numbered]) -> list[list[Numbered]]:
    """The events of each request: as many as Klaviyo takes at a time.

    :raises KlaviyoValidationError: one is too large by itself.
    """
    parts: list[list[Numbered]] = []
    size = BYTES
    for number, event in events:
        own = len(json.dumps(event, ensure_ascii=False).encode()) + AROUND
        if own > BYTES:
            raise Field(f"/events/{number}").error(
                f"is {own:,} bytes long", f"Klaviyo takes {BYTES:,} at most: leave something out."
            )
        if size + own > BYTES or len(parts[-1]) == EVENTS:
            parts.append([])
            size = AROUND
        parts[-1].append((number, event))
        size += own
    return parts


def _by_profile(part: Sequence[Numbered]) -> list[tuple[Mapping[str, Any], list[Mapping[str, Any]]]]:
    """The events of each profile."""
    found: dict[str, tuple[Mapping[str, Any], list[Mapping[str, Any]]]] = {}
    for _, event in part:
        profile = event["profile"]
        _, events = found.setdefault(json.dumps(profile, sort_keys=True), (profile, []))
        events.append({name: value for name, value in event.items() if name != "profile"})
    return list(found.values())
