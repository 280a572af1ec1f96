"""An Airflow connection of type ``klaviyo``, read into the settings of a client."""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.api.operations import DEFAULT_REVISION
from airflow_provider_klaviyo.api.wire import BASE_URL, Settings
from airflow_provider_klaviyo.hooks.arguments import check_revision
from airflow_provider_klaviyo.hooks.credentials import auth
from airflow_provider_klaviyo.hooks.metrics import count
from airflow_provider_klaviyo.hooks.pacing import pacing
from airflow_provider_klaviyo.hooks.safety import read_safety

if TYPE_CHECKING:
    from airflow.sdk import Connection

EXTRAS = ("revision", "timeout", "rate_limit", "oauth", "oauth_refresh_token", "read_only", "require_test_account")


def settings(connection: Connection, extra: Mapping[str, Any], *, revision: str | None = None) -> Settings:
    """Read a connection.

    :param connection: a connection of type ``klaviyo``.
    :param extra: its extra, as a mapping.
    :param revision: API revision of the task; beats the connection's.
    :raises KlaviyoValidationError: a field of the connection cannot be used; the message names it, never a secret.
    :raises KlaviyoAuthError: no usable key.
    """
    where = f"Connection {connection.conn_id!r}"
    if not isinstance(extra, Mapping):
        raise KlaviyoValidationError(f"{where}: its extra is not a JSON object.", pointer="extra")
    for name in extra:
        if name not in EXTRAS:
            near = difflib.get_close_matches(name, EXTRAS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise KlaviyoValidationError(
                f"{where}: extra {name!r} is not known.{hint} Allowed: {', '.join(EXTRAS)}.", pointer=name
            )
    connect, read = _timeouts(where, extra.get("timeout"))
    base_url = _base_url(where, connection)
    proof = auth(where, connection, extra, base_url)
    return Settings(
        auth=proof,
        base_url=base_url,
        revision=check_revision(revision or extra.get("revision") or DEFAULT_REVISION),
        connect_timeout=connect,
        read_timeout=read,
        guard=read_safety(where, extra),
        pacing=pacing(where, extra.get("rate_limit"), base_url, proof),
        count=count,
    )


def _base_url(where: str, connection: Connection) -> str:
    """``https://a.klaviyo.com`` unless the host says otherwise; plain http only to this machine."""
    host = (connection.host or "").strip()
    if not host:
        return BASE_URL
    if "://" not in host:
        host = f"{connection.schema or 'https'}://{host}"
    try:
        url = urlsplit(host)
        port = url.port or connection.port
        is_host_only = url.hostname and url.path in ("", "/") and not (url.query or url.fragment or url.username)
    except ValueError:
        is_host_only = False
    if not is_host_only or url.scheme not in ("http", "https"):
        without_user = re.sub(".*@", "***@", host)
        raise KlaviyoValidationError(
            f"{where}: host is {without_user!r}; give scheme and host only, such as {BASE_URL!r}, or nothing.",
            pointer="host",
        )
    name = str(url.hostname)
    base = f"{url.scheme}://{f'[{name}]' if ':' in name else name}{f':{port}' if port else ''}"
    if url.scheme == "http" and not _is_loopback(name):
        raise KlaviyoValidationError(
            f"{where}: host is {base!r}; plain http would send the key in the clear and is allowed only to this "
            f"machine (127.0.0.1, localhost). Use https://{name}.",
            pointer="host",
        )
    return base


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _timeouts(where: str, timeout: Any) -> tuple[float, float]:
    """Connect and read timeout in seconds, from a number (of the latter) or ``{"connect": …, "read": …}``."""
    given = timeout if isinstance(timeout, Mapping) else {} if timeout in (None, "") else {"read": timeout}
    result = {"connect": 10.0, "read": 60.0}
    for name, value in given.items():
        try:
            seconds = float(value)
        except (TypeError, ValueError):
            seconds = 0.0
        if name not in result or not 0 < seconds <= 600:
            raise KlaviyoValidationError(
                f"{where}: extra 'timeout' is {timeout!r}; give seconds (more than 0, at most 600) for the answer, or "
                f'{{"connect": 10, "read": 60}}.',
                pointer="timeout",
            )
        result[name] = seconds
    return result["connect"], result["read"]
