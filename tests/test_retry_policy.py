"""What Airflow does with a failed task by this policy: decided, serialised with its DAG, and carried out in a run."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import uuid4

import pytest

pytest.importorskip("airflow.sdk.definitions.retry_policy", reason="retry policies: since Airflow 3.3")

from airflow.sdk import DAG, RetryAction, RetryDecision
from airflow.sdk.api.datamodels._generated import TIRunContext
from airflow.sdk.bases.operator import BaseOperator
from airflow.sdk.definitions.mappedoperator import MappedOperator
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance, _handle_current_task_failed
from airflow.serialization.serialized_objects import DagSerialization

from airflow_provider_klaviyo import exceptions
from airflow_provider_klaviyo.api.text import duration
from airflow_provider_klaviyo.campaigns.wait import facts, parse
from airflow_provider_klaviyo.exceptions import KlaviyoApiError, KlaviyoError, KlaviyoWaitTimeoutError
from airflow_provider_klaviyo.never_twice import look
from airflow_provider_klaviyo.operators.campaigns import KlaviyoSendCampaignOperator
from airflow_provider_klaviyo.retry_policy import MARGIN, KlaviyoRetryPolicy
from airflow_provider_klaviyo.tasks import raise_or_return
from tests.support.airflow_versions import since_airflow
from tests.support.context import dag_run


def decide(error: BaseException) -> RetryDecision:
    return KlaviyoRetryPolicy().evaluate(error, try_number=1, max_tries=3)


LATER = getattr(RetryAction, "RESCHEDULE", RetryAction.RETRY)
"""What a limit of the day leads to: since Airflow 3.4 it does not use a try."""


@pytest.mark.parametrize(
    ("seconds", "action"), [(0.0, RetryAction.RETRY), (60.0, RetryAction.RETRY), (61.0, LATER), (67_608.0, LATER)]
)
def test_after_a_429_the_task_runs_again_when_klaviyo_answers_again(seconds: float, action: RetryAction) -> None:
    decision = decide(exceptions.KlaviyoRateLimitError("Throttled.", status=429, retry_after=seconds))
    assert decision.action is action
    assert decision.retry_delay == timedelta(seconds=seconds + MARGIN)
    assert duration(seconds) in str(decision.reason)


def test_a_429_that_names_no_time_leaves_it_to_the_task() -> None:
    assert decide(exceptions.KlaviyoRateLimitError("Throttled.", status=429)) == RetryDecision.default()


def test_after_an_unanswered_write_the_next_try_comes_when_its_effect_must_show() -> None:
    decision = decide(exceptions.KlaviyoAmbiguousWriteError("No answer."))
    assert decision.action is RetryAction.RETRY
    assert decision.retry_delay is not None
    assert decision.retry_delay > timedelta(seconds=look.SETTLE)


@pytest.mark.parametrize("kind", ["KlaviyoAuthError", "KlaviyoValidationError", "KlaviyoNotFoundError"])
def test_what_fails_the_same_way_every_time_is_not_tried_again(kind: str) -> None:
    decision = decide(getattr(exceptions, kind)("No."))
    assert decision.action is RetryAction.FAIL
    assert kind in str(decision.reason)


@pytest.mark.parametrize(
    "error",
    [
        exceptions.KlaviyoTransientError("Down.", status=503),
        exceptions.KlaviyoConflictError("Busy.", status=409),
        KlaviyoWaitTimeoutError("C1", "Sending"),
        KlaviyoApiError("Odd.", status=418),
        KlaviyoError("Odd."),
        ValueError("Not Klaviyo's."),
        KeyboardInterrupt(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_everything_else_is_left_to_the_task(error: BaseException) -> None:
    assert decide(error) == RetryDecision.default()


@pytest.mark.parametrize("kind", ["KlaviyoAuthError", "KlaviyoNotFoundError", "KlaviyoTransientError"])
def test_an_error_that_ended_a_wait_in_the_triggerer_decides_alike(kind: str) -> None:
    error = getattr(exceptions, kind)("No.", status=400)
    event = {"campaign_id": "C1", "outcome": "error", "status": "", "error": dict(facts(error))}
    with pytest.raises(KlaviyoApiError) as raised:
        raise_or_return(parse(event))
    assert decide(raised.value) == decide(error)


def test_it_can_be_copied_and_pickled() -> None:
    error = exceptions.KlaviyoAuthError("No.")
    for other in (copy.deepcopy(KlaviyoRetryPolicy()), pickle.loads(pickle.dumps(KlaviyoRetryPolicy()))):
        assert other.evaluate(error, 1, 3).action is RetryAction.FAIL


def serialised() -> dict[str, Any]:
    """A DAG that names the policy wherever a task may get it from, as one parse of its file yields it."""
    with DAG("policies", schedule=None, default_args={"retry_policy": KlaviyoRetryPolicy(), "retries": 3}) as dag:
        KlaviyoSendCampaignOperator(task_id="by_default", campaign_id="C1")
        KlaviyoSendCampaignOperator(task_id="named", campaign_id="C1", retry_policy=KlaviyoRetryPolicy())
        mapped = KlaviyoSendCampaignOperator.partial(task_id="mapped", retry_policy=KlaviyoRetryPolicy())
        mapped.expand(campaign_id=["C1", "C2"])
    tasks: list[BaseOperator | MappedOperator] = list(dag.tasks)
    assert all(task.has_retry_policy for task in tasks)
    data: dict[str, Any] = DagSerialization.to_dict(dag)
    return data


def test_a_dag_with_it_is_serialised_alike_at_every_parse_or_each_would_be_a_new_version() -> None:
    first = serialised()
    assert serialised() == first
    loaded = DagSerialization.from_dict(first)
    assert loaded.get_task("named").has_retry_policy


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (exceptions.KlaviyoRateLimitError("Throttled.", status=429, retry_after=7.0), {"retry_delay_seconds": 8.0}),
        (exceptions.KlaviyoNotFoundError("None.", status=404), {"state": "failed"}),
        (exceptions.KlaviyoTransientError("Down.", status=503), {"retry_delay_seconds": None}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_a_worker_reports_to_airflow_of_a_failed_try(error: KlaviyoApiError, message: dict[str, Any]) -> None:
    task = KlaviyoSendCampaignOperator(task_id="send", campaign_id="C1", retries=3, retry_policy=KlaviyoRetryPolicy())
    told, _ = _handle_current_task_failed(failing(task), error, log=cast("Any", _Log()), context=None)
    assert {name: getattr(told, name) for name in message} == message


@since_airflow("3.4", "retry policies that reschedule")
def test_a_limit_of_the_day_uses_no_try() -> None:
    error = exceptions.KlaviyoRateLimitError("Throttled.", status=429, retry_after=67_608.0)
    task = KlaviyoSendCampaignOperator(task_id="send", campaign_id="C1", retries=0, retry_policy=KlaviyoRetryPolicy())
    told: Any
    told, state = _handle_current_task_failed(failing(task), error, log=cast("Any", _Log()), context=cast("Any", {}))
    assert state == "up_for_reschedule"
    assert timedelta(seconds=67_500) < told.reschedule_date - datetime.now(UTC) < timedelta(seconds=67_700)


class _Log:
    """Fails the test when Airflow had to swallow an error of the policy."""

    def info(self, *_: Any, **__: Any) -> None:
        return

    def exception(self, event: str, **_: Any) -> None:
        raise AssertionError(event)


def failing(task: BaseOperator) -> RuntimeTaskInstance:
    """A task instance that may be tried again, as the API server says."""
    server = TIRunContext.model_construct(dag_run=dag_run(), max_tries=3, should_retry=True)
    return RuntimeTaskInstance.model_construct(
        id=uuid4(),
        task_id="send",
        dag_id="d",
        run_id="r",
        try_number=1,
        map_index=-1,
        task=task,
        _ti_context_from_server=server,
    )
