from __future__ import annotations

import json
import string
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.api.schemas import request_errors
from airflow_provider_klaviyo.campaigns.content import action_button, check_message, email, push, silent_push, sms


def schema_problems(message: dict[str, Any]) -> list[str]:
    """What the published CampaignCreateQuery has against a message in a campaign."""
    definition = {key: value for key, value in message.items() if key != "image_id"}
    data: dict[str, Any] = {"type": "campaign-message", "attributes": {"definition": definition}}
    if "image_id" in message:
        data["relationships"] = {"image": {"data": {"type": "image", "id": message["image_id"]}}}
    attributes = {"name": "Sale", "audiences": {"included": ["Y6nRLr"]}, "campaign-messages": {"data": [data]}}
    body = {"data": {"type": "campaign", "attributes": attributes}}
    return [str(problem) for problem in request_errors("create_campaign", body=body)]


def refusal(call: Callable[[], object]) -> KlaviyoValidationError:
    with pytest.raises(KlaviyoValidationError) as refused:
        call()
    return refused.value


words = st.text(min_size=1, max_size=40).filter(lambda text: text.strip())
addresses = st.builds("{}@{}.com".format, *[st.text(string.ascii_lowercase, min_size=1, max_size=9)] * 2)
ids = st.text(string.ascii_letters + string.digits, min_size=6, max_size=26).filter(lambda text: text != "None")
flags = st.booleans()
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)
pairs = st.dictionaries(words, json_values, max_size=3)
buttons = st.builds(
    action_button, label=words, action_type=st.sampled_from(["open_url", "deep_link"]), url=words
) | st.builds(action_button, label=words, action_type=st.sampled_from(["open_app", "dismiss"]))
on_open = (
    st.just({"type": "open_app"})
    | st.builds(lambda link: {"type": "deep_link", "ios_deep_link": link}, words)
    | st.builds(lambda link: {"type": "open_web_url", "web_url": link}, words)
)
badge_options = (
    st.just({"badge_config": "increment_one"})
    | st.builds(lambda count: {"badge_config": "set_count", "value": count}, st.integers(0, 99))
    | st.builds(lambda name: {"badge_config": "set_property", "set_from_property": name}, words)
)
badges = st.booleans() | st.builds(lambda options: {"display": True, "badge_options": options}, badge_options)


def optional(**strategies: st.SearchStrategy[Any]) -> dict[str, st.SearchStrategy[Any]]:
    return {name: st.none() | strategy for name, strategy in strategies.items()}


emails = st.builds(
    email,
    subject=words,
    **optional(
        preview_text=st.text(),
        from_email=addresses,
        from_label=st.text(),
        reply_to_email=addresses,
        cc_email=addresses,
        bcc_email=addresses,
        label=st.text(),
    ),
)
text_messages = st.builds(
    sms,
    body=words,
    **optional(
        shorten_links=flags,
        add_org_prefix=flags,
        add_info_link=flags,
        add_opt_out_language=flags,
        image_id=ids,
    ),
)
pushes = st.builds(
    push,
    body=words,
    **optional(
        title=st.text(),
        action_buttons=st.lists(buttons, max_size=3),
        kv_pairs=pairs,
        on_open=on_open,
        badge=badges,
        play_sound=flags,
        image_id=ids,
    ),
)
messages = emails | text_messages | pushes | st.builds(silent_push, kv_pairs=pairs)


@given(messages)
def test_whatever_the_builders_make_follows_the_published_schema(message: dict[str, Any]) -> None:
    assert schema_problems(message) == []


@given(messages)
def test_a_message_survives_json_and_a_second_check_unchanged(message: dict[str, Any]) -> None:
    again = json.loads(json.dumps(message))
    assert again == message
    assert check_message(again, channel=message["channel"], rendered=True) == message


def test_an_email_has_klaviyos_shape_and_leaves_out_what_is_not_given() -> None:
    assert email(subject="Sale", from_email="news@example.com", label="Spring") == {
        "channel": "email",
        "label": "Spring",
        "content": {"subject": "Sale", "from_email": "news@example.com"},
    }


def test_an_sms_carries_its_image_beside_the_definition() -> None:
    assert sms(body="Sale", add_info_link=False, image_id="7") == {
        "channel": "sms",
        "content": {"body": "Sale"},
        "render_options": {"add_info_link": False},
        "image_id": "7",
    }


