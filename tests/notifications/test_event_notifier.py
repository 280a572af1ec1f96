"""A task or a DAG that ends is one event in Klaviyo, however often Airflow says so."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator

from airflow_provider_klaviyo.exceptions import KlaviyoAmbiguousWriteError, KlaviyoValidationError
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.notifications.klaviyo import KlaviyoEventNotifier
from tests.support.context import dag_run
from tests.support.sandbox import Klaviyo

METRIC = "Campaign run failed"
ON_CALL = {"email": "on-call@example.com"}
LOG = "http://airflow.test/log"


def notifier(**arguments: Any) -> KlaviyoEventNotifier:
    return KlaviyoEventNotifier(**{"metric": METRIC, "profile": ON_CALL, **arguments})


def of_task(task_id: str = "send", map_index: int = -1, try_number: int = 1, run_id: str = "R1") -> dict[str, Any]:
    """What Airflow gives to a task's callback, as far as it matters here."""
    ti = SimpleNamespace(task_id=task_id, map_index=map_index, try_number=try_number, log_url=LOG)
    return {
        "dag": DAG("weekly", schedule=None),
        "run_id": run_id,
        "ti": ti,
        "dag_run": dag_run(run_id=run_id),
        "exception": ValueError("x"),
    }


def of_dag(run_id: str = "R1", cleared: int | None = None) -> dict[str, Any]:
    """What it gives to a DAG's: also the last task of the run."""
    run = SimpleNamespace(run_id=run_id, clear_number=cleared)
    return {**of_task("last", run_id=run_id), "dag_run": run, "reason": "task_failure"}


def events() -> list[dict[str, Any]]:
    """The properties of the events of the metric."""
    metrics = [one.id for one in KlaviyoHook().paginate("get_metrics") if one.name == METRIC]
    query = {"filter": f'equals(metric_id,"{metrics[0]}")'} if metrics else None
    found = KlaviyoHook().paginate("get_events", query=query) if metrics else []
    return [dict(one.attributes["event_properties"]) for one in found]


def test_a_tasks_end_is_an_event_of_the_profile(klaviyo: Klaviyo) -> None:
    notifier(properties={"team": "growth"})(of_task())
    assert events() == [
        {
            "dag_id": "weekly",
            "run_id": "R1",
            "task_id": "send",
            "map_index": -1,
            "try_number": 1,
            "log_url": LOG,
            "team": "growth",
        }
    ]
    found = KlaviyoHook().find_profile(ON_CALL["email"])
    assert found is not None, "a profile that Klaviyo did not have is made"


def test_a_dags_end_is_an_event_with_its_reason(klaviyo: Klaviyo) -> None:
    notifier()(of_dag())
    assert events() == [{"dag_id": "weekly", "run_id": "R1", "reason": "task_failure"}]


def test_a_callback_that_is_repeated_counts_once(klaviyo: Klaviyo) -> None:
    for context in (of_task(), of_dag()):
        for _ in range(2):
            notifier(properties={"now": "later"})(context)
    assert len(klaviyo.requests("create_event")) == 4
    assert len(events()) == 2


@pytest.mark.parametrize(
    "other",
    [
        of_task("other"),
        of_task(map_index=0),
        of_task(try_number=2),
        of_task(run_id="R2"),
        of_dag(),
    ],
    ids=["task", "map index", "try", "run", "DAG"],
)
def test_another_end_is_another_event(klaviyo: Klaviyo, other: dict[str, Any]) -> None:
    notifier()(of_task())
    notifier()(other)
    assert len(events()) == 2


def test_a_run_that_fails_again_after_a_clear_counts_again(klaviyo: Klaviyo) -> None:
    for cleared in (0, 1, 1):
        notifier()(of_dag(cleared=cleared))
    assert len(events()) == 2


def test_a_unique_id_of_ones_own_tells_events_apart(klaviyo: Klaviyo) -> None:
    for try_number in (1, 2, 3):
        notifier(unique_id="{{ run_id }}")(of_task(try_number=try_number))
    assert len(events()) == 1


def test_one_notifier_of_many_tasks_is_rendered_for_each(klaviyo: Klaviyo) -> None:
    one = notifier(properties={"which": "{{ ti.task_id }}"}, profile={"email": "{{ ti.task_id }}@example.com"})
    for task_id in ("first", "second"):
        one(of_task(task_id))
    assert sorted(event["which"] for event in events()) == ["first", "second"]
    assert KlaviyoHook().find_profile("second@example.com") is not None


@pytest.mark.parametrize("fault", ["drop_before_commit", "drop_after_commit"])
def test_a_lost_answer_is_asked_for_again_and_counts_once(klaviyo: Klaviyo, fault: str) -> None:
    klaviyo.fail("create_event", fault)
    notifier()(of_task())
    assert klaviyo.fired() == [1]
    assert len(events()) == 1


def test_a_notice_that_is_never_answered_is_an_error_that_airflow_logs(klaviyo: Klaviyo) -> None:
    klaviyo.fail("create_event", "drop_before_commit", times=3)
    with pytest.raises(KlaviyoAmbiguousWriteError):
        notifier().notify(of_task())  # type: ignore[arg-type]
    assert klaviyo.fired() == [3]


def test_where_airflow_awaits_it_the_event_is_the_same(klaviyo: Klaviyo) -> None:
    context: Any = {"dag_run": {"dag_id": "weekly", "run_id": "R1"}, "deadline": {"id": 5}}

    async def notify() -> None:
        await notifier(context=context).async_notify(context)

    for _ in range(2):
        asyncio.run(notify())
    assert events() == [{"dag_id": "weekly", "run_id": "R1"}]


def test_without_a_run_a_unique_id_is_asked_for(klaviyo: Klaviyo) -> None:
    with pytest.raises(KlaviyoValidationError, match="unique_id is missing"):
        notifier().notify({})  # type: ignore[typeddict-item]
    notifier(unique_id="U1").notify({})  # type: ignore[typeddict-item]
    assert events() == [{}]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"metric": ""}, "metric is ''"),
        ({"metric": None}, "metric is missing"),
        ({"profile": {}}, "profile has none of"),
        ({"profile": {"email": "nobody"}}, "profile.email is not an e-mail address"),
        ({"profile": "on-call@example.com"}, "profile is of type str"),
        ({"properties": ["x"]}, "properties is"),
        ({"unique_id": " "}, "unique_id is ' '"),
        ({"klaviyo_conn_id": ""}, "klaviyo_conn_id is ''"),
    ],
)
def test_what_cannot_be_right_is_refused_when_the_dag_is_imported(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(KlaviyoValidationError) as caught:
        notifier(**arguments)
    assert words in str(caught.value)
    assert "on-call@" not in str(caught.value)


def test_what_is_rendered_to_nothing_is_an_error(klaviyo: Klaviyo) -> None:
    context: Any = of_task()
    notice = notifier(profile={"email": "{{ '' }}"})
    notice.render_template_fields(context)
    with pytest.raises(KlaviyoValidationError, match=r"profile\.email"):
        notice.notify(context)
    assert klaviyo.requests() == []


def test_it_is_taken_as_a_callback_of_tasks_and_dags() -> None:
    with DAG("weekly", schedule=None, on_failure_callback=notifier()) as dag:
        task = BaseOperator(task_id="task", on_success_callback=notifier())
    assert dag.on_failure_callback
    assert task.on_success_callback
