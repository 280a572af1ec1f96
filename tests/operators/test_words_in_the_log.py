"""What a person reads in a task's log: the reason first, the call last, and a line that says what came of it."""

from __future__ import annotations

import asyncio
import logging
import re
import shlex

import pytest

from airflow_provider_klaviyo.api.text import duration
from airflow_provider_klaviyo.compat import AirflowFailException, AirflowNotFoundException
from airflow_provider_klaviyo.exceptions import (
    KlaviyoApiError,
    KlaviyoAuthError,
    KlaviyoConnectionMissingError,
    KlaviyoError,
)
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoAsyncHook
from tests.support.sandbox import DRAFT_EMAIL
from tests.support.tasks import create, estimate, send


def failed(task, kind=KlaviyoError) -> KlaviyoError:
    with pytest.raises(kind) as caught:
        task.run()
    return caught.value


def test_the_reason_comes_first_and_the_call_last(klaviyo):
    error = failed(create(audiences={"included": ["Y6nRLX"]}), KlaviyoApiError)
    reason, _, facts = str(error).partition(" [")
    assert "Y6nRLX" in reason
    assert "(audiences.included" in reason
    assert len(reason) < 120
    assert facts.startswith("create_campaign (POST /api/campaigns), HTTP status 4")
    assert "connection klaviyo_default" in facts
    assert re.search(r"request id [0-9a-f-]{36}\]$", str(error))


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize("status", [401, 403])
def test_an_error_of_the_key_names_the_connection_and_says_what_to_do_on_a_line_of_its_own(klaviyo, status, deferrable):
    klaviyo.fail("get_campaign_recipient_estimation_job", "status_before_commit", status=status, times=None)
    error = failed(estimate(deferrable=deferrable), KlaviyoAuthError)
    assert klaviyo.fired()[0] >= 1
    line, advice = str(error).splitlines()
    assert "get_campaign_recipient_estimation_job (GET " in line
    assert "connection klaviyo_default" in line
    assert advice.startswith("The key")
    assert error.connection == "klaviyo_default"


def test_an_answer_that_was_lost_names_the_call_last_too(klaviyo):
    klaviyo.fail("get_campaign", "drop_before_commit", times=None)
    first = str(failed(send())).splitlines()[0]
    assert klaviyo.fired()[0] >= 1
    assert first.startswith("Klaviyo did not answer (")
    assert first.endswith(f"[get_campaign (GET /api/campaigns/{DRAFT_EMAIL}), connection klaviyo_default]")


def test_an_error_is_in_the_log_once_and_before_it_is_raised(klaviyo, caplog):
    error = failed(create(audiences={"included": ["Y6nRLX"]}))
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR] == [str(error)]


@pytest.mark.parametrize("conn_id", ["no_such", "it's odd"])
def test_a_missing_connection_is_explained_and_tried_again(klaviyo, conn_id):
    error = failed(create(klaviyo_conn_id=conn_id), AirflowNotFoundException)
    assert isinstance(error, KlaviyoConnectionMissingError)
    assert not isinstance(error, AirflowFailException)
    first, _, *ways = str(error).splitlines()
    assert first == f"There is no Airflow connection {conn_id!r} (klaviyo_conn_id)."
    assert [way[:1] for way in ways] == ["-", "-", "-"]
    command = ways[1].removeprefix("- or: ")
    assert shlex.split(command)[:4] == ["airflow", "connections", "add", conn_id]
    assert f"AIRFLOW_CONN_{conn_id.upper()}=" in ways[2]


def test_so_it_is_in_the_triggerer():
    async def ask() -> None:
        async with KlaviyoAsyncHook("no_such") as hook:
            await hook.get_account()

    with pytest.raises(KlaviyoConnectionMissingError, match="'no_such'"):
        asyncio.run(ask())


@pytest.mark.parametrize("deferrable", [False, True])
def test_the_last_line_of_a_send_says_what_came_of_it(klaviyo, capsys, deferrable):
    estimate().run()
    send(deferrable=deferrable).run()
    name, count = klaviyo.sends()[0]["name"], klaviyo.sends()[0]["recipients"]
    pattern = rf"Sent '{name}' to {count} recipients \(as estimated\) in [\d.]+ s: {klaviyo.url}/#{DRAFT_EMAIL}"
    assert len(re.findall(pattern, capsys.readouterr().out)) == 1


def test_what_cannot_be_read_for_that_line_does_not_fail_a_send_that_was_made(klaviyo, capsys):
    klaviyo.fail("get_campaign_recipient_estimation", "status_before_commit", status=403, times=None)
    assert send().run() == DRAFT_EMAIL
    assert klaviyo.fired()[0] >= 1
    assert re.search(r"Sent '[^']+' in [\d.]+ s: ", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.02, "0.02 s"),
        (8.4, "8 s"),
        (119, "119 s"),
        (119.9, "2 min"),
        (3_569, "59 min"),
        (3_599, "1 h"),
        (11_100, "3 h 5 min"),
        (86_400, "24 h"),
        (187_200, "2 days 4 h"),
        (31_536_000, "365 days"),
    ],
)
def test_a_length_of_time_is_said_as_people_say_it(seconds, text):
    assert duration(seconds) == text
