"""Who is suppressed."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_klaviyo.exceptions import KlaviyoAmbiguousWriteError, KlaviyoError, KlaviyoValidationError
from airflow_provider_klaviyo.operators.audiences import (
    KlaviyoSuppressProfilesOperator,
    KlaviyoUnsuppressProfilesOperator,
)
from tests.support.context import Task
from tests.support.sandbox import LIST, Klaviyo
from tests.support.tasks import task

ADA, BEN, FREYA = "ada.aspen@example.com", "ben.hazel@example.com", "freya.hazel@example.com"
SEGMENT = "UTd5ui"


def suppress(*emails: str, **arguments: Any) -> Task:
    whom = {"emails": list(emails)} if emails else {}
    return task(KlaviyoSuppressProfilesOperator, {**whom, "poll_interval": 0.02, **arguments})


def unsuppress(*emails: str, **arguments: Any) -> Task:
    whom = {"emails": list(emails)} if emails else {}
    return task(KlaviyoUnsuppressProfilesOperator, {**whom, "poll_interval": 0.02, **arguments})


def reasons(klaviyo: Klaviyo, email: str) -> list[str]:
    query = {"filter": f'equals(email,"{email}")', "additional-fields[profile]": "subscriptions"}
    (found,) = klaviyo.get("/api/profiles", **query)["data"]
    given = found["attributes"]["subscriptions"]["email"]["marketing"]["suppression"]
    return [one["reason"] for one in given]


@pytest.mark.parametrize("deferrable", [False, True])
def test_addresses_are_suppressed_and_that_is_lifted_again(klaviyo, deferrable):
    first = suppress(BEN, BEN.upper(), "new@example.com", deferrable=deferrable)
    assert first.run() == {"accepted": 2, "completed": 2, "skipped": 0}
    assert len(first.deferrals) == deferrable
    assert reasons(klaviyo, "new@example.com") == ["USER_SUPPRESSED"]
    assert suppress("new@example.com", deferrable=deferrable).run() == {"accepted": 1, "completed": 0, "skipped": 1}
    assert unsuppress("new@example.com", deferrable=deferrable).run() == {"accepted": 1, "completed": 1, "skipped": 0}
    assert reasons(klaviyo, "new@example.com") == []


def test_who_bounced_stays_suppressed(klaviyo):
    assert unsuppress(FREYA).run() == {"accepted": 1, "completed": 0, "skipped": 1}
    assert reasons(klaviyo, FREYA) == ["HARD_BOUNCE"]


@pytest.mark.parametrize(("group", "size"), [({"list_id": LIST}, 12), ({"segment_id": SEGMENT}, 4)])
def test_the_members_of_a_list_or_segment_are_suppressed(klaviyo, group, size):
    assert suppress(**group).run() == {"accepted": size, "completed": size, "skipped": 0}
    assert unsuppress(**group).run() == {"accepted": size, "completed": size, "skipped": 0}


def test_many_addresses_go_a_hundred_a_job_and_the_counts_are_added_up(klaviyo, capsys):
    found = suppress(*(f"p{number}@example.com" for number in range(201))).run()
    assert found == {"accepted": 201, "completed": 201, "skipped": 0}
    assert len(klaviyo.requests("bulk_suppress_profiles")) == 3
    assert "201 of 201 addresses to suppress are accepted, " in capsys.readouterr().out


@pytest.mark.parametrize("fault", ["drop_before_commit", "drop_after_commit"])
def test_a_job_whose_beginning_is_not_answered_is_begun_again(klaviyo, fault):
    klaviyo.fail("bulk_suppress_profiles", fault)
    assert suppress(ADA).run()["accepted"] == 1
    assert klaviyo.fired() == [1]
    assert reasons(klaviyo, ADA) == ["USER_SUPPRESSED"]


def test_a_beginning_that_is_never_answered_fails(klaviyo):
    klaviyo.fail("bulk_suppress_profiles", "drop_before_commit", times=3)
    with pytest.raises(KlaviyoAmbiguousWriteError, match="about rows 0 to 0"):
        suppress(ADA).run()
    assert klaviyo.fired() == [3]


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_look_that_fails_for_a_passing_reason_does_not_end_the_wait(klaviyo, deferrable):
    klaviyo.fail("get_bulk_suppress_profiles_job", "status_before_commit", status=503, times=3)
    assert suppress(ADA, deferrable=deferrable).run() == {"accepted": 1, "completed": 1, "skipped": 0}
    assert klaviyo.fired() == [3]


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_retry_after_a_wait_that_was_too_long_suppresses_again_which_does_no_harm(klaviyo, deferrable):
    klaviyo.fail("get_bulk_suppress_profiles_job", "status_before_commit", status=503, times=99)
    waiting = suppress(ADA, BEN, deferrable=deferrable, timeout=0.001)
    with pytest.raises(KlaviyoError, match=r"1 of 1 jobs to suppress are not over after 0\.001 s, the first is "):
        waiting.run()
    assert sum(klaviyo.fired()) > 0
    klaviyo.mend()
    waiting.make = suppress(ADA, BEN, deferrable=deferrable).make
    assert waiting.run()["accepted"] == 2
    assert klaviyo.counted()["bulk_suppress_profiles"] == 2
    assert reasons(klaviyo, ADA) == reasons(klaviyo, BEN) == ["USER_SUPPRESSED"]


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize(("operator", "word"), [(suppress, "suppress"), (unsuppress, "unsuppress")])
def test_a_job_that_was_cancelled_fails_the_task(klaviyo, operator, word, deferrable):
    klaviyo.settings(jobs_end="cancelled")
    with pytest.raises(KlaviyoError, match=f"Job .*, to {word}, was cancelled"):
        operator(FREYA, deferrable=deferrable).run()


def test_what_is_stored_while_it_waits_names_nobody(klaviyo):
    waiting = suppress(ADA, deferrable=True)
    waiting.run()
    (deferral,) = waiting.deferrals
    assert ADA not in repr((deferral.trigger.serialize(), deferral.kwargs))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "nothing is given; give exactly one"),
        ({"emails": [ADA], "list_id": LIST}, "emails and list_id is given"),
        ({"emails": []}, "emails is empty"),
        ({"emails": [ADA, "secret"]}, r"emails\.1 is not an e-mail address"),
        ({"list_id": ""}, "list_id is ''"),
        ({"segment_id": SEGMENT, "timeout": 0}, "timeout is 0"),
    ],
)
def test_what_cannot_be_right_is_refused_when_the_dag_is_imported(arguments, words):
    with pytest.raises(KlaviyoValidationError, match=words) as caught:
        suppress(**arguments).make()
    assert "secret" not in str(caught.value)


def test_a_list_that_is_not_there_is_an_error(klaviyo):
    with pytest.raises(KlaviyoValidationError, match="no list with id"):
        suppress(list_id="gone00").run()