def test_a_push_has_klaviyos_shape() -> None:
    message = push(
        title="Sale",
        body="Now",
        action_buttons=[action_button(label="Shop", action_type="open_url", url="https://example.com")],
        on_open={"type": "open_app"},
        badge={"display": True, "badge_options": {"badge_config": "set_count", "value": 3}},
        play_sound=True,
        kv_pairs={"a": 1},
    )
    assert message == {
        "channel": "mobile_push",
        "notification_type": "standard",
        "content": {
            "title": "Sale",
            "body": "Now",
            "action_buttons": [{"label": "Shop", "action_type": "open_url", "url": "https://example.com"}],
        },
        "kv_pairs": {"a": 1},
        "options": {
            "on_open": {"type": "open_app"},
            "badge": {"display": True, "badge_options": {"badge_config": "set_count", "value": "3"}},
            "play_sound": True,
        },
    }
    assert push(body="x", badge=False)["options"] == {"badge": {"display": False}}
    assert silent_push(kv_pairs={"a": 1}) == {
        "channel": "mobile_push",
        "notification_type": "silent",
        "kv_pairs": {"a": 1},
    }


button = {"label": "Shop", "action_type": "open_app"}


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: email(subject="  "), "content/subject"),
        (lambda: email(subject=3), "content/subject"),
        (lambda: email(subject="x", from_email="news"), "content/from_email"),
        (lambda: email(subject="x", cc_email="a@example.com, b@example.com"), "content/cc_email"),
        (lambda: sms(body=""), "content/body"),
        (lambda: sms(body="x", shorten_links="yes"), "render_options/shorten_links"),
        (lambda: sms(body="x", image_id="None"), "image_id"),
        (lambda: push(body=""), "content/body"),
        (lambda: push(body="x" * 513), "content/body"),
        (lambda: push(body="x", action_buttons=[button] * 4), "content/action_buttons"),
        (lambda: push(body="x", action_buttons=button), "content/action_buttons"),
        (lambda: push(body="x", action_buttons=[{**button, "label": "x" * 41}]), "content/action_buttons/0/label"),
        (lambda: push(body="x", action_buttons=[{"action_type": "dismiss"}]), "content/action_buttons/0/label"),
        (
            lambda: push(body="x", action_buttons=[button, {**button, "action_type": "open"}]),
            "content/action_buttons/1/action_type",
        ),
        (
            lambda: push(body="x", action_buttons=[{**button, "action_type": "open_url"}]),
            "content/action_buttons/0/url",
        ),
        (
            lambda: push(body="x", action_buttons=[{**button, "action_type": "deep_link", "url": "x" * 2049}]),
            "content/action_buttons/0/url",
        ),
        (lambda: push(body="x", action_buttons=[{**button, "url": "x"}]), "content/action_buttons/0/url"),
        (
            lambda: push(body="x", action_buttons=[{**button, "position": 1}, {**button, "position": 2}]),
            "content/action_buttons",
        ),
        (lambda: push(body="x", action_buttons=[{**button, "position": 0}, button]), "content/action_buttons"),
        (lambda: push(body="x", on_open={"type": "open_url"}), "options/on_open/type"),
        (lambda: push(body="x", on_open={"type": "deep_link"}), "options/on_open/ios_deep_link"),
        (lambda: push(body="x", on_open={"type": "open_app", "web_url": "x"}), "options/on_open/web_url"),
        (lambda: push(body="x", badge={"badge_options": {}}), "options/badge/display"),
        (
            lambda: push(body="x", badge={"display": True, "badge_options": {"badge_config": "set_count"}}),
            "options/badge/badge_options/value",
        ),
        (
            lambda: push(body="x", badge={"display": True, "badge_options": {"badge_config": "count"}}),
            "options/badge/badge_options/badge_config",
        ),
        (
            lambda: push(body="x", badge={"display": False, "badge_options": {"badge_config": "increment_one"}}),
            "options/badge/badge_options",
        ),
        (lambda: push(body="x", dynamic_image="{{ image }}", image_id="7"), "image_id"),
        (lambda: silent_push(kv_pairs={"": 1}), "kv_pairs"),
        (lambda: silent_push(kv_pairs={"a": object()}), "kv_pairs/a"),
        (lambda: silent_push(kv_pairs={"a": [float("nan")]}), "kv_pairs/a"),
    ],
)
def test_a_builder_refuses_what_klaviyo_would_and_names_the_field(call: Callable[[], object], field: str) -> None:
    error = refusal(call)
    assert error.pointer == f"/definition/{field}"
    assert error.message.startswith(f"definition.{field.replace('/', '.')} ")
    assert error.status is None


