"""A draft that was changed since the run's tasks wrote it: what is seen of it, and what the send does about it."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator

from airflow_provider_klaviyo.api.document import Resource
from airflow_provider_klaviyo.campaigns import email, push, sms, static
from airflow_provider_klaviyo.drafts.edits import with_attributes
from airflow_provider_klaviyo.exceptions import KlaviyoError, KlaviyoRefusedError, KlaviyoValidationError, RefusalReason
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.never_twice import look
from airflow_provider_klaviyo.operators.campaigns import (
    KlaviyoAssignTemplateOperator,
    KlaviyoCloneCampaignOperator,
    KlaviyoCreateCampaignOperator,
    KlaviyoSendCampaignOperator,
    KlaviyoSetMessageImageOperator,
    KlaviyoUpdateCampaignMessageOperator,
    KlaviyoUpdateCampaignOperator,
)
from airflow_provider_klaviyo.tasks import KlaviyoCampaignOperator
from tests.conftest import Connect
from tests.support.context import Task, TaskInstance, XComs
from tests.support.refusals import refused
from tests.support.sandbox import DRAFT_EMAIL, LIST, NOBODY, OTHER_LIST, TEMPLATE, Klaviyo

NAME = "Weekly news 2026-11-20"
SUBJECT = "A subject that no XCom may hold"
LATER = (datetime.now(UTC) + timedelta(days=30)).isoformat(timespec="seconds")


class Run:
    """A DAG run whose tasks follow each other and share their XComs."""

    def __init__(self) -> None:
        self.xcoms: XComs = {}
        self.tasks: dict[str, Task] = {}

    def task(self, kind: type[BaseOperator], task_id: str, *, map_index: int = -1, **arguments: Any) -> Task:
        """The next task of the run, behind all those before it."""
        before = [name for name in self.tasks if name != task_id]

        def make() -> BaseOperator:
            with DAG("campaigns", schedule=None):
                operator = kind(task_id=task_id, **arguments)
                for name in before:
                    operator.set_upstream(KlaviyoCampaignOperator(task_id=name))
            return operator

        made = self.tasks[task_id] = Task(make, xcoms=self.xcoms, map_index=map_index)
        return made

    def create(self, task_id: str = "create", *, map_index: int = -1, **arguments: Any) -> str:
        defaults = {"name": NAME, "audiences": {"included": [LIST]}, "messages": [email(subject=SUBJECT)]}
        made = self.task(KlaviyoCreateCampaignOperator, task_id, map_index=map_index, **{**defaults, **arguments})
        return str(made.run())

    def assign(self, campaign_id: str) -> None:
        self.task(KlaviyoAssignTemplateOperator, "assign", campaign_id=campaign_id, template_id=TEMPLATE).run()

    def email(self) -> str:
        """An email campaign that has its template."""
        campaign_id = self.create()
        self.assign(campaign_id)
        return campaign_id

    def send(self, campaign_id: str, **arguments: Any) -> Task:
        return self.task(KlaviyoSendCampaignOperator, "send", campaign_id=campaign_id, poll_interval=0.02, **arguments)


@pytest.fixture
def run() -> Run:
    return Run()


@pytest.fixture
def person(klaviyo: Klaviyo) -> KlaviyoHook:
    """Writes to Klaviyo outside of any task."""
    return KlaviyoHook()


Edit = Callable[[KlaviyoHook, Klaviyo, str], Any]


def message_of(klaviyo: Klaviyo, campaign_id: str) -> str:
    return str(klaviyo.message(campaign_id)["id"])


def edit_subject(person: KlaviyoHook, klaviyo: Klaviyo, campaign_id: str) -> None:
    person.update_message(message_of(klaviyo, campaign_id), email(subject="Another subject"))


def edit_body(person: KlaviyoHook, klaviyo: Klaviyo, campaign_id: str) -> None:
    template = klaviyo.template_of(campaign_id)
    attributes = {"html": "<html><body><p>Another body</p></body></html>"}
    body = {"data": {"type": "template", "id": template, "attributes": attributes}}
    person.call("update_template", path_params={"id": str(template)}, body=body)


def replace_template(person: KlaviyoHook, klaviyo: Klaviyo, campaign_id: str) -> None:
    person.assign_template(message_of(klaviyo, campaign_id), TEMPLATE)


def setting(**attributes: Any) -> Edit:
    return lambda person, _, campaign_id: person.update_campaign(campaign_id, attributes)


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What this package warns of in the task's log."""
    ours = (record for record in caplog.records if record.name.startswith("airflow_provider_klaviyo"))
    return [record.getMessage() for record in ours if record.levelno >= logging.WARNING]


