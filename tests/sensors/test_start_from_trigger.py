"""Sensors that begin in the triggerer, and what cannot."""

from __future__ import annotations

import asyncio
import time
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator, TaskGroup, task_group
from airflow.triggers.base import StartTriggerArgs
from jinja2 import UndefinedError

from airflow_provider_klaviyo.api.errors import KlaviyoError, KlaviyoValidationError
from airflow_provider_klaviyo.operators.campaigns import KlaviyoCloneCampaignOperator
from airflow_provider_klaviyo.sensors.campaigns import (
    KlaviyoCampaignSendJobSensor,
    KlaviyoCampaignSensor,
    KlaviyoCampaignStatusSensor,
    KlaviyoRecipientEstimationJobSensor,
)
from airflow_provider_klaviyo.triggers import campaigns as triggers
from airflow_provider_klaviyo.triggers.base import KlaviyoWaitTrigger
from tests.support.airflow_versions import DagSerialization, since_airflow
from tests.support.sandbox import DRAFT_EMAIL, SENT, Klaviyo
from tests.support.waits import event_of

SENSORS = [KlaviyoCampaignStatusSensor, KlaviyoCampaignSendJobSensor, KlaviyoRecipientEstimationJobSensor]


pytestmark = since_airflow("3.3", "start_from_trigger")


def beginning(sensor: type[KlaviyoCampaignSensor] = KlaviyoCampaignStatusSensor, **settings: Any) -> StartTriggerArgs:
    """What the scheduler knows of a sensor."""
    with DAG("campaigns", schedule=None) as dag:
        sensor(task_id="wait", **{"campaign_id": SENT, "start_from_trigger": True, **settings})
    stored = DagSerialization.from_dict(DagSerialization.to_dict(dag)).get_task("wait")
    assert stored.start_from_trigger
    original = dag.get_task("wait").start_trigger_args
    assert isinstance(original, StartTriggerArgs)
    return original


def begun(arguments: StartTriggerArgs, at: float, longest: float = float("inf")) -> KlaviyoWaitTrigger:
    """The trigger as the triggerer makes it, of a task that was first deferred at a time."""
    assert arguments.timeout is not None
    kind = getattr(triggers, arguments.trigger_cls.rpartition(".")[2])
    trigger: KlaviyoWaitTrigger = kind(**(arguments.trigger_kwargs or {}))
    trigger.timeout_after = datetime.fromtimestamp(at + min(arguments.timeout.total_seconds(), longest), UTC)
    return trigger


@pytest.mark.parametrize("sensor", SENSORS)
def test_the_trigger_is_the_one_the_sensor_defers_to(sensor: type[KlaviyoCampaignSensor]) -> None:
    arguments = beginning(sensor, poke_interval=7, klaviyo_conn_id="other", revision="2026-07-15")
    trigger = begun(arguments, time.time())
    assert arguments.next_method == "execute_complete"
    assert (trigger.campaign_id, trigger.poll_interval) == (SENT, 7)
    assert (trigger.klaviyo_conn_id, trigger.revision) == ("other", "2026-07-15")


@pytest.mark.parametrize(
    ("timeout", "execution_timeout", "expected"), [(600, None, 600), (600, 300, 300), (600, 650, 600), (600, 9000, 600)]
)
def test_the_wait_ends_when_the_sensors_would(timeout: float, execution_timeout: float | None, expected: float) -> None:
    longest = {"execution_timeout": timedelta(seconds=execution_timeout)} if execution_timeout else {}
    trigger = begun(beginning(timeout=timeout, **longest), 1000.0, execution_timeout or float("inf"))
    assert trigger.gives_up_at == pytest.approx(1000.0 + expected)
    again = type(trigger)(**trigger.serialize()[1])
    again.timeout_after = trigger.timeout_after
    assert again.gives_up_at == trigger.gives_up_at


async def test_it_waits_as_any_other(klaviyo: Klaviyo) -> None:
    event = await event_of(begun(beginning(), time.time()))
    assert (event["campaign_id"], event["outcome"]) == (SENT, "done")


async def test_a_triggerer_that_starts_again_does_not_move_the_deadline(klaviyo: Klaviyo) -> None:
    arguments = beginning(campaign_id=DRAFT_EMAIL, timeout=2, poke_interval=0.2)
    first_deferred = time.time() - 1.5
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(event_of(begun(arguments, first_deferred)), 0.1)
    event = await event_of(begun(arguments, first_deferred))
    assert event["outcome"] == "timeout"
    assert time.time() - first_deferred < 3.5


