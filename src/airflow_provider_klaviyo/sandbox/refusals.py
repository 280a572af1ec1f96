"""Refusals in Klaviyo's error shape."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_provider_klaviyo.api.schemas import Problem


@dataclass(frozen=True, slots=True)
class Reason:
    """One entry of an answer's ``errors``."""

    detail: str
    pointer: str | None = None
    parameter: str | None = None
    meta: dict[str, Any] = field(default_factory=dict)


class RefusedError(Exception):
    """The request is answered with errors."""

    def __init__(self, status: int, code: str, title: str, reasons: Sequence[Reason]) -> None:
        super().__init__(f"{status} {code}: {'; '.join(reason.detail for reason in reasons)}")
        self.status = status
        self.code = code
        self.title = title
        self.reasons = reasons

    def body(self) -> dict[str, Any]:
        """The answer's JSON."""
        return {"errors": [self._error(reason) for reason in self.reasons]}

    def without_pointers(self) -> RefusedError:
        """The same refusal, which does not say where."""
        reasons = [replace(reason, pointer=None) for reason in self.reasons]
        return RefusedError(self.status, self.code, self.title, reasons)

    def _error(self, reason: Reason) -> dict[str, Any]:
        source = {"pointer": reason.pointer, "parameter": reason.parameter}
        return {
            "id": str(uuid.uuid4()),
            "status": self.status,
            "code": self.code,
            "title": self.title,
            "detail": reason.detail,
            "source": {key: value for key, value in source.items() if value is not None},
            "links": {},
            "meta": reason.meta,
        }


def refusal(status: int, code: str, title: str, detail: str) -> RefusedError:
    """A refusal with one error that has no source."""
    return RefusedError(status, code, title, [Reason(detail)])


def invalid(detail: str, *, pointer: str | None = None, parameter: str | None = None) -> RefusedError:
    """400: the request is malformed."""
    return RefusedError(400, "invalid", "Invalid input.", [Reason(detail, pointer, parameter)])


def malformed(problems: Sequence[Problem]) -> RefusedError:
    """400: the request does not follow the published schema; one error per problem."""
    reasons = [Reason(problem.message, problem.pointer, problem.parameter) for problem in problems]
    return RefusedError(400, "invalid", "Invalid input.", reasons)


def not_found(kind: str, id_: str) -> RefusedError:
    """404: no such thing.

    :param kind: resource type, such as ``campaign-message``.
    """
    article = "An" if kind[0] in "aeiou" else "A"
    return nothing_there(f"{article} {kind.replace('-', ' ')} with id '{id_}' does not exist.")


def nothing_there(detail: str) -> RefusedError:
    """404 with a text of its own."""
    return refusal(404, "not_found", "Not found.", detail)


def conflict(detail: str, code: str = "conflict") -> RefusedError:
    """409. Klaviyo's codes for campaigns in a wrong state are not known; ``conflict`` is a choice of the sandbox."""
    return refusal(409, code, "Conflict.", detail)
