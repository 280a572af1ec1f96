"""Tasks in a DAG of their own, rendered by Airflow from what an upstream task has returned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator

from airflow_provider_klaviyo.exceptions import KlaviyoValidationError
from tests.support.context import TaskInstance, dag_run

UPSTREAM = "upstream"


class Pulling(TaskInstance):
    """A task instance of a mapped task or of none, which pulls what the one upstream task returned.

    :param returned: that; ``None`` also stands for a task that was skipped.
    :param task: the task, which Airflow 3.4 looks at to know from where it pulls.
    """

    def __init__(self, returned: Any, map_index: int = -1, task: Any = None) -> None:
        super().__init__(try_number=1, max_tries=1)
        self.task = task
        self.map_index = map_index
        self.task_id = "task"
        self.dag_id = "rendering"
        self.returned = returned

    def xcom_pull(self, *, task_ids: Any, **_: Any) -> Any:
        return self.returned if task_ids == UPSTREAM else [None for _ in task_ids]

    def get_template_context(self) -> dict[str, Any]:
        return {"ti": self}


def rendered(
    make: Callable[[Any], Any], returned: Any = None, *, native: bool = False, map_index: int = -1
) -> tuple[BaseOperator, Any]:
    """A task as it is when it begins, and its context.

    :param make: makes the task of the upstream task's output, as a DAG file does; mapped tasks, too.
    :param returned: what the upstream task returned.
    """
    with DAG("rendering", schedule=None, render_template_as_native_obj=native) as dag:
        make(BaseOperator(task_id=UPSTREAM).output)
    task: Any = next(task for task in dag.tasks if task.task_id != UPSTREAM)
    run = dag_run()
    ti = Pulling(returned, map_index, task)
    context: Any = {"ti": ti, "dag_run": run, "run_id": run.run_id, "task": task, "dag": dag}
    context["params"] = {}
    task.render_template_fields(context)
    return context["task"], context


def run(make: Callable[[Any], Any], returned: Any = None, **how: Any) -> Any:
    """What the task returns, or raises."""
    task, context = rendered(make, returned, **how)
    return task.execute(context)


def refused(make: Callable[[Any], Any], field: str, returned: Any = None, **how: Any) -> KlaviyoValidationError:
    """The error of a task that is run, which names the field."""
    task, context = rendered(make, returned, **how)
    with pytest.raises(KlaviyoValidationError) as caught:
        task.execute(context)
    assert field in str(caught.value)
    assert field in str(caught.value.pointer).strip("/").replace("/", ".")
    return caught.value
