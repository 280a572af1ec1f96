"""What can go wrong when talking to Klaviyo, as types.

All of them are plain exceptions: Airflow is not known here. The public import path is
:mod:`airflow_provider_klaviyo.exceptions`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class KlaviyoError(Exception):
    """Anything this package raises on purpose. It can be pickled and copied, with its facts."""

    is_logged = False
    """True once the log of a task has it."""

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.args, dict(self.__dict__))


def _rebuild(kind: type[KlaviyoError], args: tuple[object, ...], facts: dict[str, object]) -> KlaviyoError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(facts)
    return error


class KlaviyoApiError(KlaviyoError):
    """Klaviyo refused a call, or a call could not be made.

    As text: the reason, then the facts in brackets, the call first; what to do on a line of its own.

    :param message: the reason, for the person who reads the task log: what was wrong with what.
    :param status: HTTP status, or ``None`` when no answer was had (or the fault was found before the call).
    :param code: Klaviyo's machine-readable code, such as ``not_found``.
    :param pointer: the field at fault: a JSON pointer into the body, or the name of a parameter.
    :param request_id: Klaviyo's ``x-klaviyo-req-id``; their support asks for it.
    :param retry_after: seconds after which Klaviyo will answer again.
    :param errors: all error objects of Klaviyo's answer, as they came; empty when there was none in its format.
    :param call: what was called: ``create_campaign (POST /api/campaigns)``.
    :param connection: id of the connection it was called with.
    :param advice: what to do, where that is more than the message says.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        pointer: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        errors: Sequence[Mapping[str, Any]] = (),
        call: str | None = None,
        connection: str | None = None,
        advice: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.pointer = pointer
        self.request_id = request_id
        self.retry_after = retry_after
        self.errors = [dict(error) for error in errors]
        self.call = call
        self.connection = connection
        self.advice = advice

    @property
    def meta(self) -> dict[str, Any]:
        """What Klaviyo adds to an error (the first that has any): ``{"duplicate_profile_id": …}``; or ``{}``."""
        metas = (error.get("meta") for error in self.errors)
        return next((dict(meta) for meta in metas if meta and isinstance(meta, Mapping)), {})

    def __str__(self) -> str:
        field = self.pointer if self.pointer and place(self.pointer) not in self.message else None
        facts = {
            "": self.call,
            "HTTP status ": self.status,
            "code ": self.code,
            "field ": field,
            "connection ": None if (self.connection or "") in self.message else self.connection,
            "request id ": self.request_id,
        }
        known = ", ".join(f"{name}{value}" for name, value in facts.items() if value is not None)
        return "\n".join(filter(None, [f"{self.message} [{known}]" if known else self.message, self.advice]))


def place(pointer: str) -> str:
    """A field as people name it: ``audiences.included`` for ``/data/attributes/audiences/included``."""
    return pointer.removeprefix("/data").removeprefix("/attributes").strip("/").replace("/", ".") or pointer


class KlaviyoAuthError(KlaviyoApiError):
    """401, or 403: the key is wrong, or lacks a scope. Repeating the call cannot help."""


class KlaviyoValidationError(KlaviyoApiError, ValueError):
    """What was asked is malformed: found by Klaviyo (400 and the like) or, earlier, by this package (no status)."""


class KlaviyoNotFoundError(KlaviyoApiError):
    """404: no such thing in this account, or no longer."""


class KlaviyoConflictError(KlaviyoApiError):
    """409: the thing is not in a state in which this can be done."""


class KlaviyoRateLimitError(KlaviyoApiError):
    """429, and waiting it out here would take too long; ``retry_after`` has the seconds."""


class KlaviyoTransientError(KlaviyoApiError):
    """No answer, or a 5xx, where nothing can have been written: the same call may succeed later."""


class KlaviyoAmbiguousWriteError(KlaviyoApiError):
    """A write left here and no usable answer came back: Klaviyo may or may not have carried it out.

    Never repeat such a call blindly. Look the result up first.
    """
