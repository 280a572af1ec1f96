"""When a campaign is sent: Klaviyo's send strategies.

:func:`immediate`, :func:`static`, :func:`throttled` and :func:`smart_send_time` make the dict that Klaviyo takes as
``send_strategy``. Any argument may be Jinja. :func:`check_strategy` judges such a dict, whoever wrote it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from airflow_provider_klaviyo.campaigns.values import Field, Reader, flag, is_template, one_of, record, show, whole

THROTTLE_PERCENTAGES = (10, 11, 13, 14, 17, 20, 25, 33, 50)
SLOW_PERCENTAGES = (1, 2, 5)
SLOW_SINCE = "2026-07-15"
PAST = "Give a later one, or use immediate(). In a backfill or catch-up run, what comes from the data interval is past."
LAST_ZONE = dt.timedelta(hours=12)
"""How far the last time zone is behind UTC: until then a local time still lies ahead of somebody."""


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

    :param datetime: an aware datetime, or a string in ISO 8601 with an offset.
    :param is_local: send when the clock of each recipient's time zone shows ``datetime``, which must be in UTC then.
    :param send_past_recipients_immediately: with ``is_local``: whom the time has passed already is sent to at once;
        otherwise such recipients get nothing.
    :raises KlaviyoValidationError: no time zone; ``is_local`` with another zone than UTC.
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


def check_strategy(
    strategy: Any, *, revision: str | None = None, channel: str | None = None, now: dt.datetime | None = None
) -> Any:
    """Judge a send strategy, and return it as it is to be sent.

    :param revision: the API revision of the call; ``None``: what some revision takes is taken.
    :param channel: the campaign's channel, where known.
    :param now: the current time, given when the values have been rendered: Jinja that is left, and a time that has
        passed (for a local send: passed everywhere), are refused then.
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
    cleaned = record(strategy, field, {"method": one_of(*READERS), **readers}, required)
    if "throttle_percentage" in cleaned and not is_template(cleaned["throttle_percentage"]):
        _check_percentage(cleaned["throttle_percentage"], field.at("throttle_percentage"), revision)
    options = cleaned.get("options")
    local = isinstance(options, dict) and options["is_local"] is True
    if "datetime" in cleaned and not is_template(cleaned["datetime"]):
        _check_moment(dt.datetime.fromisoformat(cleaned["datetime"]), field.at("datetime"), now, local=local)
    if "date" in cleaned and now is not None and dt.date.fromisoformat(cleaned["date"]) < (now - LAST_ZONE).date():
        raise field.at("date").error(f"is {cleaned['date']!r}, which has passed at {now.isoformat()}", PAST)
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


def _check_moment(moment: dt.datetime, field: Field, now: dt.datetime | None, *, local: bool) -> None:
    if local and moment.utcoffset():
        raise field.error(
            f"is {moment.isoformat()!r}, which is not in UTC",
            "With is_local=True give what each recipient's clock is to show, written as UTC: 2026-05-01T09:00:00Z.",
        )
    if now is not None and now - moment > (LAST_ZONE if local else dt.timedelta(0)):
        raise field.error(f"is {moment.isoformat()!r}, which has passed at {now.isoformat()}", PAST)


def _moment(value: Any, field: Field) -> Any:
    if field.pending(value):
        return value
    moment = _read_iso(value, field)
    if not isinstance(moment, dt.datetime):
        raise field.error(f"is {show(value)}", "Give a date and a time, such as 2026-05-01T09:00:00Z.")
    offset = moment.utcoffset()
    if offset is None:
        raise field.error(
            f"is {show(value)}, without a time zone",
            "Add an offset ('2026-05-01T09:00:00+02:00', or Z for UTC), or give an aware datetime.",
        )
    whole_minutes = not offset % dt.timedelta(minutes=1)
    return (moment if whole_minutes else moment.astimezone(dt.UTC)).isoformat()


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


def _options(value: Any, field: Field) -> Any:
    if field.pending(value):
        return value
    readers = {"is_local": flag, "send_past_recipients_immediately": flag}
    options = record(value, field, readers, required=("is_local",))
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
