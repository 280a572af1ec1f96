"""A guard that comes to nothing in a whole run by Airflow's ``dag.test()``: skipped, mapped, in a mapped task group."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.support.sandbox import DRAFT_EMAIL, LIST, OTHER_LIST, SENT, Klaviyo

DAG_FILE = f"""
import pendulum
from airflow_provider_klaviyo.compat import AirflowSkipException
from airflow.sdk import DAG, task, task_group

from airflow_provider_klaviyo.operators.campaigns import (
    KlaviyoCloneCampaignOperator,
    KlaviyoEstimateRecipientsOperator,
)

with DAG("guards", schedule=None, start_date=pendulum.datetime(2026, 1, 1), render_template_as_native_obj=True) as dag:

    @task
    def skipped():
        raise AirflowSkipException("nobody to exclude today")

    @task
    def exclusions():
        return ["{OTHER_LIST}"]

    @task
    def bounds():
        return [1, None]

    @task
    def accounts():
        return ["klaviyo_default", "klaviyo_shop"]

    def estimate(task_id, **arguments):
        return KlaviyoEstimateRecipientsOperator(
            task_id=task_id, campaign_id="{DRAFT_EMAIL}", trigger_rule="none_failed", poll_interval=0.2, **arguments
        )

    def clone(task_id, excluded):
        return KlaviyoCloneCampaignOperator(
            task_id=task_id,
            campaign_id="{SENT}",
            new_name=task_id,
            audiences={{"included": ["{LIST}"], "excluded": excluded}},
            send_strategy={{"method": "immediate"}},
            trigger_rule="none_failed",
        )

    nobody = skipped()
    clone("clone_all", nobody)
    clone("clone_some", exclusions())
    estimate("by_output", maximum=nobody)
    estimate("by_jinja", maximum="{{{{ ti.xcom_pull(task_ids='skipped') }}}}") << nobody
    estimate("unbounded", maximum=None)

    mapped = dict(campaign_id="{DRAFT_EMAIL}", poll_interval=0.2)
    KlaviyoEstimateRecipientsOperator.partial(task_id="mapped", **mapped).expand(minimum=bounds())
    KlaviyoEstimateRecipientsOperator.partial(task_id="mapped_here", **mapped).expand(minimum=[1, None])
    KlaviyoEstimateRecipientsOperator.partial(task_id="accounts_of", **mapped).expand(klaviyo_conn_id=accounts())

    @task_group
    def group(minimum):
        estimate("inside", minimum=minimum)

    group.expand(minimum=bounds())

if __name__ == "__main__":
    import json

    run = dag.test()
    states = {{f"{{ti.task_id}}[{{ti.map_index}}]": str(ti.state) for ti in run.get_task_instances()}}
    print("STATES", json.dumps(states))
"""


def test_it_fails_the_task_and_nothing_is_made(klaviyo: Klaviyo, tmp_path: Path) -> None:
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "guards.py").write_text(DAG_FILE, encoding="utf-8")
    shop = os.environ["AIRFLOW_CONN_KLAVIYO_DEFAULT"]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTEST"))},
        "AIRFLOW_HOME": str(tmp_path / "home"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW_CONN_KLAVIYO_DEFAULT": shop,
        "AIRFLOW_CONN_KLAVIYO_SHOP": shop,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }

    def run(*command: str) -> str:
        done = subprocess.run(
            [sys.executable, *command], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=280
        )
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout + done.stderr

    run("-m", "airflow", "db", "migrate")
    told = run(str(tmp_path / "dags" / "guards.py"))
    states = json.loads(next(line for line in told.splitlines() if line.startswith("STATES"))[len("STATES") :])

    assert {name: state for name, state in states.items() if state not in ("success", "skipped")} == {
        "clone_all[-1]": "failed",
        "by_output[-1]": "failed",
        "by_jinja[-1]": "failed",
        "mapped[1]": "failed",
        "group.inside[1]": "failed",
    }
    assert {name for name, state in states.items() if state == "skipped"} == {"skipped[-1]"}
    assert {"mapped[0]", "mapped_here[0]", "mapped_here[1]", "unbounded[-1]", "accounts_of[1]"} <= states.keys()
    assert klaviyo.named("clone_all") == []
    assert len(klaviyo.named("clone_some")) == 1
    for words in ("audiences.excluded is None after rendering", "maximum is None after", "minimum is None after"):
        assert words in told
