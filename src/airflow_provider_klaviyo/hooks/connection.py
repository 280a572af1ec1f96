"""An Airflow connection of type ``klaviyo``, read into the settings of a client."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.api.network import is_loopback
from airflow_provider_klaviyo.api.operations import DEFAULT_REVISION
from airflow_provider_klaviyo.api.wire import BASE_URL, Settings
from airflow_provider_klaviyo.hooks.arguments import check_revision
from airflow_provider_klaviyo.hooks.credentials import auth
from airflow_provider_klaviyo.hooks.extra import check_names, shown
from airflow_provider_klaviyo.hooks.metrics import count
from airflow_provider_klaviyo.hooks.pacing import pacing
from airflow_provider_klaviyo.hooks.safety import read_safety

if TYPE_CHECKING:
    from airflow.sdk import Connection

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
"""One part of the name of a host."""


def settings(connection: Connection, extra: Mapping[str, Any], *, revision: str | None = None) -> Settings:
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
    proof = auth(where, connection, extra, base_url)
    return Settings(
        auth=proof,
        base_url=base_url,
        revision=_revision(where, extra.get("revision"), revision),
        connect_timeout=connect,
        read_timeout=read,
        guard=read_safety(where, extra),
        pacing=pacing(where, extra.get("rate_limit"), base_url, proof),
        count=count,
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