# --- what is seen -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        pytest.param(edit_subject, "content.subject of message {message} (create)", id="subject"),
        pytest.param(setting(name="Renamed"), "name (create)", id="name"),
        pytest.param(setting(audiences={"included": [OTHER_LIST]}), "audiences.included (create)", id="included"),
        pytest.param(
            setting(audiences={"included": [LIST], "excluded": [NOBODY]}), "audiences.excluded (create)", id="excluded"
        ),
        pytest.param(setting(send_strategy=static(LATER)), "send_strategy (create)", id="strategy"),
        pytest.param(setting(send_options={"use_smart_sending": False}), "send_options (create)", id="options"),
        pytest.param(
            setting(tracking_options={"is_tracking_opens": False}), "tracking_options (create)", id="tracking"
        ),
        pytest.param(edit_body, "content of the template of message {message} (assign)", id="body"),
        pytest.param(replace_template, "template of message {message} (assign)", id="template"),
    ],
)
def test_an_edit_is_refused_and_the_field_and_its_task_are_named(
    klaviyo: Klaviyo, run: Run, person: KlaviyoHook, edit: Edit, told: str
) -> None:
    campaign_id = run.email()
    edit(person, klaviyo, campaign_id)
    task = run.send(campaign_id, if_edited="refuse", wait_until="scheduled")
    with pytest.raises(KlaviyoRefusedError) as caught:
        task.run()
    words = told.format(message=message_of(klaviyo, campaign_id))
    assert f"Campaign {campaign_id} was changed since this run's tasks wrote it" in str(caught.value)
    assert f"by a person or another program: {words}. It was not sent." in str(caught.value)
    assert klaviyo.counted()["send_campaign"] == 0
    assert klaviyo.sends() == []


def test_by_default_an_edited_draft_is_sent_once_and_the_log_names_the_fields(
    klaviyo: Klaviyo, run: Run, person: KlaviyoHook, caplog: pytest.LogCaptureFixture
) -> None:
    campaign_id = run.email()
    edit_subject(person, klaviyo, campaign_id)
    setting(audiences={"included": [OTHER_LIST]})(person, klaviyo, campaign_id)
    assert run.send(campaign_id).run() == campaign_id
    (warning,) = messages(caplog)
    assert campaign_id in warning
    assert "audiences.included (create)" in warning
    assert f"content.subject of message {message_of(klaviyo, campaign_id)} (create)" in warning
    assert "It is sent as it is now; if_edited='refuse' would stop it." in warning
    assert len(klaviyo.sends()) == klaviyo.counted()["send_campaign"] == 1


def test_a_draft_that_is_not_to_be_compared_is_sent_without_a_word(
    klaviyo: Klaviyo, run: Run, person: KlaviyoHook, caplog: pytest.LogCaptureFixture
) -> None:
    campaign_id = run.email()
    edit_subject(person, klaviyo, campaign_id)
    run.send(campaign_id, if_edited="send").run()
    assert messages(caplog) == []
    assert len(klaviyo.sends()) == 1


def test_what_is_to_be_done_with_an_edited_draft_is_checked_when_the_dag_is_imported() -> None:
    with pytest.raises(KlaviyoValidationError, match="if_edited"):
        KlaviyoSendCampaignOperator(task_id="send", campaign_id="A", if_edited="stop")  # type: ignore[arg-type]


def test_an_edit_of_what_a_later_task_did_not_write_is_still_seen(
    klaviyo: Klaviyo, run: Run, person: KlaviyoHook
) -> None:
    """Klaviyo's answer to the later write has the edited field too."""
    campaign_id = run.email()
    setting(audiences={"included": [OTHER_LIST]})(person, klaviyo, campaign_id)
    edit_subject(person, klaviyo, campaign_id)
    run.task(KlaviyoUpdateCampaignOperator, "rename", campaign_id=campaign_id, name="Renamed").run()
    run.task(
        KlaviyoUpdateCampaignMessageOperator,
        "preview",
        campaign_id=campaign_id,
        message={"channel": "email", "content": {"preview_text": "Look"}},
    ).run()
    names = r"audiences.included \(create\), content.subject of message"
    with refused(RefusalReason.EDITED, campaign_id=campaign_id, match=names):
        run.send(campaign_id, if_edited="refuse").run()


