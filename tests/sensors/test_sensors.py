"""Waiting in a worker and in the triggerer ends alike: both over every status, with real sockets."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_klaviyo.campaigns import CampaignStatus
from airflow_provider_klaviyo.compat import AirflowSensorTimeout
from airflow_provider_klaviyo.exceptions import (
    KlaviyoAuthError,
    KlaviyoCampaignFailed,
    KlaviyoNotFoundError,
    KlaviyoValidationError,
)
from airflow_provider_klaviyo.sensors.campaigns import (
    KlaviyoCampaignSendJobSensor,
    KlaviyoCampaignStatusSensor,
    KlaviyoRecipientEstimationJobSensor,
)
from tests.support.context import Task
from tests.support.one_campaign import CAMPAIGN, OneCampaign

Connect = Callable[..., None]
pytestmark = pytest.mark.usefixtures("brief_pauses")
MODES = pytest.mark.parametrize("deferrable", [False, True], ids=["poke", "deferrable"])


def waiting(sensor: Any = KlaviyoCampaignStatusSensor, **arguments: Any) -> Task:
    settings = {"task_id": "wait", "campaign_id": CAMPAIGN, "poke_interval": 0.02, "timeout": 0.15, **arguments}
    return Task(lambda: sensor(**settings))


def end(task: Task) -> tuple[str, Any]:
    """How a task ended: what it returned, or what it raised."""
    try:
        return "returned", task.run()
    except Exception as error:
        return type(error).__name__, getattr(error, "status", None)


CANCELLED = [status for status in CampaignStatus if status.startswith("Cancelled")]


def expected(status: str, target: str, *, soft_fail: bool) -> tuple[str, Any]:
    if status == target or (target == "Scheduled" and status.startswith(("Sen", "Variations"))):
        return "returned", CAMPAIGN
    if soft_fail:
        return "AirflowSkipException", None
    if status == "Sent" or status in CANCELLED:
        return "KlaviyoCampaignFailed", status
    return "AirflowSensorTimeout", None


STATUSES = [*map(str, CampaignStatus), "Cancelled: Something New", "A status of the future"]


@pytest.mark.parametrize("status", STATUSES)
@MODES
def test_a_wait_for_sent_ends_by_the_table_in_both_modes(connect: Connect, status: str, deferrable: bool) -> None:
    with OneCampaign(status) as server:
        connect(server.url)
        if status == "Cancelled: Something New":
            assert end(waiting(deferrable=deferrable)) == ("KlaviyoCampaignFailed", status)
        else:
            assert end(waiting(deferrable=deferrable)) == expected(status, "Sent", soft_fail=False)


@pytest.mark.parametrize("status", ["Sent", "Draft", "Sending", "Cancelled", "Cancelled: No Recipients", "Scheduled"])
@pytest.mark.parametrize("target", ["Sent", "Scheduled"])
@MODES
def test_with_soft_fail_it_skips_where_it_would_fail_or_time_out_in_both_modes(
    connect: Connect, status: str, target: str, deferrable: bool
) -> None:
    with OneCampaign(status) as server:
        connect(server.url)
        task = waiting(deferrable=deferrable, target_statuses=[target], soft_fail=True)
        assert end(task) == expected(status, target, soft_fail=True)


@pytest.mark.parametrize("soft_fail", [False, True])
@pytest.mark.parametrize("failing", [401, 403])
@MODES
def test_a_refusal_of_the_key_fails_the_task_in_both_modes_soft_or_not(
    connect: Connect, failing: int, soft_fail: bool, deferrable: bool
) -> None:
    with OneCampaign("Sending") as server:
        connect(server.url)
        server.failing = failing
        with pytest.raises(KlaviyoAuthError) as caught:
            waiting(deferrable=deferrable, soft_fail=soft_fail, timeout=20).run()
    assert caught.value.status == failing


@MODES
def test_an_unknown_campaign_fails_the_task_in_both_modes(connect: Connect, deferrable: bool) -> None:
    with OneCampaign() as server:
        connect(server.url)
        with pytest.raises(KlaviyoNotFoundError):
            waiting(campaign_id="NOPE", deferrable=deferrable, timeout=20).run()


@MODES
def test_passing_failures_do_not_end_the_wait(connect: Connect, deferrable: bool) -> None:
    with OneCampaign("Sent") as server:
        connect(server.url)
        server.failing = 503
        later = threading.Timer(0.3, lambda: setattr(server, "failing", None))
        later.start()
        assert waiting(deferrable=deferrable, timeout=10).run() == CAMPAIGN
        later.join()


@MODES
def test_passing_failures_until_the_end_are_a_timeout(connect: Connect, deferrable: bool) -> None:
    with OneCampaign("Sent") as server:
        connect(server.url)
        server.failing = 503
        with pytest.raises(AirflowSensorTimeout):
            waiting(deferrable=deferrable).run()


@pytest.mark.parametrize(
    ("job", "ended"),
    [
        ("complete", ("returned", CAMPAIGN)),
        ("cancelled", ("KlaviyoCampaignFailed", "Cancelled: Billing Limit")),
        ("processing", ("AirflowSensorTimeout", None)),
        ("queued", ("AirflowSensorTimeout", None)),
        ("new", ("AirflowSensorTimeout", None)),
    ],
)
@MODES
def test_a_send_job_in_both_modes(connect: Connect, job: str, ended: Any, deferrable: bool) -> None:
    with OneCampaign("Cancelled: Billing Limit", job=job) as server:
        connect(server.url)
        assert end(waiting(KlaviyoCampaignSendJobSensor, deferrable=deferrable)) == ended


@pytest.mark.parametrize(
    ("job", "count", "ended"),
    [
        ("complete", 5, ("returned", CAMPAIGN)),
        ("complete", 0, ("returned", CAMPAIGN)),
        ("complete", None, ("AirflowSensorTimeout", None)),
        ("cancelled", None, ("KlaviyoCampaignFailed", "cancelled")),
        ("processing", 5, ("AirflowSensorTimeout", None)),
    ],
)
@MODES
def test_an_estimation_in_both_modes(
    connect: Connect, job: str, count: int | None, ended: Any, deferrable: bool
) -> None:
    with OneCampaign(job=job, count=count) as server:
        connect(server.url)
        assert end(waiting(KlaviyoRecipientEstimationJobSensor, deferrable=deferrable)) == ended


def test_a_deferred_sensor_is_guarded_by_airflows_own_timeout_a_little_later(connect: Connect) -> None:
    with OneCampaign("Sent") as server:
        connect(server.url)
        task = waiting(deferrable=True, timeout=100, poke_interval=5)
        task.run()
    timeout = task.deferrals[0].timeout
    assert timeout is not None
    assert 100 < timeout.total_seconds() < 200


def test_the_campaign_id_may_be_jinja_and_is_rendered(connect: Connect) -> None:
    with OneCampaign("Sent") as server:
        connect(server.url)
        assert waiting(campaign_id="{{ 'C' ~ 1 }}").run() == CAMPAIGN


@pytest.mark.parametrize(
    ("arguments", "pointer"),
    [
        ({"campaign_id": ""}, "campaign_id"),
        ({"campaign_id": None}, "campaign_id"),
        ({"campaign_id": 7}, "campaign_id"),
        ({"revision": "latest"}, "revision"),
        ({"target_statuses": []}, "target_statuses"),
        ({"target_statuses": "Sent"}, "target_statuses"),
        ({"target_statuses": ["sent"]}, "target_statuses"),
        ({"target_statuses": ["Snet"]}, "target_statuses"),
        ({"target_statuses": [None]}, "target_statuses"),
    ],
)
def test_a_wrong_argument_is_found_when_the_dag_is_imported(arguments: dict[str, Any], pointer: str) -> None:
    with pytest.raises(KlaviyoValidationError) as caught:
        waiting(**arguments).make()
    assert caught.value.pointer == pointer


def test_a_campaign_id_that_renders_to_nothing_is_refused_before_a_call(connect: Connect) -> None:
    connect("http://127.0.0.1:1")
    for deferrable in (False, True):
        with pytest.raises(KlaviyoValidationError, match="campaign_id"):
            waiting(campaign_id="{{ '' }}", deferrable=deferrable).run()


def test_a_failure_says_what_to_do(connect: Connect) -> None:
    with OneCampaign("Cancelled: No Recipients") as server:
        connect(server.url)
        with pytest.raises(KlaviyoCampaignFailed, match="audiences"):
            waiting().run()
