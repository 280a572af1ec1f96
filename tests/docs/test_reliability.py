"""The rows of ``docs/reliability.md``: each names tests that exist; those that no other file has are here."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import re
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_klaviyo import exceptions
from airflow_provider_klaviyo.campaigns import sms
from airflow_provider_klaviyo.compat import TaskDeferred
from airflow_provider_klaviyo.exceptions import KlaviyoRefusedError
from airflow_provider_klaviyo.imports.notes import ImportJobNote, ImportNote
from airflow_provider_klaviyo.never_twice.notes import (
    CampaignNote,
    IntentNote,
    SendNote,
    TemplateNote,
)
from airflow_provider_klaviyo.never_twice.post import PostNote
from airflow_provider_klaviyo.operators.campaigns import KlaviyoSendCampaignOperator
from airflow_provider_klaviyo.operators.reports.note import ReportNote
from airflow_provider_klaviyo.sensors import audiences
from tests.support.context import Task, dag_run, fire, over_the_database
from tests.support.sandbox import DRAFT_EMAIL, SENT, Klaviyo
from tests.support.tasks import NAME, create, send

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)

LONG_AGO = "2026-11-20T09:00:00+00:00"

OLDER_TRIGGER = (
    "airflow_provider_klaviyo.triggers.campaigns.KlaviyoCampaignStatusTrigger",
    {
        "campaign_id": DRAFT_EMAIL,
        "deadline": 4102444800.0,
        "poll_interval": 0.02,
        "klaviyo_conn_id": "klaviyo_default",
        "revision": None,
        "target_statuses": ["Sent"],
        "after_send": True,
    },
)
"""A row of Airflow's table of triggers, as it was before there was a ``kill_action``."""

OLDER_EVENT = {"campaign_id": DRAFT_EMAIL, "outcome": "done", "status": "Sent"}
"""The event that it fired."""

OLDER_NOTES: dict[str, dict[str, Any]] = {
    IntentNote.KEY: {"generation": 3, "name": NAME, "at": LONG_AGO},
    CampaignNote.KEY: {"generation": 3, "id": DRAFT_EMAIL, "at": LONG_AGO},
    SendNote.KEY: {"generation": 3, "campaign": DRAFT_EMAIL, "at": LONG_AGO, "accepted": True},
}
"""Notes of that time."""


def tables() -> list[list[list[str]]]:
    """All tables of the page, as rows of cells."""
    found = re.findall(r"(?:^\|.*\n)+", PAGE, re.MULTILINE)
    return [[[cell.strip() for cell in row.strip("|").split(" | ")] for row in table.splitlines()] for table in found]


def deferred(task: Task) -> TaskDeferred:
    """Run a try up to its wait."""
    task.try_number += 1
    task.ti.try_number = task.try_number
    operator = task.make()
    context = task.context(operator)
    operator.render_template_fields(context)
    with pytest.raises(TaskDeferred) as caught:
        operator.execute(context)
    return caught.value


def note(task: Task, key: str, **facts: Any) -> None:
    """What a person writes into the state store."""
    assert task.store is not None
    task.store.set(key, facts, retention=timedelta.max)


@pytest.mark.parametrize(("path", "name"), sorted(set(NAMED)))
def test_a_test_that_the_page_names_exists(path: str, name: str) -> None:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert name in functions


def test_every_row_of_a_table_with_tests_names_one() -> None:
    with_tests = [table for table in tables() if table[0][-1].startswith("Test")]
    assert len(with_tests) == 3
    for _, _, *rows in with_tests:
        for row in rows:
            assert re.search(r"`tests/[\w/]+\.py::test_\w+`", row[-1]), row[0]


def test_every_state_store_key_is_on_the_page_and_no_other() -> None:
    kinds = (IntentNote, CampaignNote, SendNote, TemplateNote, PostNote, ImportJobNote, ImportNote, ReportNote)
    keys = {kind.KEY for kind in kinds} | {audiences.NOTE}
    assert set(re.findall(r"^\| `(klaviyo_\w+)` \|", PAGE, re.MULTILINE)) == keys


def test_every_error_is_on_the_page() -> None:
    told = set(re.findall(r"Klaviyo\w+(?:Error|Failed)", PAGE))
    assert told == set(exceptions.__all__) - {"KlaviyoError", "KlaviyoApiError", "RefusalReason"}


def test_every_reason_of_a_refusal_has_its_row_and_a_test_of_it() -> None:
    (table,) = (table for table in tables() if table[0][0] == "`reason`")
    rows = {row[0].strip("`"): row[-1].strip("`").split("::") for row in table[2:]}
    assert set(rows) == {reason.value for reason in exceptions.RefusalReason}
    for reason, (path, name) in rows.items():
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        (test,) = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == name)
        asked = {node.attr for node in ast.walk(test) if isinstance(node, ast.Attribute)}
        assert exceptions.RefusalReason(reason).name in asked, name


