"""What an answer proves: none of a gateway's own answers says that a POST was, or was not, carried out."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_klaviyo.exceptions import KlaviyoAmbiguousWriteError, KlaviyoError, KlaviyoRefusedError
from airflow_provider_klaviyo.operators.api import KlaviyoApiOperator
from proof.gateway import API, REPLIES, Gateway, Reply
from tests.support.context import Task
from tests.support.sandbox import DRAFT_EMAIL, DRAFT_SMS, Klaviyo
from tests.support.tasks import NAME, assign, clone, create, send

LISTS = {"data": {"type": "list", "attributes": {"name": "New"}}}
MAKERS = [
    pytest.param(create, "create_campaign", id="create"),
    pytest.param(clone, "create_campaign_clone", id="clone"),
]
makers = pytest.mark.parametrize(("make", "operation"), MAKERS)
replies = pytest.mark.parametrize("reply", REPLIES)
NOT_2XX = [name for name, reply in REPLIES.items() if reply.status >= 300]
ODD_2XX = [name for name, reply in REPLIES.items() if reply.status < 300]
STORES = pytest.mark.parametrize("durable", [True, False], ids=["store", "no store"])


def until_it_succeeds(task: Task) -> Any:
    """One try, and its retry if the first fails in a way that is retried."""
    try:
        return task.run()
    except KlaviyoRefusedError:
        raise
    except KlaviyoError:
        return task.run()


# --- create and clone -------------------------------------------------------------------------------------------------


@makers
@replies
@STORES
def test_a_campaign_that_was_made_is_found_whatever_was_answered(
    klaviyo: Klaviyo, gateway: Gateway, make: Callable[..., Task], operation: str, reply: str, durable: bool
) -> None:
    gateway.answer(operation, REPLIES[reply], committed=True)
    campaign_id = until_it_succeeds(make(durable=durable))
    assert gateway.fired == 1
    assert klaviyo.named(NAME) == [campaign_id]
    assert gateway.passed.count(operation) == 1


@makers
@replies
def test_a_campaign_that_was_not_made_is_made_by_the_next_try_whatever_was_answered(
    klaviyo: Klaviyo, gateway: Gateway, make: Callable[..., Task], operation: str, reply: str
) -> None:
    gateway.answer(operation, REPLIES[reply], committed=False)
    task = make()
    with pytest.raises(KlaviyoError):
        task.run()
    assert gateway.fired == 1
    assert klaviyo.named(NAME) == []
    campaign_id = task.run()
    assert klaviyo.named(NAME) == [campaign_id]


@makers
@pytest.mark.parametrize("committed", [True, False])
def test_a_campaign_of_another_name_is_not_taken_for_the_one_that_was_asked_for(
    klaviyo: Klaviyo, gateway: Gateway, make: Callable[..., Task], operation: str, committed: bool
) -> None:
    """A cache answers with what it has of another call."""
    other = {"type": "campaign", "id": DRAFT_SMS, "attributes": {"name": "Another", "status": "Draft"}}
    body = {"data": other, "links": {"self": f"https://a.klaviyo.com/api/campaigns/{DRAFT_SMS}"}}
    gateway.answer(operation, _json(body), committed=committed)
    campaign_id = until_it_succeeds(make())
    assert gateway.fired == 1
    assert klaviyo.named(NAME) == [campaign_id]


def _json(body: Any) -> Reply:
    return Reply(201, json.dumps(body).encode(), API)


# --- send -------------------------------------------------------------------------------------------------------------


@replies
@STORES
@pytest.mark.parametrize("wait_until", ["sent", None])
def test_a_send_that_was_carried_out_is_the_tasks_own_whatever_was_answered(
    klaviyo: Klaviyo, gateway: Gateway, reply: str, durable: bool, wait_until: str | None
) -> None:
    gateway.answer("send_campaign", REPLIES[reply], committed=True)
    task = send(durable=durable, wait_until=wait_until)
    assert until_it_succeeds(task) == DRAFT_EMAIL
    klaviyo.wait_for_sends()
    assert gateway.fired == 1
    assert gateway.passed.count("send_campaign") == 1
    assert len(klaviyo.sends()) == 1
    assert task.run() == DRAFT_EMAIL, "and so it is for a later try"


@replies
@STORES
@pytest.mark.parametrize("wait_until", ["sent", pytest.param(None, marks=pytest.mark.thorough)])
def test_a_send_that_was_not_carried_out_is_not_a_success_whatever_was_answered(
    klaviyo: Klaviyo, gateway: Gateway, reply: str, durable: bool, wait_until: str | None
) -> None:
    gateway.answer("send_campaign", REPLIES[reply], committed=False)
    task = send(durable=durable, wait_until=wait_until)
    with pytest.raises(KlaviyoError) as caught:
        task.run()
    assert not isinstance(caught.value, KlaviyoRefusedError), "it is retried"
    assert klaviyo.sends() == []
    assert task.run() == DRAFT_EMAIL
    klaviyo.wait_for_sends()
    assert len(klaviyo.sends()) == 1


@pytest.mark.parametrize("reply", ODD_2XX)
def test_reads_that_lag_after_an_odd_2xx_do_not_make_it_a_failure(
    klaviyo: Klaviyo, gateway: Gateway, reply: str
) -> None:
    gateway.answer("send_campaign", REPLIES[reply], committed=True)
    klaviyo.fail("get_campaign", "stale", reads=2, skip=1)
    assert send().run() == DRAFT_EMAIL
    assert klaviyo.fired() == [2]
    assert len(klaviyo.sends()) == klaviyo.counted()["send_campaign"] == 1


@STORES
def test_a_409_to_a_send_that_went_out_is_looked_at_before_anything_is_forgotten(
    klaviyo: Klaviyo, durable: bool
) -> None:
    """The call was repeated on its way: Klaviyo carried out the first and refused the second."""
    klaviyo.fail("send_campaign", "status_after_commit", status=409)
    task = send(durable=durable)
    assert task.run() == DRAFT_EMAIL
    assert klaviyo.fired() == [1]
    assert len(klaviyo.sends()) == klaviyo.counted()["send_campaign"] == 1
    assert task.run() == DRAFT_EMAIL


@pytest.mark.parametrize("late_reads", [0, 2])
@STORES
def test_a_409_after_which_nothing_can_be_read_leaves_the_send_to_the_next_try(
    klaviyo: Klaviyo, durable: bool, late_reads: int
) -> None:
    klaviyo.fail("send_campaign", "status_after_commit", status=409)
    klaviyo.fail("get_campaign", "status_before_commit", status=503, times=None, skip=1)
    task = send(durable=durable)
    with pytest.raises(KlaviyoError):
        task.run()
    klaviyo.mend()
    klaviyo.wait_for_sends()
    if late_reads:
        klaviyo.fail("get_campaign", "stale", reads=late_reads)
    assert task.run() == DRAFT_EMAIL
    assert len(klaviyo.sends()) == klaviyo.counted()["send_campaign"] == 1


def test_a_409_while_reads_lag_does_not_disown_the_send(klaviyo: Klaviyo) -> None:
    klaviyo.fail("send_campaign", "status_after_commit", status=409)
    klaviyo.fail("get_campaign", "stale", reads=2, skip=1)
    task = send()
    assert until_it_succeeds(task) == DRAFT_EMAIL
    assert klaviyo.fired() == [1, 2]
    assert len(klaviyo.sends()) == klaviyo.counted()["send_campaign"] == 1


# --- the other POSTs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reply", NOT_2XX)
@pytest.mark.parametrize("committed", [True, False])
def test_any_post_that_was_not_answered_by_klaviyo_is_not_made_again(
    klaviyo: Klaviyo, gateway: Gateway, reply: str, committed: bool
) -> None:
    if reply == "409":
        pytest.skip("in Klaviyo's own format: it has refused the call")
    gateway.answer("create_list", REPLIES[reply], committed=committed)
    task = Task(lambda: KlaviyoApiOperator(task_id="call", operation="create_list", body=LISTS))
    with pytest.raises(KlaviyoAmbiguousWriteError):
        task.run()
    with pytest.raises(KlaviyoRefusedError, match="not known"):
        task.run()
    assert gateway.passed.count("create_list") == 1


@replies
@pytest.mark.parametrize("committed", [True, False])
def test_a_template_is_assigned_in_the_end_whatever_was_answered(
    klaviyo: Klaviyo, gateway: Gateway, reply: str, committed: bool
) -> None:
    campaign_id = create().run()
    gateway.answer("assign_template_to_campaign_message", REPLIES[reply], committed=committed)
    task = assign(campaign_id=campaign_id)
    assert until_it_succeeds(task) == campaign_id
    assert gateway.fired == 1
    copy = klaviyo.template_of(campaign_id)
    assert copy
    assert task.ti.xcoms["template"]["assigned_template_id"] == copy
