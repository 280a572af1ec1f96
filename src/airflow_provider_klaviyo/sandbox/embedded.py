"""The sandbox inside another process, for tests and demonstrations."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from types import TracebackType

from aiohttp import web

from airflow_provider_klaviyo.sandbox.clock import Clock
from airflow_provider_klaviyo.sandbox.seed import DEFAULT, seeded
from airflow_provider_klaviyo.sandbox.served import Timing
from airflow_provider_klaviyo.sandbox.server import Server
from airflow_provider_klaviyo.sandbox.service import Klaviyo
from airflow_provider_klaviyo.sandbox.store import load, save

STILL = 1e-9
"""A speed at which the clock only moves when told."""


def server(
    *,
    limits: bool = True,
    speed: float = 1.0,
    data: Path | None = None,
    seed: Path = DEFAULT,
    timing: Timing | None = None,
    strict: bool = False,
) -> Server:
    """A server, not yet listening.

    :param limits: True if rate limits are enforced.
    :param speed: how many sandbox seconds pass in a real second.
    :param data: where to keep the state; it is taken up again when the file exists.
    :param seed: what the account holds at the start.
    :param timing: how long Klaviyo takes for things.
    :param strict: answer 500 instead of anything that does not follow the published schema.
    :raises OSError: a file cannot be read.
    :raises ValueError: a file is not understood.
    """
    store, ahead = (load(data) if data else None) or (seeded(seed), 0.0)
    klaviyo = Klaviyo(
        lambda: seeded(seed), store=store, clock=Clock(speed, ahead), timing=timing, limits=limits, strict=strict
    )
    if data:
        klaviyo.saved = lambda: save(data, klaviyo.store, klaviyo.clock)
    return Server(klaviyo)


async def listen(to: Server, host: str, port: int) -> tuple[web.AppRunner, str]:
    """Begin to serve.

    :return: what to clean up in the end, and the URL.
    """
    runner = web.AppRunner(to.app(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    await site.start()
    bound = runner.addresses[0][1]
    return runner, f"http://{f'[{host}]' if ':' in host else host}:{bound}"


class Sandbox:
    """A sandbox in a thread of this process::

        with Sandbox(limits=False, speed=60) as sandbox:
            requests.get(f"{sandbox.url}/api/accounts", headers=...)

    Leaving the block ends the thread. The other parameters are those of :func:`server`.

    :param port: where it listens on 127.0.0.1; 0 takes a free one.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        limits: bool = True,
        speed: float = 1.0,
        data: Path | None = None,
        seed: Path = DEFAULT,
        timing: Timing | None = None,
        strict: bool = False,
    ) -> None:
        self.url = ""
        self._port = port
        self._server = server(limits=limits, speed=speed, data=data, seed=seed, timing=timing, strict=strict)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="klaviyo-sandbox", daemon=True)
        self._runner: web.AppRunner | None = None

    def __enter__(self) -> Sandbox:
        self._thread.start()
        listening = asyncio.run_coroutine_threadsafe(listen(self._server, "127.0.0.1", self._port), self._loop)
        try:
            self._runner, self.url = listening.result(timeout=10)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._runner is not None:
            asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(timeout=10)
        self._end()
        self._server.klaviyo.saved()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        self._loop.close()
