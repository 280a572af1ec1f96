"""The asynchronous transport, for the triggerer: ``httpx`` moves the bytes, all else is shared with ``client``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, TypeVar

import httpx
from tenacity import AsyncRetrying

from airflow_provider_klaviyo.api import network, retry
from airflow_provider_klaviyo.api.calls import Call
from airflow_provider_klaviyo.api.client_settings import ClientSettings
from airflow_provider_klaviyo.api.document import Answer, Document, read, unanswered
from airflow_provider_klaviyo.api.errors import (
    KlaviyoApiError,
    KlaviyoAuthError,
    KlaviyoError,
    KlaviyoRateLimitError,
    KlaviyoTransientError,
)
from airflow_provider_klaviyo.api.message import Body, Outgoing, ServerClock, check_revision, prepare
from airflow_provider_klaviyo.api.request import Request, absolute_url

T = TypeVar("T")


class KlaviyoAsyncClient:
    """Calls one Klaviyo account from an event loop; closed by ``await aclose()`` or an ``async with`` block.

    As with the synchronous client, a write never travels on a connection that was idle, and proxy and certificates are
    read from the environment when the client is made.
    """

    def __init__(self, settings: ClientSettings) -> None:
        self.settings = settings
        self.clock = ServerClock()
        environment = network.route(settings.base_url).for_httpx()
        self._reads = self._pool(environment, keep_alive=5)
        self._writes = self._pool(environment, keep_alive=0)

    def _pool(self, environment: dict[str, Any], keep_alive: int) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            timeout=httpx.Timeout(self.settings.read_timeout, connect=self.settings.connect_timeout),
            limits=httpx.Limits(max_connections=10, max_keepalive_connections=keep_alive),
            follow_redirects=False,
            **environment,
        )

    async def send(self, request: Request) -> Document:
        """Make one call, repeating it where the retry policy allows.

        :raises KlaviyoApiError: of the type that the last answer stands for.
        """
        absolute_url(self.settings.base_url, request.target)
        await self.run(self.settings.guard(request))
        began = time.monotonic()
        try:
            return await self._send_once(request)
        except KlaviyoError as error:
            failed = [error]
        return await AsyncRetrying(**retry.policy(began, request.patience))(self._again, request, failed)

    async def run(self, call: Call[T]) -> T:
        """Carry out a call of one or more requests and return its result."""
        try:
            request = next(call)
            while True:
                try:
                    document = await self.send(request)
                except KlaviyoError as error:
                    request = call.throw(self.settings.signed(error))
                else:
                    request = call.send(document)
        except StopIteration as stop:
            result: T = stop.value
            return result

    async def _again(self, request: Request, failed: list[KlaviyoError]) -> Document:
        """For the retry policy: the first attempt, which has failed already, and then further ones."""
        if failed:
            raise failed.pop()
        return await self._send_once(request)

    async def _send_once(self, request: Request) -> Document:
        """One exchange, or two: a call answered 401 was not carried out, and is made again if the key is new then."""
        auth = self.settings.auth
        authorization = await auth.aheader()
        try:
            return await self._exchange(request, authorization)
        except KlaviyoAuthError as error:
            if error.status != 401 or (renewed := await auth.aheader(refused=authorization)) == authorization:
                raise
        return await self._exchange(request, renewed)

    async def _exchange(self, request: Request, authorization: str) -> Document:
        settings, operation = self.settings, request.operation
        waited, status = 0.0, None
        if settings.pacing is not None:
            waited = await settings.pacing.await_turn(operation, request.patience)
        outgoing = prepare(settings, request, authorization)
        if request.departure is not None:
            request.departure.check(request)
        try:
            answer = await self._transmit(request, outgoing)
            status = answer.status
            self.clock.read(answer.headers)
            if settings.pacing is not None and settings.pacing.is_news(answer.headers):
                await asyncio.to_thread(settings.pacing.learn, answer.headers)
            return check_revision(settings, read(request, answer))
        except KlaviyoRateLimitError as error:
            if settings.pacing is not None:
                await settings.pacing.athrottled(operation, error)
            raise
        finally:
            settings.count(operation, status, waited)

    async def _transmit(self, request: Request, outgoing: Outgoing) -> Answer:
        pool = self._reads if request.is_read else self._writes
        try:
            with _cancellable():
                async with (
                    asyncio.timeout(self.settings.longest_exchange),
                    pool.stream(
                        outgoing.method, outgoing.url, headers=outgoing.headers, content=outgoing.content
                    ) as response,
                ):
                    return Answer(response.status_code, response.headers, await _content(response, request))
        except (httpx.HTTPError, TimeoutError) as error:
            raise _failure(request, error) from None

    async def aclose(self) -> None:
        await self._reads.aclose()
        await self._writes.aclose()

    async def __aenter__(self) -> KlaviyoAsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


@contextmanager
def _cancellable() -> Iterator[None]:
    """A task that is cancelled meanwhile ends here.

    What ``httpx`` connects with cancels a part of itself once it is connected. A cancel of the task at that moment is
    taken for its own now and then, and does nothing: seen on Python 3.13, 2 times in 100.
    """
    task = asyncio.current_task()
    cancels = task.cancelling() if task else 0
    try:
        yield
    finally:
        if task and task.cancelling() > cancels:
            raise asyncio.CancelledError


async def _content(response: httpx.Response, request: Request) -> bytes:
    body = Body(request, response.status_code, response.headers)
    async for part in response.aiter_raw(65536):
        for _ in body.take(part):
            await asyncio.sleep(0)
    return body.whole()


def _failure(request: Request, error: httpx.HTTPError | TimeoutError) -> KlaviyoApiError:
    """What a failed exchange means. The text of the library's own error is left out: it may quote the request."""
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.ProxyError):
        what = f"No connection to Klaviyo ({type(error).__name__}); nothing was sent."
        return KlaviyoTransientError(what, call=str(request))
    return unanswered(request, f"did not answer ({type(error).__name__})")
