"""What both transports send and take in: the exact bytes of a call, the body of its answer, and Klaviyo's clock."""

from __future__ import annotations

import json
import logging
import sys
import time
import zlib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from typing import Any

from airflow_provider_klaviyo.api.client_settings import ClientSettings
from airflow_provider_klaviyo.api.discreet import Discreet
from airflow_provider_klaviyo.api.document import MAX_BODY, Document, unanswered
from airflow_provider_klaviyo.api.errors import KlaviyoApiError, KlaviyoValidationError
from airflow_provider_klaviyo.api.request import MEDIA_TYPE, Request, absolute_url
from airflow_provider_klaviyo.api.text import check_text, http_date

TAKES_A_FILE = ("upload_image_from_file",)
"""Operations that take a form with a file; all others take a JSON document."""

CODINGS = "gzip, deflate"
"""The content codings that are asked for; one of them at a time is undone, and no other."""

MAX_VALUES = 1_000_000
"""Commas in a body, at most. Klaviyo's pages have a tenth of that; to read 64 MB of ``[],`` as JSON takes 2 GB and 9 s,
and an event loop stands still meanwhile."""

SLICE = 256 * 1024
"""Bytes that are decoded at a time: an event loop turns in between."""

NOISE = 5.0
"""Seconds by which two clocks may seem to differ because an answer was on its way, or has whole seconds only."""

_GZIP, _ZLIB, _RAW = 31, 15, -15

log = logging.getLogger(__name__)


class Outgoing(Discreet, frozen=True):
    """A call, ready to be sent; it holds the key, so it is not logged."""

    method: str
    url: str
    headers: dict[str, str]
    content: bytes | None

    def __str__(self) -> str:
        return f"{self.method} {self.url}"


def prepare(settings: ClientSettings, request: Request, authorization: str) -> Outgoing:
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
    elif request.content is not None or request.body is not None:
        headers["Content-Type"] = MEDIA_TYPE
        content = _encoded(request.body or {}) if request.content is None else request.content
    return Outgoing(request.operation.method, absolute_url(settings.base_url, request.target), headers, content)


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
            f"file is {str(path)!r}, which cannot be read ({type(error).__name__}); give the path of a file "
            f"on the machine that runs the task.",
            pointer="file",
        ) from None
    fields = {name: json.dumps(value) if isinstance(value, bool) else str(value) for name, value in body.items()}
    return encode_multipart_formdata({**fields, "file": (path.name, data)})


def check_revision(settings: ClientSettings, document: Document) -> Document:
    """Log a warning if Klaviyo applied another revision than asked: its answers may then have another shape."""
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


class Body:
    """Takes in a body part by part, at most ``MAX_BODY`` bytes of it, before and after its coding is undone.

    :param request: what it answers.
    :param status: HTTP status of the answer.
    :param headers: of the answer, by name in any case.
    """

    def __init__(self, request: Request, status: int, headers: Mapping[str, str]) -> None:
        self._request = request
        self._status = status
        self._coding = headers.get("content-encoding", "").strip().lower()
        self._decoder: zlib._Decompress | None = None
        self._start = b""
        self._taken = 0
        self._pieces: list[bytes] = []
        self._size = 0

    def take(self, part: bytes) -> Iterator[None]:
        """Take in the next part; pauses after each :data:`SLICE`.

        :raises KlaviyoApiError: the body is too long, or in a coding that is broken or was not asked for.
        """
        self._taken += len(part)
        self._check(self._taken)
        if self._coding in ("", "identity"):
            self._keep(part)
            return
        if self._decoder is None:
            self._start += part
            if len(self._start) < 2:
                return
            self._decoder, part = self._made(self._start), self._start
        while not self._decoder.eof:
            try:
                piece = self._decoder.decompress(part, SLICE)
            except zlib.error:
                raise self._unusable(f"in a broken {self._coding}") from None
            self._keep(piece)
            part = self._decoder.unconsumed_tail
            if not part and len(piece) < SLICE:
                return
            yield

    def whole(self) -> bytes:
        """All of it, when no part is left to come.

        :raises KlaviyoApiError: its coding says that there is more, or it has more than :data:`MAX_VALUES`.
        """
        if self._start and not (self._decoder and self._decoder.eof):
            raise self._unusable(f"in a {self._coding} that was cut short")
        content = b"".join(self._pieces)
        if self._size > MAX_VALUES and content.count(b",") > MAX_VALUES:
            raise self._unusable(f"with more than {MAX_VALUES:,} values")
        return content

    def _keep(self, piece: bytes) -> None:
        self._size += len(piece)
        self._check(self._size)
        self._pieces.append(piece)

    def _made(self, start: bytes) -> zlib._Decompress:
        if self._coding in ("gzip", "x-gzip"):
            return zlib.decompressobj(_GZIP)
        if self._coding == "deflate":
            has_header = start[0] & 0x0F == 8 and int.from_bytes(start[:2]) % 31 == 0
            return zlib.decompressobj(_ZLIB if has_header else _RAW)
        raise self._unusable(f"in the coding {ascii(self._coding)[:50]}, which was not asked for")

    def _check(self, size: int) -> None:
        if size > MAX_BODY:
            raise self._unusable(f"with more than {MAX_BODY:,} bytes")

    def _unusable(self, what: str) -> KlaviyoApiError:
        return unanswered(self._request, f"answered {self._status} {what}", self._status)


class ServerClock:
    """How far this machine's clock is ahead of Klaviyo's, by the last answer that was dated."""

    def __init__(self) -> None:
        self.ahead = 0.0
        """Seconds, negative if it is behind; 0 within :data:`NOISE`, and as long as nothing is known."""
        self.is_known = False
        """True if an answer was dated."""

    def read(self, headers: Mapping[str, str]) -> None:
        """Take in the ``Date`` of an answer that has just come."""
        date = http_date(headers.get("date") or "")
        if date is None:
            return
        ahead = time.time() - date
        self.ahead = ahead if abs(ahead) > NOISE else 0.0
        self.is_known = True

    def now(self) -> float:
        """Klaviyo's time, as far as it is known: seconds since the epoch."""
        return time.time() - self.ahead
