"""The body of an answer as it comes in: how much of it is taken, and how its coding is undone."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping

from airflow_provider_klaviyo.api.document import MAX_BODY, unanswered
from airflow_provider_klaviyo.api.errors import KlaviyoApiError
from airflow_provider_klaviyo.api.request import Request

CODINGS = "gzip, deflate"
"""The content codings that are asked for; one of them at a time is undone, and no other."""

MAX_VALUES = 1_000_000
"""Commas in a body, at most. Klaviyo's pages have a tenth of that; to read 64 MB of ``[],`` as JSON takes 2 GB and 9 s,
and an event loop stands still meanwhile."""

SLICE = 256 * 1024
"""Bytes that are decoded at a time: an event loop turns in between."""

_GZIP, _ZLIB, _RAW = 31, 15, -15


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
        self._content = bytearray()

    def take(self, part: bytes) -> Iterator[None]:
        """Take in the next part; pauses after each :data:`SLICE`.

        :raises KlaviyoApiError: the body is too long, or in a coding that is broken or was not asked for.
        """
        self._taken += len(part)
        self._check(self._taken)
        if self._coding in ("", "identity"):
            self._content += part
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
            self._content += piece
            self._check(len(self._content))
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
        if self._content.count(b",") > MAX_VALUES:
            raise self._unusable(f"with more than {MAX_VALUES:,} values")
        return bytes(self._content)

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
