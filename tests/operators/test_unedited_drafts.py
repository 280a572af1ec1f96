"""What is not an edit of a draft by a person, and what becomes of a send whose run's notes cannot be read."""

from __future__ import annotations

import time
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator

from airflow_provider_klaviyo.api.document import Resource
from airflow_provider_klaviyo.campaigns import sms, static
from airflow_provider_klaviyo.drafts.edits import with_attributes
from airflow_provider_klaviyo.exceptions import KlaviyoError, KlaviyoRefusedError
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.never_twice import look
from airflow_provider_klaviyo.operators.campaigns import (
    KlaviyoCreateCampaignOperator,
    KlaviyoSendCampaignOperator,
    KlaviyoUpdateCampaignOperator,
)
from tests.conftest import Connect
from tests.support.context import TaskInstance
from tests.support.edits import (
    LATER,
    Run,
    message_of,
    messages,
)
from tests.support.sandbox import DRAFT_EMAIL, LIST, TEMPLATE, Klaviyo


@pytest.fixture
def run() -> Run:
    return Run()


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
