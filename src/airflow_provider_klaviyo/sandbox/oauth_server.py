"""OAuth: ``POST /oauth/token`` gives access tokens for refresh tokens, and the API takes them.

Any client id, secret and refresh token will do, except

- the client secret ``invalid``: 401 ``invalid_client``
- a refresh token that starts with ``invalid``: 400 ``invalid_grant``
- a refresh token that starts with ``once``: it holds for one refresh, whose answer has another in its place. Klaviyo
  has not been seen to do so, but may.

An access token is good for an hour of the sandbox's time, and not beyond the end of the sandbox's process.
"""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from airflow_provider_klaviyo.sandbox.access import Access
from airflow_provider_klaviyo.sandbox.served import HTTPRequest, HTTPResponse

LIFETIME = 3600
REFRESHES = 10
"""Refreshes that an app may make in a minute; the minutes are the real clock's, as for all limits."""

INVALID = "invalid"
FORM = "application/x-www-form-urlencoded"


class OAuthError(Exception):
    """A refresh is refused.

    :param code: the ``error`` of the answer.
    """

    def __init__(self, code: str, description: str, status: int = 400) -> None:
        super().__init__(f"{code}: {description}")
        self.code = code
        self.description = description
        self.status = status


class OAuthServer:
    """The tokens of all apps.

    :param now: returns the sandbox's time in seconds since 1970.
    :param limits: True if refreshes are limited.
    """

    def __init__(self, now: Callable[[], float], limits: bool = True) -> None:
        self._now = now
        self._limits = limits
        self._access: dict[str, tuple[str, float]] = {}
        self._replaced: set[str] = set()
        self._refreshes: dict[str, list[float]] = {}

    def clear(self) -> None:
        """Forget all tokens and refreshes."""
        self._access.clear()
        self._replaced.clear()
        self._refreshes.clear()

    def holder(self, token: str) -> Access | None:
        """The app behind an access token; each app has rate limits of its own."""
        client_id, until = self._access.get(token, ("", 0.0))
        return Access(quota=f"oauth/{client_id}") if self._now() < until else None

    def answer(self, incoming: HTTPRequest) -> HTTPResponse:
        """Answer a request for a token."""
        headers = {"Cache-Control": "no-store"}
        try:
            client_id = _client_id(incoming.headers.get("authorization"))
            wait = self._wait(client_id)
            if wait:
                body = {"error": "rate_limited", "error_description": f"Too many refreshes. Try again in {wait} s."}
                return HTTPResponse(429, body, headers | {"Retry-After": str(wait)})
            return HTTPResponse(200, self._refresh(client_id, _form(incoming)), headers, committed=True)
        except OAuthError as error:
            body = {"error": error.code, "error_description": error.description}
            return HTTPResponse(error.status, body, headers)

    def _refresh(self, client_id: str, form: dict[str, str]) -> dict[str, Any]:
        if form.get("grant_type") != "refresh_token":
            raise OAuthError("unsupported_grant_type", "The sandbox knows the grant type refresh_token only.")
        refresh = form.get("refresh_token")
        if not refresh:
            raise OAuthError("invalid_request", "The form has no refresh_token.")
        if refresh.startswith(INVALID) or refresh in self._replaced:
            raise OAuthError("invalid_grant", "The refresh token is invalid, expired or revoked.")
        if refresh.startswith("once"):
            self._replaced.add(refresh)
            refresh = f"once_{secrets.token_urlsafe(16)}"
        access = secrets.token_urlsafe(32)
        self._access[access] = (client_id, self._now() + LIFETIME)
        return {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": LIFETIME,
            "refresh_token": refresh,
        }

    def _wait(self, client_id: str) -> int:
        """Count a refresh; seconds until the next is allowed, when it is one too many."""
        now = time.time()
        minute = [at for at in self._refreshes.get(client_id, []) if at // 60 == now // 60]
        if self._limits and len(minute) >= REFRESHES:
            return 60 - int(now % 60)
        self._refreshes[client_id] = [*minute, now]
        return 0


def _client_id(header: str | None) -> str:
    """The app that asks, from the Basic authentication.

    :raises OAuthError: there is none, or it is wrong.
    """
    scheme, _, credentials = (header or "").partition(" ")
    try:
        client_id, _, secret = base64.b64decode(credentials, validate=True).decode().partition(":")
    except ValueError:  # also what base64 and UTF-8 raise
        client_id, secret = "", ""
    if scheme.lower() != "basic" or not client_id or not secret or secret == INVALID:
        raise OAuthError("invalid_client", "The client id or secret is wrong, or missing.", 401)
    return client_id


def _form(incoming: HTTPRequest) -> dict[str, str]:
    content_type = incoming.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != FORM or not isinstance(incoming.content, bytes):
        raise OAuthError("invalid_request", f"The body must be a form ({FORM}).")
    fields = parse_qs(incoming.content.decode(errors="replace"), keep_blank_values=True)
    return {name: values[-1] for name, values in fields.items()}
