"""Every public operator, sensor and notifier on a connection of revision 2026-10-15: it works, or it is refused."""

from __future__ import annotations

import inspect
import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator

from airflow_provider_klaviyo.campaigns import email, immediate
from airflow_provider_klaviyo.exceptions import KlaviyoValidationError
from airflow_provider_klaviyo.get_provider_info import get_provider_info
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.notifications.klaviyo import KlaviyoEventNotifier
from airflow_provider_klaviyo.operators import audiences as of_audiences
from airflow_provider_klaviyo.operators import campaigns as of_campaigns
from airflow_provider_klaviyo.operators.api import KlaviyoApiOperator
from airflow_provider_klaviyo.operators.reports import KlaviyoCampaignReportOperator
from airflow_provider_klaviyo.operators.templates import KlaviyoRenderTemplateOperator, KlaviyoUpsertTemplateOperator
from airflow_provider_klaviyo.sensors.audiences import KlaviyoAudienceReadySensor
from airflow_provider_klaviyo.sensors.campaigns import (
    KlaviyoCampaignSendJobSensor,
    KlaviyoCampaignStatusSensor,
    KlaviyoRecipientEstimationJobSensor,
)
from airflow_provider_klaviyo.task_groups import klaviyo_campaign
from airflow_provider_klaviyo.transfers.klaviyo_to_storage import KlaviyoToObjectStorageOperator
from airflow_provider_klaviyo.transfers.sql_to_klaviyo import SqlToKlaviyoProfilesOperator
from airflow_provider_klaviyo.triggers import poller
from tests.conftest import Connect
from tests.support.context import Task, dag_run
from tests.support.sandbox import DRAFT_EMAIL, LIST, NOBODY, SENT, TEMPLATE, Klaviyo

REVISION = "2026-10-15"
ADA, ADAS_ADDRESS = "01J0PR0F11E000000000000001", "ada.aspen@example.com"
OF_THE_SENT = {"campaign_ids": SENT, "conversion_metric": "Placed Order (Shopify)"}
HTML = "<p>Hi {{ first_name }}</p>{% unsubscribe %}"
GOLD = {
    "condition_groups": [{"conditions": [{"type": "profile-group-membership", "is_member": True, "group_ids": [LIST]}]}]
}
A_MEMBER = {"email": "elif.daisy@example.com"}
SOMEBODY = {"email": ADAS_ADDRESS}
OF_A_LIST = {"channels": ["email"], "list_id": LIST}
EVENT = {"profile": SOMEBODY, "metric": "Sold", "time": "2026-11-01T09:00:00+00:00"}
APPROVE = "KlaviyoApproveCampaignOperator"
"""Needs Airflow 3.1."""


@dataclass(frozen=True)
class Case:
    """One way to use a kind of task.

    :param arguments: as a DAG file has them; ``PATH`` in a text is a folder.
    """

    kind: Any
    arguments: dict[str, Any]

    @property
    def modes(self) -> list[dict[str, Any]]:
        waits = "deferrable" in {name for base in self.kind.__mro__ for name in inspect.signature(base).parameters}
        return [{"deferrable": False}, {"deferrable": True}] if waits else [{}]


