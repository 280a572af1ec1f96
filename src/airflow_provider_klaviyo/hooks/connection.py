"""An Airflow connection of type ``klaviyo``, read into the settings of a client."""

from __future__ import annotations

import ipaddress
import os
import re
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_klaviyo.api.client_settings import BASE_URL, Auth, ClientSettings, PrivateKey, is_masked
from airflow_provider_klaviyo.api.errors import KlaviyoAuthError, KlaviyoValidationError
from airflow_provider_klaviyo.api.network import is_loopback
from airflow_provider_klaviyo.api.operations import DEFAULT_REVISION, Operation, check_revision
from airflow_provider_klaviyo.compat import AirflowNotFoundException, Stats
from airflow_provider_klaviyo.exceptions import KlaviyoConnectionMissingError
from airflow_provider_klaviyo.hooks.extra import airflow_home, check_names, pacing, read_rate_limit, read_safety, shown

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from airflow_provider_klaviyo.compat import BaseHook

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
"""One part of the name of a host."""


def client_settings(connection: Connection, extra: Mapping[str, Any], *, revision: str | None = None) -> ClientSettings:
    """Read a connection.

    :param connection: a connection of type ``klaviyo``.
    :param extra: its extra, as :func:`~airflow_provider_klaviyo.hooks.extra.read_extra` returns it.
    :param revision: API revision of the task; beats the connection's.
    :raises KlaviyoValidationError: a field of the connection cannot be used; the message names it, never a secret.
    :raises KlaviyoAuthError: no usable key.
    """
    where = f"Connection {connection.conn_id!r}"
    if not isinstance(extra, Mapping):
        raise KlaviyoValidationError(f"{where}: its extra is not a JSON object.", pointer="extra")
    check_names(where, extra)
    connect, read = _timeouts(where, extra.get("timeout"))
    base_url = _base_url(where, connection)
    rate_limit = read_rate_limit(where, extra.get("rate_limit"), base_url)
    proof = auth(where, connection, extra, base_url, rate_limit.redis if rate_limit else "")
    return ClientSettings(
        auth=proof,
        base_url=base_url,
        revision=_revision(where, extra.get("revision"), revision),
        connect_timeout=connect,
        read_timeout=read,
        guard=read_safety(where, extra),
        pacing=pacing(where, rate_limit, base_url, proof),
        count=count,
        connection=connection.conn_id,
    )


def _revision(where: str, of_connection: Any, of_task: str | None) -> str:
    if of_task:
        return check_revision(of_task)
    if of_connection is None or of_connection == "":
        return DEFAULT_REVISION
    with suppress(KlaviyoValidationError):  # which shows the value
        return check_revision(of_connection)
    raise KlaviyoValidationError(
        f"{where}: extra 'revision' is {shown(of_connection)}; a Klaviyo API revision looks like {DEFAULT_REVISION!r}.",
        pointer="revision",
    )


def _base_url(where: str, connection: Connection) -> str:
    """``https://a.klaviyo.com`` unless the host says otherwise; plain http only to this machine."""
    host = (connection.host or "").strip()
    if not host:
        if connection.port or (connection.schema or "").lower() == "http":
            raise KlaviyoValidationError(
                f"{where}: it has a port, or the schema 'http', but not a host. Give the host as well, or none of them "
                f"for Klaviyo itself ({BASE_URL}).",
                pointer="host",
            )
        return BASE_URL
    if "://" not in host:
        host = f"{connection.schema or 'https'}://{host}"
    scheme, name, port = _parts(host)
    if not name:
        may_hold_secret = "@" in host or "pk_" in host.lower()
        raise KlaviyoValidationError(
            f"{where}: host is {'not shown, as it may hold a secret' if may_hold_secret else ascii(host)}; give scheme "
            f"and host only, such as {BASE_URL!r}, or nothing.",
            pointer="host",
        )
    port = connection.port if port is None else port
    if port is not None and not (isinstance(port, int) and 1 <= port <= 65535):
        raise KlaviyoValidationError(
            f"{where}: port is {shown(port)}; give one from 1 to 65535, or none.", pointer="port"
        )
    base = f"{scheme}://{f'[{name}]' if ':' in name else name}{f':{port}' if port else ''}"
    if scheme == "http" and not is_loopback(name):
        raise KlaviyoValidationError(
            f"{where}: host is {base!r}; plain http would send the key in the clear and is allowed only to this "
            f"machine (127.0.0.1, localhost). Use https://{name}.",
            pointer="host",
        )
    return base


