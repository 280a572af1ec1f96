"""The Klaviyo behind the socket: it takes a request and answers it, and knows no HTTP server."""

from __future__ import annotations

import gc
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from email.utils import formatdate
from typing import Any

from airflow_provider_klaviyo.api.operations import Limits, Operation, is_omnichannel, match, revisions
from airflow_provider_klaviyo.api.schemas import answer_errors, published, request_errors
from airflow_provider_klaviyo.sandbox import jsontext, lifecycle, omnichannel
from airflow_provider_klaviyo.sandbox.access import (
    Access,
    Scheme,
    applied_revision,
    authenticate,
    authorise,
    check_published,
    private_key,
)
from airflow_provider_klaviyo.sandbox.clock import Clock
from airflow_provider_klaviyo.sandbox.handlers import HANDLERS
from airflow_provider_klaviyo.sandbox.handlers.example import answer_by_example
from airflow_provider_klaviyo.sandbox.imports import IMPORT, abridged, check_size
from airflow_provider_klaviyo.sandbox.refusals import RefusedError, invalid, malformed, nothing_there, refusal
from airflow_provider_klaviyo.sandbox.served import Handler, HTTPRequest, HTTPResponse, Reply, ServedCall, Timing
from airflow_provider_klaviyo.sandbox.settings import Settings
from airflow_provider_klaviyo.sandbox.store import Store
from airflow_provider_klaviyo.sandbox.windows import COUNTING, PREDICTING, ThrottledError, Windows

FORM = "multipart/form-data"
JSON_TYPES = ("application/vnd.api+json", "application/json")
METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE")


class Klaviyo:
    """One account and everything in it.

    :param seed: makes the store of a fresh account.
    :param strict: check every answer against the published schema, and answer 500 when one does not follow it.
    :param saved: called after every committed write.
    """

    def __init__(
        self,
        seed: Callable[[], Store],
        *,
        store: Store | None = None,
        clock: Clock | None = None,
        timing: Timing | None = None,
        limits: bool = True,
        strict: bool = False,
        saved: Callable[[], None] = lambda: None,
    ) -> None:
        self.seed = seed
        self.store = store or seed()
        self.clock = clock or Clock()
        self.timing = timing or Timing()
        self.windows = Windows(enforced=limits)
        self.strict = strict
        self.settings = Settings()
        self.saved = saved
        self.schemes: dict[str, Scheme] = {"klaviyo-api-key": private_key}

    def reset(self, clock: Clock | None = None) -> None:
        """A fresh account, with all quotas unused, at the time of a clock, or at the real time."""
        self.store = self.seed()
        self.clock = clock or Clock(self.clock.speed)
        self.windows.clear()
        self.settings = Settings()
        self.saved()

    def catch_up(self) -> None:
        """Let everything happen that is due by now."""
        lifecycle.catch_up(self.store, self.clock.timestamp())

    def headers(self) -> dict[str, str]:
        """The headers that every answer has."""
        date = formatdate(self.clock.timestamp(), usegmt=True)
        return {"x-klaviyo-req-id": str(uuid.uuid4()), "cid": next(self.store.all("account")).id, "Date": date}

    def answer(self, incoming: HTTPRequest, *, stale: bool = False) -> HTTPResponse:
        """Answer a request.

        :param stale: read as if the last write to a campaign had not happened.
        """
        with without_collecting():
            return self._answer(incoming, stale=stale)

    def _answer(self, incoming: HTTPRequest, *, stale: bool) -> HTTPResponse:
        self.catch_up()
        headers = self.headers()
        try:
            operation, id_ = self._operation(incoming)
            access = self._access(incoming, operation)
            limits = _limits(operation, incoming.query)
            headers |= self.windows.take(access.quota, operation, limits)
            opted_out = incoming.headers.get("x-klaviyo-revision-fall-forward-opt-out") == "1"
            revision = applied_revision(incoming.headers.get("revision"), opted_out)
            headers["x-klaviyo-api-revision"] = revision
            check_published(operation, revision)
            document = revisions()[-1] if is_omnichannel(revision) else revision
            if is_omnichannel(revision) and omnichannel.is_concerned(operation):
                call = self._call(incoming, operation, id_, None, revision, stale=stale)
                answer = omnichannel.handler(operation)(replace(call, rules=omnichannel.rules(operation)))
                return HTTPResponse(answer.status, answer.body, headers, revision=revision)
            body = _body(incoming, published(operation.id, document).get("media_type"))
            if operation.id == IMPORT:
                check_size(incoming.content)
        except ThrottledError as throttled:
            headers["Retry-After"] = str(throttled.retry_after)
            return HTTPResponse(429, throttled.refusal().body(), headers)
        except RefusedError as refused:
            return HTTPResponse(refused.status, refused.body(), headers)
        call = self._call(incoming, operation, id_, body, document, stale=stale)
        answer, committed = self._handle(call)
        return HTTPResponse(answer.status, answer.body, {**headers, **answer.headers}, committed, revision)

    def _call(
        self, incoming: HTTPRequest, operation: Operation, id_: str, body: Any, revision: str, *, stale: bool
    ) -> ServedCall:
        return ServedCall(
            operation=operation,
            id=id_,
            query=incoming.query,
            body=body,
            revision=revision,
            base=incoming.base,
            target=incoming.target,
            now=self.clock.timestamp(),
            store=self.store.before_last_write() if stale else self.store,
            timing=self.timing,
            settings=self.settings,
        )

    def _operation(self, incoming: HTTPRequest) -> tuple[Operation, str]:
        found = match(incoming.method, incoming.path, with_later=True)
        if found is not None:
            operation, parameters = found
            return operation, next(iter(parameters.values()), "")
        if any(match(method, incoming.path, with_later=True) for method in METHODS):
            raise refusal(405, "method_not_allowed", "Method not allowed.", f"Method '{incoming.method}' not allowed.")
        raise nothing_there(f"There is no {incoming.path} in Klaviyo's API.")

    def _access(self, incoming: HTTPRequest, operation: Operation) -> Access:
        """Who is calling. Operations below ``/client/`` are for browsers and take no key."""
        if operation.path.startswith("/client/"):
            return Access()
        access = authenticate(incoming.headers.get("authorization"), self.schemes)
        authorise(access, operation)
        return access

    def _handle(self, call: ServedCall) -> tuple[Reply, bool]:
        """The handler's answer, and True if a write took effect. A write that is refused, fails, or cannot be saved
        leaves everything as it was."""
        is_write = call.operation.is_write
        try:
            body = abridged(call.body) if call.operation.id == IMPORT else call.body
            if problems := request_errors(call.operation.id, call.query, body, call.revision):
                raise malformed(problems)
            answer = self._write(call) if is_write else _handler(call.operation)(call)
        except RefusedError as refused:
            if call.operation.id == IMPORT and not call.settings.import_pointer:
                refused = refused.without_pointers()
            answer, is_write = Reply(refused.status, refused.body()), False
        if self.strict:
            answer = _checked(call, answer)
        return answer, is_write

    def _write(self, call: ServedCall) -> Reply:
        with self.store.whole():
            before = self.store.campaigns()
            answer = _handler(call.operation)(call)
            self.store.before = before
            self.saved()
        return answer


