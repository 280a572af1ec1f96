"""Several processes: exact together, safe to fork, safe to kill."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from airflow_provider_klaviyo.api.limits import Budget
from airflow_provider_klaviyo.api.limits.bookings import Booking, Bookings
from airflow_provider_klaviyo.api.limits.schedule import SECOND, Window
from airflow_provider_klaviyo.api.limits.sqlite import SQLiteBookings
from airflow_provider_klaviyo.api.operations import Limits
from tests.api.limits.checker import keeps
from tests.api.limits.operation import operation

FOREVER = 10**15

processes = multiprocessing.get_context("fork")


def in_processes(count: int, work: Callable[[], Any]) -> list[Any]:
    """Run ``work`` in several processes that begin together; what each returned."""
    start, results = processes.Barrier(count), processes.Queue()

    def child() -> None:
        start.wait()
        results.put(work())

    children = [processes.Process(target=child) for _ in range(count)]
    for process in children:
        process.start()
    answers = [results.get(timeout=20) for _ in children]
    for process in children:
        process.join()
        assert process.exitcode == 0
    return answers


def test_four_processes_that_begin_together_are_exact_and_in_order(
    shared: Callable[[], Bookings], account: str
) -> None:
    windows = (Window(10, 100_000), Window(150, 6_000_000))

    def book() -> list[int]:
        bookings = shared()
        return [bookings.book(account, windows, FOREVER).at for _ in range(150)]

    booked = in_processes(4, book)
    instants = sorted(at for mine in booked for at in mine)
    assert all(mine == sorted(mine) for mine in booked)
    assert keeps(instants, windows)
    assert instants[-1] - instants[0] < 4 * 6_000_000, "no instant is left unused"


def test_four_processes_that_sleep_keep_to_the_real_second_and_take_turns(
    shared: Callable[[], Bookings], account: str
) -> None:
    """Judged by the instants booked, none of which may be called before; how late a process wakes up is its own."""
    limits = Limits(burst=20, steady=1000)

    def call() -> list[tuple[int, int]]:
        recorder = Recorder(shared())
        budget = Budget(account, cast("Bookings", recorder), share=1.0)
        calls, end = [], time.monotonic() + 2.5
        while time.monotonic() < end:
            budget.acquire(operation(limits))
            calls.append((recorder.booked, time.time_ns() // 1000))
            time.sleep(0.002)
        return calls

    made = in_processes(4, call)
    assert all(now >= booked for mine in made for booked, now in mine)
    assert keeps([booked for mine in made for booked, _ in mine], [Window(20, SECOND)])
    counts = [len(mine) for mine in made]
    assert 40 < sum(counts) <= 64, "20 in each of three seconds, and one for each process of the next"
    assert min(counts) >= 3, "one that takes its turn gets at least one a second"


class Recorder:
    """Bookings that record the latest instant that was booked."""

    def __init__(self, bookings: Bookings) -> None:
        self._bookings = bookings

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bookings, name)

    def book(self, *arguments: Any) -> Booking:
        booking = self._bookings.book(*arguments)
        self.booked = booking.at
        return booking


def test_a_block_in_one_process_holds_those_who_wait_in_another(shared: Callable[[], Bookings], account: str) -> None:
    slow = operation(Limits(burst=1, steady=1000))
    Budget(account, shared(), share=1.0).acquire(slow)
    begun, ended = processes.Event(), processes.Queue()

    def wait() -> None:
        begun.set()
        slept = Budget(account, shared(), share=1.0).acquire(slow)
        ended.put((slept, time.monotonic()))

    child = processes.Process(target=wait)
    child.start()
    begun.wait()
    time.sleep(0.2)
    blocked = time.monotonic()
    Budget(account, shared(), share=1.0).blocked(slow, retry_after=1.3)
    slept, at = ended.get(timeout=20)
    assert at - blocked > 1.3, "0.9 s without the block"
    assert slept < 2
    child.join()


def test_a_fork_inherits_no_connection_and_parent_and_child_go_on(shared: Callable[[], Bookings], account: str) -> None:
    bookings = shared()
    windows = (Window(10, 3600 * SECOND),)
    assert bookings.book(account, windows, 0).wait == 0
    answers = in_processes(4, lambda: [bookings.book(account, windows, 0).wait == 0 for _ in range(3)])
    assert sum(granted for mine in answers for granted in mine) == 9
    assert bookings.book(account, windows, 0).wait > 0


def test_an_open_file_is_closed_before_a_fork(tmp_path: Path) -> None:
    path = tmp_path / "budget.db"
    bookings = SQLiteBookings(path)
    bookings.book("pool", (Window(1, SECOND),), 0)

    def open_files() -> list[str]:
        return [name for name in map(_link, os.listdir("/proc/self/fd")) if str(path) in name]

    if sys.platform == "linux":
        assert open_files()
        assert in_processes(1, open_files) == [[]]


def _link(number: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{number}")
    except FileNotFoundError:
        return ""


def test_a_fork_while_other_threads_book_hangs_nobody(shared: Callable[[], Bookings], account: str) -> None:
    bookings, windows = shared(), (Window(100_000, SECOND),)
    stop = threading.Event()
    failures: list[BaseException] = []

    def book() -> None:
        try:
            while not stop.is_set():
                bookings.book(account, windows, 0)
                time.sleep(0.0005)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=book) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            assert in_processes(1, lambda: bookings.book(account, windows, 0).wait) == [0]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failures


def test_a_process_killed_while_it_holds_the_file_holds_up_nobody(tmp_path: Path) -> None:
    path = tmp_path / "budget.db"
    bookings, windows = SQLiteBookings(path), (Window(5, 3600 * SECOND),)
    bookings.book("pool", windows, 0)
    locked = processes.Event()

    def hold() -> None:
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("DELETE FROM pools")
        locked.set()
        time.sleep(60)

    child = processes.Process(target=hold)
    child.start()
    locked.wait()
    killer = threading.Timer(0.3, os.kill, (child.pid, signal.SIGKILL))
    started = time.monotonic()
    killer.start()
    waits = [bookings.book("pool", windows, 0).wait for _ in range(5)]
    assert 0.3 < time.monotonic() - started < 5
    assert [wait == 0 for wait in waits] == [True, True, True, True, False], "what the dead one deleted is back"
    child.join()
    assert child.exitcode == -signal.SIGKILL


def test_a_process_killed_while_it_waits_costs_its_instant_and_no_more(tmp_path: Path) -> None:
    slow = operation(Limits(burst=2, steady=1000))
    budget = Budget("account", SQLiteBookings(tmp_path / "budget.db"), share=1.0)
    started = time.monotonic()
    budget.acquire(slow)
    budget.acquire(slow)
    child = processes.Process(target=budget.acquire, args=(slow,))
    child.start()
    time.sleep(0.3)
    os.kill(child.pid or 0, signal.SIGKILL)
    child.join()
    assert budget.acquire(slow) < 1.3
    assert time.monotonic() - started > 1.1
