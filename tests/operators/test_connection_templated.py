"""The connection and the revision may be rendered: one DAG for many accounts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_klaviyo.exceptions import KlaviyoValidationError
from airflow_provider_klaviyo.operators import campaigns, templates
from airflow_provider_klaviyo.operators.api import KlaviyoApiOperator
from airflow_provider_klaviyo.operators.campaigns import KlaviyoEstimateRecipientsOperator, KlaviyoSendCampaignOperator
from airflow_provider_klaviyo.sensors.campaigns import (
    KlaviyoCampaignSendJobSensor,
    KlaviyoCampaignStatusSensor,
    KlaviyoRecipientEstimationJobSensor,
)
from tests.support.context import over_the_database
from tests.support.rendering import rendered, run
from tests.support.sandbox import DRAFT_EMAIL, LIST, SENT, Klaviyo

OPERATORS = [getattr(module, name) for module in (campaigns, templates) for name in module.__all__]
SENSORS = [KlaviyoCampaignStatusSensor, KlaviyoCampaignSendJobSensor, KlaviyoRecipientEstimationJobSensor]


@pytest.fixture
def shop(klaviyo: Klaviyo, monkeypatch: pytest.MonkeyPatch) -> Klaviyo:
    """The sandbox by another connection's name; ``klaviyo_default`` leads nowhere."""
    there = {"conn_type": "klaviyo", "host": klaviyo.url, "password": "pk_shop"}
    monkeypatch.setenv("AIRFLOW_CONN_SHOP_2", json.dumps(there))
    monkeypatch.setenv("AIRFLOW_CONN_KLAVIYO_DEFAULT", json.dumps({**there, "host": "http://127.0.0.1:1"}))
    return klaviyo


@pytest.mark.parametrize("kind", [*OPERATORS, KlaviyoApiOperator, *SENSORS])
def test_every_task_has_them_among_its_template_fields(kind: Any) -> None:
    assert {"klaviyo_conn_id", "revision"} <= set(kind.template_fields)


@pytest.mark.parametrize("native", [False, True], ids=["plain", "native"])
def test_by_jinja(shop: Klaviyo, native: bool) -> None:
    answer = run(
        lambda _: KlaviyoApiOperator(
            task_id="call",
            operation="get_list",
            path_params={"id": LIST},
            klaviyo_conn_id="{{ 'shop' }}_2",
            revision="{{ '2026-07-15' }}",
        ),
        native=native,
    )
    assert answer["data"]["id"] == LIST


def test_by_another_tasks_output(shop: Klaviyo) -> None:
    def make(out: Any) -> Any:
        return KlaviyoEstimateRecipientsOperator(task_id="task", campaign_id=DRAFT_EMAIL, klaviyo_conn_id=out)

    assert run(make, "shop_2") > 0


def test_by_expand(shop: Klaviyo) -> None:
    def make(out: Any) -> Any:
        return KlaviyoEstimateRecipientsOperator.partial(task_id="task", campaign_id=DRAFT_EMAIL).expand(
            klaviyo_conn_id=out
        )

    assert run(make, ["nowhere", "shop_2"], map_index=1) > 0


@pytest.mark.parametrize("sensor", SENSORS)
def test_a_sensor_hands_them_to_its_trigger_as_rendered(shop: Klaviyo, sensor: Any) -> None:
    task, _ = rendered(
        lambda out: sensor(
            task_id="wait", campaign_id=SENT, klaviyo_conn_id=out, revision="{{ '2026-07-15' }}", deferrable=True
        ),
        "shop_2",
    )
    trigger = over_the_database(task._trigger(deadline=1.0))
    assert (trigger.klaviyo_conn_id, trigger.revision) == ("shop_2", "2026-07-15")  # type: ignore[attr-defined]


def test_a_sensor_looks_by_them(shop: Klaviyo) -> None:
    def make(out: Any) -> Any:
        return KlaviyoCampaignStatusSensor(task_id="wait", campaign_id=SENT, klaviyo_conn_id=out, deferrable=False)

    assert run(make, "shop_2") == SENT


@pytest.mark.parametrize("conn_id", [None, "", " ", "None", 7, []], ids=repr)
@pytest.mark.parametrize("kind", [KlaviyoSendCampaignOperator, KlaviyoCampaignStatusSensor])
def test_what_cannot_be_a_connections_name_is_refused_at_import(kind: Any, conn_id: Any) -> None:
    with pytest.raises(KlaviyoValidationError) as caught:
        kind(task_id="task", campaign_id=SENT, klaviyo_conn_id=conn_id)
    assert caught.value.pointer == "klaviyo_conn_id"


def test_a_revision_of_another_form_is_refused_once_it_is_rendered(shop: Klaviyo) -> None:
    task, context = rendered(
        lambda out: KlaviyoApiOperator(task_id="call", operation="get_lists", klaviyo_conn_id="shop_2", revision=out),
        "newest",
    )
    with pytest.raises(KlaviyoValidationError, match="newest") as caught:
        task.execute(context)
    assert caught.value.pointer == "revision"
