"""The sandbox as an HTTP server: the API with its faults, the controls, and the web page."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from aiohttp import web

from airflow_provider_klaviyo.api.network import is_loopback
from airflow_provider_klaviyo.sandbox import jsontext, lifecycle
from airflow_provider_klaviyo.sandbox.access import RealKeyError, refuse_real_key
from airflow_provider_klaviyo.sandbox.clock import Clock, iso
from airflow_provider_klaviyo.sandbox.discretion import Discretion
from airflow_provider_klaviyo.sandbox.faults import Faults, Rule, rule
from airflow_provider_klaviyo.sandbox.history import history
from airflow_provider_klaviyo.sandbox.incoming import check_head, host_name, incoming, origin_name
from airflow_provider_klaviyo.sandbox.journal import KEPT, LOGGED, Entry, Journal
from airflow_provider_klaviyo.sandbox.oauth_server import OAuthServer
from airflow_provider_klaviyo.sandbox.page.routes import PageRoutes
from airflow_provider_klaviyo.sandbox.refusals import RefusedError, refusal
from airflow_provider_klaviyo.sandbox.replay import ids_of
from airflow_provider_klaviyo.sandbox.served import HTTPRequest, HTTPResponse
from airflow_provider_klaviyo.sandbox.service import Klaviyo, operation_of
from airflow_provider_klaviyo.sandbox.windows import ThrottledError

API_TYPE = "application/vnd.api+json"
MAX_BODY = 32 * 1024 * 1024
ROWS = 50
"""Rows of the request log that are written before anything else may have its turn."""
SECRETS = ("access_token", "refresh_token")
"""What the request log leaves out of an answer with tokens."""
NUMBER = re.compile(r"[0-9]{1,18}")
GATEWAY_STATUSES = (502, 504, 520, 521, 522, 523, 524)
Responder = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """Serves one account on one event loop."""

    def __init__(self, klaviyo: Klaviyo) -> None:
        self.klaviyo = klaviyo
        self.faults = Faults()
        self.journal = Journal()
        self.resets = 0
        self.answered: Callable[[Entry], None] = lambda _: None
        self.oauth = OAuthServer(lambda: klaviyo.clock.timestamp(), klaviyo.windows.enforced)
        klaviyo.schemes["bearer"] = self.oauth.holder

    def app(self) -> web.Application:
        """The application, ready to be run."""
        app = web.Application(client_max_size=MAX_BODY, middlewares=[self.guard])
        app.add_routes(
            [
                *PageRoutes(self.klaviyo, self.journal, self.faults).table(),
                web.post("/sandbox/reset", self.reset),
                web.get("/sandbox/requests", self.tell_requests),
                web.get("/sandbox/requests/{number}", self.tell_request),
                web.get("/sandbox/sends", self.tell_sends),
                web.get("/sandbox/history", self.tell_history),
                web.get("/sandbox/campaigns", self.tell_campaigns),
                web.get("/sandbox/faults", self.tell_faults),
                web.post("/sandbox/faults", self.add_faults),
                web.delete("/sandbox/faults", self.clear_faults),
                web.get("/sandbox/clock", self.show_clock),
                web.post("/sandbox/clock", self.advance_clock),
                web.get("/sandbox/settings", self.show_settings),
                web.post("/sandbox/settings", self.change_settings),
                web.get("/livez", self.live),
                web.get("/readyz", self.ready),
                web.post("/oauth/token", self.give_token),
                web.route("*", "/api/{path:.*}", self.api),
                web.route("*", "/client/{path:.*}", self.api),
            ]
        )
        return app

    @web.middleware
    async def guard(self, request: web.Request, handler: Responder) -> web.StreamResponse:
        """Refuse what cannot be read, and controls that are asked for from elsewhere.

        Controls are for this machine only: by the peer's address, by the name it was asked for, which keeps out a web
        page that has its own name point here, and by the origin, which keeps out what other web pages post.
        """
        is_control = request.path.startswith("/sandbox/")
        try:
            refuse_real_key(request.headers.get("Authorization", ""))
            check_head(request)
            if is_control and not _is_from_here(request):
                raise refusal(403, "permission_denied", "Forbidden.", "Controls answer to this machine only.")
            return await handler(request)
        except RefusedError as refused:
            answer = self._refused(request, refused, is_control)
            answer.force_close()  # what follows a body that cannot be read is not known to be a request
            return answer

    def _refused(self, request: web.Request, refused: RefusedError, is_control: bool) -> web.Response:
        if is_control:
            return web.json_response({"error": refused.reasons[0].detail}, status=refused.status)
        if isinstance(refused, RealKeyError):
            return _response(HTTPResponse(refused.status, refused.body(), self.klaviyo.headers()))
        path = request.path.encode(errors="replace").decode()
        entry = Entry(operation=None, method=request.method, path=path, status=refused.status)
        without = _discretion(request)
        self.journal.begin(entry, request.headers, without=without)
        answer = _response(HTTPResponse(refused.status, refused.body(), self.klaviyo.headers()))
        self._log_answer(entry, answer, without)
        self.answered(entry)
        return answer

    # --- the API ---------------------------------------------------------------------------------------------------

    async def api(self, request: web.Request) -> web.StreamResponse:
        """Answer a request to Klaviyo's API, or fail as a fault says."""
        asked = await incoming(request)
        operation = operation_of(asked)
        fault = self.faults.take(operation)
        without = _discretion(request)
        entry = self.journal.begin(
            Entry(
                operation=operation.id if operation else None,
                method=asked.method,
                path=asked.path,
                query=asked.query,
                fault=fault.fault if fault else None,
                clock=self.klaviyo.clock.timestamp(),
            ),
            request.headers,
            _readable(asked),
            fault.fields() if fault else None,
            without=without,
        )
        try:
            answer = await self._carry_out(asked, entry, fault)
            if answer is None:
                return _cut(request)
            entry.status = answer.status
            self._log_answer(entry, answer, without)
            return answer
        finally:
            self.answered(entry)

    def _log_answer(self, entry: Entry, answer: web.Response, without: Discretion) -> None:
        content = answer.body if isinstance(answer.body, bytes) else b""
        self.journal.end(entry, content, answer.headers, without=without)

    async def _carry_out(self, asked: HTTPRequest, entry: Entry, fault: Rule | None) -> web.Response | None:
        """Answer; ``None`` when the connection is to be cut."""
        resets = self.resets
        before = await self._fail_before(fault)
        if resets != self.resets:
            return None  # it was for the account that is gone
        if before is not None:
            return _response(before)
        if fault and fault.fault == "drop_before_commit":
            return None
        try:
            outgoing = self.klaviyo.answer(asked, stale=fault is not None and fault.fault == "stale")
        except Exception:
            entry.status = 500
            raise
        entry.committed, entry.revision = outgoing.committed, outgoing.revision
        entry.ids = ids_of(outgoing.body) if entry.method != "GET" else []
        entry.request_id = outgoing.headers["x-klaviyo-req-id"]
        if fault and fault.fault == "drop_after_commit":
            return None
        if fault and fault.fault == "delay" and fault.when == "after":
            await asyncio.sleep(fault.seconds or 0)
        if fault and fault.fault == "status_after_commit":
            outgoing = self._failure(fault)
        if fault and fault.fault == "garbage":
            return web.Response(text="<<< this is not JSON", content_type=API_TYPE, headers=outgoing.headers)
        return _response(outgoing)

    async def live(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def ready(self, request: web.Request) -> web.Response:
        self.klaviyo.catch_up()
        return web.json_response({"status": "ok"})

    async def give_token(self, request: web.Request) -> web.Response:
        """Answer a request for an access token. It is in the request log without what was sent."""
        asked = await incoming(request)
        without = _discretion(request)
        entry = Entry(operation=None, method=request.method, path=request.path)
        self.journal.begin(entry, request.headers, without=without)
        answer = self.oauth.answer(asked)
        entry.status, entry.committed = answer.status, answer.committed
        logged = {name: "…" if name in SECRETS else value for name, value in answer.body.items()}
        self.journal.end(entry, json.dumps(logged).encode(), answer.headers, without=without)
        return web.json_response(answer.body, status=answer.status, headers=answer.headers)

    async def _fail_before(self, fault: Rule | None) -> HTTPResponse | None:
        """What a fault does before the request is carried out; an answer when it is not to be carried out at all."""
        match fault:
            case Rule(fault="delay", when="before"):
                await asyncio.sleep(fault.seconds or 0)
            case Rule(fault="status_before_commit"):
                return self._failure(fault)
            case Rule(fault="throttle"):
                seconds = fault.retry_after or 1
                headers = {**self.klaviyo.headers(), "Retry-After": str(seconds)}
                return HTTPResponse(429, ThrottledError(seconds).refusal().body(), headers)
        return None

    def _failure(self, fault: Rule) -> HTTPResponse:
        """A made-up error. Statuses of gateways come as HTML, since a gateway knows nothing of JSON:API."""
        status = fault.status or 500
        headers = self.klaviyo.headers()
        if fault.retry_after is not None:
            headers["Retry-After"] = str(fault.retry_after)
        if status in GATEWAY_STATUSES:
            return HTTPResponse(status, f"<html><body><h1>{status}</h1><p>gateway</p></body></html>", headers)
        failure = refusal(status, "sandbox_fault", "Made-up error.", f"A fault rule asks for the answer {status}.")
        return HTTPResponse(status, failure.body(), headers)

    # --- controls --------------------------------------------------------------------------------------------------

    async def reset(self, request: web.Request) -> web.Response:
        given = await _json(request) if request.can_read_body else {}
        seconds = given.get("clock") if isinstance(given, dict) else None
        ahead = seconds - time.time() if isinstance(seconds, int | float) else 0.0
        try:
            clock = Clock(self.klaviyo.clock.speed, ahead)
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)
        self.resets += 1
        self.klaviyo.reset(clock)
        self.oauth.clear()
        self.faults.clear()
        self.journal.clear()
        return web.json_response({"reset": True})

    async def tell_requests(self, request: web.Request) -> web.StreamResponse:
        """All rows, or those ``after`` a number, in pieces: other requests are answered in between."""
        after = request.query.get("after", "0")
        if not NUMBER.fullmatch(after):
            return web.json_response({"error": f"after is {after!a:.40}, not the number of a request."}, status=400)
        answer = web.StreamResponse(headers={"Content-Type": "application/json; charset=utf-8"})
        await answer.prepare(request)
        for piece in self.journal.pieces(ROWS, after=int(after)):
            await answer.write(piece)
            await asyncio.sleep(0)
        await answer.write_eof()
        return answer

    async def tell_request(self, request: web.Request) -> web.Response:
        number = request.match_info["number"]
        if not NUMBER.fullmatch(number):
            return web.json_response({"error": f"{number!a:.40} is not the number of a request: 1, 2, …"}, status=400)
        entry = self.journal.find(int(number))
        if entry is None:
            error = f"There is no request {number} in the log. It may be gone: the log keeps the latest {KEPT:,}."
            return web.json_response({"error": error}, status=404)
        return web.Response(body=entry.json(), content_type="application/json")

    async def tell_sends(self, request: web.Request) -> web.Response:
        self.klaviyo.catch_up()
        return web.json_response(lifecycle.deliveries(self.klaviyo.store))

    async def tell_history(self, request: web.Request) -> web.Response:
        self.klaviyo.catch_up()
        campaign_id = request.query.get("campaign")
        if campaign_id is None:
            return web.json_response({"error": "Name a campaign by its id: ?campaign=ID."}, status=400)
        rows = history(self.klaviyo.store, campaign_id)
        if rows is None:
            error = f"There is no campaign {campaign_id!a:.40}, and there was none that is remembered."
            return web.json_response({"error": error}, status=404)
        return web.json_response(rows)

    async def tell_campaigns(self, request: web.Request) -> web.Response:
        self.klaviyo.catch_up()
        return web.json_response(lifecycle.campaigns(self.klaviyo.store))

    async def tell_faults(self, request: web.Request) -> web.Response:
        return web.json_response(self.faults.rows())

    async def add_faults(self, request: web.Request) -> web.Response:
        given = await _json(request)
        try:
            rules = [rule(one) for one in (given if isinstance(given, list) else [given])]
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)
        self.faults.add(rules)
        return web.json_response([asdict(one) for one in rules], status=201)

    async def clear_faults(self, request: web.Request) -> web.Response:
        self.faults.clear()
        return web.json_response([])

    async def show_clock(self, request: web.Request) -> web.Response:
        clock = self.klaviyo.clock
        return web.json_response({"now": iso(clock.timestamp()), "speed": clock.speed})

    async def advance_clock(self, request: web.Request) -> web.Response:
        given = await _json(request)
        seconds = given.get("advance") if isinstance(given, dict) else None
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            return web.json_response({"error": 'Give {"advance": seconds}, zero or more.'}, status=400)
        try:
            self.klaviyo.clock.advance(seconds)
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)
        self.klaviyo.catch_up()
        self.klaviyo.saved()
        return await self.show_clock(request)

    async def show_settings(self, request: web.Request) -> web.Response:
        return web.json_response(asdict(self.klaviyo.settings))

    async def change_settings(self, request: web.Request) -> web.Response:
        given = await _json(request)
        try:
            self.klaviyo.settings = self.klaviyo.settings.changed(given)
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)
        return await self.show_settings(request)


