"""The link to a campaign in the note of its run: Airflow 3.4 lets a task write it, and not read it."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_klaviyo.exceptions import KlaviyoValidationError
from airflow_provider_klaviyo.operators.campaigns import KlaviyoSendCampaignOperator
from tests.support.context import Task, TaskInstance, XComs
from tests.support.tasks import assign, create, estimate


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the run's note was replaced by, in the order of writing; the live tests see Airflow's own."""
    written: list[str] = []
    monkeypatch.setattr(TaskInstance, "update_dagrun_note", lambda _, note: written.append(note), raising=False)
    return written


@pytest.fixture
def ready(klaviyo: Any) -> str:
    made = create().run()
    assign(campaign_id=made).run()
    estimate(campaign_id=made).run()
    return str(made)


def sending(campaign_id: str, *, before: str | None = None, map_index: int = -1, **arguments: Any) -> Task:
    """A send whose task comes after another one of this package, which wrote a line into the note."""

    def make() -> KlaviyoSendCampaignOperator:
        given = {"campaign_id": campaign_id, "poll_interval": 0.02, "run_note": True, **arguments}
        with DAG("campaigns", schedule=None):
            upstream = KlaviyoSendCampaignOperator(task_id="before", campaign_id=campaign_id)
            task = KlaviyoSendCampaignOperator(task_id="send", **given)
            upstream >> task
        return task

    xcoms: XComs = {"before": {-1: {"klaviyo_run_note": before}}} if before else {}
    return Task(make, xcoms=xcoms, map_index=map_index)


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_send_writes_its_link_once(klaviyo, ready, notes, deferrable):
    sending(ready, deferrable=deferrable).run()
    assert notes == [f"[Klaviyo campaign]({klaviyo.url}/#{ready})"]


def test_the_lines_of_tasks_upstream_are_kept(klaviyo, ready, notes):
    sending(ready, before="The one before").run()
    assert notes == [f"The one before\n\n[Klaviyo campaign]({klaviyo.url}/#{ready})"]


def test_a_note_is_left_alone_unless_that_is_asked_for(klaviyo, ready, notes):
    sending(ready, run_note=False).run()
    assert notes == []


def test_a_mapped_send_writes_none_as_it_would_replace_its_neighbours(klaviyo, ready, notes):
    sending(ready, map_index=0).run()
    assert notes == []
    assert len(klaviyo.sends(ready)) == 1


def test_what_a_person_wrote_on_clearing_stays(klaviyo, ready, notes):
    task = sending(ready)
    task.run()
    task.run_of_dag.__dict__["clear_number"] = 1
    task.run()
    assert len(notes) == 1


def test_a_refused_send_writes_none(klaviyo, ready, notes):
    klaviyo.fail("send_campaign", "status_before_commit", status=400, times=1)
    with pytest.raises(KlaviyoValidationError):
        sending(ready).run()
    assert klaviyo.fired() == [1]
    assert notes == []


def test_an_airflow_before_3_4_has_nothing_to_write_to(klaviyo, ready):
    assert not hasattr(TaskInstance, "update_dagrun_note")
    task = sending(ready)
    assert task.run() == ready
    assert "klaviyo_run_note" not in task.ti.xcoms


def test_a_note_that_fails_does_not_fail_the_send(klaviyo, ready, monkeypatch, capsys):
    def fails(_: Any, note: str) -> None:
        raise RuntimeError("422: the note is too long")

    monkeypatch.setattr(TaskInstance, "update_dagrun_note", fails, raising=False)
    assert sending(ready).run() == ready
    assert "could not be put into the run's note: 422: the note is too long" in capsys.readouterr().out
    assert len(klaviyo.sends(ready)) == 1


def test_what_is_neither_true_nor_false_is_refused_when_the_dag_is_imported():
    with pytest.raises(KlaviyoValidationError, match="run_note is 'yes'; allowed: True, False"):
        KlaviyoSendCampaignOperator(task_id="send", campaign_id="01H5QQV9F57XJHJDMD86RX4QM5", run_note="yes")
