"""The never-twice protocol's tables, cell by cell. What they are good for is tested over the sandbox."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_klaviyo.campaigns import CampaignStatus
from airflow_provider_klaviyo.never_twice.look import Action, Remembered, after_make, before_send

A = Action
NOTES = [
    Remembered(intended=intended, accepted=accepted and intended, settled=settled, cleared=cleared)
    for intended, accepted, settled, cleared in itertools.product([False, True], repeat=4)
]
CANCELLED = [status for status in CampaignStatus if status.startswith("Cancelled")]
ON_ITS_WAY = [
    status for status in CampaignStatus if status not in (CampaignStatus.DRAFT, CampaignStatus.SENT, *CANCELLED)
]


@pytest.mark.parametrize(
    ("note", "same_try", "action"),
    [
        (Remembered(), False, A.WRITE),
        (Remembered(cleared=True), False, A.WRITE),
        (Remembered(intended=True, settled=False), False, A.LOOK_AGAIN),
        (Remembered(intended=True, settled=False), True, A.LOOK_AGAIN),
        (Remembered(intended=True, settled=True), False, A.WRITE),
        (Remembered(intended=True, settled=True), True, A.GIVE_UP),
        (Remembered(intended=True, accepted=True, settled=False), False, A.LOOK_AGAIN),
        (Remembered(intended=True, accepted=True, settled=True), False, A.REFUSE),
        (Remembered(intended=True, accepted=True, settled=True, cleared=True), False, A.WRITE),
        (Remembered(intended=True, accepted=True, settled=False, cleared=True), False, A.LOOK_AGAIN),
    ],
)
def test_a_draft(note: Remembered, same_try: bool, action: Action) -> None:
    assert before_send("Draft", note, same_try=same_try) is action


@pytest.mark.parametrize("note", NOTES)
@pytest.mark.parametrize("status", [*ON_ITS_WAY, "A status of the future"])
def test_what_is_on_its_way_is_waited_for_and_never_sent(status: str, note: Remembered) -> None:
    assert before_send(status, note) is A.ADOPT


@pytest.mark.parametrize("note", NOTES)
@pytest.mark.parametrize("status", [*CANCELLED, "Cancelled: Something New"])
def test_what_is_cancelled_is_refused(status: str, note: Remembered) -> None:
    assert before_send(status, note) is A.REFUSE


@pytest.mark.parametrize("note", NOTES)
def test_what_is_sent_is_done_if_this_task_meant_to_send_it_and_refused_otherwise(note: Remembered) -> None:
    assert before_send("Sent", note) is (A.ADOPT if note.intended else A.REFUSE)


@given(status=st.text(max_size=12) | st.sampled_from(list(CampaignStatus)), note=st.sampled_from(NOTES))
def test_nothing_but_a_draft_is_ever_sent(status: str, note: Remembered) -> None:
    if status != "Draft":
        assert before_send(status, note) is not A.WRITE


@given(note=st.sampled_from(NOTES))
def test_the_try_that_posted_never_posts_again(note: Remembered) -> None:
    if note.intended and not note.accepted:
        assert before_send("Draft", note, same_try=True) is not A.WRITE


@pytest.mark.parametrize(
    ("found", "settled", "same_try", "action"),
    [
        (0, False, True, A.LOOK_AGAIN),
        (0, False, False, A.LOOK_AGAIN),
        (0, True, True, A.GIVE_UP),
        (0, True, False, A.WRITE),
        (1, False, True, A.ADOPT),
        (1, True, False, A.ADOPT),
        (2, False, True, A.REFUSE),
        (5, True, False, A.REFUSE),
    ],
)
def test_what_was_found_of_a_making(found: int, settled: bool, same_try: bool, action: Action) -> None:
    assert after_make(found, settled=settled, same_try=same_try) is action
