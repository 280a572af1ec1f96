"""What a clone takes over from its source, and what it does not."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_klaviyo.campaigns import email, immediate, static
from airflow_provider_klaviyo.exceptions import KlaviyoError, KlaviyoValidationError
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from tests.support.amending import Amending, amending_campaign
from tests.support.sandbox import DRAFT_EMAIL, DRAFT_PAST_STATIC, DRAFT_SMS, LIST, OTHER_LIST, Klaviyo
from tests.support.tasks import NAME, assign, clone, create, send

Connect = Callable[..., None]
GIVEN = {
    "audiences": {"included": [OTHER_LIST], "excluded": []},
    "send_strategy": immediate(),
    "send_options": {"use_smart_sending": False},
    "tracking_options": {"is_tracking_clicks": False},
}


def push_draft() -> str:
    from airflow_provider_klaviyo.campaigns import push

    campaign_id: str = create(name="Push", messages=[push(body="Hello")]).run()
    return campaign_id


def test_a_source_with_several_messages_is_cloned_with_all_of_them(klaviyo: Klaviyo) -> None:
    messages = [email(subject="One"), email(subject="Two")]
    attributes = {"name": "Two messages", "audiences": {"included": [LIST]}}
    source = KlaviyoHook().create_campaign(attributes, messages).id
    copy = clone(campaign_id=source, send_strategy=immediate()).run()
    told = klaviyo.get(f"/api/campaigns/{copy}/campaign-messages")["data"]
    assert sorted(message["attributes"]["definition"]["content"]["subject"] for message in told) == ["One", "Two"]
    assert klaviyo.campaign(copy)["send_strategy"]["method"] == "immediate"


@pytest.mark.parametrize(
    ("channels", "says"),
    [([], "no message"), (["email", "sms"], "several channels"), (["whatsapp"], "whatsapp"), ([None], "None")],
)
def test_a_source_without_one_known_channel_is_not_cloned(
    klaviyo: Klaviyo, connect: Connect, channels: list[str | None], says: str
) -> None:
    def amend(path: str, document: dict[str, Any]) -> None:
        if path.endswith(f"{DRAFT_EMAIL}/campaign-messages"):
            (told,) = document["data"]
            document["data"] = [
                {**told, "id": f"M{number}", "attributes": {"definition": channel and {"channel": channel}}}
                for number, channel in enumerate(channels)
            ]

    with Amending(klaviyo.url, amend) as server:
        connect(server.url)
        with pytest.raises(KlaviyoError, match=says):
            clone().run()
        assert server.amended
    assert klaviyo.counted()["create_campaign_clone"] == 0


# --- what its channel does not take -----------------------------------------------------------------------------------


@pytest.mark.parametrize("channel", ["email", "sms", "mobile_push"])
def test_tracking_that_the_channel_does_not_take_is_dropped_and_in_the_log(
    klaviyo: Klaviyo, connect: Connect, channel: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    source = {"email": lambda: DRAFT_EMAIL, "sms": lambda: DRAFT_SMS, "mobile_push": push_draft}[channel]()
    told = {
        "add_tracking_params": True,
        "custom_tracking_params": [],
        "is_tracking_clicks": True,
        "is_tracking_opens": None,
        "is_add_utm": False,
    }
    taken = {"email": 4, "sms": 2, "mobile_push": 0}[channel]
    with Amending(klaviyo.url, amending_campaign(source, tracking_options=told)) as server:
        connect(server.url)
        copy = clone(campaign_id=source).run()
        assert server.amended
    assert klaviyo.status(copy) == "Draft"
    for name in list(told)[taken:]:
        assert f"tracking_options.{name} of campaign {source}" in caplog.text
    for name in list(told)[:taken]:
        assert f"tracking_options.{name}" not in caplog.text
    if channel == "email":
        assert klaviyo.campaign(copy)["tracking_options"]["add_tracking_params"] is True


def test_send_options_that_klaviyo_does_not_take_are_dropped_and_in_the_log(
    klaviyo: Klaviyo, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    told = {"use_smart_sending": None, "ignore_unsubscribes": False, "quiet_hours": True}
    with Amending(klaviyo.url, amending_campaign(DRAFT_EMAIL, send_options=told)) as server:
        connect(server.url)
        copy = clone().run()
        assert server.amended
    assert klaviyo.campaign(copy)["send_options"]["use_smart_sending"] is True
    assert "send_options.quiet_hours" in caplog.text


def test_nulls_of_a_source_are_not_values(klaviyo: Klaviyo, connect: Connect) -> None:
    when = (datetime.now(UTC) + timedelta(days=3)).isoformat(timespec="seconds")
    strategy = {
        "method": "static",
        "datetime": when,
        "date": None,
        "options": {"is_local": True, "send_past_recipients_immediately": None},
    }
    told = {
        "send_strategy": strategy,
        "audiences": {"included": [LIST], "excluded": None},
        "send_options": None,
        "tracking_options": None,
    }
    with Amending(klaviyo.url, amending_campaign(DRAFT_EMAIL, **told)) as server:
        connect(server.url)
        copy = clone().run()
        assert server.amended
    made = klaviyo.campaign(copy)
    assert made["send_strategy"]["datetime"] == when
    assert made["audiences"] == {"included": [LIST], "excluded": []}


# --- what cannot be used again ----------------------------------------------------------------------------------------

UNFIT: list[tuple[str, Any]] = [
    ("send_strategy", None),
    ("send_strategy", ...),
    ("send_strategy", "immediate"),
    ("send_strategy", {"method": "ab_test_campaign"}),
    ("send_strategy", {"method": "unsupported"}),
    ("send_strategy", {"method": "carrier_pigeon"}),
    ("send_strategy", {"method": ["static"]}),
    ("send_strategy", {"method": "static", "datetime": "2100-01-01T00:00:00"}),
    ("send_strategy", {"method": "static", "datetime": "2100-01-01T00:00:00Z", "options": {"is_local": "maybe"}}),
    ("send_strategy", {"method": "smart_send_time", "date": "2026-01-01"}),
    ("send_strategy", {"method": "throttled", "datetime": "2100-01-01T00:00:00Z", "throttle_percentage": 5}),
    ("audiences", None),
    ("audiences", ...),
    ("audiences", {"included": None, "excluded": []}),
    ("audiences", {"included": [], "excluded": []}),
    ("audiences", {"included": [17]}),
    ("audiences", {"included": [LIST], "excluded": ["NoList"]}),
    ("audiences", {"included": [LIST], "lookalikes": ["X"]}),
    ("audiences", [LIST]),
    ("send_options", ["use_smart_sending"]),
    ("send_options", {"use_smart_sending": "sometimes"}),
    ("tracking_options", "on"),
    ("tracking_options", {"is_tracking_clicks": "often"}),
    ("tracking_options", {"custom_tracking_params": [{"type": "static", "name": "utm_source", "value": "k"}]}),
    ("tracking_options", {"custom_tracking_params": [{"type": "dynamic", "name": "utm_source", "value": "weather"}]}),
    ("tracking_options", {"custom_tracking_params": [{"name": "utm_source", "value": "k"}]}),
    ("tracking_options", {"custom_tracking_params": [None]}),
    ("tracking_options", {"custom_tracking_params": {}}),
]


@pytest.mark.parametrize(("field", "told"), UNFIT)
def test_what_cannot_be_used_again_stops_before_anything_is_cloned_and_has_a_way_out(
    klaviyo: Klaviyo, connect: Connect, field: str, told: Any
) -> None:
    with Amending(klaviyo.url, amending_campaign(DRAFT_EMAIL, **{field: told})) as server:
        connect(server.url)
        task = clone()
        with pytest.raises(KlaviyoValidationError, match=rf"{field} of .*{DRAFT_EMAIL}.*its own {field}") as caught:
            task.run()
        assert "Nothing was cloned" in str(caught.value)
        assert str(caught.value.pointer).startswith(f"/{field}")
        assert server.amended
        assert klaviyo.counted()["create_campaign_clone"] == 0
        copy = clone(**{field: GIVEN[field]}).run()
    assert klaviyo.status(copy) == "Draft"


def test_a_list_that_was_deleted_stops_before_anything_is_cloned(klaviyo: Klaviyo) -> None:
    hook = KlaviyoHook()
    body = {"data": {"type": "list", "attributes": {"name": "Soon gone"}}}
    gone = hook.call("create_list", body=body).resource.id
    source = create(name="The source", audiences={"included": [LIST], "excluded": [gone]}).run()
    hook.call("delete_list", path_params={"id": gone})
    with pytest.raises(KlaviyoValidationError, match=rf"audiences.excluded.0 is '{gone}'.*Nothing was cloned"):
        clone(campaign_id=source).run()
    assert klaviyo.counted()["create_campaign_clone"] == 0
    assert clone(campaign_id=source, audiences={"included": [LIST]}).run()


def test_a_key_that_may_not_read_lists_clones_all_the_same(klaviyo: Klaviyo) -> None:
    klaviyo.fail("get_list", "status_before_commit", status=403)
    assert clone().run()
    assert klaviyo.fired() == [1]


# --- later tries ------------------------------------------------------------------------------------------------------


def soon(klaviyo: Klaviyo) -> str:
    """A source whose send time can be made to pass."""
    when = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    source: str = create(name="The source", send_strategy=static(when)).run()
    assign(campaign_id=source).run()
    return source


@pytest.mark.parametrize("durable", [True, False], ids=["store", "no store"])
def test_a_clone_that_was_sent_is_adopted_after_a_clear_though_its_sources_time_has_passed(
    klaviyo: Klaviyo, durable: bool
) -> None:
    source = soon(klaviyo)
    task = clone(campaign_id=source, durable=durable)
    copy = task.run()
    klaviyo.change(copy, send_strategy=immediate())
    send(campaign_id=copy).run()
    klaviyo.change(source, send_strategy={"method": "static", "datetime": "2026-01-01T00:00:00Z"})
    task.clear()
    assert task.run() == copy
    assert klaviyo.counted()["create_campaign_clone"] == 1


def test_a_clone_that_cannot_be_finished_is_named_and_finished_with_the_argument(klaviyo: Klaviyo) -> None:
    source = soon(klaviyo)
    klaviyo.fail("update_campaign", "status_before_commit", status=400)
    task = clone(campaign_id=source)
    with pytest.raises(KlaviyoError) as caught:
        task.run()
    (copy,) = klaviyo.named(NAME)
    assert klaviyo.fired() == [1]
    assert copy in str(caught.value)
    assert "another value for what is refused" in str(caught.value)
    klaviyo.mend()
    klaviyo.change(source, send_strategy={"method": "static", "datetime": "2026-01-01T00:00:00Z"})
    with pytest.raises(KlaviyoValidationError, match=rf"its own send_strategy.*Clone {copy}"):
        task.run()
    mended = clone(campaign_id=source, send_strategy=immediate())
    mended.store = task.store
    assert mended.run() == copy
    assert klaviyo.campaign(copy)["send_strategy"]["method"] == "immediate"


def test_a_source_whose_time_has_passed_makes_nothing_at_any_try(klaviyo: Klaviyo) -> None:
    task = clone(campaign_id=DRAFT_PAST_STATIC)
    for _ in range(2):
        with pytest.raises(KlaviyoValidationError, match="Nothing was cloned"):
            task.run()
    assert klaviyo.counted()["create_campaign_clone"] == 0
