"""The trigger that waits for an audience, on a real event loop over the sandbox: how it ends, and what it costs."""

from __future__ import annotations

import asyncio
import json
import re
import time
from typing import Any

import pytest

from airflow_provider_klaviyo.triggers import poller
from airflow_provider_klaviyo.triggers.audiences import KlaviyoAudienceReadyTrigger
from tests.conftest import KEY, Connect
from tests.support.context import fire, over_the_database
from tests.support.filling import JOB, import_into, members, new_list, patient_sandbox, put_on, take_off
from tests.support.sandbox import LIST, NOBODY, Klaviyo
from tests.support.waits import start, stop, until

INTERVAL, SETTLED = 0.05, 0.4


@pytest.fixture(autouse=True)
def close_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks may follow each other at once; how far apart they really are is a test of its own."""
    monkeypatch.setattr(poller, "COUNT_SPACING", 0.01)


def trigger(list_id: str | None = NOBODY, **settings: Any) -> KlaviyoAudienceReadyTrigger:
    common = {"minimum": 1, "settled": SETTLED, "poll_interval": INTERVAL, "deadline": time.time() + 30}
    return KlaviyoAudienceReadyTrigger(list_id=list_id, **{**common, **settings})


def looks(klaviyo: Klaviyo) -> int:
    return klaviyo.counted()["get_list"]


@pytest.mark.parametrize("audience", [{"list_id": "L1"}, {"list_id": None, "segment_id": "S1"}])
def test_it_comes_out_of_the_database_as_it_went_in_and_holds_no_secret(
    audience: dict[str, Any], connect: Connect
) -> None:
    connect("https://a.klaviyo.com")
    waiting = trigger(**audience)
    path, kwargs = waiting.serialize()
    assert path == "airflow_provider_klaviyo.triggers.audiences.KlaviyoAudienceReadyTrigger"
    assert over_the_database(waiting).serialize() == (path, kwargs)
    assert KEY not in json.dumps(kwargs)


async def test_it_fires_once_a_slow_import_has_arrived_and_the_list_stands_still(
    connect: Connect, brief_pauses: None
) -> None:
    with patient_sandbox() as klaviyo:
        connect(klaviyo.url)
        import_into(klaviyo, 50)
        running = start(trigger(minimum=50))
        await until(lambda: looks(klaviyo) > 3)
        await asyncio.to_thread(klaviyo.advance, JOB / 2)
        seen = looks(klaviyo)
        await until(lambda: looks(klaviyo) > seen + SETTLED / INTERVAL)
        assert not running[0].done()
        await asyncio.to_thread(klaviyo.advance, JOB / 2)
        arrived = time.monotonic()
        event = await running[0]
    assert event == {"audience": f"list {NOBODY}", "outcome": "done", "count": 50}
    assert time.monotonic() - arrived >= SETTLED


def test_a_segment_is_counted_too(klaviyo: Klaviyo) -> None:
    [segment, *_] = klaviyo.get("/api/segments")["data"]
    event = fire(trigger(None, segment_id=segment["id"], minimum=0))
    assert event["outcome"] == "done"
    assert event["audience"] == f"segment {segment['id']}"
    assert klaviyo.counted()["get_segment"] > 1


async def test_each_change_up_or_down_begins_the_quiet_period_anew(klaviyo: Klaviyo) -> None:
    first, second, *_ = members(klaviyo)
    await asyncio.to_thread(put_on, klaviyo, [first])
    running = start(trigger(settled=4.0))
    began = time.monotonic()
    for change in (put_on, take_off, put_on):
        await asyncio.sleep(1.5)
        await asyncio.to_thread(change, klaviyo, [second])
    changed = time.monotonic()
    assert not running[0].done()
    event = await running[0]
    assert event["count"] == 2
    assert time.monotonic() - changed > 3.5
    assert time.monotonic() - began > 8.0


async def test_the_log_has_each_change_once(klaviyo: Klaviyo, capsys: pytest.CaptureFixture[str]) -> None:
    running = start(trigger())
    await until(lambda: looks(klaviyo) > 3)
    await asyncio.to_thread(put_on, klaviyo, members(klaviyo)[:1])
    await running[0]
    lines = re.findall(rf"The list {NOBODY} has .*?\)", capsys.readouterr().out)
    assert lines == [
        f"The list {NOBODY} has 0 profiles (not seen before)",
        f"The list {NOBODY} has 1 profile (before: 0 profiles)",
    ]


async def test_waits_for_the_same_list_share_each_look(klaviyo: Klaviyo) -> None:
    running = start(*(trigger(poll_interval=0.3) for _ in range(50)))
    await until(lambda: looks(klaviyo) > 0)
    before = looks(klaviyo)
    await asyncio.sleep(3.0)
    made = looks(klaviyo) - before
    await stop(running)
    assert 3 <= made <= 11


async def test_waits_for_different_lists_do_not_share_a_number(klaviyo: Klaviyo) -> None:
    running = start(trigger(LIST), trigger(NOBODY, minimum=0))
    events = await asyncio.gather(*running)
    assert [event["count"] for event in events] == [len(members(klaviyo)), 0]


async def test_however_many_lists_are_waited_for_the_looks_are_spaced_and_each_list_gets_its_turn(
    klaviyo: Klaviyo, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 60 / poller.COUNT_SPACING > 15, "the fixture has made it short"
    monkeypatch.setattr(poller, "COUNT_SPACING", 0.2)
    lists = [new_list(klaviyo, f"list {number}") for number in range(10)]
    running = start(*map(trigger, lists))
    await until(lambda: looks(klaviyo) > 0)
    began, before = time.monotonic(), looks(klaviyo)
    await asyncio.sleep(4.0)
    made, took = looks(klaviyo) - before, time.monotonic() - began
    await stop(running)
    assert 8 <= made <= took / 0.2 + 2
    looked_at = {row["path"].partition("?")[0] for row in klaviyo.requests("get_list")}
    assert len(looked_at) >= 9


def test_the_spacing_keeps_within_what_klaviyo_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert 60 / poller.COUNT_SPACING < 15


async def test_no_passing_error_ends_it(klaviyo: Klaviyo) -> None:
    klaviyo.fail("get_list", "status_before_commit", status=503, times=None)
    running = start(trigger(LIST))
    await until(lambda: klaviyo.fired()[0] > 5)
    assert not running[0].done()
    klaviyo.mend()
    assert (await running[0])["outcome"] == "done"


async def test_a_wrong_key_ends_all_of_them_at_once(
    klaviyo: Klaviyo, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poller, "COUNT_SPACING", 60.0)
    connect(klaviyo.url, "pk_invalid")
    async with asyncio.timeout(20):
        events = await asyncio.gather(*start(*(trigger(f"L{number}") for number in range(20))))
    assert {event["error"]["kind"] for event in events} == {"KlaviyoAuthError"}


async def test_an_unknown_list_ends_its_own_wait_alone(klaviyo: Klaviyo) -> None:
    running = start(trigger("NoSuch"), trigger(LIST))
    unknown, known = await asyncio.gather(*running)
    assert unknown["error"]["kind"] == "KlaviyoNotFoundError"
    assert known["outcome"] == "done"


def test_the_deadline_is_absolute_so_a_restart_begins_the_quiet_period_anew_and_no_more(klaviyo: Klaviyo) -> None:
    waiting = trigger(LIST, settled=2.0, deadline=time.time() + 3.0)

    async def killed() -> None:
        running = start(waiting)
        await asyncio.sleep(1.5)
        assert not running[0].done()
        await stop(running)

    asyncio.run(killed())
    event = fire(over_the_database(waiting))
    assert event["outcome"] == "timeout"
    assert f"list {LIST} has {len(members(klaviyo))} profiles, since " in event["reason"]
    assert time.time() - waiting.deadline < 1.5


def test_it_only_reads(klaviyo: Klaviyo) -> None:
    before = len(klaviyo.requests())
    fire(trigger(LIST))
    assert {row["method"] for row in klaviyo.requests()[before:]} == {"GET"}
