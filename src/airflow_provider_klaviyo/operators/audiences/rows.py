"""Reading rows of people: each error names the row's number and the field, and no address."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from datetime import UTC, datetime
from typing import Any

from airflow_provider_klaviyo.audiences.addresses import is_e164, is_email
from airflow_provider_klaviyo.campaigns.values import Field, Reader, sequence, show


def rows_of(value: Any, field: Field, reader: Reader) -> list[Any]:
    """A list that is not empty, each row read by the reader; an empty one while it is still to be rendered."""
    if field.pending(value):
        return []
    if isinstance(value, list | tuple) and not value:
        raise field.error("is empty", "Give some, or skip this task where there are none.")
    rows: list[Any] = sequence(value, field, reader)
    return rows


def once(rows: Iterable[Any], key: Callable[[Any], Hashable] = str) -> list[tuple[int, Any]]:
    """Rows with their numbers, from 0; of several with the same key, the first."""
    found: dict[Hashable, tuple[int, Any]] = {}
    for number, row in enumerate(rows):
        found.setdefault(key(row), (number, row))
    return list(found.values())


def email(value: Any, field: Field) -> Any:
    """One e-mail address."""
    if not field.pending(value) and not (isinstance(value, str) and is_email(value)):
        raise field.error("is not an e-mail address", "Give one, such as ada@example.com.")
    return value


def phone_number(value: Any, field: Field) -> Any:
    """One phone number in E.164."""
    if not field.pending(value) and not (isinstance(value, str) and is_e164(value)):
        raise field.error("is not a phone number in E.164", "Give one with its country's code, such as +15550100000.")
    return value


def moment(value: Any, field: Field) -> Any:
    """A moment, as ISO 8601 with its offset from UTC."""
    if field.pending(value):
        return value
    try:
        given = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise field.error(f"is {show(value)}", "Give an aware datetime, or ISO 8601 with an offset.") from None
    if given.tzinfo is None:
        raise field.error(
            f"is {show(value)}, which has no time zone", "Give an aware datetime, or ISO 8601 with an offset."
        )
    return given.isoformat()


def past(value: Any, field: Field) -> Any:
    """A moment, as :func:`moment`, that is not to come. It is judged once it is rendered."""
    read = moment(value, field)
    if field.rendered and datetime.fromisoformat(read) >= datetime.now(UTC):
        raise field.error(f"is {read}, which is not in the past", "Give when it was.")
    return read
