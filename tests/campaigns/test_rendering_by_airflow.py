"""The way of a campaign's settings through a DAG: built at import, rendered by Airflow, checked again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.campaigns.attributes import check_audiences, tracking_options
from airflow_provider_klaviyo.campaigns.content import check_message, email, push, sms
from airflow_provider_klaviyo.campaigns.strategies import check_strategy, smart_send_time, static, throttled

MONDAY = datetime(2026, 5, 4, 9, tzinfo=UTC)
SUNDAY = datetime(2026, 5, 3, tzinfo=UTC)


class Campaign(BaseOperator):
    template_fields: Sequence[str] = ("audiences", "message", "strategy")

    def __init__(self, *, audiences: Any, message: Any, strategy: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.audiences = audiences
        self.message = message
        self.strategy = strategy


def rendered(*, native: bool = False, **settings: Any) -> Campaign:
    defaults = {"audiences": {"included": ["A"]}, "message": email(subject="Sale"), "strategy": None}
    with DAG("weekly", schedule=None, render_template_as_native_obj=native):
        task = Campaign(task_id="create", **{**defaults, **settings})
    task.render_template_fields({"data_interval_end": MONDAY, "params": {"percent": 25, "prefix": False, "id": "A"}})
    return task


@pytest.mark.parametrize("native", [False, True])
def test_jinja_becomes_what_klaviyo_takes_in_plain_and_in_native_rendering(native: bool) -> None:
    task = rendered(
        native=native,
        audiences={"included": ["{{ params.id }}"]},
        message=sms(body="Sale ends {{ data_interval_end | ds }}", add_org_prefix="{{ params.prefix }}"),
        strategy=throttled("{{ data_interval_end }}", throttle_percentage="{{ params.percent }}"),
    )
    assert check_audiences(task.audiences, rendered=True) == {"included": ["A"]}
    assert check_message(task.message, rendered=True) == sms(body="Sale ends 2026-05-04", add_org_prefix=False)
    assert check_strategy(task.strategy, now=SUNDAY) == throttled(MONDAY, throttle_percentage=25)


def test_a_past_data_interval_is_refused_after_rendering() -> None:
    task = rendered(strategy=static("{{ data_interval_end }}"))
    with pytest.raises(KlaviyoValidationError, match="has passed"):
        check_strategy(task.strategy, now=datetime(2026, 6, 1, tzinfo=UTC))


def test_klaviyos_tags_reach_klaviyo_when_they_are_raw() -> None:
    task = rendered(message=email(subject="{% raw %}Hello {{ first_name }}{% endraw %}"))
    assert check_message(task.message, rendered=True) == email(subject="Hello {{ first_name }}")


def test_outputs_of_upstream_tasks_pass_the_checks_at_import_wherever_they_stand() -> None:
    with DAG("weekly", schedule=None):
        output: Any = BaseOperator(task_id="sync").output
    audiences = {"included": [output, output, "B"], "excluded": [output]}
    assert check_audiences(audiences) == audiences
    assert check_audiences(output) is output
    assert email(subject=output, from_email=output)["content"] == {"subject": output, "from_email": output}
    assert sms(body=output, shorten_links=output, image_id=output)["image_id"] is output
    assert push(body=output, kv_pairs={"a": [output]}, on_open=output, badge=output, action_buttons=output)
    button = {"label": output, "action_type": output, "position": output, "url": output}
    assert push(body=output, action_buttons=[button, output], badge={"display": output}, on_open={"type": output})
    assert tracking_options(static_params={"utm_source": output, "utm_medium": "x"}, dynamic_params={"a": output})
    assert static(output, is_local=output)["datetime"] is output
    assert throttled(output, throttle_percentage=output)["throttle_percentage"] is output
    assert smart_send_time(output)["date"] is output