def _is_from_here(request: web.Request) -> bool:
    is_local = is_loopback(request.remote or "") and is_loopback(host_name(request))
    return is_local and ("Origin" not in request.headers or is_loopback(origin_name(request) or ""))


def _discretion(request: web.Request) -> Discretion:
    return Discretion(request.headers.get("Authorization", ""))


def _readable(asked: HTTPRequest) -> Any:
    """The body for the request log: its JSON values, or nothing when it has none."""
    if not isinstance(asked.content, bytes):
        return asked.content
    if len(asked.content) > LOGGED:
        return {"omitted_bytes": len(asked.content)}
    try:
        return jsontext.read(asked.content)
    except ValueError:
        return None


async def _json(request: web.Request) -> Any:
    """What was posted to a control.

    :raises RefusedError: 400 when it is not JSON.
    """
    content = (await incoming(request)).content
    if not isinstance(content, bytes):
        raise refusal(400, "invalid", "Invalid input.", "Send JSON, not a form.")
    try:
        return jsontext.read(content)
    except ValueError as error:
        raise refusal(400, "invalid", "Invalid input.", f"The body is not JSON: {error}.") from None


def _response(outgoing: HTTPResponse) -> web.Response:
    if outgoing.body is None:
        return web.Response(status=outgoing.status, headers=outgoing.headers)
    if isinstance(outgoing.body, str):
        return web.Response(
            status=outgoing.status, text=outgoing.body, content_type="text/html", headers=outgoing.headers
        )
    return web.Response(
        status=outgoing.status, text=json.dumps(outgoing.body), content_type=API_TYPE, headers=outgoing.headers
    )


def _cut(request: web.Request) -> web.Response:
    """End the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