def test_a_wait_that_airflow_ends_leaves_the_send_alone(klaviyo: Klaviyo) -> None:
    """Whichever way a person marks a deferred task, Airflow takes its trigger away and runs the task no more."""
    trigger: Any = over_the_database(deferred(send(deferrable=True)).trigger)

    async def wait() -> None:
        async for _ in trigger.run():
            pass

    async def mark() -> None:
        running = asyncio.create_task(wait())
        await asyncio.sleep(0.01)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await trigger.on_kill()
        await trigger.cleanup()

    asyncio.run(mark())
    klaviyo.wait_for_sends()
    assert klaviyo.status(DRAFT_EMAIL) == "Sent"
    assert len(klaviyo.sends()) == 1
    assert klaviyo.counted()["cancel_campaign_send"] == 0


def test_a_cleared_task_goes_on_after_it_was_marked(klaviyo: Klaviyo) -> None:
    task = send(deferrable=True)
    deferred(task)
    task.clear()
    assert task.run() == DRAFT_EMAIL
    assert len(klaviyo.sends()) == klaviyo.counted()["send_campaign"] == 1


def test_a_new_campaign_after_a_clear_is_sent_beside_the_first(klaviyo: Klaviyo) -> None:
    making = create(audiences={"included": ["TUeZtq"]}, messages=[sms(body="Hello")], on_clear="new")
    campaign_id = making.run()
    sends = Task(lambda: KlaviyoSendCampaignOperator(task_id="send", campaign_id=campaign_id, poll_interval=0.02))
    sends.run()
    for task in (making, sends):
        task.clear()
    campaign_id = making.run()
    assert sends.run() == campaign_id
    assert len({row["campaign_id"] for row in klaviyo.sends()}) == len(klaviyo.sends()) == 2


def test_another_run_is_another_campaign(klaviyo: Klaviyo) -> None:
    runs = [create(run=dag_run(run_id=f"manual__{number}")).run() for number in (1, 2)]
    assert len(set(runs)) == 2
    assert set(klaviyo.named(NAME)) == set(runs)


def test_a_wait_that_an_older_version_began_ends_well(klaviyo: Klaviyo) -> None:
    task = send(deferrable=True)
    wait = deferred(task)
    path, arguments = OLDER_TRIGGER
    module, _, name = path.rpartition(".")
    assert fire(getattr(import_module(module), name)(**arguments)) == OLDER_EVENT
    assert task.resume(wait, OLDER_EVENT) == DRAFT_EMAIL
    assert len(klaviyo.sends()) == 1


def test_notes_of_an_older_version_are_understood(klaviyo: Klaviyo) -> None:
    making, waiting = create(), send()
    for key, facts in OLDER_NOTES.items():
        note(waiting if key == SendNote.KEY else making, key, **facts)
    klaviyo.send(DRAFT_EMAIL)
    klaviyo.wait_for_sends()
    assert making.run() == DRAFT_EMAIL
    assert waiting.run() == DRAFT_EMAIL
    assert klaviyo.counted()["create_campaign"] == 0
    assert len(klaviyo.sends()) == 1


def test_a_campaign_written_into_the_store_by_hand_is_used(klaviyo: Klaviyo) -> None:
    task = create()
    made = task.run()
    note(task, CampaignNote.KEY, id=DRAFT_EMAIL, at=LONG_AGO, generation=0)
    task.clear()
    assert task.run() == DRAFT_EMAIL != made
    assert klaviyo.counted()["create_campaign"] == 1


def test_a_campaign_whose_notes_were_deleted_is_found_again_after_a_clear(klaviyo: Klaviyo) -> None:
    task = create()
    made = task.run()
    assert task.store is not None
    for key in (CampaignNote.KEY, IntentNote.KEY):
        task.store.delete(key)
    task.clear()
    assert task.run() == made
    assert klaviyo.counted()["create_campaign"] == 1


def test_a_draft_that_was_deleted_in_klaviyo_is_made_again_after_a_clear(klaviyo: Klaviyo) -> None:
    task = create()
    made = task.run()
    klaviyo.delete(made)
    task.clear()
    assert task.run() != made
    assert klaviyo.counted()["create_campaign"] == 2


def test_a_send_written_into_the_store_by_hand_is_taken_for_the_tasks_own(klaviyo: Klaviyo) -> None:
    task = send(campaign_id=SENT)
    with pytest.raises(KlaviyoRefusedError, match="not by this task"):
        task.run()
    note(task, SendNote.KEY, campaign=SENT, at=LONG_AGO, accepted=True, generation=0)
    task.clear()
    assert task.run() == SENT
    assert klaviyo.counted()["send_campaign"] == 0


def test_without_its_note_a_cleared_task_ends_well_where_the_campaign_was_sent_since_the_run_began(
    klaviyo: Klaviyo, caplog: pytest.LogCaptureFixture
) -> None:
    task = send()
    assert task.run() == DRAFT_EMAIL
    assert task.store is not None
    task.store.delete(SendNote.KEY)
    task.clear()
    with caplog.at_level("INFO"):
        assert task.run() == DRAFT_EMAIL
    assert "taken for this run's own" in caplog.text
    assert len(klaviyo.sends()) == 1


def test_without_its_note_a_cleared_task_refuses_a_campaign_that_was_sent_before_the_run(klaviyo: Klaviyo) -> None:
    task = send(campaign_id=SENT)
    for _ in range(2):
        with pytest.raises(KlaviyoRefusedError, match="already sent"):
            task.run()
        task.clear()
    assert klaviyo.sends() == []
