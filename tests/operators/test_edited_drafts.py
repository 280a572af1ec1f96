"""A draft that was changed since the run's tasks wrote it: what is seen of it, and what the send does about it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_klaviyo.campaigns import email, push, sms, static
from airflow_provider_klaviyo.exceptions import KlaviyoRefusedError, KlaviyoValidationError, RefusalReason
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.operators.campaigns import (
    KlaviyoAssignTemplateOperator,
    KlaviyoCloneCampaignOperator,
    KlaviyoSendCampaignOperator,
    KlaviyoSetMessageImageOperator,
    KlaviyoUpdateCampaignMessageOperator,
    KlaviyoUpdateCampaignOperator,
)
from tests.support.edits import (
    LATER,
    NAME,
    SUBJECT,
    Edit,
    Run,
    edit_body,
    edit_subject,
    message_of,
    messages,
    replace_template,
    setting,
)
from tests.support.refusals import refused
from tests.support.sandbox import DRAFT_EMAIL, LIST, NOBODY, OTHER_LIST, TEMPLATE, Klaviyo


@pytest.fixture
def run() -> Run:
    return Run()


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
