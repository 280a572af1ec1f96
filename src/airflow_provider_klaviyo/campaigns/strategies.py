"""When a campaign is sent: Klaviyo's send strategies.

:func:`immediate`, :func:`static`, :func:`throttled` and :func:`smart_send_time` make the dict that Klaviyo takes as
``send_strategy``. Any argument may be Jinja. :func:`check_strategy` judges such a dict, whoever wrote it.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from airflow_provider_klaviyo.campaigns.values import Field, Reader, flag, is_template, mapping, one_of, show, whole

THROTTLE_PERCENTAGES = (10, 11, 13, 14, 17, 20, 25, 33, 50)
SLOW_PERCENTAGES = (1, 2, 5)
SLOW_SINCE = "2026-07-15"
PAST = "Give a later one, or use immediate(). In a backfill or catch-up run, what comes from the data interval is past."
FIRST_ZONE, LAST_ZONE = dt.timedelta(hours=14), dt.timedelta(hours=12)
"""How far the first time zone is ahead of UTC, and the last one behind it: a clock shows every time between the two."""


def immediate() -> dict[str, Any]:
    """Send as soon as the send job is posted. This is Klaviyo's default."""
    return _strategy(method="immediate")


def static(
    datetime: str | dt.datetime,
    *,
    is_local: bool | str = False,
    send_past_recipients_immediately: bool | str = False,
) -> dict[str, Any]:
    """Send at one time.

    :param datetime: an aware datetime, or a string in ISO 8601 with an offset. With ``is_local`` without an offset, or
        written as UTC: it is what the clock shows, not a moment.
    :param is_local: send when the clock of each recipient's time zone shows ``datetime``.
    :param send_past_recipients_immediately: with ``is_local``: recipients whose clock has shown the time already are
        sent to at once. What becomes of them otherwise is not in Klaviyo's API documentation; its web application sends
        to them at that time on the following day.
    :raises KlaviyoValidationError: no time zone without ``is_local``; with it, another one than UTC.
    """
    if not is_local and not send_past_recipients_immediately:
        return _strategy(method="static", datetime=datetime)
    options = {"is_local": is_local, "send_past_recipients_immediately": send_past_recipients_immediately}
    return _strategy(method="static", datetime=datetime, options=options)


def throttled(datetime: str | dt.datetime, *, throttle_percentage: int | str) -> dict[str, Any]:
    """Send in hourly batches.

    :param datetime: when the first batch goes: an aware datetime, or a string in ISO 8601 with an offset.
    :param throttle_percentage: percent of the recipients per hour: 10, 11, 13, 14, 17, 20, 25, 33 or 50, and from
        revision 2026-07-15 on also 1, 2 or 5.
    :raises KlaviyoValidationError: no time zone; another percentage.
    """
    return _strategy(method="throttled", datetime=datetime, throttle_percentage=throttle_percentage)


def smart_send_time(date: str | dt.date) -> dict[str, Any]:
    """Let Klaviyo choose the hour for each recipient. E-mail and SMS only.

    Klaviyo offers it for audiences of 12,000 recipients and more.

    :param date: the day: a date, a datetime of which the calendar day counts, or either as a string in ISO 8601.
    """
    return _strategy(method="smart_send_time", date=date)


class Window(Struct, frozen=True):
    """When a campaign goes out, over all the time zones that may be meant. All moments are in UTC.

    :param field: which field of the strategy says so: ``datetime`` or ``date``.
    :param first: where it is that time (or day) first.
    :param last: where it is that time (or the end of that day) last.
    :param over: when the last batch begins; without batches that is ``last``.
    :param is_local: True if each recipient's own clock counts.
    :param late_get_it: True if recipients whose clock has shown the time already are sent to at once.
    """

    field: str
    first: dt.datetime
    last: dt.datetime
    over: dt.datetime
    is_local: bool
    late_get_it: bool

    def has_passed(self, now: dt.datetime) -> bool:
        """True if it lies behind ``now`` in every time zone that may be meant."""
        return now > self.last