def _parts(host: str) -> tuple[str, str, int | None]:
    """Scheme, name and port of what is scheme and host only; the name is empty when it is anything else.

    Libraries differ in how they read what is unusual, and the key must not go where only one of them would go.
    """
    try:
        url = urlsplit(host)
        name, port = url.hostname or "", url.port
    except ValueError:
        return "", "", None
    is_plain = re.fullmatch(r"[a-z]+://[a-z0-9_.:\[\]-]+/?", host, re.ASCII | re.IGNORECASE)
    if not is_plain or url.scheme not in ("http", "https") or not _is_host(name):
        return "", "", None
    return url.scheme, name, port


def _is_host(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        labels = name.split(".")
        is_number = re.fullmatch(r"\d+|0x[0-9a-f]*", labels[-1])  # some read such names as numeric addresses
        is_key = name.startswith("pk_")
        return len(name) <= 253 and not is_number and not is_key and all(map(_LABEL.fullmatch, labels))
    return True


def _timeouts(where: str, timeout: Any) -> tuple[float, float]:
    """Connect and read timeout in seconds, from a number (of the latter) or ``{"connect": …, "read": …}``."""
    given = timeout if isinstance(timeout, Mapping) else {} if timeout in (None, "") else {"read": timeout}
    result = {"connect": 10.0, "read": 60.0}
    for name, value in given.items():
        try:
            seconds = 0.0 if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            seconds = 0.0
        if name not in result or not 0 < seconds <= 600:
            raise KlaviyoValidationError(
                f"{where}: extra 'timeout' is {shown(timeout)}; give seconds (more than 0, at most 600) for the "
                f'answer, or {{"connect": 10, "read": 60}}.',
                pointer="timeout",
            )
        result[name] = seconds
    return result["connect"], result["read"]


def auth(where: str, connection: Connection, extra: Mapping[str, Any], base_url: str, redis: str = "") -> Auth:
    """OAuth when the extra has a refresh token, else the private key in the password. No message has a secret.

    :param where: the connection, as messages name it: ``Connection 'klaviyo_default'``.
    :param extra: the connection's extra, as a mapping.
    :param base_url: scheme and host that the connection is for.
    :param redis: URL of the server that shares access tokens between hosts, if there is one.
    :raises KlaviyoAuthError: something is missing, or cannot be what it should be.
    :raises KlaviyoValidationError: the extra ``oauth`` is not understood.
    """
    cache = _cache(where, extra.get("oauth"))
    refresh_token = _refresh_token(where, extra)
    if refresh_token:
        shared = {"directories": _directories(), "redis": redis} if cache else {}
        return _oauth(where, connection, base_url, refresh_token, **shared)
    try:
        return PrivateKey(connection.password or "")
    except KlaviyoAuthError as error:
        hint = " For OAuth, the extra 'oauth_refresh_token' is needed as well." if connection.login else ""
        raise KlaviyoAuthError(f"{where}: {error}{hint}") from None


def _oauth(where: str, connection: Connection, base_url: str, refresh_token: str, **shared: Any) -> Auth:
    from airflow_provider_klaviyo.api.oauth import OAuth

    client_id, client_secret = (connection.login or "").strip(), (connection.password or "").strip()
    if not client_id or not client_secret:
        raise KlaviyoAuthError(
            f"{where}: its extra has a refresh token, so it is for OAuth: put the app's client id into the login and "
            f"the client secret into the password."
        )
    if client_secret.startswith("pk_"):
        raise KlaviyoAuthError(
            f"{where}: its password is a private key, but its extra has a refresh token. For OAuth, put the app's "
            f"client secret into the password; for the private key, take the refresh token out of the extra."
        )
    if is_masked(client_secret) or is_masked(refresh_token):
        raise KlaviyoAuthError(
            f"{where}: its password or refresh token is '***', which is how Airflow shows a secret, not the secret "
            f"itself. Type both again."
        )
    return OAuth(
        where,
        base_url=base_url,
        client_id=client_id,
        client_secret=client_secret,
        refresh_token=refresh_token,
        **shared,
    )


def _refresh_token(where: str, extra: Mapping[str, Any]) -> str:
    """The refresh token; empty when there is none.

    Airflow's form has flat fields only, so ``oauth_refresh_token`` means the same as ``refresh_token`` in ``oauth``.
    """
    nested = (extra.get("oauth") or {}).get("refresh_token")
    given = [token for token in (nested, extra.get("oauth_refresh_token")) if token is not None and token != ""]
    if not all(isinstance(token, str) and token.isascii() and token.isprintable() for token in given):
        raise KlaviyoAuthError(f"{where}: the refresh token in its extra is not a text of printable ASCII characters.")
    tokens = {token.strip() for token in given}
    if len(tokens) > 1:
        raise KlaviyoAuthError(
            f"{where}: extras 'oauth' and 'oauth_refresh_token' hold different refresh tokens; give one of them."
        )
    return next(iter(tokens), "")


def _cache(where: str, oauth: Any) -> bool:
    """True if access tokens are shared with other processes. It also checks the extra ``oauth`` as a whole."""
    given = {} if oauth is None or oauth == "" else oauth
    if isinstance(given, Mapping) and not given.keys() - {"refresh_token", "cache"}:
        cache = given.get("cache")
        if cache is None or isinstance(cache, bool):
            return cache is not False
    raise KlaviyoValidationError(
        f'{where}: extra \'oauth\' is not understood; give {{"refresh_token": "…"}} and, to keep access tokens out of '
        f'files, "cache": false.',
        pointer="oauth",
    )


def _directories() -> tuple[Path, ...]:
    """Where access tokens are kept for the processes of this host: with Airflow's files, else with temporary ones."""
    return airflow_home() / "klaviyo-oauth", Path(tempfile.gettempdir()) / f"klaviyo-oauth-{os.geteuid()}"


def count(operation: Operation, status: int | None, waited: float) -> None:
    """Count one exchange.

    :param status: HTTP status; ``None`` when no answer was had.
    :param waited: seconds that it waited for its turn.
    """
    tags = {"operation": operation.id}
    Stats.incr("klaviyo.api.requests", tags={**tags, "status": str(status or "none")})
    if status == 429:
        Stats.incr("klaviyo.api.throttled", tags=tags)
    if waited:
        Stats.timing("klaviyo.api.wait_seconds", waited * 1000, tags=tags)


def get_connection(hook: BaseHook, conn_id: str) -> Connection:
    """A connection.

    :raises KlaviyoConnectionMissingError: there is none.
    """
    try:
        return hook.get_connection(conn_id)
    except AirflowNotFoundException:
        raise KlaviyoConnectionMissingError(conn_id) from None


async def get_async_connection(hook: BaseHook, conn_id: str) -> Connection:
    """A connection, asked for from an event loop.

    :raises KlaviyoConnectionMissingError: there is none.

    Before Airflow 3.3.2, ``aget_connection`` masks secrets with a call that blocks the loop it is on, and may stop it
    for good; there, and where it does not exist, the connection is asked for in a thread.
    """
    from airflow.sdk import Connection

    if not hasattr(Connection, "aextra_dejson"):
        from asgiref.sync import sync_to_async

        return await sync_to_async(get_connection)(hook, conn_id)
    try:
        return await hook.aget_connection(conn_id)
    except AirflowNotFoundException:
        raise KlaviyoConnectionMissingError(conn_id) from None


def mask_extra(connection: Connection) -> None:
    """Have Airflow hide the secrets of an extra in logs from now on, as it does when it reads one itself."""
    _ = connection.extra_dejson


async def mask_extra_async(connection: Connection) -> None:
    """As :func:`mask_extra`, for event loops."""
    if hasattr(connection, "aextra_dejson"):
        await connection.aextra_dejson()
        return
    from asgiref.sync import sync_to_async

    await sync_to_async(mask_extra)(connection)
