"""What a person may get wrong: refused at once, by field, value and remedy; and nothing half-made without its id."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_klaviyo.campaigns import email, sms
from airflow_provider_klaviyo.exceptions import (
    KlaviyoApiError,
    KlaviyoAuthError,
    KlaviyoCampaignFailed,
    KlaviyoNotFoundError,
    KlaviyoRecipientCountError,
    KlaviyoRefusedError,
    KlaviyoValidationError,
)
from tests.conftest import KEY
from tests.support.context import Task
from tests.support.sandbox import DRAFT_EMAIL, LIST, NOBODY, Klaviyo
from tests.support.tasks import NAME, assign, cancel, clone, create, estimate, send

Make = Callable[..., Task]
Connect = Callable[..., None]

AT_IMPORT: list[tuple[Make, dict[str, Any], str, str]] = [
    (create, {"name": ""}, "/name", "''"),
    (create, {"name": None}, "/name", "None"),
    (create, {"audiences": {"included": []}}, "/audiences/included", "empty"),
    (create, {"audiences": {}}, "/audiences/included", "missing"),
    (create, {"audiences": LIST}, "/audiences", LIST),
    (create, {"audiences": {"include": [LIST]}}, "/audiences/include", "included"),
    (create, {"messages": []}, "/messages", "[]"),
    (create, {"messages": [email(subject="a"), sms(body="b")]}, "/messages", "exactly one"),
    (create, {"messages": email(subject="a")}, "/messages", "list"),
    (create, {"send_strategy": {"method": "now"}}, "/send_strategy/method", "immediate"),
    (create, {"send_strategy": {}}, "/send_strategy/method", "missing"),
    (create, {"send_strategy": "immediate"}, "/send_strategy/method", "immediate"),
    (
        create,
        {"send_strategy": {"method": "throttled", "datetime": "2030-01-01T00:00:00Z", "throttle_percentage": 12}},
        "/send_strategy/throttle_percentage",
        "12",
    ),
    (
        create,
        {"send_strategy": {"method": "static", "datetime": "2030-01-01T00:00:00"}},
        "/send_strategy/datetime",
        "zone",
    ),
    (create, {"send_strategy": {"method": "static"}}, "/send_strategy/datetime", "missing"),
    (create, {"send_options": {"smart": True}}, "/send_options/smart", "use_smart_sending"),
    (create, {"tracking_options": {"is_tracking_clicks": "maybe"}}, "/tracking_options/is_tracking_clicks", "maybe"),
    (
        create,
        {"messages": [sms(body="b")], "tracking_options": {"is_tracking_opens": True}},
        "/tracking_options/is_tracking_opens",
        "SMS",
    ),
    (create, {"on_clear": "again"}, "on_clear", "'adopt'"),
    (create, {"revision": "latest"}, "revision", "latest"),
    (clone, {"campaign_id": ""}, "campaign_id", "''"),
    (clone, {"new_name": " "}, "/new_name", "' '"),
    (clone, {"audiences": {"included": []}}, "/audiences/included", "empty"),
    (clone, {"send_strategy": {"method": "now"}}, "/send_strategy/method", "immediate"),
    (clone, {"send_strategy": {}}, "/send_strategy/method", "missing"),
    (clone, {"on_clear": None}, "on_clear", "None"),
    (assign, {"campaign_id": "a", "message_id": "b"}, "campaign_id", "exactly one"),
    (assign, {}, "campaign_id", "exactly one"),
    (assign, {"campaign_id": "a", "template_id": ""}, "template_id", "''"),
    (assign, {"campaign_id": 5}, "campaign_id", "5"),
    (assign, {"message_id": []}, "message_id", "[]"),
    (estimate, {"minimum": -1}, "minimum", "-1"),
    (estimate, {"minimum": "many"}, "minimum", "many"),
    (estimate, {"minimum": ""}, "minimum", "''"),
    (estimate, {"maximum": 1.5}, "maximum", "1.5"),
    (estimate, {"maximum": True}, "maximum", "True"),
    (estimate, {"minimum": 10, "maximum": 5}, "minimum", "10"),
    (estimate, {"poll_interval": 0}, "poll_interval", "0"),
    (estimate, {"timeout": -1}, "timeout", "-1"),
    (send, {"campaign_id": None}, "campaign_id", "None"),
    (send, {"wait_until": "snet"}, "wait_until", "'sent'"),
    (send, {"wait_until": "never"}, "wait_until", "never"),
    (send, {"in_backfill": True}, "in_backfill", "True"),
    (send, {"poll_interval": "30"}, "poll_interval", "30"),
    (send, {"timeout": float("nan")}, "timeout", "nan"),
    (send, {"timeout": float("inf")}, "timeout", "inf"),
    (send, {"revision": "2026"}, "revision", "2026"),
    (cancel, {"action": "stop"}, "action", "'cancel'"),
]


@pytest.mark.parametrize(
    ("make", "arguments", "pointer", "words"),
    AT_IMPORT,
    ids=[f"{make.__name__} {arguments}"[:60] for make, arguments, _, _ in AT_IMPORT],
)
def test_a_wrong_argument_is_found_when_the_dag_is_imported(
    make: Make, arguments: dict[str, Any], pointer: str, words: str
) -> None:
    with pytest.raises(KlaviyoValidationError) as caught:
        make(**arguments).make()
    assert caught.value.pointer == pointer
    assert words in str(caught.value)
    assert caught.value.status is None


def test_jinja_passes_the_import_in_every_templated_argument() -> None:
    later = "{{ ti.xcom_pull('x') }}"
    create(
        name=later,
        audiences=later,
        messages=[email(subject=later)],
        send_strategy=later,
        send_options=later,
        tracking_options=later,
    ).make()
    create(
        audiences={"included": [later], "excluded": later},
        messages=later,
        send_strategy={"method": "throttled", "datetime": later, "throttle_percentage": later},
    ).make()
    clone(campaign_id=later, new_name=later, audiences=later, send_strategy=later).make()
    assign(campaign_id=later, template_id=later).make()
    assign(message_id=later, template_id=later).make()
    estimate(campaign_id=later, minimum=later, maximum=later).make()
    send(campaign_id=later).make()
    cancel(campaign_id=later).make()


def test_the_output_of_another_task_passes_the_import() -> None:
    from airflow.sdk import DAG

    from airflow_provider_klaviyo.operators.campaigns import KlaviyoCreateCampaignOperator

    with DAG("life", schedule=None):
        made = KlaviyoCreateCampaignOperator(
            task_id="create", name=NAME, audiences={"included": [LIST]}, messages=[email(subject="x")]
        )
        later = made.output
        estimate(task_id="estimate", campaign_id=later, minimum=later).make()
        clone(task_id="clone", campaign_id=later, new_name=NAME, audiences=later).make()
        assign(task_id="assign", campaign_id=later, template_id=later).make()


@pytest.mark.parametrize(
    ("make", "arguments", "words"),
    [
        (send, {"campaign_id": "{{ '' }}"}, "campaign_id"),
        (send, {"campaign_id": "{{ none }}"}, "campaign_id"),
        (estimate, {"campaign_id": "{{ none }}"}, "campaign_id"),
        (clone, {"campaign_id": "{{ none }}"}, "campaign_id"),
        (assign, {"campaign_id": DRAFT_EMAIL, "template_id": "{{ none }}"}, "template_id"),
        (create, {"name": "{{ '' }}"}, "name"),
        (create, {"audiences": {"included": ["{{ none }}"]}}, "audiences.included.0"),
        (create, {"audiences": "{{ ['Y6nRLr'] }}"}, "audiences"),
        (create, {"send_strategy": "{{ none }}"}, "send_strategy"),
        (create, {"send_strategy": "{{ '' }}"}, "send_strategy"),
        (create, {"send_strategy": {"method": "static", "datetime": "{{ '2020-01-01T00:00:00Z' }}"}}, "has passed"),
        (clone, {"send_strategy": {"method": "static", "datetime": "{{ '2020-01-01T00:00:00Z' }}"}}, "has passed"),
        (clone, {"audiences": "{{ '' }}"}, "audiences"),
        (clone, {"audiences": "{{ none }}"}, "audiences"),
    ],
)
def test_what_renders_to_something_wrong_is_found_before_the_first_write(
    klaviyo: Klaviyo, make: Make, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(KlaviyoValidationError, match=words) as caught:
        make(**arguments).run()
    assert caught.value.status is None, "found here, not by Klaviyo"
    assert {row["method"] for row in klaviyo.requests()} <= {"GET"}


# --- each line of what people get wrong, over the sandbox -------------------------------------------------------------


def nothing_made(klaviyo: Klaviyo) -> bool:
    return klaviyo.named(NAME) == []


def test_a_wrong_key(klaviyo: Klaviyo, connect: Connect) -> None:
    connect(klaviyo.url, password="pk_invalid")
    with pytest.raises(KlaviyoAuthError, match=r"password.*not accepted") as caught:
        create().run()
    assert caught.value.status == 401
    assert "pk_invalid" not in str(caught.value)
    assert nothing_made(klaviyo)


def test_a_key_that_is_not_a_key_is_found_before_a_call(klaviyo: Klaviyo, connect: Connect) -> None:
    connect(klaviyo.url, password="XyZ123")
    with pytest.raises(KlaviyoAuthError, match="klaviyo_default"):
        create().run()
    assert klaviyo.requests() == []


@pytest.mark.parametrize("make", [create, clone, send, assign, estimate])
def test_a_missing_scope(klaviyo: Klaviyo, connect: Connect, make: Make) -> None:
    arguments = {"campaign_id": DRAFT_EMAIL} if make in (assign,) else {}
    connect(klaviyo.url, password="pk_readonly")
    with pytest.raises(KlaviyoAuthError, match="scope campaigns:write") as caught:
        make(**arguments).run()
    assert caught.value.status == 403
    assert nothing_made(klaviyo)
    assert klaviyo.sends() == []


def test_an_unknown_list(klaviyo: Klaviyo) -> None:
    with pytest.raises(KlaviyoValidationError, match="NoList") as caught:
        create(audiences={"included": [LIST, "NoList"]}).run()
    assert caught.value.pointer == "/data/attributes/audiences/included/1"
    assert caught.value.request_id
    assert nothing_made(klaviyo)


def test_an_unknown_list_for_a_clone_names_the_draft_that_is_left(klaviyo: Klaviyo) -> None:
    with pytest.raises(KlaviyoValidationError, match="NoList") as caught:
        clone(audiences={"included": ["NoList"]}).run()
    (left,) = klaviyo.named(NAME)
    assert left in str(caught.value)


def test_an_unknown_template(klaviyo: Klaviyo) -> None:
    campaign_id = create().run()
    with pytest.raises(KlaviyoNotFoundError, match="NoTmpl") as caught:
        assign(campaign_id=campaign_id, template_id="NoTmpl").run()
    assert campaign_id in str(caught.value)
    assert klaviyo.template_of(campaign_id) is None


def test_an_email_without_a_template_is_found_before_it_is_sent(klaviyo: Klaviyo) -> None:
    campaign_id = create().run()
    with pytest.raises(KlaviyoValidationError, match=rf"{campaign_id}.*KlaviyoAssignTemplateOperator"):
        send(campaign_id=campaign_id).run()
    assert klaviyo.counted()["send_campaign"] == 0
    assert klaviyo.status(campaign_id) == "Draft"


def test_an_empty_audience(klaviyo: Klaviyo) -> None:
    campaign_id = create(audiences={"included": [NOBODY]}).run()
    assign(campaign_id=campaign_id).run()
    with pytest.raises(KlaviyoRecipientCountError, match=rf"{campaign_id}.*0 recipients.*audiences"):
        estimate(campaign_id=campaign_id).run()
    with pytest.raises(KlaviyoCampaignFailed, match=rf"{campaign_id}.*No Recipients"):
        send(campaign_id=campaign_id).run()
    assert klaviyo.sends() == []


@pytest.mark.parametrize(("revision", "words"), [("2020-01-01", "newer 'revision'"), ("2099-01-01", "revision")])
def test_a_wrong_revision(klaviyo: Klaviyo, connect: Connect, revision: str, words: str) -> None:
    connect(klaviyo.url, revision=revision)
    with pytest.raises(KlaviyoValidationError, match=words) as caught:
        create().run()
    assert revision in str(caught.value)
    assert nothing_made(klaviyo)


def test_a_host_without_https(connect: Connect) -> None:
    connect("http://klaviyo.example.com")
    with pytest.raises(
        KlaviyoValidationError, match=r"klaviyo_default.*http://klaviyo.example.com.*https://"
    ) as caught:
        create().run()
    assert caught.value.pointer == "host"


def test_a_refused_making_leaves_no_note_that_slows_the_next_try(klaviyo: Klaviyo) -> None:
    task = create(audiences={"included": ["NoList"]})
    with pytest.raises(KlaviyoValidationError):
        task.run()
    assert task.store is not None
    assert task.store.notes == {}


def test_a_failure_after_the_making_names_the_campaign(klaviyo: Klaviyo, connect: Connect) -> None:
    """A draft that is there and a task that failed: the person on call needs its id."""
    campaign_id = create().run()
    connect(klaviyo.url, password="pk_invalid")
    for make in (assign, estimate, send, cancel):
        with pytest.raises(KlaviyoApiError) as caught:
            make(campaign_id=campaign_id).run()
        assert campaign_id in str(caught.value), make.__name__
    assert KEY not in str(caught.value)


def test_a_conflict_names_the_campaigns_state(klaviyo: Klaviyo) -> None:
    klaviyo.send(DRAFT_EMAIL)
    klaviyo.wait_for_sends()
    with pytest.raises(KlaviyoRefusedError, match="Sent"):
        assign(campaign_id=DRAFT_EMAIL).run()