def window(strategy: Any) -> Window | None:
    """When a campaign with this strategy goes out, be the strategy ours or as Klaviyo returns it.

    Whose clock counts is not known for a day (the account's, or each recipient's), nor for a time without an offset:
    every time zone may be meant.

    :return: ``None``: at once, or nothing in the strategy has a time (Klaviyo may have methods not known here).
    :raises KlaviyoValidationError: the time is missing or cannot be read; ``pointer`` names the field.
    """
    given: Mapping[str, Any] = strategy if isinstance(strategy, Mapping) else {}
    method = given.get("method")
    names = ("date", "datetime") if method == "smart_send_time" else ("datetime", "date")
    name = next((name for name in names if given.get(name) is not None), None)
    if method == "immediate" or (name is None and method not in tuple(READERS)):
        return None
    field = Field("/send_strategy").at(name or names[0])
    if name is None:
        raise field.error("is missing", f"A campaign sent by {method!r} needs it: give a send_strategy that has it.")
    value = _read_iso(given[name], field)
    options = given["options"] if isinstance(given.get("options"), Mapping) else {}
    is_local = _is_true(options.get("is_local"))
    duration, offset = dt.timedelta(0), dt.timedelta(0)
    if name == "date" or not isinstance(value, dt.datetime):
        start, ahead, behind = dt.datetime(value.year, value.month, value.day), FIRST_ZONE, LAST_ZONE
        duration = dt.timedelta(days=1, microseconds=-1)
    else:
        start, told_offset = value.replace(tzinfo=None), value.utcoffset()
        every_zone = is_local or told_offset is None
        offset = told_offset or offset
        ahead, behind = (FIRST_ZONE, LAST_ZONE) if every_zone else (dt.timedelta(0), dt.timedelta(0))
    return Window(
        field=name,
        first=_utc(start, -offset - ahead),
        last=_utc(start, duration - offset + behind),
        over=_utc(start, duration - offset + behind + _batches(given.get("throttle_percentage"))),
        is_local=is_local,
        late_get_it=_is_true(options.get("send_past_recipients_immediately")),
    )


def check_strategy(
    strategy: Any, *, revision: str | None = None, channel: str | None = None, now: dt.datetime | None = None
) -> Any:
    """Judge a send strategy, and return it as it is to be sent.

    :param revision: the API revision of the call; ``None``: what some revision takes is taken.
    :param channel: the campaign's channel, where known.
    :param now: the current time, given when the values have been rendered: Jinja that is left, and a time that has
        passed (in every time zone that may be meant: :func:`window`), are refused then.
    :return: a dict; whatever was given, where it cannot be judged before it is rendered.
    :raises KlaviyoValidationError: Klaviyo would refuse it; ``pointer`` names the field.
    """
    field = Field("/send_strategy", rendered=now is not None)
    if field.pending(strategy):
        return strategy
    method = strategy.get("method") if isinstance(strategy, Mapping) else None
    if method is None:
        raise field.at("method").error(f"is missing in {show(strategy)}", f"Give one of: {', '.join(READERS)}.")
    if field.at("method").pending(method):
        return strategy
    if method in ("ab_test_campaign", "unsupported"):
        raise field.at("method").error(f"is {method!r}", "Klaviyo reports it but does not take it: use its web UI.")
    if method == "smart_send_time" and channel == "mobile_push":
        raise field.at("method").error("is 'smart_send_time'", "Klaviyo has it for e-mail and SMS, not for push.")
    readers = READERS[one_of(*READERS)(method, field.at("method"))]
    required = [name for name in readers if name != "options"]
    cleaned = mapping(strategy, field, {"method": one_of(*READERS), **readers}, required)
    if "throttle_percentage" in cleaned and not is_template(cleaned["throttle_percentage"]):
        _check_percentage(cleaned["throttle_percentage"], field.at("throttle_percentage"), revision)
    if "datetime" in cleaned and not is_template(cleaned["datetime"]):
        options = cleaned.get("options")
        is_local = options["is_local"] if isinstance(options, dict) else False if options is None else options
        cleaned["datetime"] = _with_zone(cleaned["datetime"], is_local, field.at("datetime"))
    if now is not None and (planned := window(cleaned)) and planned.has_passed(now):
        given = cleaned[planned.field]
        raise field.at(planned.field).error(f"is {given!r}, which has passed at {now.isoformat()}", PAST)
    return cleaned


def _strategy(**fields: Any) -> dict[str, Any]:
    strategy: dict[str, Any] = check_strategy(fields)
    return strategy


