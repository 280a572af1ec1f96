"""A revision whose campaigns are of another kind: refused by all that would misread them, at import and at run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_klaviyo.api.operations import NEWEST_OF_CAMPAIGNS, check_campaigns, revisions
from airflow_provider_klaviyo.campaigns import email
from airflow_provider_klaviyo.exceptions import KlaviyoValidationError
from airflow_provider_klaviyo.operators.api import KlaviyoApiOperator
from airflow_provider_klaviyo.operators.campaigns import (
    KlaviyoAssignTemplateOperator,
    KlaviyoCancelCampaignSendOperator,
    KlaviyoCloneCampaignOperator,
    KlaviyoCreateCampaignOperator,
    KlaviyoDeleteCampaignOperator,
    KlaviyoEstimateRecipientsOperator,
    KlaviyoListCampaignsOperator,
    KlaviyoSendCampaignOperator,
    KlaviyoSetMessageImageOperator,
    KlaviyoTagCampaignOperator,
    KlaviyoUpdateCampaignMessageOperator,
    KlaviyoUpdateCampaignOperator,
)
from airflow_provider_klaviyo.operators.reports import KlaviyoCampaignReportOperator
from airflow_provider_klaviyo.sensors.campaigns import (
    KlaviyoCampaignSendJobSensor,
    KlaviyoCampaignStatusSensor,
    KlaviyoRecipientEstimationJobSensor,
)
from airflow_provider_klaviyo.triggers.campaigns import KlaviyoCampaignStatusEventTrigger
from tests.support.context import Task
from tests.support.hooks import Call, both
from tests.support.rendering import rendered
from tests.support.sandbox import DRAFT_EMAIL, LIST, Klaviyo
from tests.support.scripted import Scripted, json_api

REVISIONS = tuple(revision for revision in revisions() if revision <= NEWEST_OF_CAMPAIGNS)

Connect = Callable[..., None]
OTHERS = ["2026-10-15", "2026-10-15.pre", "2027-04-15", "2026-07-15.pre", "2026-04-15.pre"]
OF_CAMPAIGNS: list[tuple[Any, dict[str, Any]]] = [
    (
        KlaviyoCreateCampaignOperator,
        {"name": "News", "audiences": {"included": [LIST]}, "messages": [email(subject="Hello")]},
    ),
    (KlaviyoCloneCampaignOperator, {"campaign_id": DRAFT_EMAIL, "new_name": "News"}),
    (KlaviyoUpdateCampaignOperator, {"campaign_id": DRAFT_EMAIL, "name": "News"}),
    (KlaviyoUpdateCampaignMessageOperator, {"campaign_id": DRAFT_EMAIL, "message": email(subject="Hello")}),
    (KlaviyoAssignTemplateOperator, {"campaign_id": DRAFT_EMAIL, "template_id": "RipRmi"}),
    (KlaviyoSetMessageImageOperator, {"campaign_id": DRAFT_EMAIL, "image_id": "7"}),
    (KlaviyoEstimateRecipientsOperator, {"campaign_id": DRAFT_EMAIL}),
    (KlaviyoSendCampaignOperator, {"campaign_id": DRAFT_EMAIL}),
    (KlaviyoCancelCampaignSendOperator, {"campaign_id": DRAFT_EMAIL}),
    (KlaviyoDeleteCampaignOperator, {"campaign_id": DRAFT_EMAIL}),
    (KlaviyoTagCampaignOperator, {"campaign_id": DRAFT_EMAIL, "tag": "news"}),
    (KlaviyoCampaignSendJobSensor, {"campaign_id": DRAFT_EMAIL, "deferrable": False}),
    (KlaviyoRecipientEstimationJobSensor, {"campaign_id": DRAFT_EMAIL, "deferrable": False}),
    (KlaviyoCampaignSendJobSensor, {"campaign_id": DRAFT_EMAIL, "deferrable": True}),
    (KlaviyoRecipientEstimationJobSensor, {"campaign_id": DRAFT_EMAIL, "deferrable": True}),
]
EVERY_TASK = pytest.mark.parametrize(
    ("kind", "arguments"),
    OF_CAMPAIGNS,
    ids=[f"{kind.__name__} {arguments.get('deferrable', '')}" for kind, arguments in OF_CAMPAIGNS],
)


THAT_READ: list[tuple[Any, dict[str, Any]]] = [
    (KlaviyoListCampaignsOperator, {}),
    (KlaviyoCampaignStatusSensor, {"campaign_id": DRAFT_EMAIL}),
    (KlaviyoCampaignReportOperator, {"campaign_ids": DRAFT_EMAIL, "conversion_metric": "Placed Order"}),
]
"""They take one of the others: the one whose campaigns are known."""


def judged(error: KlaviyoValidationError, revision: str) -> None:
    assert error.pointer == "revision"
    assert repr(revision) in str(error)
    assert "revision='2026-07-15'" in str(error)


@pytest.mark.parametrize("revision", OTHERS)
@EVERY_TASK
def test_it_is_refused_when_the_dag_is_imported(kind: Any, arguments: dict[str, Any], revision: str) -> None:
    with pytest.raises(KlaviyoValidationError) as caught:
        kind(task_id="task", revision=revision, **arguments)
    judged(caught.value, revision)


@pytest.mark.parametrize(("kind", "arguments"), THAT_READ)
def test_those_that_read_take_one_of_them(kind: Any, arguments: dict[str, Any]) -> None:
    for revision in OTHERS:
        if revision == "2026-10-15":
            kind(task_id="task", revision=revision, **arguments)
        else:
            with pytest.raises(KlaviyoValidationError) as caught:
                kind(task_id="task", revision=revision, **arguments)
            judged(caught.value, revision)


def test_a_task_that_writes_says_what_reads_and_what_to_do() -> None:
    with pytest.raises(KlaviyoValidationError) as caught:
        KlaviyoSendCampaignOperator(task_id="task", revision="2026-10-15", campaign_id=DRAFT_EMAIL)
    for name in (*(kind.__name__ for kind, _ in THAT_READ), "KlaviyoCampaignStatusEventTrigger", "hook.list_campaigns"):
        assert name in str(caught.value)
    assert "writes none" in str(caught.value)


@pytest.mark.parametrize("durable", [True, False])
@EVERY_TASK
def test_a_connections_is_refused_before_a_call(
    klaviyo: Klaviyo, connect: Connect, kind: Any, arguments: dict[str, Any], durable: bool
) -> None:
    connect(klaviyo.url, revision="2026-10-15")
    task = Task(lambda: kind(task_id="task", **arguments), durable=durable)
    with pytest.raises(KlaviyoValidationError) as caught:
        task.run()
    judged(caught.value, "2026-10-15")
    assert klaviyo.requests() == []
    assert task.store is None or task.store.notes == {}


@EVERY_TASK
def test_a_rendered_one_is_refused_before_a_call(klaviyo: Klaviyo, kind: Any, arguments: dict[str, Any]) -> None:
    make = kind(task_id="task", revision="{{ '2026-10-' ~ '15' }}", **arguments)
    task = Task(lambda: make)
    with pytest.raises(KlaviyoValidationError) as caught:
        task.run()
    judged(caught.value, "2026-10-15")
    assert klaviyo.requests() == []


def test_a_tasks_own_revision_beats_a_connections_that_is_of_another_kind(klaviyo: Klaviyo, connect: Connect) -> None:
    connect(klaviyo.url, revision="2026-10-15")
    operator, context = rendered(
        lambda out: KlaviyoUpdateCampaignOperator(task_id="task", campaign_id=DRAFT_EMAIL, name="News", revision=out),
        "2026-07-15",
    )
    operator.execute(context)
    assert klaviyo.campaign(DRAFT_EMAIL)["name"] == "News"


METHODS: list[tuple[str, dict[str, Any]]] = [
    ("get_campaign", {"campaign_id": DRAFT_EMAIL}),
    ("get_messages", {"campaign_id": DRAFT_EMAIL}),
    ("send_campaign", {"campaign_id": DRAFT_EMAIL}),
    ("create_campaign", {"attributes": {"name": "News", "audiences": {"included": [LIST]}}, "messages": []}),
]


@both
@pytest.mark.parametrize(("name", "arguments"), METHODS)
def test_a_hooks_methods_for_campaigns_refuse_it(
    klaviyo: Klaviyo, connect: Connect, call: Call, name: str, arguments: dict[str, Any]
) -> None:
    connect(klaviyo.url, revision="2026-10-15")
    with pytest.raises(KlaviyoValidationError) as caught:
        call(name, arguments)
    judged(caught.value, "2026-10-15")
    assert klaviyo.requests() == []


@pytest.mark.parametrize("revision", OTHERS[1:])
async def test_a_watcher_refuses_all_but_one(klaviyo: Klaviyo, connect: Connect, revision: str) -> None:
    with pytest.raises(KlaviyoValidationError) as caught:
        KlaviyoCampaignStatusEventTrigger(revision=revision)
    judged(caught.value, revision)
    connect(klaviyo.url, revision=revision)
    with pytest.raises(KlaviyoValidationError) as caught:
        await anext(KlaviyoCampaignStatusEventTrigger().run())
    judged(caught.value, revision)
    assert klaviyo.requests() == []


@both
@pytest.mark.parametrize("revision", OTHERS)
def test_calls_that_name_their_operation_are_free(connect: Connect, call: Call, revision: str) -> None:
    with Scripted(json_api(200, {"data": []}), json_api(200, {"data": []})) as server:
        connect(server.url, revision=revision)
        assert call("call", {"operation": "get_campaigns"}).resources == []
        assert KlaviyoApiOperator(task_id="task", operation="get_campaigns", revision=revision).execute({}) == {
            "data": []
        }
    assert len(server.requests) == 2


@pytest.mark.parametrize("revision", [*REVISIONS, "2025-10-15", "2026-01-15", "2026-01-15.pre"])
def test_those_of_the_old_kind_pass(revision: str) -> None:
    check_campaigns(revision)
    assert NEWEST_OF_CAMPAIGNS in REVISIONS