def test_a_deferral_without_an_end_is_refused() -> None:
    trigger = begun(beginning(), time.time())
    trigger.timeout_after = None
    with pytest.raises(KlaviyoError, match="deadline"):
        trigger.wait()


def test_jinja_is_left_to_the_triggerer() -> None:
    arguments = beginning(campaign_id="{{ params.campaign }}")
    assert (arguments.trigger_kwargs or {})["campaign_id"] == "{{ params.campaign }}"
    assert "campaign_id" in KlaviyoCampaignStatusSensor.template_fields


def test_the_output_of_another_task_is_pulled_in_the_triggerer() -> None:
    with DAG("campaigns", schedule=None):
        clone = KlaviyoCloneCampaignOperator(task_id="clone", campaign_id=SENT, new_name="again")
        wait = KlaviyoCampaignStatusSensor(task_id="wait", campaign_id=clone.output, start_from_trigger=True)
    pulled = (wait.start_trigger_args.trigger_kwargs or {})["campaign_id"]
    assert pulled == "{{ ti.xcom_pull(task_ids='clone', key='return_value', map_indexes=-1) }}"
    assert wait.upstream_task_ids == {"clone"}


def test_sensors_do_not_share_their_beginnings() -> None:
    with DAG("campaigns", schedule=None):
        one, other = (
            KlaviyoCampaignStatusSensor(task_id=name, campaign_id=name, start_from_trigger=True)
            for name in ("one", "other")
        )
    assert [(sensor.start_trigger_args.trigger_kwargs or {})["campaign_id"] for sensor in (one, other)] == [
        "one",
        "other",
    ]
    assert KlaviyoCampaignStatusSensor.start_trigger_args is None


def test_it_defers_if_it_does_run_in_a_worker() -> None:
    """As ``dag.test()`` does."""
    assert KlaviyoCampaignStatusSensor(task_id="wait", campaign_id=SENT, start_from_trigger=True).deferrable


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"deferrable": False}, "deferrable=False"),
        ({"campaign_id": "{{ ti.xcom_pull('clone') }}"}, "map_indexes=-1"),
    ],
)
def test_what_cannot_begin_in_the_triggerer_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(KlaviyoValidationError, match=words) as caught:
        beginning(**settings)
    assert caught.value.pointer == "start_from_trigger"


def test_an_output_that_a_worker_must_work_out_is_refused() -> None:
    with DAG("campaigns", schedule=None):
        clone = KlaviyoCloneCampaignOperator(task_id="clone", campaign_id=SENT, new_name="again")
        with pytest.raises(KlaviyoValidationError, match="only a worker"):
            KlaviyoCampaignStatusSensor(task_id="wait", campaign_id=clone.output.map(str), start_from_trigger=True)


@pytest.mark.parametrize("sensor", SENSORS)
def test_a_mapped_sensor_is_refused_when_the_dag_is_imported(sensor: type[KlaviyoCampaignSensor]) -> None:
    with DAG("campaigns", schedule=None), pytest.raises(KlaviyoValidationError, match="mapped"):
        sensor.partial(task_id="wait", start_from_trigger=True).expand(campaign_id=["a", "b"])


# --- task groups, and what is rendered in the triggerer --------------------------------------------------------------


@pytest.mark.parametrize("sensor", SENSORS)
@pytest.mark.parametrize("nested", [False, True], ids=["in the group", "in a group within"])
def test_a_sensor_in_a_mapped_task_group_is_refused_when_the_dag_is_imported(
    sensor: type[KlaviyoCampaignSensor], nested: bool
) -> None:
    @task_group
    def each(campaign_id: str) -> None:
        with TaskGroup("within") if nested else nullcontext():
            sensor(task_id="wait", campaign_id=campaign_id, start_from_trigger=True)

    with DAG("campaigns", schedule=None), pytest.raises(KlaviyoValidationError, match="mapped task group") as caught:
        each.expand(campaign_id=["a", "b"])
    assert caught.value.pointer == "start_from_trigger"


def test_a_sensor_in_a_plain_task_group_begins_in_the_triggerer() -> None:
    with DAG("campaigns", schedule=None), TaskGroup("group"):
        wait = KlaviyoCampaignStatusSensor(task_id="wait", campaign_id=SENT, start_from_trigger=True)
    assert wait.start_from_trigger


