"""The tasks of a run that makes a campaign, and what a person does to its draft behind their backs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator

from airflow_provider_klaviyo.campaigns import email
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.operators.campaigns import (
    KlaviyoAssignTemplateOperator,
    KlaviyoCreateCampaignOperator,
    KlaviyoSendCampaignOperator,
)
from airflow_provider_klaviyo.tasks import KlaviyoCampaignOperator
from tests.support.context import Task, XComs
from tests.support.sandbox import LIST, TEMPLATE, Klaviyo

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