def _check_percentage(percentage: int, field: Field, revision: str | None) -> None:
    slow = SLOW_PERCENTAGES if revision is None or revision >= SLOW_SINCE else ()
    allowed = (*slow, *THROTTLE_PERCENTAGES)
    if percentage not in allowed:
        hint = f" Revision {SLOW_SINCE} also takes 1, 2 and 5." if percentage in SLOW_PERCENTAGES else ""
        raise field.error(f"is {percentage}", f"Allowed: {', '.join(map(str, allowed))}.{hint}")


def _with_zone(text: str, is_local: Any, field: Field) -> str:
    """The time as Klaviyo takes it, once it is known whose clock counts."""
    moment = dt.datetime.fromisoformat(text)
    if is_local is True and moment.utcoffset():
        raise field.error(
            f"is {text!r}, which is not in UTC",
            "With is_local=True give what each recipient's clock is to show, without an offset: 2026-05-01T09:00:00.",
        )
    if moment.utcoffset() is not None or is_template(is_local):
        return text
    if is_local is True:
        return moment.replace(tzinfo=dt.UTC).isoformat()
    raise field.error(
        f"is {text!r}, without a time zone",
        "Add an offset ('2026-05-01T09:00:00+02:00', or Z for UTC), or give an aware datetime.",
    )


def _moment(value: Any, field: Field) -> Any:
    if field.pending(value):
        return value
    moment = _read_iso(value, field)
    if not isinstance(moment, dt.datetime):
        raise field.error(f"is {show(value)}", "Give a date and a time, such as 2026-05-01T09:00:00Z.")
    offset = moment.utcoffset() or dt.timedelta(0)
    whole_minutes = not offset % dt.timedelta(minutes=1)
    return (moment if whole_minutes else _utc(moment.replace(tzinfo=None), -offset)).isoformat()


def _day(value: Any, field: Field) -> Any:
    if field.pending(value):
        return value
    day = _read_iso(value, field)
    return (day.date() if isinstance(day, dt.datetime) else day).isoformat()


def _read_iso(value: Any, field: Field) -> dt.date:
    """A date, or a datetime (which is one, too)."""
    if isinstance(value, dt.date):
        return value
    try:
        stripped = value.strip()
        return dt.date.fromisoformat(stripped) if len(stripped) == 10 else dt.datetime.fromisoformat(stripped)
    except (AttributeError, ValueError) as error:
        raise field.error(
            f"is {show(value)}", "Give ISO 8601, such as 2026-05-01 or 2026-05-01T09:00:00Z, or a Python object."
        ) from error


def _is_true(value: object) -> bool:
    return str(value).strip().lower() == "true"


def _batches(percentage: object) -> dt.timedelta:
    """From the first hourly batch to the last; nothing for a share that cannot be read."""
    try:
        share = float(str(percentage))
    except ValueError:
        return dt.timedelta(0)
    return dt.timedelta(hours=math.ceil(100 / share) - 1) if 1 <= share <= 100 else dt.timedelta(0)


def _utc(start: dt.datetime, delta: dt.timedelta) -> dt.datetime:
    """A time of no zone, moved by ``delta``, in UTC; at either end of the calendar its last moment."""
    try:
        moment = start + delta
    except OverflowError:
        moment = dt.datetime.max if delta > dt.timedelta(0) else dt.datetime.min
    return moment.replace(tzinfo=dt.UTC)


def _options(value: Any, field: Field) -> Any:
    if field.pending(value):
        return value
    readers = {"is_local": flag, "send_past_recipients_immediately": flag}
    options = mapping(value, field, readers, required=("is_local",))
    if options["is_local"] is False and options.pop("send_past_recipients_immediately", None):
        raise field.at("send_past_recipients_immediately").error(
            "is set without is_local", "It is about recipients' time zones: set is_local=True, or leave it out."
        )
    return options


READERS: Mapping[str, Mapping[str, Reader]] = {
    "immediate": {},
    "static": {"datetime": _moment, "options": _options},
    "throttled": {"datetime": _moment, "throttle_percentage": whole},
    "smart_send_time": {"date": _day},
}
"""What each method takes beside ``method``. All of it is required, except ``options``."""
