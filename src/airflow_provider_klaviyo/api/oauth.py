"""OAuth: an access token for calls, got and renewed with the refresh token of an authorised app.

Klaviyo lets an app refresh ten times a minute. So an access token is shared: by the clients of this process in memory,
by the processes of this host in a file (:mod:`airflow_provider_klaviyo.api.tokens`), by several hosts in a Redis server
(:mod:`airflow_provider_klaviyo.api.redis_tokens`). A process that finds it expired refreshes it while the others wait.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Timer
from typing import Any, TypeGuard

import httpx

from airflow_provider_klaviyo.api import network
from airflow_provider_klaviyo.api.errors import (
    KlaviyoApiError,
    KlaviyoAuthError,
    KlaviyoRateLimitError,
    KlaviyoTransientError,
)
from airflow_provider_klaviyo.api.message import user_agent
from airflow_provider_klaviyo.api.redis_tokens import RedisToken
from airflow_provider_klaviyo.api.refusal import retry_after
from airflow_provider_klaviyo.api.text import duration
from airflow_provider_klaviyo.api.tokens import (
    LONGEST_LIFE,
    PAUSE,
    LockedTooLongError,
    Token,
    TokenFile,
    TokenStore,
    is_token,
    private_directory,
)

_CONNECTED = ("connect_tcp.complete", "start_tls.complete")

TIMEOUT = httpx.Timeout(30.0, connect=10.0)

LONGEST_REFRESH = 40.0
"""Seconds by which a refresh is answered or given up."""

PATIENCE = 60.0
"""Seconds to wait while another process or thread refreshes; longer than a refresh can take."""

MARGIN = 60.0
"""Seconds before its end from which on an access token is not used; a tenth of its life if that is shorter."""

LIFETIME = 300.0
"""Seconds for which an access token is used when Klaviyo does not say how long it is good."""

_PLAIN = {"Accept-Encoding": "identity"}

MAX_BODY = 64 * 1024
"""Bytes of an answer that are read at most."""

_shared: dict[str, _Shared] = {}

_RENEW = (
    "Authorise the app again and put the new refresh token into the connection's extra 'oauth_refresh_token' "
    '(or "oauth": {"refresh_token": …}).'
)

_OTHERWISE = f"Klaviyo refuses the app. {_RENEW}"

_HINTS = {
    "invalid_grant": (
        "Klaviyo does not accept the refresh token: the app was uninstalled, its access revoked, the token was not "
        f"used for 90 days, was replaced by another, or is mistyped. {_RENEW}"
    ),
    "invalid_client": (
        "Klaviyo does not accept the app: check the connection's login (the OAuth client id) and its password (the "
        "client secret)."
    ),
}

log = logging.getLogger(__name__)


@contextmanager
def cut_off(seconds: float) -> Iterator[Callable[[str, Mapping[str, Any]], None]]:
    """The exchange made in this block fails with an :class:`httpx.HTTPError` when so many seconds are over.

    :returns: for ``httpx``, as ``extensions={"trace": …}`` of the request.
    """
    connections: list[socket.socket] = []
    is_over = False

    def trace(event: str, facts: Mapping[str, Any]) -> None:
        if not event.endswith(_CONNECTED):
            return
        connections.append(facts["return_value"].get_extra_info("socket"))
        if is_over:
            raise httpx.ConnectTimeout("connecting took too long")

    def cut() -> None:
        nonlocal is_over
        is_over = True
        for connection in connections:
            with suppress(OSError):  # that of TLS has taken the place of the one before
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    timer = Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield trace
    finally:
        timer.cancel()


@dataclass(slots=True)
class _Shared:
    """What the clients of one process that have the same credentials share."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    token: Token | None = None


