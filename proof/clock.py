"""Virtual time for one process: sleeping takes none, and the sandbox's clock goes along."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import selectors
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

import time_machine

_real_sleep = time.sleep
_real_asyncio_sleep = asyncio.sleep
real_monotonic = time.monotonic


class VirtualClock:
    """Replaces the clocks, ``time.sleep`` and ``asyncio.sleep`` of this process while its block lasts.

    A sleeper moves the time forward (a coroutine does on a :class:`VirtualLoop`), except in the sandbox's thread:
    there a sleep (the fault ``delay``) ends when the others have moved the time far enough, and the monotonic clock is
    the real one.

    :param sandbox_thread: name of the thread that the sandbox runs in.
    :param advance_sandbox: moves the sandbox's clock by some seconds. When it returns, the sandbox has done everything
        that it was told before.
    """

    def __init__(self, sandbox_thread: str, advance_sandbox: Callable[[float], None]) -> None:
        self._sandbox_thread = sandbox_thread
        self._advance_sandbox = advance_sandbox
        self._began, self._began_monotonic = time.time(), real_monotonic()
        self._travel = time_machine.travel(self._began, tick=True)
        self._waiting: list[tuple[float, int, asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        self._lock = threading.Lock()
        self._numbers = 0
        self._ahead = 0.0
        self._passed = 0.0

    def __enter__(self) -> VirtualClock:
        self._traveller = self._travel.start()
        time.sleep = self.advance  # type: ignore[assignment]
        time.monotonic = self._monotonic
        asyncio.sleep = self._asyncio_sleep
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        time.sleep = _real_sleep
        time.monotonic = real_monotonic
        asyncio.sleep = _real_asyncio_sleep
        self._travel.stop()

    def restart(self) -> None:
        """Go back to the real time; the sandbox does so when it is reset."""
        self._traveller.move_to(self._began + real_monotonic() - self._began_monotonic)
        self._ahead = 0.0

    def now(self) -> float:
        """The time by Klaviyo's clock: seconds since the epoch."""
        return time.time() - self._ahead

    @contextlib.contextmanager
    def ahead(self, seconds: float) -> Iterator[None]:
        """Meanwhile this process's clock is ahead of Klaviyo's (or behind); no time passes by that."""
        self._set_ahead(seconds)
        try:
            yield
        finally:
            self._set_ahead(0.0)

    def _set_ahead(self, seconds: float) -> None:
        more, self._ahead = seconds - self._ahead, seconds
        with self._lock:
            self._traveller.shift(more)
            self._waiting = [(due + more, number, loop, future) for due, number, loop, future in self._waiting]

    def advance(self, seconds: float) -> None:
        """Move the time forward, waking the sandbox's sleepers when theirs has come."""
        end = time.time() + seconds
        while True:
            with self._lock:
                due = heapq.heappop(self._waiting) if self._waiting and self._waiting[0][0] <= end else None
            self._shift((due[0] if due else end) - time.time())
            if due is None:
                return
            due[2].call_soon_threadsafe(_wake, due[3])
            self._advance_sandbox(0)

    def release(self) -> None:
        """Wake all of the sandbox's sleepers now."""
        while self._waiting:
            _, _, loop, future = heapq.heappop(self._waiting)
            loop.call_soon_threadsafe(_wake, future)
        self._advance_sandbox(0)

    def _shift(self, seconds: float) -> None:
        if seconds > 0:
            self._traveller.shift(seconds)
            self._passed += seconds
            self._advance_sandbox(seconds)

    def _monotonic(self) -> float:
        is_sandbox = threading.current_thread().name == self._sandbox_thread
        return real_monotonic() + (0.0 if is_sandbox else self._passed)

    async def _asyncio_sleep(self, delay: float, result: Any = None) -> Any:
        if delay <= 0:
            return await _real_asyncio_sleep(0, result)
        if threading.current_thread().name != self._sandbox_thread:
            return await _real_asyncio_sleep(delay, result)
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        with self._lock:
            self._numbers += 1
            heapq.heappush(self._waiting, (time.time() + delay, self._numbers, loop, future))
        return await future


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time: when nothing but timers is waited for, the time is moved to the next of them.

    :param clock: the time.
    """

    def __init__(self, clock: VirtualClock) -> None:
        self.busy = 0
        """Exchanges with a server, and threads, that are under way: they take real time."""
        super().__init__(_Skipping(clock, self))

    def time(self) -> float:
        return time.time()

    def run_in_executor(self, *arguments: Any) -> Any:  # type: ignore[override]
        future = super().run_in_executor(*arguments)
        self.busy += 1
        future.add_done_callback(self._idle)
        return future

    async def shutdown_default_executor(self, *arguments: Any) -> None:
        """Threads end in real time; since Python 3.12 they are given a time-out that must not be skipped to."""
        self.busy += 1
        try:
            await super().shutdown_default_executor(*arguments)
        finally:
            self.busy -= 1

    def _idle(self, future: Any) -> None:
        self.busy -= 1


class _Skipping(selectors.DefaultSelector):
    """Waits for no timer, but moves the time there."""

    def __init__(self, clock: VirtualClock, loop: VirtualLoop) -> None:
        super().__init__()
        self._clock = clock
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None or timeout <= 0 or self._loop.busy:
            return super().select(timeout)
        ready = super().select(0)
        if not ready:
            self._clock.advance(timeout)
        return ready