def test_a_refused_draft_is_sent_after_a_clear_that_put_back_what_the_dag_says(
    klaviyo: Klaviyo, run: Run, person: KlaviyoHook
) -> None:
    campaign_id = run.email()
    edit_subject(person, klaviyo, campaign_id)
    task = run.send(campaign_id, if_edited="refuse")
    with pytest.raises(KlaviyoRefusedError):
        task.run()
    for cleared in run.tasks.values():
        cleared.clear()
        cleared.run()
    assert klaviyo.message(campaign_id)["attributes"]["definition"]["content"]["subject"] == SUBJECT
    assert len(klaviyo.sends()) == 1


# --- each writer ------------------------------------------------------------------------------------------------------


def test_the_content_of_a_clones_template_is_compared(klaviyo: Klaviyo, run: Run, person: KlaviyoHook) -> None:
    cloning = run.task(KlaviyoCloneCampaignOperator, "clone", campaign_id=DRAFT_EMAIL, new_name=NAME)
    campaign_id = cloning.run()
    edit_body(person, klaviyo, campaign_id)
    with pytest.raises(KlaviyoRefusedError, match=r"content of the template of message \w+ \(clone\)"):
        run.send(campaign_id, if_edited="refuse").run()


def test_a_clone_that_nobody_edited_is_sent(klaviyo: Klaviyo, run: Run) -> None:
    cloning = run.task(KlaviyoCloneCampaignOperator, "clone", campaign_id=DRAFT_EMAIL, new_name=NAME)
    campaign_id = cloning.run()
    run.send(campaign_id, if_edited="refuse", wait_until="scheduled").run()
    assert klaviyo.counted()["send_campaign"] == 1


def test_what_an_update_wrote_is_compared(klaviyo: Klaviyo, run: Run, person: KlaviyoHook) -> None:
    campaign_id = run.email()
    changes: dict[str, Any] = {"audiences": {"excluded": [NOBODY]}, "send_options": {"use_smart_sending": False}}
    run.task(KlaviyoUpdateCampaignOperator, "update", campaign_id=campaign_id, **changes).run()
    setting(audiences={"excluded": [OTHER_LIST]})(person, klaviyo, campaign_id)
    with pytest.raises(KlaviyoRefusedError, match=r"program: audiences.excluded \(update\)\. It was not sent"):
        run.send(campaign_id, if_edited="refuse").run()


def test_what_an_update_of_the_message_wrote_is_compared(klaviyo: Klaviyo, run: Run, person: KlaviyoHook) -> None:
    campaign_id = run.email()
    rewrite = run.task(
        KlaviyoUpdateCampaignMessageOperator, "rewrite", campaign_id=campaign_id, message=email(subject="Ours")
    )
    rewrite.run()
    edit_subject(person, klaviyo, campaign_id)
    with pytest.raises(KlaviyoRefusedError, match=r"program: content.subject of message \w+ \(rewrite\)\. It was"):
        run.send(campaign_id, if_edited="refuse").run()


@pytest.mark.parametrize("given_by", ["create", "image"])
def test_another_image_is_seen(klaviyo: Klaviyo, run: Run, person: KlaviyoHook, given_by: str) -> None:
    image_id = klaviyo.get("/api/images")["data"][0]["id"]
    new = {"type": "image", "attributes": {"import_from_url": "data:image/png;base64,iVBORw0KGgo="}}
    other = person.call("upload_image_from_url", body={"data": new}).resource.id
    if given_by == "create":
        campaign_id = run.create(messages=[sms(body="Hello", image_id=image_id)])
    else:
        campaign_id = run.create(messages=[sms(body="Hello")])
        run.task(KlaviyoSetMessageImageOperator, "image", campaign_id=campaign_id, image_id=image_id).run()
    person.set_image(message_of(klaviyo, campaign_id), other)
    with pytest.raises(KlaviyoRefusedError, match=rf"program: image of message \w+ \({given_by}\)\. It was"):
        run.send(campaign_id, if_edited="refuse").run()


def test_the_options_of_a_push_are_compared_and_its_image_stays_its_own(klaviyo: Klaviyo, run: Run) -> None:
    image_id = klaviyo.get("/api/images")["data"][0]["id"]
    campaign_id = run.create(messages=[push(body="Ping", title="There", image_id=image_id)])
    run.send(campaign_id, if_edited="refuse").run()
    assert klaviyo.counted()["send_campaign"] == 1


