"""Whatever goes wrong around a send, people get it once, by the sandbox's ledger."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_klaviyo.exceptions import (
    KlaviyoAmbiguousWriteError,
    KlaviyoTransientError,
)
from tests.support.context import dag_run
from tests.support.lost_answers import STORES, committed, early, lost
from tests.support.sandbox import DRAFT_EMAIL, Klaviyo
from tests.support.scripted import Scripted, http, json_api
from tests.support.tasks import NAME, assign, create, send


@committed
@STORES
def test_a_send_that_was_not_answered_is_seen_by_the_same_try(
    klaviyo: Klaviyo, rule: dict[str, Any], durable: bool
) -> None:
    klaviyo.fail("send_campaign", **rule)
    assert send(durable=durable).run() == DRAFT_EMAIL
    assert klaviyo.fired() == [1]
    assert len(klaviyo.sends()) == 1
    assert klaviyo.counted()["send_campaign"] == 1


@lost
@STORES
def test_a_send_that_was_not_carried_out_is_made_by_the_next_try(
    klaviyo: Klaviyo, rule: dict[str, Any], durable: bool
) -> None:
    klaviyo.fail("send_campaign", **rule)
    task = send(durable=durable)
    with pytest.raises(KlaviyoAmbiguousWriteError, match=DRAFT_EMAIL):
        task.run()
    assert klaviyo.fired() == [1]
    assert klaviyo.sends() == []
    assert task.run() == DRAFT_EMAIL
    assert len(klaviyo.sends()) == 1


@pytest.mark.parametrize("late_reads", [0, 2])
@pytest.mark.parametrize("run", [dag_run, early], ids=["run of now", "run of half an hour ago"])
@STORES
def test_a_send_by_a_try_that_died_is_adopted_by_the_next(
    klaviyo: Klaviyo, run: Callable[[], Any], late_reads: int, durable: bool
) -> None:
    task = send(durable=durable, run=run())
    klaviyo.fail("send_campaign", "drop_after_commit")
    klaviyo.fail("get_campaign", "status_before_commit", status=503, times=None, skip=1)
    with pytest.raises(KlaviyoTransientError):
        task.run()
    assert klaviyo.fired()[0] == 1
    klaviyo.mend()
    if late_reads:
        klaviyo.fail("get_campaign", "stale", reads=late_reads)
    assert task.run() == DRAFT_EMAIL
    if late_reads:
        assert klaviyo.fired() == [late_reads]
    assert len(klaviyo.sends()) == 1
    assert klaviyo.counted()["send_campaign"] == 1


@STORES
def test_late_reads_after_a_lost_answer_do_not_end_the_try(klaviyo: Klaviyo, durable: bool) -> None:
    klaviyo.fail("send_campaign", "drop_after_commit")
    klaviyo.fail("get_campaign", "stale", reads=2, skip=1)
    assert send(durable=durable).run() == DRAFT_EMAIL
    assert klaviyo.fired() == [1, 2]
    assert len(klaviyo.sends()) == 1


@STORES
def test_a_send_carried_out_after_the_answer_was_given_up_is_not_sent_again(
    klaviyo: Klaviyo, connect: Callable[..., None], durable: bool
) -> None:
    """The worst gateway: the read timeout has passed when Klaviyo carries the send out."""
    connect(klaviyo.url, timeout={"read": 0.5})
    klaviyo.fail("send_campaign", "delay", when="before", seconds=0.7)
    task = send(durable=durable)
    try:
        task.run()
    except KlaviyoAmbiguousWriteError:
        task.run()
    klaviyo.wait_for_late_writes()
    klaviyo.wait_for_sends()
    assert klaviyo.fired() == [1]
    assert len(klaviyo.sends()) == 1


def test_twenty_sends_over_a_gateway_that_answers_504_after_the_commit_are_twenty(klaviyo: Klaviyo) -> None:
    ids = [create(name=f"{NAME} {number}").run() for number in range(20)]
    for campaign_id in ids:
        assign(campaign_id=campaign_id).run()
    klaviyo.fail("send_campaign", "status_after_commit", status=504, times=20)
    for campaign_id in ids:
        send(campaign_id=campaign_id).run()
    assert klaviyo.fired() == [20]
    assert sorted(row["campaign_id"] for row in klaviyo.sends()) == sorted(ids)


@STORES
def test_the_same_task_again_after_it_sent_is_done_without_a_second_send(klaviyo: Klaviyo, durable: bool) -> None:
    task = send(durable=durable)
    task.run()
    assert task.run() == DRAFT_EMAIL
    task.clear()
    assert task.run() == DRAFT_EMAIL
    assert klaviyo.counted()["send_campaign"] == 1
    assert len(klaviyo.sends()) == 1


def test_a_throttled_send_is_repeated_and_sends_once(klaviyo: Klaviyo) -> None:
    klaviyo.fail("send_campaign", "throttle", retry_after=1, times=2)
    send().run()
    assert klaviyo.fired() == [2]
    assert len(klaviyo.sends()) == 1


@STORES
def test_a_send_answered_with_an_empty_2xx_is_a_send(
    klaviyo: Klaviyo, connect: Callable[..., None], durable: bool
) -> None:
    """Any 2xx is success; what the send job's answer says is not needed."""

    def campaign(status: str) -> bytes:
        attributes = {"name": NAME, "status": status, "send_strategy": {"method": "immediate"}, "send_time": None}
        return json_api(200, {"data": {"type": "campaign", "id": "C1", "attributes": attributes}})

    message = {
        "type": "campaign-message",
        "id": "M1",
        "attributes": {"definition": {"channel": "sms"}},
    }
    with Scripted(campaign("Draft"), json_api(200, {"data": [message]}), http(202), campaign("Sent")) as server:
        connect(server.url)
        assert send(campaign_id="C1", durable=durable).run() == "C1"
    assert sum(request.startswith(b"POST") for request in server.requests) == 1
