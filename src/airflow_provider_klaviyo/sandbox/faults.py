"""Failures on demand: what goes wrong, at which operation, how often, and on which side of the commit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.api.operations import Operation, get

FAULTS: Mapping[str, str] = {
    "drop_before_commit": "cuts the connection; nothing is written",
    "drop_after_commit": "writes, then cuts the connection",
    "status_before_commit": "answers `status`; nothing is written",
    "status_after_commit": "writes, then answers `status`",
    "delay": "waits `seconds` of real time before or after the write (`when`)",
    "throttle": "answers 429 with `retry_after`",
    "garbage": "writes, then answers 200 with something that is not JSON",
    "stale": "the next `reads` of campaigns are answered as if the last write had not happened",
}
LONGEST = 366 * 86400
"""The most seconds that a fault waits, or has others wait."""
STALE_READS = ("get_campaign", "get_campaigns")


@dataclass(slots=True)
class Rule:
    """One fault.

    :param operation: operation id or alias, or ``*`` for all.
    :param fault: what happens: a name in :data:`FAULTS`.
    :param times: how many matching calls it hits; ``None`` for all.
    :param skip: how many matching calls pass before it begins.
    :param status: the status of ``status_…``.
    :param seconds: real seconds of ``delay``.
    :param when: ``before`` or ``after`` the write: where ``delay`` waits.
    :param retry_after: the ``Retry-After`` of ``throttle``, or of ``status_…`` when given.
    :param fired: how many calls it has hit so far.
    """

    operation: str
    fault: str
    times: int | None = 1
    skip: int = 0
    status: int | None = None
    seconds: float | None = None
    when: str = "after"
    retry_after: int | None = None
    fired: int = 0

    def fields(self) -> dict[str, Any]:
        """The fields that are set."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def matches(self, operation: Operation | None) -> bool:
        """True if the rule is about calls of this operation; ``None``: of none that is published."""
        if self.fault == "stale" and (operation is None or operation.id not in STALE_READS):
            return False
        return self.operation == "*" or (operation is not None and operation.id == self.operation)


def rule(given: object) -> Rule:
    """A rule from its JSON.

    :raises ValueError: it is not understood; the message says why.
    """
    if not isinstance(given, Mapping):
        raise ValueError(f"A fault is an object (a dict), not {given!r}.")
    fields = dict(given)
    fault = fields.get("fault")
    if not isinstance(fault, str) or fault not in FAULTS:
        raise ValueError(f"fault {fault!r} is not known. Known: {', '.join(FAULTS)}.")
    if fault == "stale":
        fields["times"] = fields.pop("reads", fields.get("times", 1))
    operation = fields.setdefault("operation", "*")
    if not isinstance(operation, str):
        raise ValueError(f"operation is an operation's id or alias, or '*', not {operation!r}.")
    if operation != "*":
        try:
            fields["operation"] = get(operation).id
        except KlaviyoValidationError as error:
            raise ValueError(error.message) from None
    allowed = set(Rule.__dataclass_fields__) - {"fired"}
    if unknown := sorted(set(fields) - allowed):
        raise ValueError(f"{', '.join(unknown)} is not known. Known: {', '.join(sorted(allowed | {'reads'}))}.")
    result = Rule(**fields)
    if fault == "stale" and operation not in ("*", *STALE_READS):
        raise ValueError(f"stale is for {' and '.join(STALE_READS)}, not {operation}.")
    _check_numbers(result)
    if result.when not in ("before", "after"):
        raise ValueError(f"when is 'before' or 'after', not {result.when!r}.")
    if fault == "throttle" and result.retry_after is None:
        result.retry_after = 1
    return result


def _check_numbers(given: Rule) -> None:
    if not (given.times is None or _is_count(given.times)) or not _is_count(given.skip):
        raise ValueError(f"times and skip are whole numbers, not {given.times!r} and {given.skip!r}.")
    is_status = _is_count(given.status) and 400 <= (given.status or 0) <= 599
    if not is_status and (given.status is not None or given.fault.startswith("status_")):
        raise ValueError(f"{given.fault} needs a status from 400 to 599, not {given.status!r}.")
    is_time = isinstance(given.seconds, float) or _is_count(given.seconds)
    if not (is_time and 0 <= (given.seconds or 0) <= LONGEST) and (given.seconds is not None or given.fault == "delay"):
        raise ValueError(f"{given.fault} needs seconds from 0 to {LONGEST}, not {given.seconds!r}.")
    if given.retry_after is not None and not (_is_count(given.retry_after) and given.retry_after <= LONGEST):
        raise ValueError(f"retry_after is a whole number of seconds up to {LONGEST}, not {given.retry_after!r}.")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


class Faults:
    """The rules in force, in the order they were added."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []

    def add(self, rules: list[Rule]) -> None:
        """Add rules behind the present ones."""
        self._rules += rules

    def clear(self) -> None:
        """Remove all rules."""
        self._rules.clear()

    def take(self, operation: Operation | None) -> Rule | None:
        """The rule that hits this call: the first that matches and is not used up."""
        for candidate in self._rules:
            if not candidate.matches(operation) or candidate.fired == candidate.times:
                continue
            if candidate.skip:
                candidate.skip -= 1
                continue
            candidate.fired += 1
            return candidate
        return None

    def rows(self) -> list[dict[str, Any]]:
        """The rules with how often each has fired."""
        return [asdict(rule) for rule in self._rules]
