"""What a status means for who waits: one table, over every status that Klaviyo publishes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_klaviyo.campaigns import CampaignStatus, JobStatus
from airflow_provider_klaviyo.campaigns.status import (
    REMEDIES,
    Outcome,
    Verdict,
    is_cancelled,
    is_final,
    judge,
    judge_job,
    of_messages,
)

S = CampaignStatus
CANCELLED = [status for status in S if status.startswith("Cancelled")]
BEYOND_SCHEDULED = [S.SENDING, S.SENDING_SEGMENTS, S.VARIATIONS_SENT, S.SENT]


def expected(status: str, target: str) -> Outcome:
    """The table in words: at the target done; too late for it failed; all else pending."""
    if status == target or (target == S.CANCELLED and status in CANCELLED):
        return Outcome.DONE
    if target == S.SCHEDULED and status in BEYOND_SCHEDULED:
        return Outcome.DONE
    return Outcome.FAILED if status in [S.SENT, *CANCELLED] else Outcome.PENDING


@pytest.mark.parametrize("target", S)
@pytest.mark.parametrize("status", S)
def test_every_published_status_for_every_target(status: str, target: str) -> None:
    found = judge(str(status), [str(target)])
    assert found.outcome is expected(status, target)
    assert found.status == status


@pytest.mark.parametrize("status", CANCELLED)
def test_every_way_to_be_cancelled_fails_a_wait_for_sent_and_says_what_to_do(status: str) -> None:
    found = judge(status, ["Sent"])
    assert found.outcome is Outcome.FAILED
    assert len(found.reason) > 20
    assert status in REMEDIES


@pytest.mark.parametrize(
    "status",
    ["Sending: Paused", "Sent to archive", "sent", "SENT", "Draft (locked)", "", "Cancelling", "Cancel led"],
)
def test_a_status_that_is_not_known_is_pending(status: str) -> None:
    assert judge(status, ["Sent"]).outcome is Outcome.PENDING
    assert not is_final(status)


@pytest.mark.parametrize(
    "status", ["Cancelled: Solar Flare", "Cancelled During Send", "Cancelled by user", "Cancelled-X"]
)
def test_a_new_way_to_be_cancelled_is_final(status: str) -> None:
    failed = judge(status, ["Sent"])
    assert failed.outcome is Outcome.FAILED
    assert "clone it" in failed.reason
    assert judge(status, ["Cancelled"]).outcome is Outcome.DONE
    assert judge(status, ["Cancelled: No Recipients"]).outcome is Outcome.FAILED
    assert is_cancelled(status)
    assert is_final(status)


@given(st.text(max_size=20), st.lists(st.sampled_from(list(S)), max_size=3))
def test_any_status_gets_a_verdict_and_only_targets_and_final_ones_end_a_wait(status: str, targets: list[str]) -> None:
    found = judge(status, targets)
    if status not in list(S) and not status.startswith(("Cancelled", "Sending", "Variations Sent", "Sent")):
        assert found.outcome is Outcome.PENDING


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (JobStatus.QUEUED, Outcome.PENDING),
        (JobStatus.PROCESSING, Outcome.PENDING),
        (JobStatus.COMPLETE, Outcome.DONE),
        (JobStatus.CANCELLED, Outcome.FAILED),
        ("paused", Outcome.PENDING),
    ],
)
def test_every_status_of_a_job(status: str, outcome: Outcome) -> None:
    assert judge_job(status).outcome is outcome


def test_a_verdict_is_a_value() -> None:
    assert judge("Draft", ["Sent"]) == Verdict(Outcome.PENDING, "Draft")


@pytest.mark.parametrize(
    ("messages", "status"),
    [
        (["sent"], "Sent"),
        (["sent", "sent"], "Sent"),
        (["sent", "sending"], "Sending"),
        (["sent", "scheduled", "sending"], "Scheduled"),
        (["sent", "draft"], "Draft"),
        (["cancelled", "draft"], "Draft"),
        (["cancelled", "scheduled", "sent"], "Scheduled"),
        (["paused", "draft", "sent"], "Paused"),
        (["cancelled"], "Cancelled"),
        (["cancelled", "cancelled"], "Cancelled"),
        (["cancelled: no recipients"], "Cancelled: no recipients"),
        (["cancelled", "sent"], "Cancelled: Some Messages (0)"),
        (["sent", "cancelled", "cancelled: no recipients"], "Cancelled: Some Messages (1, 2)"),
        ([], "Without Messages"),
    ],
)
def test_a_campaign_of_several_messages_is_as_far_as_the_one_that_is_least_far(
    messages: list[str], status: str
) -> None:
    assert of_messages({str(number): one for number, one in enumerate(messages)}) == status


@given(st.lists(st.sampled_from(["draft", "scheduled", "sending", "sent", "cancelled", "paused", ""]), max_size=5))
def test_a_wait_for_the_messages_ends_exactly_when_none_may_still_go(messages: list[str]) -> None:
    found = judge(of_messages({str(number): one for number, one in enumerate(messages)}), ["Sent"])
    if not messages or not set(messages) <= {"sent", "cancelled"}:
        assert found.outcome is Outcome.PENDING
    else:
        assert found.outcome is (Outcome.FAILED if "cancelled" in messages else Outcome.DONE)


def test_a_clone_is_not_advised_where_it_would_send_again() -> None:
    found = judge(of_messages({"M1": "sent", "M2": "cancelled"}), ["Sent"])
    assert "M2" in found.status
    assert found.reason == REMEDIES["Cancelled: Some Messages"]
    assert found.reason != REMEDIES["Cancelled"]
