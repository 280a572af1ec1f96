"""Half a character (a lone surrogate) in what is sent: found at import where it can be, and always before a call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_klaviyo.api import filters
from airflow_provider_klaviyo.api.text import check_text
from airflow_provider_klaviyo.campaigns import email, push, silent_push, sms
from airflow_provider_klaviyo.campaigns.attributes import tracking_options
from airflow_provider_klaviyo.campaigns.content import action_button
from airflow_provider_klaviyo.exceptions import KlaviyoValidationError
from airflow_provider_klaviyo.operators.api import KlaviyoApiOperator
from airflow_provider_klaviyo.operators.campaigns import (
    KlaviyoAssignTemplateOperator,
    KlaviyoCloneCampaignOperator,
    KlaviyoCreateCampaignOperator,
    KlaviyoListCampaignsOperator,
    KlaviyoSendCampaignOperator,
    KlaviyoSetMessageImageOperator,
    KlaviyoTagCampaignOperator,
    KlaviyoUpdateCampaignMessageOperator,
    KlaviyoUpdateCampaignOperator,
)
from airflow_provider_klaviyo.sensors.campaigns import KlaviyoCampaignStatusSensor
from tests.support.hooks import Call, both
from tests.support.rendering import rendered
from tests.support.sandbox import DRAFT_EMAIL, LIST, Klaviyo

HALF = "\ud83d"
Make = Callable[[Any], Any]


def create(**arguments: Any) -> Any:
    defaults = {"name": "News", "audiences": {"included": [LIST]}, "messages": [email(subject="Hello")]}
    return KlaviyoCreateCampaignOperator(task_id="task", **{**defaults, **arguments})


def call(operation: str = "create_list", **arguments: Any) -> Any:
    return KlaviyoApiOperator(task_id="task", operation=operation, **arguments)


LIST_OF = {"data": {"type": "list", "attributes": {"name": "New"}}}
UTM = {"utm_source": "a", "utm_medium": "b"}

CASES: list[tuple[Make, str]] = [
    (lambda half: create(name=half), "name"),
    (lambda half: create(audiences={"included": [half]}), "audiences/included/0"),
    (lambda half: create(audiences={"included": [LIST], "excluded": ["A", half]}), "audiences/excluded/1"),
    (lambda half: create(messages=[{"channel": "email", "label": half}]), "definition/label"),
    (lambda half: create(tracking_options={"custom_tracking_params": [
        {"type": "static", "name": name, "value": half} for name in UTM]}),
        "tracking_options/custom_tracking_params/0/value"),
    (lambda half: KlaviyoCloneCampaignOperator(task_id="task", campaign_id=half, new_name="a"), "campaign_id"),
    (lambda half: KlaviyoCloneCampaignOperator(task_id="task", campaign_id="a", new_name=half), "new_name"),
    (lambda half: KlaviyoUpdateCampaignOperator(task_id="task", campaign_id="a", name=half), "name"),
    (lambda half: KlaviyoUpdateCampaignMessageOperator(
        task_id="task", campaign_id="a", message={"channel": "sms", "content": {"body": half}}),
        "definition/content/body"),
    (lambda half: KlaviyoAssignTemplateOperator(task_id="task", message_id="a", template_id=half), "template_id"),
    (lambda half: KlaviyoAssignTemplateOperator(task_id="task", message_id=half, template_id="a"), "message_id"),
    (lambda half: KlaviyoSetMessageImageOperator(task_id="task", message_id="a", image_id=half), "image_id"),
    (lambda half: KlaviyoTagCampaignOperator(task_id="task", campaign_id="a", tag=half), "tag"),
    (lambda half: KlaviyoTagCampaignOperator(task_id="task", campaign_id="a", tag_id=half), "tag_id"),
    (lambda half: KlaviyoListCampaignsOperator(task_id="task", filter=half and f'equals(name,"{half}")'), "filter"),
    (lambda half: KlaviyoSendCampaignOperator(task_id="task", campaign_id=half), "campaign_id"),
    (lambda half: KlaviyoCampaignStatusSensor(task_id="task", campaign_id=half), "campaign_id"),
    (lambda half: call("get_list", path_params={"id": half}), "path_params/id"),
    (lambda half: call("get_lists", query={"filter": half}), "query/filter"),
    (lambda half: call("get_lists", query={"fields[list]": ["name", half]}), "query/fields[list]/1"),
    (lambda half: call(body={"data": {"type": "list", "attributes": {"name": half}}}), "body/data/attributes/name"),
    (lambda half: call(body={"data": [{"id": "a"}, {"id": half}]}), "body/data/1/id"),
]  # fmt: skip
EVERY_CASE = pytest.mark.parametrize(
    ("make", "pointer"), CASES, ids=[f"{number}-{pointer}" for number, (_, pointer) in enumerate(CASES)]
)


def judged(error: KlaviyoValidationError, pointer: str) -> None:
    assert str(error.pointer).strip("/") == pointer
    assert "lone surrogate" in str(error)
    str(error).encode()


@pytest.mark.parametrize("half", [HALF, f"Sale {HALF} ends", f"{HALF}\ud83d", "\udcff"], ids=ascii)
@EVERY_CASE
def test_it_is_found_when_the_dag_is_imported(make: Make, pointer: str, half: str) -> None:
    half = half.replace(" ", "_")
    with pytest.raises(KlaviyoValidationError) as caught:
        make(half)
    judged(caught.value, pointer)


@pytest.mark.parametrize("native", [False, True], ids=["plain", "native"])
@EVERY_CASE
def test_it_is_found_when_it_was_rendered(klaviyo: Klaviyo, make: Make, pointer: str, native: bool) -> None:
    task, context = rendered(lambda _: make("{{ '\\ud83d' }}"), native=native)
    with pytest.raises(KlaviyoValidationError) as caught:
        task.execute(context)
    judged(caught.value, pointer)
    assert klaviyo.requests() == []


@EVERY_CASE
def test_it_is_found_in_another_tasks_output(klaviyo: Klaviyo, make: Make, pointer: str) -> None:
    if "filter" in pointer:
        pytest.skip("a filter of the DAG file's own text: its Jinja is judged above")
    task, context = rendered(make, HALF)
    with pytest.raises(KlaviyoValidationError) as caught:
        task.execute(context)
    judged(caught.value, pointer)
    assert klaviyo.requests() == []


@pytest.mark.parametrize(
    ("make", "pointer"),
    [
        (lambda: email(subject=HALF), "definition/content/subject"),
        (lambda: email(subject="a", from_label=HALF), "definition/content/from_label"),
        (lambda: email(subject="a", bcc_email=f"{HALF}@example.com"), "definition/content/bcc_email"),
        (lambda: sms(body=HALF), "definition/content/body"),
        (lambda: sms(body="a", image_id=HALF), "definition/image_id"),
        (lambda: push(body=HALF), "definition/content/body"),
        (lambda: push(body="a", title=HALF), "definition/content/title"),
        (lambda: push(body="a", dynamic_image=HALF), "definition/content/dynamic_image"),
        (
            lambda: push(body="a", action_buttons=[action_button(label=HALF, action_type="dismiss")]),
            "definition/content/action_buttons/0/label",
        ),
        (
            lambda: push(body="a", on_open={"type": "open_web_url", "web_url": HALF}),
            "definition/options/on_open/web_url",
        ),
        (lambda: silent_push(kv_pairs={"a": {"b": [HALF]}}), "definition/kv_pairs/a/b/0"),
        (lambda: silent_push(kv_pairs={HALF: "a"}), "definition/kv_pairs/\\ud83d"),
        (lambda: silent_push(kv_pairs={"a": {HALF: 1}}), "definition/kv_pairs/a/\\ud83d"),
        (
            lambda: tracking_options(static_params={**UTM, HALF: "a"}),
            "tracking_options/custom_tracking_params/2/name",
        ),
        (lambda: filters.equals("name", HALF), "filter"),
        (lambda: filters.any_of("id", ["a", HALF]), "filter"),
        (lambda: filters.parse(f"any(id,['{HALF}'])"), "filter"),
    ],
)
def test_it_is_found_where_content_and_filters_are_made(make: Callable[[], Any], pointer: str) -> None:
    with pytest.raises(KlaviyoValidationError) as caught:
        make()
    judged(caught.value, pointer)


def test_whole_characters_pass() -> None:
    check_text({"a": ["😀", "é", "\x00", 5, None, b"\xff"], "ключ": "\uffff"}, "")


def test_a_name_that_is_not_known_is_shown_in_text_that_can_be_printed() -> None:
    with pytest.raises(KlaviyoValidationError) as caught:
        create(audiences={"included": [LIST], HALF: []})
    str(caught.value).encode()


@both
@pytest.mark.parametrize(
    ("name", "arguments", "pointer"),
    [
        ("call", {"operation": "create_list", "body": {"data": {"type": "list", "attributes": {"name": HALF}}}},
         "data/attributes/name"),
        ("call", {"operation": "get_list", "path_params": {"id": HALF}}, "id"),
        ("call", {"operation": "get_lists", "query": {"filter": HALF}}, "filter"),
        ("get_campaign", {"campaign_id": HALF}, "id"),
        ("update_campaign", {"campaign_id": DRAFT_EMAIL, "attributes": {"name": HALF}}, "data/attributes/name"),
        ("create_tag", {"name": HALF}, "data/attributes/name"),
        ("send_campaign", {"campaign_id": HALF}, "data/id"),
    ],
)  # fmt: skip
def test_a_hook_finds_it_before_it_sends(
    klaviyo: Klaviyo, call: Call, name: str, arguments: dict[str, Any], pointer: str
) -> None:
    with pytest.raises(KlaviyoValidationError) as caught:
        call(name, arguments)
    judged(caught.value, pointer)
    assert klaviyo.requests() == []


@both
def test_a_file_to_be_uploaded_has_a_name_that_can_be_sent(klaviyo: Klaviyo, call: Call, tmp_path: Any) -> None:
    picture = tmp_path / "a.png"
    picture.write_bytes(b"png")
    with pytest.raises(KlaviyoValidationError) as caught:
        call("call", {"operation": "upload_image_from_file", "body": {"file": str(picture), "name": HALF}})
    judged(caught.value, "name")
    assert klaviyo.requests() == []
