"""Recipients are counted, and a wrong number stops the campaign."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_klaviyo.exceptions import (
    KlaviyoError,
    KlaviyoRecipientCountError,
    KlaviyoValidationError,
)
from tests.support.sandbox import (
    DRAFT_EMAIL,
    NOBODY,
    Klaviyo,
)
from tests.support.tasks import create, estimate

MODES = pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "deferrable"])


@MODES
@pytest.mark.parametrize(
    ("bounds", "fits"),
    [
        ({}, True),
        ({"minimum": 11, "maximum": 11}, True),
        ({"minimum": "11", "maximum": "{{ 10 + 1 }}"}, True),
        ({"minimum": 12}, False),
        ({"maximum": 10}, False),
        ({"minimum": "{{ 12 }}"}, False),
        ({"minimum": None}, True),
    ],
)
def test_an_estimate_outside_the_bounds_stops_before_anything_is_sent(
    klaviyo: Klaviyo, bounds: dict[str, Any], fits: bool, deferrable: bool
) -> None:
    campaign_id = create().run()
    task = estimate(campaign_id=campaign_id, deferrable=deferrable, **bounds)
    if fits:
        assert task.run() == 11
    else:
        with pytest.raises(KlaviyoRecipientCountError, match=r"would reach 11 recipients.*Nothing was sent"):
            task.run()
    assert klaviyo.sends() == []


@pytest.mark.parametrize("nothing", ["{{ None }}", "{{ '' }}", "{{ missing_variable }}"])
def test_a_bound_that_renders_to_nothing_does_not_take_the_bound_away(klaviyo: Klaviyo, nothing: str) -> None:
    """The number came from an upstream task that returned nothing: the guard must not vanish with it."""
    for bound in ("minimum", "maximum"):
        with pytest.raises(KlaviyoValidationError, match=bound):
            estimate(**{bound: nothing}).run()


@MODES
def test_by_default_an_empty_audience_is_stopped(klaviyo: Klaviyo, deferrable: bool) -> None:
    campaign_id = create(audiences={"included": [NOBODY]}).run()
    with pytest.raises(KlaviyoRecipientCountError, match=r"0 recipients.*at least 1"):
        estimate(campaign_id=campaign_id, deferrable=deferrable).run()


def test_every_run_counts_afresh(klaviyo: Klaviyo) -> None:
    task = estimate()
    task.run()
    task.run()
    assert klaviyo.counted()["refresh_campaign_recipient_estimation"] == 2


def test_a_count_that_is_running_is_waited_for(klaviyo: Klaviyo) -> None:
    klaviyo.post("/api/campaign-recipient-estimation-jobs", "campaign-recipient-estimation-job", DRAFT_EMAIL)
    assert estimate().run() > 0


def test_an_estimate_without_a_count_in_its_event_is_an_error_of_ours(klaviyo: Klaviyo) -> None:
    event = {"campaign_id": DRAFT_EMAIL, "outcome": "done", "status": "complete"}
    operator = estimate().make()
    with pytest.raises(KlaviyoError):
        operator.resume_execution("execute_complete", {"event": event}, estimate().context())
