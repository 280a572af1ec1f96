"""A report waits: for the quota, for another report's minute, for its time after the send."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_klaviyo.exceptions import KlaviyoRateLimitError, KlaviyoTransientError
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from tests.conftest import Connect
from tests.support.reports import REPORT, report
from tests.support.sandbox import DRAFT_EMAIL, DRAFT_SMS, Klaviyo

HOUR = 3600.0


# --- the quota --------------------------------------------------------------------------------------------------------


def test_while_the_day_is_spent_the_task_waits_without_a_slot_and_says_until_when(klaviyo, sent, pauses, capsys):
    klaviyo.fail(REPORT, "throttle", retry_after=20_000)
    task = report(sent)
    began = datetime.now(UTC)
    [row] = task.run()
    assert row["campaign_id"] == sent
    assert klaviyo.fired() == [1]
    assert len(task.deferrals) == 1
    [paused] = pauses
    assert 19_990 < paused < 20_010
    until = began + timedelta(seconds=20_001)
    said = capsys.readouterr().out
    assert f"This task waits until {until:%Y-%m-%d %H:%M}" in said
    assert "without a worker slot" in said


def test_a_report_asked_again_within_a_minute_waits_without_a_slot(connect: Connect, hours, pauses):
    with Sandbox(limits=True, strict=True) as running:
        hours.pass_by(61 - time.time() % 60)  # to the beginning of one of Klaviyo's minutes
        connect(running.url)
        klaviyo = Klaviyo(running.url)
        klaviyo.send(DRAFT_EMAIL)
        klaviyo.advance(HOUR)
        tasks = [report(DRAFT_EMAIL) for _ in range(3)]
        for task in tasks:
            assert len(task.run()) == 1
        klaviyo.close()
    assert [len(task.deferrals) for task in tasks] == [0, 0, 1]
    [paused] = pauses
    assert 30 < paused <= 61


def test_what_was_read_before_a_wait_is_not_read_again(klaviyo, sent, pauses):
    hook = KlaviyoHook()
    ids = [hook.clone_campaign(DRAFT_SMS, f"Clone {number}").id for number in range(100)]
    klaviyo.fail(REPORT, "throttle", retry_after=3600, skip=1)
    task = report([sent, *ids])
    [row] = task.run()
    assert klaviyo.fired() == [1]
    assert [request["status"] for request in klaviyo.requests(REPORT)] == [200, 429, 200]
    assert row["campaign_id"] == sent
    assert len(task.deferrals) == 1


def test_a_quota_that_stays_spent_fails_the_task_after_its_timeout(klaviyo, sent, pauses):
    klaviyo.fail(REPORT, "throttle", retry_after=40_000, times=None)
    task = report(sent, timeout=100_000)
    with pytest.raises(KlaviyoRateLimitError):
        task.run()
    assert len(task.deferrals) == 2


def test_the_budget_of_this_host_makes_the_task_wait_before_it_calls(connect: Connect, klaviyo, sent, pauses, capsys):
    connect(klaviyo.url, rate_limit={"share": 1.0})
    for _ in range(2):
        report(sent).run()
    task = report(sent)
    assert len(task.run()) == 1
    assert len(task.deferrals) == 1
    assert [request["status"] for request in klaviyo.requests(REPORT)] == [200] * 3
    said = capsys.readouterr().out
    assert "leaves no room for this call before" in said
    assert [f"The budget has {left} more reports for today" in said for left in (224, 223, 222)] == [True] * 3


def test_a_report_that_is_not_answered_is_asked_for_again(klaviyo, sent):
    klaviyo.fail(REPORT, "status_after_commit", status=504)
    assert len(report(sent).run()) == 1
    assert klaviyo.fired() == [1]


def test_an_answer_of_another_form_fails_the_try(klaviyo, sent):
    klaviyo.fail("get_campaigns", "garbage", times=None)
    with pytest.raises(KlaviyoTransientError):
        report(sent).run()
    assert klaviyo.fired()[0] >= 1


# --- snapshots --------------------------------------------------------------------------------------------------------


def test_a_snapshot_is_taken_so_long_after_the_send(klaviyo, pauses):
    klaviyo.send(DRAFT_EMAIL)
    klaviyo.wait_for_sends()
    seen = []
    for after in (timedelta(hours=1), timedelta(days=1), timedelta(days=7)):
        task = report(DRAFT_EMAIL, report_after=after)
        [row] = task.run()
        assert len(task.deferrals) == 1
        late = datetime.fromisoformat(row["snapshot_at"]) - datetime.fromisoformat(row["send_time"])
        assert after <= late < after + timedelta(minutes=1)
        seen.append(row["opens_unique"])
    assert seen == sorted(seen)
    assert seen[0] < seen[-1]
    assert klaviyo.counted()[REPORT] == 3


def test_a_time_that_has_passed_is_not_waited_for(klaviyo, sent):
    task = report(sent, report_after=timedelta(hours=1))
    assert len(task.run()) == 1
    assert task.deferrals == []


def test_a_draft_has_no_send_time_and_nothing_is_waited_for(klaviyo, sent, capsys):
    draft = KlaviyoHook().clone_campaign(DRAFT_SMS, "Not sent").id
    assert report(draft, report_after=timedelta(hours=1)).run() == []
    task = report([sent, draft], report_after=timedelta(hours=1))
    assert len(task.run()) == 1
    assert task.deferrals == []
    assert f"Campaign {draft} has no send time (Draft): it is not waited for" in capsys.readouterr().out