def test_our_own_later_writes_are_not_edits(klaviyo: Klaviyo, run: Run, caplog: pytest.LogCaptureFixture) -> None:
    campaign_id = run.email()
    changes: dict[str, Any] = {
        "name": "Renamed",
        "audiences": {"included": [OTHER_LIST]},
        "send_options": {"use_smart_sending": False},
    }
    run.task(KlaviyoUpdateCampaignOperator, "update", campaign_id=campaign_id, **changes).run()
    run.task(
        KlaviyoUpdateCampaignMessageOperator, "rewrite", campaign_id=campaign_id, message=email(subject="Ours")
    ).run()
    run.task(KlaviyoAssignTemplateOperator, "again", campaign_id=campaign_id, template_id=TEMPLATE).run()
    run.send(campaign_id, if_edited="refuse").run()
    assert messages(caplog) == []
    assert len(klaviyo.sends()) == 1


def test_the_notes_of_mapped_tasks_are_found(klaviyo: Klaviyo, run: Run, person: KlaviyoHook) -> None:
    made = [
        run.create(map_index=number, name=f"{NAME} {number}", messages=[sms(body=f"Hello {number}")])
        for number in range(3)
    ]
    setting(name="Renamed")(person, klaviyo, made[2])
    assert run.send(made[1], if_edited="refuse").run() == made[1]
    with pytest.raises(KlaviyoRefusedError, match=rf"Campaign {made[2]} .*: name \(create\)\."):
        run.send(made[2], if_edited="refuse").run()
    assert [row["campaign_id"] for row in klaviyo.sends()] == [made[1]]


def test_a_retry_of_the_make_still_notes_what_it_wrote(klaviyo: Klaviyo, run: Run, person: KlaviyoHook) -> None:
    campaign_id = run.create(messages=[sms(body="Hello")])
    assert run.tasks["create"].run() == campaign_id
    person.update_message(message_of(klaviyo, campaign_id), sms(body="Edited"))
    with pytest.raises(KlaviyoRefusedError, match=r"content.body of message \w+ \(create\)"):
        run.send(campaign_id, if_edited="refuse").run()


def test_no_xcom_has_content(klaviyo: Klaviyo, run: Run) -> None:
    campaign_id = run.email()
    notes = [values[f"klaviyo_draft_{campaign_id}"] for of_task in run.xcoms.values() for values in of_task.values()]
    assert len(notes) == 2
    text = json.dumps(notes)
    assert len(text) < 2_000
    for content in (SUBJECT, NAME, LIST, "<html", "immediate"):
        assert content not in text


# --- what must not be taken for an edit -------------------------------------------------------------------------------


@pytest.mark.parametrize(("settle", "late_reads"), [(30.0, 6), (0.0, 2)], ids=["fresh", "settled"])
def test_a_read_that_lags_behind_our_own_write_is_not_an_edit(
    klaviyo: Klaviyo,
    run: Run,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    settle: float,
    late_reads: int,
) -> None:
    monkeypatch.setattr(look, "SETTLE", settle)
    campaign_id = run.email()
    run.task(KlaviyoUpdateCampaignOperator, "update", campaign_id=campaign_id, name="Renamed").run()
    klaviyo.fail("get_campaign", "stale", reads=late_reads)
    assert run.send(campaign_id, if_edited="refuse").run() == campaign_id
    assert klaviyo.fired() == [late_reads]
    assert messages(caplog) == []
    assert len(klaviyo.sends()) == 1