@contextmanager
def without_collecting() -> Iterator[None]:
    """No search for garbage: in the middle of ten thousand rows it goes through all that is kept, and finds nothing."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def operation_of(incoming: HTTPRequest) -> Operation | None:
    """The published operation a request is for."""
    found = match(incoming.method, incoming.path, with_later=True)
    return found[0] if found else None


def _handler(operation: Operation) -> Handler:
    return HANDLERS.get(operation.id, answer_by_example)


def _limits(operation: Operation, query: Mapping[str, str]) -> Limits:
    additional = [value for name, value in query.items() if name.startswith("additional-fields")]
    if any("profile_count" in value for value in additional):
        return COUNTING
    return PREDICTING if any("predictive_analytics" in value for value in additional) else operation.limits


def _body(incoming: HTTPRequest, expected: str | None) -> Any:
    """The body's JSON values, or a form's fields; ``None`` when there is none.

    :param expected: the published media type of the operation's body.
    """
    if not incoming.content:
        return None
    content_type = incoming.headers.get("content-type", "").partition(";")[0].strip().lower()
    if expected == FORM and not isinstance(incoming.content, bytes):
        return incoming.content
    if content_type not in JSON_TYPES or not isinstance(incoming.content, bytes):
        raise refusal(
            415,
            "unsupported_media_type",
            "Unsupported media type.",
            f"Unsupported media type '{content_type}' in request. Allowed: {expected or ', '.join(JSON_TYPES)}.",
        )
    if expected == FORM:
        raise invalid(f"The body must be a form ({FORM}).", pointer="")
    try:
        return jsontext.read(incoming.content)
    except ValueError as error:
        raise invalid(f"The body is not JSON: {error}.", pointer="") from None


def _checked(call: ServedCall, answer: Reply) -> Reply:
    sparse = any(name.startswith("fields[") for name in call.query)
    problems = answer_errors(call.operation.id, answer.status, answer.body, call.revision, sparse=sparse)
    if not problems:
        return answer
    detail = f"The sandbox's answer {answer.status} to {call.operation.id} does not follow the published schema: "
    wrong = refusal(500, "sandbox_answer_invalid", "Sandbox error.", detail + "; ".join(map(str, problems)))
    return Reply(wrong.status, wrong.body())
