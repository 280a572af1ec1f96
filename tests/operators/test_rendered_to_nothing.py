"""A guard that was to come from another task, or from Jinja, and did not: never "not given", in no way of giving it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import jinja2
import pytest
from airflow.sdk import DAG, task_group

from airflow_provider_klaviyo.api.filters import equals
from airflow_provider_klaviyo.campaigns import email, immediate, push, sms, static
from airflow_provider_klaviyo.campaigns.attributes import tracking_options
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
from airflow_provider_klaviyo.sensors.campaigns import (
    KlaviyoCampaignSendJobSensor,
    KlaviyoCampaignStatusSensor,
    KlaviyoRecipientEstimationJobSensor,
)
from tests.support.rendering import refused, rendered, run
from tests.support.sandbox import DRAFT_EMAIL, LIST, OTHER_LIST, SENT, Klaviyo

NAME = "Weekly news"
Make = Callable[[Any], Any]


def create(**arguments: Any) -> Any:
    defaults = {"name": NAME, "audiences": {"included": [LIST]}, "messages": [email(subject="Hello")]}
    return KlaviyoCreateCampaignOperator(task_id="task", **{**defaults, **arguments})


def clone(**arguments: Any) -> Any:
    return KlaviyoCloneCampaignOperator(task_id="task", **{"campaign_id": SENT, "new_name": NAME, **arguments})


def update(**arguments: Any) -> Any:
    return KlaviyoUpdateCampaignOperator(task_id="task", **{"campaign_id": DRAFT_EMAIL, "name": NAME, **arguments})


def message(**arguments: Any) -> Any:
    return KlaviyoUpdateCampaignMessageOperator(task_id="task", **{"campaign_id": DRAFT_EMAIL, **arguments})


def estimate(**arguments: Any) -> Any:
    defaults = {"campaign_id": DRAFT_EMAIL, "poll_interval": 0.02}
    return KlaviyoEstimateRecipientsOperator(task_id="task", **{**defaults, **arguments})


def of(operator: Any, **defaults: Any) -> Callable[..., Any]:
    return lambda **arguments: operator(task_id="task", **{**defaults, **arguments})


send = of(KlaviyoSendCampaignOperator)
cancel = of(KlaviyoCancelCampaignSendOperator)
delete = of(KlaviyoDeleteCampaignOperator)
tag = of(KlaviyoTagCampaignOperator, campaign_id=DRAFT_EMAIL)
assign = of(KlaviyoAssignTemplateOperator, template_id="RipRmi")
image = of(KlaviyoSetMessageImageOperator, campaign_id=DRAFT_EMAIL)
listing = of(KlaviyoListCampaignsOperator)
call = of(KlaviyoApiOperator, operation="get_lists")
LATER = datetime(2099, 1, 1, tzinfo=UTC)

CASES: list[tuple[Make, str]] = [
    (lambda gone: create(name=gone), "name"),
    (lambda gone: create(audiences=gone), "audiences"),
    (lambda gone: create(audiences={"included": gone}), "audiences.included"),
    (lambda gone: create(audiences={"included": [LIST, gone]}), "audiences.included.1"),
    (lambda gone: create(audiences={"included": [LIST], "excluded": gone}), "audiences.excluded"),
    (lambda gone: create(audiences={"included": [LIST], "excluded": [gone]}), "audiences.excluded.0"),
    (lambda gone: create(messages=gone), "messages"),
    (lambda gone: create(messages=[gone]), "messages.0"),
    (lambda gone: create(messages=[email(subject=gone)]), "messages.0.content.subject"),
    (lambda gone: create(messages=[email(subject="a", from_email=gone)]), "messages.0.content.from_email"),
    (lambda gone: create(messages=[sms(body="a", add_opt_out_language=gone)]), "render_options.add_opt_out_language"),
    (lambda gone: create(messages=[push(body="a", kv_pairs={"code": [gone]})]), "messages.0.kv_pairs.code.0"),
    (lambda gone: create(messages=[push(body="a", kv_pairs=gone)]), "messages.0.kv_pairs"),
    (lambda gone: create(send_strategy=gone), "send_strategy"),
    (lambda gone: create(send_strategy=static(gone)), "send_strategy.datetime"),
    (lambda gone: create(send_strategy=static(LATER, is_local=gone)), "send_strategy.options.is_local"),
    (lambda gone: create(send_options=gone), "send_options"),
    (lambda gone: create(send_options={"use_smart_sending": gone}), "send_options.use_smart_sending"),
    (lambda gone: create(tracking_options=gone), "tracking_options"),
    (
        lambda gone: create(tracking_options=tracking_options(static_params={"utm_source": gone, "utm_medium": "a"})),
        "tracking_options.custom_tracking_params.0.value",
    ),
    (lambda gone: create(revision=gone), "revision"),
    (lambda gone: create(klaviyo_conn_id=gone), "klaviyo_conn_id"),
    (lambda gone: clone(campaign_id=gone), "campaign_id"),
    (lambda gone: clone(new_name=gone), "new_name"),
    (lambda gone: clone(audiences=gone), "audiences"),
    (lambda gone: clone(audiences={"included": [LIST], "excluded": gone}), "audiences.excluded"),
    (lambda gone: clone(send_strategy=gone), "send_strategy"),
    (lambda gone: clone(send_options=gone), "send_options"),
    (lambda gone: clone(tracking_options=gone), "tracking_options"),
    (lambda gone: update(campaign_id=gone), "campaign_id"),
    (lambda gone: update(name=gone), "name"),
    (lambda gone: update(audiences={"excluded": gone}), "audiences.excluded"),
    (lambda gone: update(audiences=gone), "audiences"),
    (lambda gone: update(send_strategy=gone), "send_strategy"),
    (lambda gone: message(message=gone), "message"),
    (lambda gone: message(message=email(subject=gone)), "message.content.subject"),
    (lambda gone: message(message=email(subject="a"), campaign_id=gone), "campaign_id"),
    (lambda gone: message(message=email(subject="a"), campaign_id=None, message_id=gone), "message_id"),
    (lambda gone: estimate(campaign_id=gone), "campaign_id"),
    (lambda gone: estimate(minimum=gone), "minimum"),
    (lambda gone: estimate(maximum=gone), "maximum"),
    (lambda gone: send(campaign_id=gone), "campaign_id"),
    (lambda gone: send(campaign_id=DRAFT_EMAIL, revision=gone), "revision"),
    (lambda gone: cancel(campaign_id=gone), "campaign_id"),
    (lambda gone: delete(campaign_id=gone), "campaign_id"),
    (lambda gone: tag(tag=gone), "tag"),
    (lambda gone: tag(tag_id=gone), "tag_id"),
    (lambda gone: assign(message_id=gone), "message_id"),
    (lambda gone: assign(campaign_id=DRAFT_EMAIL, template_id=gone), "template_id"),
    (lambda gone: image(image_id=gone), "image_id"),
    (lambda gone: listing(filter=gone), "filter"),
    (lambda gone: listing(fields=gone), "fields"),
    (lambda gone: listing(output_path=gone), "output_path"),
    (lambda gone: call(operation=gone), "operation"),
    (lambda gone: call(query=gone), "query"),
    (lambda gone: call(query={"filter": gone}), "query.filter"),
    (lambda gone: call(query={"fields[list]": gone}), "query.fields[list]"),
    (lambda gone: call(operation="get_list", path_params={"id": gone}), "path_params.id"),
    (lambda gone: call(operation="create_list", body=gone), "body"),
    (
        lambda gone: call(
            operation="create_list", body={"data": {"type": "list", "attributes": {"name": gone, "opt_in": None}}}
        ),
        "body.data.attributes.name",
    ),
    (lambda gone: call(klaviyo_conn_id=gone), "klaviyo_conn_id"),
    *[
        (lambda gone, sensor=sensor, mode=mode, name=name: sensor(
            task_id="task", **{"campaign_id": DRAFT_EMAIL, "deferrable": mode, name: gone}
        ), name)
        for sensor in (
            KlaviyoCampaignStatusSensor,
            KlaviyoCampaignSendJobSensor,
            KlaviyoRecipientEstimationJobSensor,
        )
        for mode in (False, True)
        for name in ("campaign_id", "klaviyo_conn_id", "revision")
    ],
]  # fmt: skip
EVERY_CASE = pytest.mark.parametrize(
    ("make", "field"), CASES, ids=[f"{number}-{field}" for number, (_, field) in enumerate(CASES)]
)


@pytest.mark.parametrize(
    "returned",
    [None, "", *(pytest.param(nothing, marks=pytest.mark.thorough) for nothing in (" ", "None", [], {}, ()))],
    ids=repr,
)
@EVERY_CASE
def test_an_output_of_another_task_that_is_nothing(klaviyo: Klaviyo, make: Make, field: str, returned: Any) -> None:
    refused(make, field, returned)
    assert klaviyo.requests() == []


@pytest.mark.parametrize(
    "jinja",
    ["{{ none }}", pytest.param("{{ '' }}", marks=pytest.mark.thorough), "{{ ti.xcom_pull(task_ids='upstream') }}"],
)
@pytest.mark.parametrize("native", [False, True], ids=["plain", "native"])
@EVERY_CASE
def test_jinja_that_is_nothing(klaviyo: Klaviyo, make: Make, field: str, native: bool, jinja: str) -> None:
    refused(lambda _: make(jinja), field, native=native)
    assert klaviyo.requests() == []


@EVERY_CASE
def test_an_undefined_name_that_native_jinja_leaves_as_an_object(klaviyo: Klaviyo, make: Make, field: str) -> None:
    refused(lambda _: make("{{ nobody_has_set_this }}"), field, native=True)
    assert klaviyo.requests() == []


def test_the_error_says_what_to_do(klaviyo: Klaviyo) -> None:
    error = refused(lambda gone: clone(audiences={"included": [LIST], "excluded": gone}), "audiences.excluded", [])
    assert error.pointer == "/audiences/excluded"
    for words in ("is [] after rendering", "skipped", "leave 'excluded' out"):
        assert words in str(error)


@pytest.mark.parametrize(
    ("make", "returned", "field"),
    [
        (lambda out: create(audiences=out), {"included": [LIST], "excluded": None}, "audiences.excluded"),
        (lambda out: create(audiences=out), {"included": [LIST], "excluded": []}, "audiences.excluded"),
        (lambda out: clone(audiences=out), {"included": [LIST], "excluded": [""]}, "audiences.excluded.0"),
        (lambda out: call(query=out), {"filter": None}, "query.filter"),
        (lambda out: call(query=out), {"filter": ""}, "query.filter"),
        (lambda out: call(operation="get_list", path_params=out), {"id": "None"}, "path_params.id"),
    ],
)
def test_a_part_of_what_another_task_returned(klaviyo: Klaviyo, make: Make, returned: Any, field: str) -> None:
    refused(make, field, returned)
    assert klaviyo.requests() == []


def test_what_is_not_there_at_all_in_what_another_task_returned_is_not_given(klaviyo: Klaviyo) -> None:
    made = run(lambda out: create(audiences=out), {"included": [LIST]})
    assert klaviyo.campaign(made)["audiences"] == {"included": [LIST], "excluded": []}


def test_a_document_that_another_task_made_may_hold_null(klaviyo: Klaviyo) -> None:
    profile = {"data": {"type": "profile", "attributes": {"email": "new@example.com", "first_name": None}}}
    assert run(lambda out: call(operation="create_profile", body=out), profile)["data"]["id"]


@pytest.mark.parametrize("native", [False, True], ids=["plain", "native"])
def test_none_and_empty_in_the_dag_file_are_not_given(klaviyo: Klaviyo, native: bool) -> None:
    settings: dict[str, Any] = {"send_strategy": None, "send_options": None, "tracking_options": None}
    for make in (
        lambda _: create(audiences={"included": ["{{ 'Y6nRLr' }}"], "excluded": []}, **settings),
        lambda _: create(audiences={"included": [LIST], "excluded": None}, revision=None),
        lambda _: clone(audiences=None, **{**settings, "send_strategy": immediate()}),
        lambda _: estimate(minimum=None, maximum=None),
        lambda _: listing(filter=None, fields=None, output_path=None),
        lambda _: listing(filter=""),
        lambda _: call(query={"filter": None, "page[size]": "{{ 1 }}"}, body=None, path_params=None),
    ):
        run(make, native=native)


def test_zero_and_false_are_given(klaviyo: Klaviyo) -> None:
    assert run(lambda out: estimate(minimum=out, maximum=10_000), 0) > 0
    made = run(lambda out: create(send_options={"use_smart_sending": out}), False)
    assert klaviyo.campaign(made)["send_options"]["use_smart_sending"] is False


def test_klaviyos_own_tags_and_filters_are_left_alone(klaviyo: Klaviyo) -> None:
    made = run(lambda _: create(messages=[email(subject="{% raw %}{{ first_name }}{% endraw %}")]))
    assert klaviyo.message(made)["attributes"]["definition"]["content"]["subject"] == "{{ first_name }}"
    assert run(lambda _: listing(filter=equals("status", "Cancelled"))) == []


# --- mapped tasks: the operator is made of what the upstream task returned -------------------------------------------


def mapped(**arguments: Any) -> Any:
    return KlaviyoEstimateRecipientsOperator.partial(task_id="task", poll_interval=0.02, **arguments)


def test_a_bound_that_expand_takes_from_another_task(klaviyo: Klaviyo) -> None:
    def make(out: Any) -> Any:
        return mapped(campaign_id=DRAFT_EMAIL).expand(maximum=out)

    assert run(make, [100_000, None], map_index=0) > 0
    klaviyo.reset()
    refused(make, "maximum", [100_000, None], map_index=1)
    assert klaviyo.requests() == []


@pytest.mark.parametrize("parts", [lambda out: out.map(lambda value: value), lambda out: out.concat(out)])
def test_it_is_the_same_by_way_of_map_and_concat(klaviyo: Klaviyo, parts: Any) -> None:
    refused(lambda out: mapped(campaign_id=DRAFT_EMAIL).expand(minimum=parts(out)), "minimum", [None], map_index=0)


def test_a_bound_that_partial_takes_from_another_task(klaviyo: Klaviyo) -> None:
    refused(lambda out: mapped(maximum=out).expand(campaign_id=[DRAFT_EMAIL]), "maximum", None, map_index=0)


def test_none_among_the_dag_files_own_values_is_not_given(klaviyo: Klaviyo) -> None:
    assert run(lambda _: mapped(campaign_id=DRAFT_EMAIL).expand(minimum=[100, None]), map_index=1) > 0
    rows = [{"campaign_id": DRAFT_EMAIL, "minimum": None}]
    assert run(lambda _: mapped().expand_kwargs(rows), map_index=0) > 0


@pytest.mark.parametrize("first", ["{{ none }}", "{{ '' }}"])
def test_jinja_among_the_dag_files_own_values(klaviyo: Klaviyo, first: str) -> None:
    refused(lambda _: mapped(campaign_id=DRAFT_EMAIL).expand(minimum=[first, 1]), "minimum", native=True, map_index=0)


def test_a_row_of_expand_kwargs(klaviyo: Klaviyo) -> None:
    def make(out: Any) -> Any:
        return mapped().expand_kwargs(out)

    rows = [{"campaign_id": DRAFT_EMAIL}, {"campaign_id": DRAFT_EMAIL, "maximum": None}]
    assert run(make, rows, map_index=0) > 0, "what a row does not have is not given"
    refused(make, "maximum", rows, map_index=1)
    refused(lambda out: mapped().expand_kwargs([out]), "maximum", rows[1], map_index=0)


def test_a_row_that_takes_the_dag_files_bound_away(klaviyo: Klaviyo) -> None:
    def make(out: Any) -> Any:
        return mapped(maximum=100_000).expand_kwargs(out, strict=False)

    assert run(make, [{"campaign_id": DRAFT_EMAIL}], map_index=0) > 0
    refused(make, "maximum", [{"campaign_id": DRAFT_EMAIL, "maximum": None}], map_index=0)


def test_an_exclusion_within_an_expanded_argument(klaviyo: Klaviyo) -> None:
    def make(out: Any) -> Any:
        return KlaviyoCloneCampaignOperator.partial(task_id="task", campaign_id=SENT, new_name=NAME).expand(
            audiences=out
        )

    refused(make, "audiences.excluded", [{"included": [LIST], "excluded": None}], map_index=0)
    refused(make, "audiences.excluded", [{"included": [LIST], "excluded": []}], map_index=0)
    assert klaviyo.requests() == []


def group(out: Any, *, literal: bool = False, audiences: bool = False) -> None:
    @task_group
    def one(value: Any) -> None:
        if audiences:
            create(audiences={"included": [LIST], "excluded": value})
        else:
            estimate(maximum=value)

    one.expand(value=[[OTHER_LIST], None] if literal and audiences else [100_000, None] if literal else out)


def test_a_mapped_task_group(klaviyo: Klaviyo) -> None:
    assert run(group, [100_000, None], map_index=0) > 0
    refused(group, "maximum", [100_000, None], map_index=1)
    refused(lambda out: group(out, audiences=True), "audiences.excluded", [[OTHER_LIST], []], map_index=1)


def test_none_among_a_task_groups_own_values_is_not_given(klaviyo: Klaviyo) -> None:
    assert run(lambda out: group(out, literal=True), map_index=1) > 0
    assert run(lambda out: group(out, literal=True, audiences=True), map_index=1)


# --- after a deferral ------------------------------------------------------------------------------------------------


def test_a_bound_that_is_gone_when_the_task_comes_back_from_the_triggerer(klaviyo: Klaviyo) -> None:
    """The operator is made and rendered again; what its upstream task returned may be gone by then."""
    event = {"campaign_id": DRAFT_EMAIL, "outcome": "done", "status": "complete", "count": 9_999_999}
    task, context = rendered(lambda out: estimate(maximum=out, deferrable=True), None)
    with pytest.raises(KlaviyoValidationError, match="maximum is None after rendering"):
        task.execute_complete(context, event)


def test_rendering_again_does_not_find_the_guard_again(klaviyo: Klaviyo) -> None:
    task, context = rendered(lambda out: estimate(maximum=out), None)
    task.render_template_fields(context)
    with pytest.raises(KlaviyoValidationError, match=r"maximum is .* after rendering"):
        task.execute(context)


def test_a_dag_may_allow_undefined_names_and_still_gets_the_error(klaviyo: Klaviyo) -> None:
    with DAG("rendering", schedule=None, template_undefined=jinja2.Undefined):
        task = estimate(maximum="{{ nobody_has_set_this }}")
    task.render_template_fields({})
    with pytest.raises(KlaviyoValidationError, match="maximum is '' after rendering"):
        task.execute({})