def test_a_draft_that_was_not_edited_costs_no_further_request_and_no_wait(
    klaviyo: Klaviyo, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign_id = run.email()
    monkeypatch.setattr(look, "PAUSE", 3600.0)
    counts = []
    for if_edited in ("send", "refuse"):
        before = klaviyo.counted()
        run.send(campaign_id, if_edited=if_edited, wait_until=None).run()
        counts.append(klaviyo.counted() - before)
        klaviyo.wait_for_sends()
        campaign_id = run.email()
    assert counts[0] == counts[1]
    assert sum(counts[1].values()) == 4


def test_a_template_that_only_has_another_time_is_not_an_edit(klaviyo: Klaviyo, run: Run, person: KlaviyoHook) -> None:
    """Klaviyo itself may touch it."""
    campaign_id = run.email()
    template = str(klaviyo.template_of(campaign_id))
    body = {"data": {"type": "template", "id": template, "attributes": {"name": "Another name"}}}
    before = klaviyo.get(f"/api/templates/{template}")["data"]["attributes"]["updated"]
    person.call("update_template", path_params={"id": template}, body=body)
    assert klaviyo.get(f"/api/templates/{template}")["data"]["attributes"]["updated"] != before
    run.send(campaign_id, if_edited="refuse").run()
    assert len(klaviyo.sends()) == 1


def test_a_campaign_that_no_task_of_the_run_wrote_is_sent_without_a_word(
    klaviyo: Klaviyo, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    run.email()
    run.send(DRAFT_EMAIL, if_edited="refuse").run()
    assert messages(caplog) == []
    assert len(klaviyo.sends()) == 1


def test_a_key_without_the_scope_for_templates_is_enough(
    klaviyo: Klaviyo, run: Run, person: KlaviyoHook, connect: Connect
) -> None:
    connect(klaviyo.url, password="pk_scopes_campaigns:read+campaigns:write")
    campaign_id = run.email()
    run.send(campaign_id, if_edited="refuse").run()
    assert len(klaviyo.sends()) == 1


def test_a_template_that_no_answer_had_is_read_if_the_key_may(klaviyo: Klaviyo, connect: Connect) -> None:
    bare = Resource("template", TEMPLATE)
    assert "<html" in with_attributes(KlaviyoHook(), bare).attributes["html"]
    connect(klaviyo.url, password="pk_scopes_campaigns:read+campaigns:write")
    assert with_attributes(KlaviyoHook(), bare) == bare
    assert [request["status"] for request in klaviyo.requests("get_template")] == [200, 403]


def test_a_campaign_that_somebody_sends_meanwhile_is_waited_for(
    klaviyo: Klaviyo, run: Run, person: KlaviyoHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking again takes a while; a send of that time is not met by a second one."""
    campaign_id = run.create(messages=[sms(body="Hello")], send_strategy=static(LATER))
    person.update_message(message_of(klaviyo, campaign_id), sms(body="Edited"))
    sleep = time.sleep

    def send_meanwhile(seconds: float) -> None:
        if klaviyo.counted()["send_campaign"] == 0:
            klaviyo.send(campaign_id)
        sleep(seconds)

    monkeypatch.setattr(time, "sleep", send_meanwhile)
    assert run.send(campaign_id, if_edited="refuse", wait_until="scheduled").run() == campaign_id
    assert klaviyo.counted()["send_campaign"] == 1


# --- where notes are looked for ---------------------------------------------------------------------------------------


def test_only_tasks_of_this_package_are_asked_for_notes() -> None:
    """Each costs a request to Airflow, and hundreds of others' may come before a send."""
    with DAG("campaigns", schedule=None):
        refreshed = [BaseOperator(task_id=f"refresh_{number}") for number in range(300)]
        create = KlaviyoCreateCampaignOperator.partial(
            task_id="create", audiences={"included": [LIST]}, messages=[sms(body="Hello")]
        ).expand(name=["one", "other"])
        update = KlaviyoUpdateCampaignOperator(task_id="update", campaign_id=DRAFT_EMAIL, name="Renamed")
        send = KlaviyoSendCampaignOperator(task_id="send", campaign_id=DRAFT_EMAIL)
        refreshed >> create >> update >> send >> KlaviyoSendCampaignOperator(task_id="later", campaign_id=DRAFT_EMAIL)
    assert send.writers() == ["create", "update"]


# --- when the notes cannot be read ------------------------------------------------------------------------------------


@pytest.fixture
def _no_xcoms(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise RuntimeError("500 from Airflow's API server")

    monkeypatch.setattr(TaskInstance, "xcom_pull", refuse)


@pytest.mark.usefixtures("_no_xcoms")
def test_notes_that_cannot_be_read_break_no_send(klaviyo: Klaviyo, run: Run, caplog: pytest.LogCaptureFixture) -> None:
    campaign_id = run.email()
    run.send(campaign_id).run()
    (warning,) = messages(caplog)
    assert "500 from Airflow's API server" in warning
    assert "sent without looking if somebody edited it" in warning
    assert len(klaviyo.sends()) == 1


@pytest.mark.usefixtures("_no_xcoms")
def test_notes_that_cannot_be_read_fail_a_try_that_is_to_refuse_edits(klaviyo: Klaviyo, run: Run) -> None:
    campaign_id = run.email()
    with pytest.raises(KlaviyoError, match="The next try reads again") as caught:
        run.send(campaign_id, if_edited="refuse").run()
    assert not isinstance(caught.value, KlaviyoRefusedError), "Airflow retries it"
    assert klaviyo.sends() == []
