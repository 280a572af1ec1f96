"""Faults in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def in_words(rule: Mapping[str, Any]) -> str:
    """What a fault rule does, and to which calls, in one sentence.

    :param rule: its fields, as ``GET /sandbox/faults`` returns them.
    """
    return f"{_what(rule)} {_which(rule)}{''.join(_left(rule))}."


def _what(rule: Mapping[str, Any]) -> str:
    retry = rule.get("retry_after")
    later = f", with Retry-After {retry}" if retry is not None else ""
    match rule["fault"]:
        case "drop_before_commit":
            return "Cuts the connection and writes nothing, for"
        case "drop_after_commit":
            return "Writes, then cuts the connection, for"
        case "status_before_commit":
            return f"Answers {rule['status']}{later} and writes nothing, for"
        case "status_after_commit":
            return f"Writes, then answers {rule['status']}{later}, for"
        case "delay":
            return f"Waits {rule['seconds']} s {rule['when']} the write, for"
        case "throttle":
            return f"Answers 429{later}, for"
        case "garbage":
            return "Writes, then answers 200 with what is not JSON, for"
        case _:
            return "Hides the last write from reads of campaigns, for"


def _which(rule: Mapping[str, Any]) -> str:
    operation = rule["operation"]
    times = rule.get("times")
    called = "any operation" if operation == "*" else operation
    if times is None:
        return f"every call of {called}"
    return f"{times:,} {'call' if times == 1 else 'calls'} of {called}"


def _left(rule: Mapping[str, Any]) -> Iterator[str]:
    if skip := rule.get("skip"):
        yield f", after {skip:,} more that pass"