WORKS = [
    Case(KlaviyoApiOperator, {"operation": "get_lists"}),
    Case(KlaviyoApiOperator, {"operation": "get_campaigns", "all_pages": True}),
    Case(KlaviyoAudienceReadySensor, {"list_id": LIST, "settled": 0.1, "poke_interval": 0.02, "timeout": 20}),
    Case(of_audiences.KlaviyoCreateListOperator, {"name": "Autumn"}),
    Case(of_audiences.KlaviyoCreateSegmentOperator, {"name": "Gold", "definition": GOLD}),
    Case(of_audiences.KlaviyoAddProfilesToListOperator, {"list_id": NOBODY, "profile_ids": [ADA]}),
    Case(of_audiences.KlaviyoRemoveProfilesFromListOperator, {"list_id": LIST, "profile_ids": [ADA]}),
    Case(of_audiences.KlaviyoImportProfilesOperator, {"profiles": [{"email": "b@example.com"}], "list_ids": LIST}),
    Case(of_audiences.KlaviyoImportEventsOperator, {"events": [EVENT]}),
    Case(of_audiences.KlaviyoSubscribeProfilesOperator, {"profiles": [SOMEBODY], **OF_A_LIST}),
    Case(of_audiences.KlaviyoUnsubscribeProfilesOperator, {"profiles": [A_MEMBER], **OF_A_LIST}),
    Case(of_audiences.KlaviyoSuppressProfilesOperator, {"emails": [ADAS_ADDRESS]}),
    Case(of_audiences.KlaviyoUnsuppressProfilesOperator, {"emails": [ADAS_ADDRESS]}),
    Case(SqlToKlaviyoProfilesOperator, {"sql": "SELECT email FROM customers", "sql_conn_id": "warehouse"}),
    Case(KlaviyoUpsertTemplateOperator, {"name": "Newsletter", "html": HTML}),
    Case(KlaviyoRenderTemplateOperator, {"template_id": TEMPLATE, "context": {"first_name": "Ada"}}),
    *(
        Case(KlaviyoToObjectStorageOperator, {"resource": resource, "path": "PATH/rows.jsonl"})
        for resource in ("profiles", "events", "lists", "segments")
    ),
    Case(of_campaigns.KlaviyoListCampaignsOperator, {}),
    Case(KlaviyoCampaignStatusSensor, {"campaign_id": SENT, "poke_interval": 0.02, "timeout": 20}),
    Case(KlaviyoCampaignReportOperator, OF_THE_SENT),
    Case(KlaviyoCampaignReportOperator, {**OF_THE_SENT, "page_path": "PATH/page.html"}),
]
A_DRAFT = {"campaign_id": DRAFT_EMAIL}
REFUSED = [
    Case(
        of_campaigns.KlaviyoCreateCampaignOperator,
        {"name": "News", "audiences": {"included": [LIST]}, "messages": [email(subject="Hello")]},
    ),
    Case(of_campaigns.KlaviyoCloneCampaignOperator, {**A_DRAFT, "new_name": "News"}),
    Case(of_campaigns.KlaviyoUpdateCampaignOperator, {**A_DRAFT, "name": "News"}),
    Case(of_campaigns.KlaviyoUpdateCampaignMessageOperator, {**A_DRAFT, "message": email(subject="Hello")}),
    Case(of_campaigns.KlaviyoAssignTemplateOperator, {**A_DRAFT, "template_id": TEMPLATE}),
    Case(of_campaigns.KlaviyoSetMessageImageOperator, {**A_DRAFT, "image_id": "7"}),
    Case(of_campaigns.KlaviyoEstimateRecipientsOperator, A_DRAFT),
    Case(of_campaigns.KlaviyoSendCampaignOperator, A_DRAFT),
    Case(of_campaigns.KlaviyoCancelCampaignSendOperator, A_DRAFT),
    Case(of_campaigns.KlaviyoDeleteCampaignOperator, A_DRAFT),
    Case(of_campaigns.KlaviyoTagCampaignOperator, {**A_DRAFT, "tag": "news"}),
    Case(KlaviyoCampaignSendJobSensor, {**A_DRAFT, "poke_interval": 0.02}),
    Case(KlaviyoRecipientEstimationJobSensor, {**A_DRAFT, "poke_interval": 0.02}),
    Case(KlaviyoToObjectStorageOperator, {"resource": "campaigns", "path": "PATH/rows.jsonl"}),
]


def each(cases: list[Case]) -> Any:
    rows = [(case, mode) for case in cases for mode in case.modes]
    ids = [" ".join([case.kind.__name__, *map(str, mode.values())]) for case, mode in rows]
    return pytest.mark.parametrize(("case", "mode"), rows, ids=ids)