class OAuth:
    """Calls with the access token of an OAuth app. Its secrets are in no ``repr``, in no log and no exception.

    :param where: the connection, as messages name it: ``Connection 'klaviyo_default'``.
    :param base_url: scheme and host of Klaviyo; tokens come from its ``/oauth/token``.
    :param client_id: the app's.
    :param client_secret: the app's.
    :param refresh_token: from the app's authorisation by the account.
    :param directories: where to keep the access token for other processes: the first one that can be used. None given:
        every process gets its own.
    :param redis: URL of the Redis server that keeps it for other hosts; empty if there is none.
    """

    def __init__(
        self,
        where: str,
        *,
        base_url: str,
        client_id: str,
        client_secret: str,
        refresh_token: str,
        directories: Sequence[Path] = (),
        redis: str = "",
    ) -> None:
        self._where = where
        self._url = f"{base_url}/oauth/token"
        self._client = (client_id, client_secret)
        self._refresh_token = refresh_token
        self._directories = directories
        secrets = json.dumps([base_url, client_id, client_secret, refresh_token])
        self._name = hashlib.sha256(secrets.encode()).hexdigest()[:32]
        self._shared = _shared.setdefault(self._name, _Shared())
        self._in_redis = RedisToken(redis, self._name, f"a key from {secrets}") if redis else None

    @property
    def counted_as(self) -> str:
        """Each installation of an app has limits of its own."""
        return self._name

    def header(self, refused: str | None = None) -> str:
        """``Bearer`` and an access token that is good for some time.

        :param refused: a value that Klaviyo has just answered 401 to; it is refreshed unless that was done since.
        :raises KlaviyoAuthError: Klaviyo refuses the app or its refresh token: it must be authorised again.
        :raises KlaviyoRateLimitError: too many refreshes.
        :raises KlaviyoTransientError: no usable answer, or another process has been refreshing for long.
        """
        token = self._shared.token
        if not _is_good(token, refused):
            if not self._shared.lock.acquire(timeout=PATIENCE):
                raise self._locked_too_long()
            try:
                token = self._shared.token
                if not _is_good(token, refused):
                    token = self._obtain(refused)
            finally:
                self._shared.lock.release()
        return _header(token)

    async def aheader(self, refused: str | None = None) -> str:
        """As :meth:`header`, for event loops: files and the network are left to one thread per process."""
        deadline = time.monotonic() + PATIENCE
        while not _is_good(token := self._shared.token, refused):
            if self._shared.lock.acquire(blocking=False):
                try:
                    return _header(await asyncio.to_thread(self._obtain, refused))
                finally:
                    self._shared.lock.release()
            if time.monotonic() >= deadline:
                raise self._locked_too_long()
            await asyncio.sleep(PAUSE)
        return _header(token)

    def __repr__(self) -> str:
        return "OAuth(***)"

    def _obtain(self, refused: str | None) -> Token:
        """The token that another process keeps for this one, or a new one. The process's lock is held."""
        with ExitStack() as held:
            stores = self._locked_stores(held)
            kept = [token for token in (*(store.read() for store in stores), self._shared.token) if token]
            token = max(kept, key=lambda token: token.good_until, default=None)
            if not _is_good(token, refused):
                replaced = token.refresh if token else None
                token = self._refresh(replaced)
                keeping = [store for store in stores if self._keep(store, token, is_copy=store is not stores[0])]
                if token.refresh != replaced:
                    self._say_replaced(keeping)
        self._shared.token = token
        return token

    def _locked_stores(self, held: ExitStack) -> list[TokenStore]:
        """Where the token is, or is to be, kept; the first of them is locked. None if it is not, or cannot be, shared.

        With a Redis server there is a copy in this host's file, for the day on which the server is away.
        """
        stores: list[TokenStore] = [store for store in (self._in_redis, self._file()) if store]
        while stores:
            try:
                held.enter_context(stores[0].locked(PATIENCE))
            except LockedTooLongError:
                raise self._locked_too_long() from None
            except OSError as error:
                self._say_unshared(str(error), stores.pop(0).reach)
            else:
                break
        return stores

    def _file(self) -> TokenFile | None:
        """This host's file; ``None`` when it is not wanted, or there is no place for it."""
        if not self._directories:
            return None
        directory = private_directory(self._directories)
        if directory is None:
            if self._in_redis is None:
                self._say_unshared(f"none of these can be used: {', '.join(map(str, self._directories))}")
            return None
        return TokenFile(directory / f"{self._name}.json")

    def _keep(self, store: TokenStore, token: Token, *, is_copy: bool) -> bool:
        """True if the store has the token now.

        :param is_copy: True if others get the token from another store, so that a failure costs them nothing.
        """
        try:
            store.write(token)
        except OSError as error:
            if not is_copy:
                self._say_unshared(str(error), store.reach)
            return False
        return True

    def _refresh(self, replaced: str | None) -> Token:
        """A new access token from Klaviyo.

        :param replaced: the refresh token that took the place of the connection's.
        """
        used = replaced or self._refresh_token
        asked = time.time()
        body = self._ask(used)
        access, lifetime, refresh = body.get("access_token"), body.get("expires_in"), body.get("refresh_token")
        if not is_token(refresh):
            refresh = used
        if not is_token(access):
            raise KlaviyoTransientError(f"{self._where}: {self._url} answered 200 without an access token.")
        seconds = LIFETIME
        if isinstance(lifetime, int | float) and not isinstance(lifetime, bool) and lifetime > 0:
            seconds = float(min(lifetime, LONGEST_LIFE))
        return Token(
            access=access,
            good_until=asked + seconds - min(MARGIN, seconds / 10),
            refresh=refresh if refresh != self._refresh_token else None,
        )

    def _ask(self, refresh_token: str) -> Mapping[str, Any]:
        """Klaviyo's answer to a refresh.

        :raises KlaviyoApiError: it is not a success. Texts of the answer are left out: they might repeat a secret.
        """
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        headers = {"Accept": "application/json", "User-Agent": user_agent()}
        client = httpx.Client(
            auth=self._client,
            headers=headers,
            timeout=TIMEOUT,
            follow_redirects=False,
            **network.route(self._url).for_httpx(),
        )
        try:
            with (
                cut_off(LONGEST_REFRESH) as trace,
                client,
                client.stream("POST", self._url, data=form, headers=_PLAIN, extensions={"trace": trace}) as response,
            ):
                body = _json_object(response)
        except httpx.HTTPError as error:
            raise KlaviyoTransientError(
                f"{self._where}: no access token: {self._url} did not answer ({type(error).__name__})."
            ) from None
        if response.status_code == 200 and body is not None:
            return body
        raise self._failure(response, (body or {}).get("error"))

    def _failure(self, response: httpx.Response, error: Any) -> KlaviyoApiError:
        status = response.status_code
        what = f"{self._where}: no access token: {self._url} answered {status}"
        if status == 429:
            wait = retry_after(response.headers)
            return KlaviyoRateLimitError(
                f"{what}: too many refreshes (Klaviyo allows 10 a minute); again in {duration(wait)}.",
                status=status,
                retry_after=wait,
            )
        if 300 <= status < 400:
            return KlaviyoApiError(
                f"{what}, a redirect, which is not followed. Check the connection's host.", status=status
            )
        if status >= 500 or not isinstance(error, str):
            return KlaviyoTransientError(f"{what}, not an answer of OAuth.", status=status)
        code = error if re.fullmatch(r"[a-z_]{1,40}", error) else "unknown"
        return KlaviyoAuthError(f"{what} ({code}). {_HINTS.get(code, _OTHERWISE)}", status=status, code=code)

    def _say_replaced(self, keeping: Sequence[TokenStore]) -> None:
        files = [store.path for store in keeping if isinstance(store, TokenFile)]
        hosts = "other hosts will fail with 'invalid_grant'"
        if any(store.reach == "hosts" for store in keeping):
            hosts = "calls will fail with 'invalid_grant' when Redis has lost it"
        if files:
            kept = f"The new one is kept in {files[0]} and used on this host; copy it from there"
        else:
            kept = "The new one is known to this process only and lost with it; authorise the app again"
        log.warning(
            "%s: Klaviyo has replaced the refresh token; the one in the connection may no longer hold. %s and update "
            "the connection's extra 'oauth_refresh_token', or %s.",
            self._where,
            kept,
            hosts,
        )

    def _say_unshared(self, why: str, reach: str = "processes") -> None:
        log.warning(
            "%s: the access token cannot be shared with other %s (%s). Each of them will refresh its own, and "
            "Klaviyo allows 10 refreshes a minute.",
            self._where,
            reach,
            why,
        )

    def _locked_too_long(self) -> KlaviyoTransientError:
        return KlaviyoTransientError(
            f"{self._where}: no access token: another process or thread has been refreshing it for {PATIENCE:.0f} s."
        )


def _is_good(token: Token | None, refused: str | None) -> TypeGuard[Token]:
    return token is not None and time.time() < token.good_until and _header(token) != refused


def _header(token: Token) -> str:
    return f"Bearer {token.access}"


def _json_object(response: httpx.Response) -> Mapping[str, Any] | None:
    content = b""
    for part in response.iter_raw(MAX_BODY):
        content += part
        if len(content) > MAX_BODY:
            return None
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _forget_locks() -> None:
    """In the child of a fork: the parent's thread that held a lock is not here to release it."""
    for shared in _shared.values():
        shared.lock = threading.Lock()


os.register_at_fork(after_in_child=_forget_locks)
