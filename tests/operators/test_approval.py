from __future__ import annotations

import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_klaviyo.campaigns import email, sms
from airflow_provider_klaviyo.compat import AIRFLOW_V_3_3_PLUS, AirflowSkipException, TaskDeferred
from airflow_provider_klaviyo.exceptions import KlaviyoError, KlaviyoValidationError, RefusalReason
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from tests.support.context import Task, TaskInstance
from tests.support.refusals import refused
from tests.support.sandbox import LIST, NOBODY, OTHER_LIST
from tests.support.tasks import assign, create, estimate, send

approval = pytest.importorskip(
    "airflow_provider_klaviyo.operators.approval", reason="needs Airflow 3.1", exc_type=ImportError
)
WAITS: Any = TaskDeferred
"""How Airflow ends the part of a task that comes before the answer."""
if AIRFLOW_V_3_3_PLUS:
    from airflow.sdk.exceptions import TaskAwaitingInput

    WAITS = TaskAwaitingInput

AT = datetime(2026, 11, 26, 12, tzinfo=UTC)
ADA = {"id": "ada", "name": "Ada"}


@pytest.fixture
def questions(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the task asks: Airflow itself, which keeps the question, is in the live tests only."""
    from airflow.providers.standard.operators import hitl

    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **question: asked.append(question))
    return asked


def approve(campaign_id: str, **arguments: Any) -> Task:
    given = {"task_id": "approve", "campaign_id": campaign_id, **arguments}
    return Task(lambda: approval.KlaviyoApproveCampaignOperator(**given))


def ask(task: Task) -> None:
    """Run the task until it waits: in a state of its own from Airflow 3.3 on, deferred before."""
    operator = task.make()
    context = task.context(operator)
    context["task_instance"] = task.ti
    operator.render_template_fields(context)
    with pytest.raises(WAITS):
        operator.execute(context)


def answer(task: Task, option: str, **more: Any) -> Any:
    operator = task.make()
    event = {"chosen_options": [option], "params_input": {}, "responded_at": AT, "responded_by_user": ADA, **more}
    task.ti.of_run.setdefault("approve", {})[-1] = task.ti.xcoms
    return operator.execute_complete(task.context(operator), event)


@pytest.fixture
def ready(klaviyo: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """A counted draft."""
    made = create(
        name="Big | [sale](http://x)",
        messages=[
            email(subject="50 % *off*", preview_text="Only now", from_email="shop@example.com", from_label="Shop")
        ],
        audiences={"included": [LIST], "excluded": [NOBODY]},
    ).run()
    assign(campaign_id=made).run()
    estimate(campaign_id=made).run()
    return str(made)


@pytest.fixture(autouse=True)
def _an_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TaskInstance, "id", "01991234-0000-7000-8000-000000000000", raising=False)


def test_the_question_shows_the_campaign(klaviyo, ready, questions):
    ask(approve(ready, body="Look well.", approvers=["ada", "bea"]))
    (question,) = questions
    assert question["subject"] == "Send 'Big | [sale](http://x)'?"
    assert question["options"] == ["Approve", "Reject"]
    assert question["defaults"] is None, "nothing is chosen for those who do not answer"
    assert [user["id"] for user in question["assigned_users"]] == ["ada", "bea"]
    body = question["body"]
    assert body.startswith("Look well.\n\n| Campaign | Big \\| \\[sale\\]\\(http://x\\) |\n| --- | --- |")
    rows = dict(line.strip("| ").split(" | ", 1) for line in body.splitlines() if line.startswith("| "))
    assert rows["Channel"] == "email"
    assert rows["Subject"] == r"50 % \*off\*"
    assert rows["Preview text"] == "Only now"
    assert rows["From"] == "Shop shop@example.com"
    assert rows["To"].endswith(rf"\(list {LIST}\)")
    assert rows["Not to"].endswith(rf" {NOBODY}\)")
    assert rows["When"] == "immediate"
    assert int(rows["Recipients"]) > 0
    assert rows["Last time"].startswith("no campaign to the same audience")
    assert f"[This campaign in Klaviyo]({klaviyo.url}/#{ready})" in body
    assert "```text\n" in body


def test_the_last_campaign_to_the_same_audience_is_shown(klaviyo, ready, questions):
    last = create(name="Last week's", audiences={"included": [LIST]}).run()
    assign(campaign_id=last).run()
    estimate(campaign_id=last).run()
    send(campaign_id=last).run()
    ask(approve(ready))
    (line,) = (line for line in questions[0]["body"].splitlines() if line.startswith("| Last time"))
    assert "Last week's, 20" in line
    assert line.endswith(" recipients |")


def test_a_campaign_that_was_not_counted_says_so(klaviyo, questions):
    made = create().run()
    assign(campaign_id=made).run()
    ask(approve(made))
    assert "not counted: put KlaviyoEstimateRecipientsOperator before" in questions[0]["body"]


def test_the_text_of_an_sms_is_shown_and_cannot_end_its_block(klaviyo, questions):
    made = create(messages=[sms(body="Now ``` [x](http://y)")]).run()
    ask(approve(made))
    assert questions[0]["body"].endswith("````text\nNow ``` [x](http://y)\n````")


def test_a_yes_goes_on_and_is_recorded(klaviyo, ready, questions):
    task = approve(ready)
    ask(task)
    assert answer(task, "Approve") == ready
    assert task.ti.xcoms["klaviyo_approval"] == {"answer": "Approve", "by": "Ada", "at": AT.isoformat()}


@pytest.mark.parametrize("chosen", ["Approve", "Reject"])
def test_the_answer_and_who_gave_it_go_into_the_runs_note_if_that_is_asked_for(
    klaviyo, ready, questions, monkeypatch, chosen
):
    notes: list[str] = []
    monkeypatch.setattr(TaskInstance, "update_dagrun_note", lambda _, note: notes.append(note), raising=False)
    task = approve(ready, run_note=True, if_rejected="skip")
    ask(task)
    assert notes == []
    with suppress(AirflowSkipException):
        answer(task, chosen)
    assert notes == [f"[Klaviyo campaign]({klaviyo.url}/#{ready}): {chosen} by Ada, {AT.isoformat()}"]


def test_a_no_fails_and_names_who_said_it(klaviyo, ready, questions):
    task = approve(ready)
    ask(task)
    with refused(RefusalReason.NOT_APPROVED, campaign_id=ready, match="was rejected by Ada: it was not sent"):
        answer(task, "Reject")
    assert task.ti.xcoms["klaviyo_approval"]["answer"] == "Reject"


def test_a_no_skips_where_that_is_asked_for(klaviyo, ready, questions):
    task = approve(ready, if_rejected="skip")
    ask(task)
    with pytest.raises(AirflowSkipException, match="was rejected by Ada"):
        answer(task, "Reject")


@pytest.mark.parametrize("if_rejected", ["refuse", "skip"])
def test_no_answer_is_never_a_yes_and_never_a_skip(klaviyo, ready, questions, if_rejected):
    task = approve(ready, if_rejected=if_rejected, timeout=90)
    ask(task)
    with refused(RefusalReason.NOT_APPROVED, campaign_id=ready, match="Nobody answered within 0:01:30"):
        answer(task, "Approve", error="timeout", error_type="timeout")
    assert task.ti.xcoms["klaviyo_approval"]["answer"] == "none"


def test_an_airflow_that_fails_to_ask_is_an_error_that_a_retry_may_mend(klaviyo, ready, questions):
    task = approve(ready)
    ask(task)
    with pytest.raises(KlaviyoError, match="failed: no such detail"):
        answer(task, "Approve", error="no such detail", error_type="unknown")


def test_a_yes_to_another_audience_than_was_shown_is_refused(klaviyo, ready, questions):
    task = approve(ready)
    ask(task)
    KlaviyoHook().update_campaign(ready, {"audiences": {"included": [OTHER_LIST]}})
    with refused(RefusalReason.EDITED, campaign_id=ready, match="while it was open for approval: audiences.included"):
        answer(task, "Approve")


def test_a_yes_to_another_mail_than_was_shown_is_refused(klaviyo, ready, questions):
    task = approve(ready)
    ask(task)
    other = KlaviyoHook().create_template("Other", "<p>Other</p>{% unsubscribe %}")
    assign(campaign_id=ready, template_id=other.id).run()
    with refused(RefusalReason.EDITED, campaign_id=ready, match="template of message"):
        answer(task, "Approve")


def test_what_was_approved_is_what_the_send_compares_with(klaviyo, ready, questions):
    task = approve(ready)
    ask(task)
    answer(task, "Approve")
    assert f"klaviyo_draft_{ready}" in task.ti.xcoms


def test_a_campaign_that_has_left_the_drafts_is_not_asked_about(klaviyo, ready, questions):
    send(campaign_id=ready).run()
    assert approve(ready).run() == ready
    assert questions == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"campaign_id": "no id"}, "campaign_id is 'no id'"),
        ({"timeout": 0}, "timeout is 0"),
        ({"if_rejected": "send"}, "if_rejected is 'send'"),
        ({"run_note": "yes"}, "run_note is 'yes'"),
        ({"approvers": [""]}, "approvers"),
        ({"approvers": 5}, "approvers"),
        ({"body": ""}, "body is ''"),
    ],
)
def test_what_cannot_be_is_refused_when_the_dag_is_imported(arguments, words):
    given = {"campaign_id": "01H5QQV9F57XJHJDMD86RX4QM5", **arguments}
    with pytest.raises(KlaviyoValidationError, match=words):
        approval.KlaviyoApproveCampaignOperator(task_id="approve", **given)


def test_an_airflow_that_cannot_ask_is_a_clear_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "airflow.providers.standard.operators.hitl", None)
    monkeypatch.delitem(sys.modules, "airflow_provider_klaviyo.operators.approval")
    with pytest.raises(ImportError, match=r"needs Airflow 3\.1 or later"):
        __import__("airflow_provider_klaviyo.operators.approval")
