"""The way to Klaviyo as the environment has it, read once for all transports: the proxy, and whom to trust.

``requests`` and ``httpx`` read different variables by themselves; so they are given the values, and read none.
"""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_klaviyo.api.discreet import Discreet
from airflow_provider_klaviyo.api.errors import KlaviyoValidationError

CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""Variables that name whom to trust; the first that is not empty counts."""

PROXIES = ("HTTPS_PROXY", "ALL_PROXY")
"""Variables that name a proxy; the first that is not empty counts. Written in lower case, each beats itself, as it does
for other programs."""

EXCEPTIONS = "NO_PROXY"
"""Variable that names the hosts which are reached without the proxy; written in lower case, it beats itself."""


_HASHED = re.compile(r"[0-9a-f]{8}\.\d+")
"""Name of a file in a directory of authorities, by which OpenSSL finds it."""


class Route(Discreet, frozen=True):
    """How a host is reached.

    :param proxy: URL of the proxy, ``http://`` or ``https://``; it may hold a password. ``None``: directly.
    :param authorities: path of a PEM file, or of a directory of hashed certificates, with the authorities that are
        trusted; ``None``: those that come with the package ``certifi``.
    """

    proxy: str | None = None
    authorities: str | None = None

    def __str__(self) -> str:
        return f"proxy={'***' if self.proxy else None}, authorities={self.authorities!r}"

    def for_requests(self) -> dict[str, Any]:
        """What ``requests`` takes with each call."""
        proxies = {"https": self.proxy} if self.proxy else {}
        return {"proxies": proxies, "verify": self.authorities or True, "stream": True}

    def for_httpx(self) -> dict[str, Any]:
        """What a client of ``httpx`` is made with. Reading the authorities takes some 30 ms: it is done once, and best
        off the event loop."""
        import httpx

        context = _context(self.authorities, _changed(self.authorities) if self.authorities else 0)
        proxy = self.proxy and httpx.Proxy(self.proxy)
        if proxy and proxy.url.scheme == "https":
            proxy.ssl_context = context
        return {"trust_env": False, "proxy": proxy, "verify": context}


def route(base_url: str) -> Route:
    """The way to a host, as the environment has it now.

    Plain http is for this machine, and neither goes through a proxy, which would read the key, nor needs certificates.

    :param base_url: scheme and host.
    :raises KlaviyoValidationError: a variable names a proxy or a bundle that cannot be used; ``pointer`` is its name.
    """
    url = urlsplit(base_url)
    if url.scheme != "https":
        return Route()
    return Route(_proxy(url.hostname or "", url.port or 443), _authorities())


def is_loopback(host: str) -> bool:
    """True if a host is this machine by its name alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _proxy(host: str, port: int) -> str | None:
    variable, given = next(filter(lambda found: found[1], map(_in_either_case, PROXIES)), ("", ""))
    if not given or is_loopback(host) or _is_excepted(host, port):
        return None
    proxy = given if "://" in given else f"http://{given}"
    try:
        url = urlsplit(proxy)
        is_usable = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        is_usable = False
    if not is_usable or re.search(r"[\s\\]", proxy):
        raise KlaviyoValidationError(
            f"{variable} does not name a proxy that can be used (it is not shown, as it may hold a password). Give "
            f"http://[user:password@]host:port or https://…, with special characters of the password percent-encoded; "
            f"or put {host} into NO_PROXY.",
            pointer=variable,
        )
    return proxy


def _in_either_case(variable: str) -> tuple[str, str]:
    """A variable's name as it is written in the environment, and its value; empty when it is not there."""
    name = variable.lower() if variable.lower() in os.environ else variable
    return name, os.environ.get(name, "").strip()


def _is_excepted(host: str, port: int) -> bool:
    """True if ``NO_PROXY`` names the host: itself, its domain, its address or network, or all; a port is optional."""
    entries = re.split(r"[,\s]+", _in_either_case(EXCEPTIONS)[1].lower())
    return any(_matches(entry, host.lower(), port) for entry in entries if entry)


def _matches(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    entry = re.sub(r"^[a-z]+://", "", entry)
    named = re.fullmatch(r"(\[.+\]|[^:]+):(\d+)", entry)
    if named:
        entry = named[1]
        if int(named[2]) != port:
            return False
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        domain = entry.removeprefix("*").removeprefix(".")
        return host == domain or host.endswith(f".{domain}")
    try:
        return address in ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return False


def _authorities() -> str | None:
    variable = next((name for name in CERTIFICATES if os.environ.get(name, "").strip()), None)
    if variable is None:
        return None
    path = os.environ[variable]
    try:
        is_usable = (
            any(map(_HASHED.fullmatch, os.listdir(path)))
            if os.path.isdir(path)
            else bool(_context(path, _changed(path)))
        )
    except OSError:  # and so is an SSLError
        is_usable = False
    if not is_usable:
        raise KlaviyoValidationError(
            f"{variable} is {path!r}, which has no certificates that this process can read, so Klaviyo's own could not "
            f"be checked. Name a PEM file, or a directory prepared by `openssl rehash`; or unset the variable.",
            pointer=variable,
        )
    return path


def _changed(path: str) -> int:
    return os.stat(path).st_mtime_ns


@cache
def _context(authorities: str | None, _: int) -> ssl.SSLContext:
    """:param _: when the authorities were changed last."""
    if authorities is None:
        import httpx

        return httpx.create_ssl_context(trust_env=False)
    if os.path.isdir(authorities):
        return ssl.create_default_context(capath=authorities)
    return ssl.create_default_context(cafile=authorities)
