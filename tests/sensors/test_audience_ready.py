"""The sensor for an audience: in a worker, in a worker that is made anew between looks, and in the triggerer."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from airflow.exceptions import AirflowRescheduleException

from airflow_provider_klaviyo.compat import AIRFLOW_V_3_3_PLUS, AirflowSensorTimeout, AirflowSkipException
from airflow_provider_klaviyo.exceptions import (
    KlaviyoAuthError,
    KlaviyoError,
    KlaviyoNotFoundError,
    KlaviyoValidationError,
)
from airflow_provider_klaviyo.sensors import audiences
from airflow_provider_klaviyo.sensors.audiences import KlaviyoAudienceReadySensor
from airflow_provider_klaviyo.triggers import poller
from tests.conftest import Connect
from tests.support.airflow_versions import since_airflow
from tests.support.context import Task
from tests.support.filling import members, put_on, take_off
from tests.support.sandbox import LIST, NOBODY, Klaviyo

MODES = pytest.mark.parametrize("deferrable", [False, True], ids=["poke", "deferrable"])
RESCHEDULES = since_airflow("3.3", "the task state store")


@pytest.fixture(autouse=True)
def close_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poller, "COUNT_SPACING", 0.01)


def waiting(durable: bool = True, **arguments: Any) -> Task:
    settings = {"task_id": "wait", "poke_interval": 0.05, "settled": 0.3, "timeout": 20, **arguments}
    if "segment_id" not in settings:
        settings = {"list_id": LIST, **settings}
    return Task(lambda: KlaviyoAudienceReadySensor(**settings), durable=durable)


def rescheduled(task: Task, most: int = 100) -> tuple[Any, int]:
    """What a task with ``mode="reschedule"`` returns, and after how many looks: each has a new operator."""
    task.try_number += 1
    task.ti = type(task.ti)(task.try_number, task.max_tries)
    for number in range(1, most):
        operator = task.make()
        context = task.context(operator)
        operator.render_template_fields(context)
        try:
            return operator.execute(context), number
        except AirflowRescheduleException:
            time.sleep(0.05)
    pytest.fail(f"it is not over after {most} looks")


@MODES
def test_it_returns_the_number_once_that_has_stood_still(klaviyo: Klaviyo, deferrable: bool) -> None:
    began = time.monotonic()
    assert waiting(deferrable=deferrable).run() == len(members(klaviyo))
    assert time.monotonic() - began >= 0.3
    assert klaviyo.counted()["get_list"] >= 2


@MODES
def test_it_waits_until_there_are_enough(klaviyo: Klaviyo, deferrable: bool) -> None:
    some = members(klaviyo)[:3]
    later = threading.Timer(1.0, put_on, [klaviyo, some])
    later.start()
    began = time.monotonic()
    assert waiting(list_id=NOBODY, minimum=3, deferrable=deferrable).run() == 3
    assert time.monotonic() - began >= 1.3
    later.join()


def test_a_sensor_that_is_run_again_begins_the_quiet_period_anew(klaviyo: Klaviyo) -> None:
    sensor = waiting().make()
    task = Task(lambda: sensor)
    task.run()
    time.sleep(0.5)
    before, began = klaviyo.counted()["get_list"], time.monotonic()
    task.run()
    assert time.monotonic() - began >= 0.3
    assert klaviyo.counted()["get_list"] - before >= 2


@MODES
def test_a_number_that_falls_is_waited_out(klaviyo: Klaviyo, deferrable: bool) -> None:
    some = members(klaviyo)[:3]
    put_on(klaviyo, some)
    later = threading.Timer(0.6, take_off, [klaviyo, some[:1]])
    later.start()
    assert waiting(list_id=NOBODY, settled=timedelta(seconds=1.5), deferrable=deferrable).run() == 2
    later.join()


@MODES
def test_a_segment_is_waited_for_by_its_id(klaviyo: Klaviyo, deferrable: bool) -> None:
    [segment, *_] = klaviyo.get("/api/segments")["data"]
    assert waiting(segment_id=segment["id"], minimum=0, deferrable=deferrable).run() >= 0
    assert klaviyo.counted()["get_segment"] >= 2


@MODES
def test_a_timeout_has_the_last_number_and_since_when_it_stands(klaviyo: Klaviyo, deferrable: bool) -> None:
    put_on(klaviyo, members(klaviyo)[:2])
    with pytest.raises(AirflowSensorTimeout) as caught:
        waiting(list_id=NOBODY, minimum=1_000, timeout=0.8, deferrable=deferrable).run()
    message = str(caught.value)
    assert f"The list {NOBODY} has 2 profiles, since 2" in message
    assert "1,000 at least" in message


@MODES
def test_with_soft_fail_a_timeout_skips(klaviyo: Klaviyo, deferrable: bool) -> None:
    with pytest.raises(AirflowSkipException):
        waiting(minimum=1_000, timeout=0.4, soft_fail=True, deferrable=deferrable).run()


@MODES
def test_no_passing_error_ends_it(klaviyo: Klaviyo, deferrable: bool) -> None:
    klaviyo.fail("get_list", "status_before_commit", status=503, times=8)
    assert waiting(deferrable=deferrable, timeout=60).run() == len(members(klaviyo))
    assert klaviyo.fired() == [8]


@MODES
def test_an_unknown_list_fails_the_task_at_once(klaviyo: Klaviyo, deferrable: bool) -> None:
    with pytest.raises(KlaviyoNotFoundError):
        waiting(list_id="NoSuch", deferrable=deferrable).run()


@MODES
def test_a_wrong_key_fails_the_task_at_once(klaviyo: Klaviyo, connect: Connect, deferrable: bool) -> None:
    connect(klaviyo.url, "pk_invalid")
    with pytest.raises(KlaviyoAuthError):
        waiting(deferrable=deferrable).run()


@MODES
def test_what_is_templated_is_rendered(klaviyo: Klaviyo, deferrable: bool) -> None:
    task = waiting(list_id=f"{{{{ '{LIST}' }}}}", minimum="{{ 1 + 1 }}", deferrable=deferrable)
    assert task.run() == len(members(klaviyo))


@pytest.mark.parametrize(
    ("arguments", "pointer"),
    [
        ({"list_id": "{{ '' }}"}, "list_id"),
        ({"minimum": "{{ none }}"}, "minimum"),
        ({"minimum": "{{ 'many' }}"}, "minimum"),
        ({"minimum": "{{ -1 }}"}, "minimum"),
    ],
)
@MODES
def test_what_is_rendered_to_nonsense_is_refused_before_a_call(
    klaviyo: Klaviyo, arguments: dict[str, Any], pointer: str, deferrable: bool
) -> None:
    with pytest.raises(KlaviyoValidationError) as caught:
        waiting(deferrable=deferrable, **arguments).run()
    assert caught.value.pointer == pointer
    assert not klaviyo.requests()


@pytest.mark.parametrize(
    ("arguments", "pointer"),
    [
        ({"list_id": None}, "list_id"),
        ({"list_id": "L1", "segment_id": "S1"}, "list_id"),
        ({"list_id": ""}, "list_id"),
        ({"segment_id": 7}, "segment_id"),
        ({"minimum": -1}, "minimum"),
        ({"minimum": True}, "minimum"),
        ({"minimum": 1.5}, "minimum"),
        ({"settled": 0}, "settled"),
        ({"settled": timedelta(seconds=-1)}, "settled"),
        ({"settled": "120"}, "settled"),
        ({"revision": "latest"}, "revision"),
    ],
)
def test_a_wrong_argument_is_found_when_the_dag_is_imported(arguments: dict[str, Any], pointer: str) -> None:
    with pytest.raises(KlaviyoValidationError) as caught:
        waiting(**arguments).make()
    assert caught.value.pointer == pointer


def test_it_looks_each_minute_and_waits_for_two_quiet_ones_unless_told_otherwise() -> None:
    sensor = KlaviyoAudienceReadySensor(task_id="wait", list_id=LIST)
    assert (sensor.poke_interval, sensor.settled, sensor.minimum) == (60, 120, 1)


def test_airflow_guards_a_deferred_sensor_by_its_own_timeout_a_little_later(klaviyo: Klaviyo) -> None:
    task = waiting(deferrable=True, timeout=100)
    task.run()
    timeout = task.deferrals[0].timeout
    assert timeout is not None
    assert 100 < timeout.total_seconds() < 200


def test_an_event_of_another_shape_is_refused() -> None:
    with pytest.raises(KlaviyoError, match="not one of this package's"):
        waiting().make().execute_complete({}, {"campaign_id": "C1", "outcome": "done", "status": "Sent"})


# --- mode="reschedule" ------------------------------------------------------------------------------------------------


@RESCHEDULES
def test_rescheduled_it_remembers_what_it_saw_between_the_looks(klaviyo: Klaviyo) -> None:
    count, looks = rescheduled(waiting(mode="reschedule"))
    assert count == len(members(klaviyo))
    assert looks > 2


@RESCHEDULES
def test_rescheduled_each_change_is_logged_once(klaviyo: Klaviyo, capsys: pytest.CaptureFixture[str]) -> None:
    count, _ = rescheduled(waiting(mode="reschedule"))
    logged = capsys.readouterr().out
    assert logged.count(f"The list {LIST} has") == 1
    assert f"The list {LIST} has {count} profiles (not seen before)." in logged


@RESCHEDULES
def test_a_retry_begins_the_quiet_period_anew(klaviyo: Klaviyo) -> None:
    task = waiting(mode="reschedule")
    rescheduled(task)
    time.sleep(0.4)
    _, looks = rescheduled(task)
    assert looks > 2


@RESCHEDULES
def test_rescheduled_it_times_out_with_the_last_number(klaviyo: Klaviyo) -> None:
    with pytest.raises(AirflowSensorTimeout, match=f"list {LIST} has"):
        rescheduled(waiting(mode="reschedule", minimum=1_000, timeout=0.5))


def test_mode_reschedule_is_refused_where_nothing_is_kept_between_the_looks(
    klaviyo: Klaviyo, monkeypatch: pytest.MonkeyPatch
) -> None:
    if AIRFLOW_V_3_3_PLUS:
        monkeypatch.setattr(audiences, "AIRFLOW_V_3_3_PLUS", False)
    with pytest.raises(KlaviyoValidationError, match="deferrable=True"):
        waiting(mode="reschedule").make()
    assert waiting(mode="reschedule", deferrable=True).run() == len(members(klaviyo))