@pytest.mark.parametrize(
    ("message", "pointer", "says"),
    [
        ({"content": {"subject": "x"}}, "/definition/channel", "email(), sms(), push()"),
        ({"channel": "push"}, "/definition/channel", "Did you mean 'mobile_push'?"),
        ({"channel": "email", "render_options": {}}, "/definition/render_options", "SMS only"),
        ({"channel": "email", "image_id": "7"}, "/definition/image_id", "in its template"),
        ({"channel": "email", "content": {"subjet": "x"}}, "/definition/content/subjet", "Did you mean 'subject'?"),
        ({"channel": "email", "content": "x"}, "/definition/content", "Give a dict"),
        ({"channel": "sms", "label": "x"}, "/definition/label", "Allowed: channel, content, render_options, image_id"),
        ({"channel": "sms", "content": {}}, "/definition/content/body", "is missing"),
        ({"channel": "mobile_push", "kv_pairs": {}}, "/definition/notification_type", "'silent' without"),
        ({"channel": "mobile_push", "notification_type": "standard"}, "/definition/content", "is missing"),
        ({"channel": "mobile_push", "content": {"title": "x"}}, "/definition/content/body", "is missing"),
        (
            {"channel": "mobile_push", "notification_type": "silent", "content": {}},
            "/definition/content",
            "Allowed: channel, notification_type, kv_pairs",
        ),
        (["email"], "/definition/channel", "is missing"),
    ],
)
def test_a_message_written_by_hand_is_refused_with_a_remedy(message: Any, pointer: str, says: str) -> None:
    error = refusal(lambda: check_message(message))
    assert error.pointer == pointer
    assert says in error.message


def test_a_message_of_another_channel_than_the_campaigns_is_refused() -> None:
    assert refusal(lambda: check_message(sms(body="x"), channel="email")).pointer == "/definition/channel"


def test_an_update_may_leave_a_pushs_content_out() -> None:
    message = {"channel": "mobile_push", "notification_type": "standard", "kv_pairs": {"a": 1}}
    assert check_message(message, partial=True) == message


def test_null_is_sent_as_null() -> None:
    message = {"channel": "email", "label": None, "content": {"subject": "x", "cc_email": None}}
    assert check_message(message) == message
    assert schema_problems(message) == []


def test_jinja_is_left_alone() -> None:
    jinja = "{{ params.x }}"
    made = [
        email(subject=jinja, from_email=jinja, label=jinja),
        sms(body=jinja, shorten_links=jinja, image_id=jinja),
        push(body="{% if x %}" + "x" * 600 + "{% endif %}", action_buttons=jinja, kv_pairs=jinja, on_open=jinja),
        push(body="x", badge=jinja, play_sound=jinja, kv_pairs={"a": jinja}),
        push(
            body="x",
            action_buttons=[{"label": jinja * 9, "action_type": jinja, "position": jinja, "url": jinja}, button],
            on_open={"type": jinja, "web_url": jinja},
            badge={"display": jinja, "badge_options": {"badge_config": "set_count", "value": jinja}},
        ),
        push(body="x", action_buttons=[{**button, "position": jinja}, {**button, "position": 7}]),
    ]
    assert made[0]["content"] == {"subject": jinja, "from_email": jinja}
    for message in [*made, jinja, {"channel": jinja}, {"channel": "mobile_push", "notification_type": jinja}]:
        assert check_message(message) == message


def test_rendered_strings_become_the_values_they_stand_for() -> None:
    sms_message = {"channel": "sms", "content": {"body": "x"}, "render_options": {"shorten_links": "False"}}
    assert check_message(sms_message, rendered=True)["render_options"] == {"shorten_links": False}
    numbered = push(body="x", action_buttons=[{**button, "position": "{{ 0 }}"}], play_sound="{{ 1 == 1 }}")
    numbered["content"]["action_buttons"][0]["position"] = "0"
    numbered["options"]["play_sound"] = "True"
    cleaned = check_message(numbered, rendered=True)
    assert cleaned["content"]["action_buttons"][0]["position"] == 0
    assert cleaned["options"]["play_sound"] is True
    assert schema_problems(cleaned) == []


def test_after_rendering_only_text_may_hold_klaviyos_tags() -> None:
    tagged = email(subject="Hello {{ first_name|default:'you' }}")
    assert check_message(tagged, rendered=True) == tagged
    error = refusal(lambda: check_message(sms(body="x", image_id="{{ image }}"), rendered=True))
    assert error.pointer == "/definition/image_id"
    assert "after rendering" in error.message
