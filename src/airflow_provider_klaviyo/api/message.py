"""What both transports send: the settings of one account, and the exact bytes of a call."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from typing import Any

from airflow_provider_klaviyo.api.auth import Auth
from airflow_provider_klaviyo.api.body import CODINGS
from airflow_provider_klaviyo.api.calls import Call
from airflow_provider_klaviyo.api.document import Document
from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.api.operations import DEFAULT_REVISION, Operation
from airflow_provider_klaviyo.api.pacing import Pacing
from airflow_provider_klaviyo.api.request import MEDIA_TYPE, Request, absolute_url
from airflow_provider_klaviyo.api.text import check_text

TAKES_A_FILE = ("upload_image_from_file",)
"""Operations that take a form with a file; all others take a JSON document."""

BASE_URL = "https://a.klaviyo.com"

log = logging.getLogger(__name__)


def unguarded(_: Request) -> Call[None]:
    """Lets every request through."""
    yield from ()


def uncounted(_: Operation, __: int | None, ___: float) -> None:
    """Counts nothing."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to reach one account.

    :param auth: yields the ``Authorization`` header.
    :param base_url: scheme and host, no path.
    :param revision: API revision to ask for.
    :param connect_timeout: seconds to wait for a connection.
    :param read_timeout: seconds to wait for the next byte of an answer; see :attr:`longest_exchange` for all of it.
    :param guard: carried out before each request; raises if it must not be made.
    :param pacing: waits for each exchange's turn; ``None``: calls are made at once.
    :param count: told of each exchange: its operation, HTTP status if any, and the seconds it waited for its turn.
    """

    auth: Auth
    base_url: str = BASE_URL
    revision: str = DEFAULT_REVISION
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    guard: Callable[[Request], Call[None]] = unguarded
    pacing: Pacing | None = None
    count: Callable[[Operation, int | None, float], None] = uncounted

    @property
    def longest_exchange(self) -> float:
        """Seconds after its begin, the connecting included, by which an exchange is answered or given up."""
        return self.connect_timeout + self.read_timeout


@dataclass(frozen=True, slots=True)
class Wire:
    """A call, ready to be sent; it holds the key, so it is not logged and has no ``repr`` of its fields."""

    method: str
    url: str
    headers: dict[str, str]
    content: bytes | None

    def __repr__(self) -> str:
        return f"Wire({self.method} {self.url})"


def prepare(settings: Settings, request: Request, authorization: str) -> Wire:
    """What is to leave.

    :raises KlaviyoValidationError: it cannot be encoded.
    """
    headers = {
        "Authorization": authorization,
        "Accept": MEDIA_TYPE,
        "Accept-Encoding": CODINGS,
        "User-Agent": user_agent(),
        "revision": settings.revision,
        "X-Klaviyo-Revision-Fall-Forward-Opt-Out": "1",
    }
    content = None
    if request.operation.id in TAKES_A_FILE:
        content, headers["Content-Type"] = _form(request)
    elif request.body is not None:
        headers["Content-Type"] = MEDIA_TYPE
        content = _encoded(request.body)
    return Wire(request.operation.method, absolute_url(settings.base_url, request.target), headers, content)


def _encoded(body: Mapping[str, Any]) -> bytes:
    """The document's bytes.

    :raises KlaviyoValidationError: it holds text that UTF-8 cannot carry; ``pointer`` names where.
    """
    try:
        return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        check_text(body, "")
        raise


def _form(request: Request) -> tuple[bytes, str]:
    """A form with a file: the field ``file`` of the body is the path of one.

    :raises KlaviyoValidationError: it cannot be read; nothing was sent.
    """
    from urllib3.filepost import encode_multipart_formdata

    body = dict(request.body or {})
    path = Path(str(body.pop("file", "")))
    check_text({"file": path.name, **body}, "")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise KlaviyoValidationError(
            f"{request}: file is {str(path)!r}, which cannot be read ({type(error).__name__}); give the path of a file "
            f"on the machine that runs the task.",
            pointer="file",
        ) from None
    fields = {name: json.dumps(value) if isinstance(value, bool) else str(value) for name, value in body.items()}
    return encode_multipart_formdata({**fields, "file": (path.name, data)})


def check_revision(settings: Settings, document: Document) -> Document:
    """Say so when Klaviyo applied another revision than asked: its answers may then have another shape."""
    if document.revision and document.revision != settings.revision:
        log.warning(
            "Klaviyo applied API revision %s, not %s as asked. Check 'revision' in the connection's extra.",
            document.revision,
            settings.revision,
        )
    return document


@cache
def user_agent() -> str:
    """Name and version of this package, Python and Airflow; looked up once, on the first call."""
    parts = [f"airflow-provider-klaviyo/{_version('airflow-provider-klaviyo')}", f"python/{python_version()}"]
    if airflow := getattr(sys.modules.get("airflow"), "__version__", None):
        parts.append(f"airflow/{airflow}")
    return " ".join(parts)


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "unknown"
