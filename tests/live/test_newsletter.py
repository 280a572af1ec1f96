"""A newsletter from a file, in a real Airflow: written once, checked, sent; a broken one is stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from harness.local_airflow import LocalAirflow

DAG_ID = "klaviyo_newsletter_from_file"
FILE = Path(__file__).parents[2] / "example_dags" / f"{DAG_ID}.html"
HEADERS = {"Authorization": "Klaviyo-API-Key pk_observer", "revision": "2026-04-15"}


def seen(sandbox: Sandbox, path: str, **query: str) -> Any:
    return httpx.get(f"{sandbox.url}{path}", params=query, headers=HEADERS).raise_for_status().json()


def writes(sandbox: Sandbox) -> list[str]:
    """Writes of templates that were carried out."""
    done = [row["operation"] for row in seen(sandbox, "/sandbox/requests") if row["committed"]]
    return [operation for operation in done if operation in ("create_template", "update_template")]


def run(airflow: LocalAirflow, path: Path, **params: Any) -> tuple[str, str]:
    run_id = airflow.trigger(DAG_ID, {"preview_path": f"file://{path}", **params})
    return run_id, airflow.wait_for(DAG_ID, run_id)


def test_it_is_written_checked_and_sent_and_a_broken_one_is_stopped(
    airflow: LocalAirflow, sandbox: Sandbox, tmp_path: Path
) -> None:
    httpx.post(f"{sandbox.url}/sandbox/reset").raise_for_status()
    preview = tmp_path / "preview.html"

    run_id, state = run(airflow, preview)
    assert state == "success"
    template_id = airflow.xcom(DAG_ID, run_id, "write_template")
    html = seen(sandbox, f"/api/templates/{template_id}")["data"]["attributes"]["html"]
    assert "{{ first_name|default:'there' }}" in html
    assert "{% unsubscribe 'Unsubscribe' %}" in html
    assert '<li class="product">Floor lamp</li>' in html
    result = airflow.xcom(DAG_ID, run_id, "check_mail")
    assert (result["template_id"], result["path"]) == (template_id, f"file://{preview}")
    assert "Hello Ada," in preview.read_text()
    [sent] = seen(sandbox, "/sandbox/sends")
    assert sent["campaign_id"] == airflow.xcom(DAG_ID, run_id, "send")
    assert writes(sandbox) == ["create_template"]

    again, state = run(airflow, preview)
    assert state == "success"
    assert airflow.xcom(DAG_ID, again, "write_template") == template_id
    assert "nothing is written" in airflow.task_log(DAG_ID, again, "write_template")
    assert writes(sandbox) == ["create_template"]
    assert len(seen(sandbox, "/sandbox/sends")) == 2

    broken, state = run(airflow, preview, headline="Lorem ipsum", products=[])
    assert state == "failed"
    assert airflow.task_instance(DAG_ID, broken, "check_mail")["try_number"] == 1, "no retry makes it better"
    log = airflow.task_log(DAG_ID, broken, "check_mail")
    for words in ("fails 3 checks", "placeholder_text", "empty_list", "expect 're:(?s)"):
        assert words in log
    states = airflow.task_states(DAG_ID, broken)
    assert {states[task_id] for task_id in ("create", "assign_template", "send")} == {"upstream_failed"}
    assert writes(sandbox) == ["create_template", "update_template"]
    assert len(seen(sandbox, "/sandbox/sends")) == 2
