from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.api.schemas import request_errors
from airflow_provider_klaviyo.campaigns.attributes import (
    DYNAMIC_VALUES,
    check_send_options,
    check_tracking_options,
    tracking_options,
)

UTM = {"utm_source": "klaviyo", "utm_medium": "email"}
words = st.text(min_size=1).filter(lambda text: text.strip())
flags = st.none() | st.booleans()


def schema_problems(**options: Any) -> list[str]:
    message = {"type": "campaign-message", "attributes": {"definition": {"channel": "email"}}}
    audiences = {"included": ["Y6nRLr"]}
    attributes = {"name": "Sale", "audiences": audiences, "campaign-messages": {"data": [message]}, **options}
    body = {"data": {"type": "campaign", "attributes": attributes}}
    return [str(problem) for problem in request_errors("create_campaign", body=body)]


@given(
    add=flags,
    clicks=flags,
    opens=flags,
    more=st.dictionaries(words.map("static_{}".format), st.text(), max_size=2),
    dynamic=st.dictionaries(words.map("dynamic_{}".format), st.sampled_from(DYNAMIC_VALUES), max_size=2),
)
def test_whatever_tracking_options_makes_follows_the_published_schema(
    add: bool | None, clicks: bool | None, opens: bool | None, more: dict[str, str], dynamic: dict[str, str]
) -> None:
    made = tracking_options(
        add_tracking_params=add,
        static_params={**UTM, **more},
        dynamic_params=dynamic,
        is_tracking_clicks=clicks,
        is_tracking_opens=opens,
    )
    assert schema_problems(tracking_options=made) == []
    assert check_tracking_options(made, "email", rendered=True) == made


def test_tracking_options_have_klaviyos_shape() -> None:
    assert tracking_options() == {}
    assert tracking_options(is_tracking_opens=False) == {"is_tracking_opens": False}
    assert tracking_options(static_params=UTM, dynamic_params={"utm_campaign": "campaign_name"}) == {
        "add_tracking_params": True,
        "custom_tracking_params": [
            {"type": "static", "name": "utm_source", "value": "klaviyo"},
            {"type": "static", "name": "utm_medium", "value": "email"},
            {"type": "dynamic", "name": "utm_campaign", "value": "campaign_name"},
        ],
    }


def param(name: str, value: str = "x", kind: str = "static") -> dict[str, str]:
    return {"type": kind, "name": name, "value": value}


@pytest.mark.parametrize(
    ("params", "pointer", "says"),
    [
        ([param("utm_source")], "", "has no utm_medium."),
        ([param("a")], "", "has no utm_source and no utm_medium"),
        ([param("utm_source"), param("utm_medium"), param("utm_source")], "/2", "Give each parameter once"),
        ([param("utm_source", "campaign", "dynamic")], "/0/value", "Did you mean 'campaign_"),
        ([param("utm_source", kind="fixed")], "/0/type", "Allowed: static, dynamic"),
        ([{"type": "static", "name": "utm_source"}], "/0/value", "is missing"),
        ([param(" ")], "/0/name", "Give some text"),
        ({"utm_source": "x"}, "", "Give a list"),
    ],
)
def test_parameters_that_klaviyo_would_refuse_are_refused(params: Any, pointer: str, says: str) -> None:
    with pytest.raises(KlaviyoValidationError) as refused:
        check_tracking_options({"custom_tracking_params": params})
    assert refused.value.pointer == f"/tracking_options/custom_tracking_params{pointer}"
    assert says in refused.value.message


def test_an_empty_list_stands_for_the_accounts_own_parameters() -> None:
    options = {"add_tracking_params": True, "custom_tracking_params": []}
    assert check_tracking_options(options) == options
    assert schema_problems(tracking_options=options) == []


@pytest.mark.parametrize(
    ("options", "channel", "pointer"),
    [
        ({"is_tracking_opens": True}, "sms", "/tracking_options/is_tracking_opens"),
        ({}, "mobile_push", "/tracking_options"),
        ({"is_tracking_open": True}, "email", "/tracking_options/is_tracking_open"),
        ({"is_tracking_opens": "yes"}, None, "/tracking_options/is_tracking_opens"),
    ],
)
def test_what_a_channel_does_not_track_is_refused(options: dict[str, Any], channel: str | None, pointer: str) -> None:
    with pytest.raises(KlaviyoValidationError) as refused:
        check_tracking_options(options, channel)
    assert refused.value.pointer == pointer


@pytest.mark.parametrize("value", [True, False, None])
def test_send_options_are_taken_as_published(value: bool | None) -> None:
    assert check_send_options({"use_smart_sending": value}, rendered=True) == {"use_smart_sending": value}
    assert schema_problems(send_options={"use_smart_sending": value}) == []


@pytest.mark.parametrize("options", [{"use_smart_sending": 1}, {"smart_sending": True}, True])
def test_other_send_options_are_refused(options: Any) -> None:
    with pytest.raises(KlaviyoValidationError) as refused:
        check_send_options(options)
    assert "use_smart_sending" in refused.value.message


def test_jinja_is_left_alone_until_it_is_rendered() -> None:
    jinja = "{{ params.x }}"
    pending: list[Any] = [
        jinja,
        tracking_options(add_tracking_params=jinja),
        {"custom_tracking_params": jinja},
        {"custom_tracking_params": [jinja]},
        {"custom_tracking_params": [param("utm_source", jinja, "dynamic"), param("utm_medium")]},
        {"custom_tracking_params": [param("utm_source", kind=jinja), param("utm_medium")]},
    ]
    for options in pending:
        assert check_tracking_options(options) == options
        with pytest.raises(KlaviyoValidationError, match="after rendering"):
            check_tracking_options(options, rendered=True)
    named = {"custom_tracking_params": [param(jinja)]}
    assert check_tracking_options(named) == named
    assert check_send_options({"use_smart_sending": jinja}) == {"use_smart_sending": jinja}
    assert check_send_options({"use_smart_sending": "False"}, rendered=True) == {"use_smart_sending": False}