@pytest.fixture(autouse=True)
def newest(klaviyo: Klaviyo, connect: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The connection has the revision; ``warehouse`` is one of a database."""
    database = sqlite3.connect(tmp_path / "warehouse.db")
    database.executescript("CREATE TABLE customers (email); INSERT INTO customers VALUES ('a@example.com')")
    database.close()
    warehouse = {"conn_type": "sqlite", "host": str(tmp_path / "warehouse.db")}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(warehouse))
    monkeypatch.setattr(poller, "COUNT_SPACING", 0.01)
    connect(klaviyo.url, revision=REVISION)
    yield
    others = [row["path"] for row in klaviyo.requests() if row["revision"] not in (REVISION, "2026-04-15")]
    assert others == []


def made(case: Case, folder: Path, **more: Any) -> Callable[[], BaseOperator]:
    """Makes the task as importing the DAG does."""
    arguments = {
        name: value.replace("PATH", str(folder)) if isinstance(value, str) else value
        for name, value in case.arguments.items()
    }
    return lambda: case.kind(**{"task_id": "task", **arguments, **more})


@each(WORKS)
@pytest.mark.parametrize("given", [None, REVISION], ids=["of the connection", "of the task"])
def test_it_works(klaviyo: Klaviyo, tmp_path: Path, case: Case, mode: dict[str, Any], given: str | None) -> None:
    if case.kind is KlaviyoCampaignReportOperator:
        klaviyo.advance(86400)
    quick = {"poll_interval": 0.02} if mode and "poke_interval" not in case.arguments else {}
    task = Task(made(case, tmp_path, **mode, **quick, revision=given))
    task.run()
    asked = [row for row in klaviyo.requests() if row["revision"] == REVISION]
    assert asked
    assert [row for row in asked if row["status"] >= 400] == []
    assert bool(task.deferrals) == mode.get("deferrable", False)


@each(REFUSED)
def test_it_is_refused_with_the_revision_and_what_reads(
    klaviyo: Klaviyo, tmp_path: Path, case: Case, mode: dict[str, Any]
) -> None:
    for run in (Task(made(case, tmp_path, **mode)).run, made(case, tmp_path, revision=REVISION, **mode)):
        with pytest.raises(KlaviyoValidationError) as caught:
            run()
        judged(caught.value)
    assert klaviyo.requests() == []


def judged(error: KlaviyoValidationError) -> None:
    assert error.pointer == "revision"
    for words in (
        REVISION,
        "KlaviyoListCampaignsOperator",
        "KlaviyoCampaignStatusEventTrigger",
        "revision='2026-07-15'",
    ):
        assert words in str(error)


def test_a_group_and_an_approval_are_refused_too(klaviyo: Klaviyo, tmp_path: Path) -> None:
    with pytest.raises(KlaviyoValidationError) as caught, DAG("campaigns", schedule=None):
        klaviyo_campaign(
            group_id="news",
            name="News",
            audiences={"included": [LIST]},
            messages=[email(subject="Hello")],
            send_strategy=immediate(),
            revision=REVISION,
        )
    judged(caught.value)
    approval = pytest.importorskip("airflow_provider_klaviyo.operators.approval", exc_type=ImportError)
    case = Case(approval.KlaviyoApproveCampaignOperator, A_DRAFT)
    for run in (Task(made(case, tmp_path)).run, made(case, tmp_path, revision=REVISION)):
        with pytest.raises(KlaviyoValidationError) as caught:
            run()
        judged(caught.value)
    assert klaviyo.requests() == []


def test_a_notice_is_an_event(klaviyo: Klaviyo) -> None:
    notice = KlaviyoEventNotifier(metric="Run failed", profile={"email": ADAS_ADDRESS})
    ti = SimpleNamespace(task_id="send", map_index=-1, try_number=1, log_url="")
    notice({"dag": DAG("weekly", schedule=None), "run_id": "R1", "ti": ti, "dag_run": dag_run(run_id="R1")})
    assert [row["revision"] for row in klaviyo.requests("create_event")] == [REVISION]
    assert "Run failed" in [one.name for one in KlaviyoHook().get_metrics()]


def test_every_public_operator_and_sensor_is_in_one_of_the_tables() -> None:
    info = get_provider_info()
    modules = [name for kind in ("operators", "sensors") for row in info[kind] for name in row["python-modules"]]
    modules += [row["python-module"] for row in info["transfers"]]
    public = {APPROVE}
    for module in map(import_module, (name for name in modules if not name.endswith(".approval"))):
        names = getattr(module, "__all__", [name for name, one in vars(module).items() if is_own(one, module.__name__)])
        public |= {name for name in names if name.endswith(("Operator", "Sensor")) and name != "KlaviyoCampaignSensor"}
    assert public == {case.kind.__name__ for case in (*WORKS, *REFUSED)} | {APPROVE}


def is_own(value: Any, module: str) -> bool:
    return inspect.isclass(value) and value.__module__ == module
