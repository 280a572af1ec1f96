"""A task that no retry can help fails at once; one that may come right by itself is tried again."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from airflow_provider_klaviyo.api.errors import KlaviyoError
from airflow_provider_klaviyo.compat import AirflowFailException
from airflow_provider_klaviyo.exceptions import KlaviyoAuthError, KlaviyoNotFoundError, KlaviyoValidationError
from airflow_provider_klaviyo.operators.api import KlaviyoApiOperator
from airflow_provider_klaviyo.sensors.campaigns import KlaviyoCampaignStatusSensor
from proof.gateway import HTML, Reply
from tests.support.context import Task
from tests.support.sandbox import DRAFT_EMAIL, LIST
from tests.support.tasks import create, estimate, send

LISTS = "get_lists"
PAGE = b"<html>Please log in to the proxy.</html>"


def lists(**arguments: Any) -> Task:
    return Task(lambda: KlaviyoApiOperator(task_id="lists", operation=LISTS, **arguments))


def failed(task: Task) -> KlaviyoError:
    with pytest.raises(KlaviyoError) as caught:
        task.run()
    return caught.value


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_klaviyo_refuses_ends_the_tries(klaviyo, status):
    klaviyo.fail(LISTS, "status_before_commit", status=status)
    error = failed(lists())
    assert klaviyo.fired() == [1]
    assert isinstance(error, KlaviyoAuthError)
    assert isinstance(error, AirflowFailException)
    copied = pickle.loads(pickle.dumps(error))
    assert (type(copied), str(copied), copied.status) == (type(error), str(error), status)


@pytest.mark.parametrize("status", [401, 403])
def test_what_something_in_between_refuses_may_pass(gateway, status):
    for _ in range(10):
        gateway.answer(LISTS, Reply(status, PAGE, HTML), committed=False)
    error = failed(lists())
    assert gateway.fired >= 1
    assert not isinstance(error, AirflowFailException)


def test_an_argument_that_is_rendered_to_what_cannot_be_right_ends_the_tries(klaviyo):
    error = failed(send(campaign_id="{{ 'None' }}"))
    assert isinstance(error, KlaviyoValidationError)
    assert isinstance(error, AirflowFailException)
    assert klaviyo.requests() == []


def test_an_argument_that_klaviyo_refuses_ends_the_tries(klaviyo):
    klaviyo.fail("create_campaign", "status_before_commit", status=400)
    error = failed(create(audiences={"included": [LIST]}))
    assert klaviyo.fired() == [1]
    assert isinstance(error, KlaviyoValidationError)
    assert isinstance(error, AirflowFailException)


@pytest.mark.parametrize("deferrable", [False, True])
def test_so_it_is_while_a_task_waits(klaviyo, deferrable):
    klaviyo.fail("get_campaign_recipient_estimation_job", "status_before_commit", status=403, times=None)
    error = failed(estimate(campaign_id=DRAFT_EMAIL, deferrable=deferrable))
    assert klaviyo.fired()[0] >= 1
    assert isinstance(error, KlaviyoAuthError)
    assert isinstance(error, AirflowFailException)


@pytest.mark.parametrize("deferrable", [False, True])
def test_so_it_is_with_a_sensor(klaviyo, deferrable):
    klaviyo.fail("*", "status_before_commit", status=401, times=None)
    sensor = Task(
        lambda: KlaviyoCampaignStatusSensor(
            task_id="wait", campaign_id=DRAFT_EMAIL, poke_interval=1, deferrable=deferrable
        )
    )
    error = failed(sensor)
    assert klaviyo.fired()[0] >= 1
    assert isinstance(error, KlaviyoAuthError)
    assert isinstance(error, AirflowFailException)


def test_what_is_not_found_may_be_there_later(klaviyo):
    error = failed(send(campaign_id="01H5QQV9F57XJHJDMD86RX0000"))
    assert isinstance(error, KlaviyoNotFoundError)
    assert not isinstance(error, AirflowFailException)


@pytest.mark.parametrize("status", [409, 500, 503])
def test_what_may_pass_is_tried_again(klaviyo, status):
    klaviyo.fail(LISTS, "status_before_commit", status=status, times=None)
    assert not isinstance(failed(lists()), AirflowFailException)
    assert klaviyo.fired()[0] >= 1


def test_a_connection_that_is_missing_may_be_added(monkeypatch):
    monkeypatch.delenv("AIRFLOW_CONN_KLAVIYO_DEFAULT", raising=False)
    with pytest.raises(Exception, match="klaviyo_default") as caught:
        lists().run()
    assert not isinstance(caught.value, AirflowFailException)


def test_a_connection_that_cannot_be_right_ends_the_tries(monkeypatch, klaviyo):
    wrong = {"conn_type": "klaviyo", "host": klaviyo.url, "password": "pk_x", "extra": {"revisoin": "2026-04-15"}}
    monkeypatch.setenv("AIRFLOW_CONN_KLAVIYO_DEFAULT", json.dumps(wrong))
    error = failed(lists())
    assert isinstance(error, KlaviyoValidationError)
    assert isinstance(error, AirflowFailException)
