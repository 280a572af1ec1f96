"""The link to a campaign in the note of its run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_klaviyo.tasks import KlaviyoCampaignOperator

RUN_NOTE = "klaviyo_run_note"
"""Key of the XCom with what a task wrote into the run's note."""


def note_run(task: KlaviyoCampaignOperator, context: Context, text: str = "") -> None:
    """Put the link to a task's campaign into the run's note, after the lines of the tasks upstream.

    Airflow 3.4 lets a task replace the note, and not read it. So a mapped task writes none, as each would replace
    the others', and neither does a task of a run in which something was cleared: a person may have written why.
    Before Airflow 3.4 there is nothing to write to. What fails is logged, and does not fail the task.

    :param text: what there is to say of the campaign.
    """
    ti: Any = context["ti"]
    is_mapped = ti.map_index is not None and ti.map_index >= 0
    if not hasattr(ti, "update_dagrun_note") or is_mapped or getattr(context["dag_run"], "clear_number", 0):
        return
    line = f"[Klaviyo campaign]({task.campaign_url})" + (f": {text}" if text else "")
    try:
        ti.xcom_push(key=RUN_NOTE, value=line)
        writers = task.writers()
        before = ti.xcom_pull(task_ids=writers, key=RUN_NOTE) if writers else []
        ti.update_dagrun_note("\n\n".join([*filter(None, before or []), line]))
    except Exception as error:
        task.log.warning("The link to the campaign could not be put into the run's note: %s", error)
