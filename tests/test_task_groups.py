from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from airflow.sdk import DAG, task, task_group

from airflow_provider_klaviyo.campaigns import email, immediate
from airflow_provider_klaviyo.exceptions import KlaviyoValidationError
from airflow_provider_klaviyo.task_groups import klaviyo_campaign
from tests.support.airflow_versions import DagSerialization
from tests.support.context import Task
from tests.support.sandbox import DRAFT_EMAIL, LIST, TEMPLATE

SHOPIFY = "Placed Order (Shopify)"
NEW: dict[str, Any] = {
    "name": "News {{ run_id }}",
    "audiences": {"included": [LIST]},
    "messages": [email(subject="Hi")],
}


def order(dag: DAG) -> list[str]:
    """The ids of a DAG's tasks, which come one after the other."""
    found = [one.task_id for one in dag.topological_sort()]
    for before, after in pairwise(found):
        assert after in dag.get_task(before).downstream_task_ids
    return found


def test_a_new_campaign_is_created_assigned_estimated_and_sent():
    with DAG("news", schedule=None) as dag:
        klaviyo_campaign(**NEW, template_id=TEMPLATE)
    assert order(dag) == ["campaign.create", "campaign.assign", "campaign.estimate", "campaign.send"]


def test_a_campaign_is_cloned_and_one_without_a_template_keeps_its_own():
    with DAG("news", schedule=None) as dag:
        klaviyo_campaign(group_id="resend", name="Again {{ run_id }}", clone_of=DRAFT_EMAIL, send_strategy=immediate())
    assert order(dag) == ["resend.clone", "resend.estimate", "resend.send"]


def test_what_comes_before_the_group_comes_before_its_first_task():
    with DAG("news", schedule=None) as dag:

        @task
        def refresh() -> None:
            return

        group = klaviyo_campaign(**NEW)
        refresh() >> group
    assert dag.get_task("refresh").downstream_task_ids == {"campaign.create"}
    assert group.children["campaign.send"].task_id == "campaign.send"


def test_its_arguments_are_those_of_its_tasks():
    with DAG("news", schedule=None) as dag:
        klaviyo_campaign(
            **NEW,
            if_exists="skip",
            minimum=10,
            maximum="{{ params.most }}",
            wait_until="scheduled",
            if_edited="refuse",
            not_within=timedelta(hours=20),
            if_recent="skip",
            in_backfill="skip",
            deferrable=True,
            klaviyo_conn_id="other",
            default_args={"retries": 7},
        )
    create, estimate, send = (dag.get_task(f"campaign.{name}") for name in ("create", "estimate", "send"))
    assert create.if_exists == "skip"
    assert (estimate.minimum, estimate.maximum, estimate.deferrable) == (10, "{{ params.most }}", True)
    found = (send.wait_until, send.if_edited, send.not_within, send.if_recent, send.in_backfill, send.deferrable)
    assert found == ("scheduled", "refuse", timedelta(hours=20), "skip", "skip", True)
    assert {one.klaviyo_conn_id for one in dag.tasks} == {"other"}
    assert {one.retries for one in dag.tasks} == {7}
    assert {one.map_index_template for one in dag.tasks} == {None}


def test_a_person_is_asked_where_that_is_wanted():
    pytest.importorskip("airflow_provider_klaviyo.operators.approval", reason="Airflow 3.1", exc_type=ImportError)
    with DAG("news", schedule=None) as dag:
        klaviyo_campaign(**NEW, approve=True, approvers=["ada"])
    assert order(dag) == ["campaign.create", "campaign.estimate", "campaign.approve", "campaign.send"]
    assert dag.get_task("campaign.approve").approvers == ["ada"]


def test_a_report_comes_last_where_one_is_wanted():
    with DAG("news", schedule=None) as dag:
        klaviyo_campaign(
            **NEW,
            minimum="50%",
            compare_with="News ",
            last_sends=3,
            run_note=True,
            klaviyo_conn_id="other",
            report={"conversion_metric": "Placed Order", "report_after": timedelta(days=1)},
        )
    assert order(dag) == ["campaign.create", "campaign.estimate", "campaign.send", "campaign.report"]
    estimate, report = dag.get_task("campaign.estimate"), dag.get_task("campaign.report")
    assert (estimate.minimum, estimate.compare_with, estimate.last_sends) == ("50%", "News ", 3)
    assert dag.get_task("campaign.send").run_note is True
    assert (report.conversion_metric, report.report_after) == ("Placed Order", timedelta(days=1))
    assert report.klaviyo_conn_id == "other"


def test_the_report_of_a_mapped_campaign_is_shown_by_its_name(klaviyo):
    with DAG("news", schedule=None) as dag:

        @task_group
        def one(name: str) -> None:
            klaviyo_campaign(**{**NEW, "name": name}, report={"conversion_metric": SHOPIFY})

        one.expand(name=["A", "B"])
    report = dag.get_task("one.campaign.report")
    running = Task(
        lambda: type(report)(
            task_id="report",
            campaign_ids=DRAFT_EMAIL,
            conversion_metric=SHOPIFY,
            map_index_template=report.map_index_template,
        )
    )
    operator = running.make()
    context = running.context(operator)
    assert operator.execute(context) == []
    assert context["klaviyo_campaign"] == "Holiday Sale: Email Campaign"


def test_an_expanded_group_shows_its_tasks_by_the_campaigns_name(klaviyo):
    with DAG("news", schedule=None) as dag:

        @task_group
        def one(name: str, list_id: str) -> None:
            klaviyo_campaign(name=name, audiences={"included": [list_id]}, messages=NEW["messages"])

        one.expand_kwargs([{"name": "A", "list_id": LIST}, {"name": "B", "list_id": LIST}])
    estimate = dag.get_task("one.campaign.estimate")
    assert estimate.map_index_template == "{{ klaviyo_campaign | default('') }}"

    running = Task(lambda: _unmapped(estimate, DRAFT_EMAIL))
    operator = running.make()
    context = running.context(operator)
    operator.show_link(context, DRAFT_EMAIL)
    (shown,) = (row for row in klaviyo.requests("get_campaign"))
    assert shown["status"] == 200
    assert context["klaviyo_campaign"]


def _unmapped(estimate: Any, campaign_id: str) -> Any:
    """The task as it is run: with an id in place of another task's output."""
    return type(estimate)(task_id="estimate", campaign_id=campaign_id, map_index_template=estimate.map_index_template)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": "News"}, "Give messages for a new campaign, or clone_of"),
        ({**NEW, "clone_of": DRAFT_EMAIL}, "one of them only"),
        ({"name": "News", "messages": NEW["messages"]}, "audiences"),
        ({**NEW, "minimum": 10, "maximum": 5}, "Swap or widen them"),
        ({**NEW, "minimum": "50%"}, "Give compare_with"),
        ({**NEW, "not_within": 20}, "not_within is 20"),
    ],
)
def test_what_cannot_be_is_refused_when_the_dag_is_imported(arguments, words):
    with DAG("news", schedule=None), pytest.raises(KlaviyoValidationError, match=words):
        klaviyo_campaign(**arguments)


def test_the_group_can_be_serialized():
    with DAG("news", schedule=None) as dag:
        klaviyo_campaign(**NEW, template_id=TEMPLATE)
    assert DagSerialization.to_dict(dag)