def test_the_output_of_a_task_in_a_mapped_task_group_is_refused() -> None:
    """It has one value for each map index, and none without."""
    made = []

    @task_group
    def each(campaign_id: str) -> None:
        made.append(KlaviyoCloneCampaignOperator(task_id="clone", campaign_id=campaign_id, new_name="again"))

    with DAG("campaigns", schedule=None):
        each.expand(campaign_id=["a", "b"])
        with pytest.raises(KlaviyoValidationError, match="only a worker"):
            KlaviyoCampaignStatusSensor(task_id="wait", campaign_id=made[0].output, start_from_trigger=True)


def test_connection_and_revision_are_rendered_in_the_triggerer_too() -> None:
    with DAG("campaigns", schedule=None):
        shop = BaseOperator(task_id="shop").output
        wait = KlaviyoCampaignStatusSensor(
            task_id="wait",
            campaign_id=SENT,
            klaviyo_conn_id=shop,
            revision="{{ params.revision }}",
            start_from_trigger=True,
        )
    arguments = wait.start_trigger_args.trigger_kwargs or {}
    assert arguments["klaviyo_conn_id"] == "{{ ti.xcom_pull(task_ids='shop', key='return_value', map_indexes=-1) }}"
    assert arguments["revision"] == "{{ params.revision }}"
    assert wait.upstream_task_ids == {"shop"}
    trigger = begun(wait.start_trigger_args, time.time())
    assert {name for name in wait.template_fields if name in arguments and hasattr(trigger, name)} == {
        "campaign_id",
        "klaviyo_conn_id",
        "revision",
    }


def test_a_connection_that_only_a_worker_can_work_out_is_refused() -> None:
    with pytest.raises(KlaviyoValidationError, match=r"klaviyo_conn_id is .*map_indexes=-1"):
        beginning(klaviyo_conn_id="{{ ti.xcom_pull('shop') }}")


def as_the_triggerer_renders(arguments: StartTriggerArgs, **values: Any) -> KlaviyoWaitTrigger:
    """As Airflow 3.3 does: to text, without the DAG's own macros, an undefined name to nothing."""
    trigger = begun(arguments, time.time())
    trigger.template_fields = ("campaign_id", "klaviyo_conn_id", "revision")
    trigger.render_template_fields(values)  # type: ignore[arg-type]
    return trigger


async def test_what_is_rendered_in_the_triggerer_is_waited_for(klaviyo: Klaviyo) -> None:
    arguments = beginning(campaign_id="{{ id }}", klaviyo_conn_id="{{ shop }}", revision="{{ revision }}")
    values = {"id": SENT, "shop": "klaviyo_default", "revision": "2026-07-15"}
    event = await event_of(as_the_triggerer_renders(arguments, **values))
    assert (event["campaign_id"], event["outcome"]) == (SENT, "done")


@pytest.mark.parametrize("jinja", ["{{ none }}", "{{ my_macro }}", "{{ '' }}", "{{ '{{' }} x"])
@pytest.mark.parametrize("name", ["campaign_id", "klaviyo_conn_id", "revision"])
async def test_what_is_rendered_to_nothing_in_the_triggerer_ends_the_wait(
    klaviyo: Klaviyo, name: str, jinja: str
) -> None:
    event = await event_of(as_the_triggerer_renders(beginning(**{name: jinja})))
    assert (event["outcome"], event["error"]["kind"]) == ("error", "KlaviyoValidationError")
    assert event["error"]["pointer"] == name
    with pytest.raises(KlaviyoValidationError, match=name):
        KlaviyoCampaignStatusSensor(task_id="wait", campaign_id=SENT).execute_complete({}, event)  # type: ignore[arg-type]
    assert klaviyo.requests() == []


async def test_a_macro_of_the_dags_own_is_unknown_to_the_triggerer() -> None:
    with pytest.raises(UndefinedError):
        as_the_triggerer_renders(beginning(campaign_id="{{ my_macro() }}"))


@pytest.mark.parametrize("campaign_id", ["None", "", "{{ ds }}"])
async def test_a_trigger_asks_for_no_campaign_that_cannot_be_one(klaviyo: Klaviyo, campaign_id: str) -> None:
    trigger = triggers.KlaviyoCampaignStatusTrigger(campaign_id=campaign_id, poll_interval=1, deadline=time.time() + 5)
    event = await event_of(trigger)
    assert event["error"]["kind"] == "KlaviyoValidationError"
    assert klaviyo.requests() == []
