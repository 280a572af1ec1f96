"""A send is cancelled or reverted."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_klaviyo.exceptions import (
    KlaviyoCampaignFailed,
    KlaviyoConflictError,
    RefusalReason,
)
from tests.support.refusals import refused
from tests.support.sandbox import (
    DRAFT_EMAIL,
    SENT,
    Klaviyo,
)
from tests.support.tasks import cancel, source

MODES = pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "deferrable"])


@MODES
@pytest.mark.parametrize(("action", "status"), [("cancel", "Cancelled"), ("revert", "Draft")])
def test_a_scheduled_campaign_is_stopped_and_waited_for(
    klaviyo: Klaviyo, action: str, status: str, deferrable: bool
) -> None:
    campaign_id = source()
    klaviyo.send(campaign_id)
    klaviyo.wait_for_sends()
    task = cancel(campaign_id=campaign_id, action=action, deferrable=deferrable)
    assert task.run() == campaign_id
    assert klaviyo.status(campaign_id) == status
    assert task.run() == campaign_id, "what is stopped already is left as it is"
    assert klaviyo.counted()["cancel_campaign_send"] == 1


@pytest.mark.parametrize("action", ["cancel", "revert"])
def test_a_campaign_that_is_sent_cannot_be_stopped(klaviyo: Klaviyo, action: str) -> None:
    with pytest.raises(KlaviyoCampaignFailed, match="cannot be stopped"):
        cancel(campaign_id=SENT, action=action).run()


def test_a_draft_has_no_send_to_cancel(klaviyo: Klaviyo) -> None:
    with refused(RefusalReason.NOTHING_TO_CANCEL, campaign_id=DRAFT_EMAIL, match="draft"):
        cancel(action="cancel").run()
    assert cancel(action="revert").run() == DRAFT_EMAIL


@pytest.mark.parametrize("action", ["cancel", "revert"])
@pytest.mark.parametrize(
    "rule",
    [
        {"fault": "drop_after_commit"},
        {"fault": "status_after_commit", "status": 504},
        {"fault": "drop_before_commit"},
        {"fault": "status_before_commit", "status": 500},
    ],
    ids=lambda rule: rule["fault"],
)
def test_a_stop_whose_answer_was_lost_is_a_stop(klaviyo: Klaviyo, action: str, rule: dict[str, Any]) -> None:
    """Klaviyo takes a moment to revert: asked again in between, it refuses, and the campaign still looks scheduled."""
    campaign_id = source()
    klaviyo.send(campaign_id)
    klaviyo.wait_for_sends()
    klaviyo.fail("cancel_campaign_send", **rule)
    assert cancel(campaign_id=campaign_id, action=action).run() == campaign_id
    assert klaviyo.fired() == [1]
    assert klaviyo.status(campaign_id) == {"cancel": "Cancelled", "revert": "Draft"}[action]


@pytest.mark.parametrize("action", ["cancel", "revert"])
def test_a_stop_that_is_refused_says_that_the_campaign_goes_on(klaviyo: Klaviyo, action: str) -> None:
    campaign_id = source()
    klaviyo.send(campaign_id)
    klaviyo.wait_for_sends()
    klaviyo.fail("cancel_campaign_send", "status_before_commit", status=409)
    with pytest.raises(KlaviyoConflictError, match=f"Campaign {campaign_id} goes on"):
        cancel(campaign_id=campaign_id, action=action).run()
    assert klaviyo.fired() == [1]
    assert klaviyo.status(campaign_id) == "Scheduled"
