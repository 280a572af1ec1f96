from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from airflow_provider_klaviyo.exceptions import (
    KlaviyoAuthError,
    KlaviyoImportTimeoutError,
    KlaviyoRefusedError,
    KlaviyoRejectedRowsError,
    KlaviyoTransientError,
    RefusalReason,
)
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from tests.conftest import QUICK, Connect
from tests.support.importing import importing, members, people
from tests.support.sandbox import OTHER_LIST


@pytest.fixture
def slow_jobs(connect: Connect, brief_pauses: None) -> Iterator[None]:
    """A sandbox whose import jobs take three seconds."""
    with Sandbox(limits=False, timing=replace(QUICK, working=3.0), strict=True) as running:
        connect(running.url)
        yield


@pytest.mark.parametrize("deferrable", [False, True])
def test_the_list_becomes_what_the_rows_are(klaviyo, a_list, deferrable):
    given = {"list_ids": a_list, "max_removed": "70%", "deferrable": deferrable}
    first = importing(people(0, 1, 2), "mirror", **given).run()
    assert first == {"rows": 3, "duplicates": 0, "accepted": 3, "rejected": 0, "added": 3, "removed": 0}
    second = importing(people(2, 3), "mirror", **given).run()
    assert second == {"rows": 2, "duplicates": 0, "accepted": 2, "rejected": 0, "added": 1, "removed": 2}
    assert members(a_list) == {"person2@example.com", "person3@example.com"}


def test_a_query_that_lost_half_of_its_rows_removes_nobody_and_imports_nothing(klaviyo, a_list):
    importing(people(*range(10)), "mirror", list_ids=a_list).run()
    posted = klaviyo.counted()["bulk_import_profiles"]
    with pytest.raises(KlaviyoRefusedError, match=r"5 of the 10 members of list \w+ \(50\.0%\).*'20%'") as caught:
        importing(people(*range(5)), "mirror", list_ids=a_list).run()
    assert caught.value.reason is RefusalReason.REMOVES_TOO_MANY
    assert len(members(a_list)) == 10
    assert klaviyo.counted()["bulk_import_profiles"] == posted


@pytest.mark.parametrize(
    ("max_removed", "is_right"), [(2, True), ("20%", True), (0.2, True), (1, False), ("10%", False)]
)
def test_as_many_as_allowed_may_be_removed(klaviyo, a_list, max_removed, is_right):
    importing(people(*range(10)), "mirror", list_ids=a_list).run()
    task = importing(people(*range(8)), "mirror", list_ids=a_list, max_removed=max_removed)
    if is_right:
        assert task.run()["removed"] == 2
    else:
        with pytest.raises(KlaviyoRefusedError):
            task.run()
    assert len(members(a_list)) == (8 if is_right else 10)


@pytest.mark.parametrize("rows", [[], [{"email": "bad"}]])
def test_no_rows_never_empty_the_list(klaviyo, a_list, rows):
    importing(people(0), "mirror", list_ids=a_list).run()
    with pytest.raises(KlaviyoRefusedError, match="No row is left to be imported") as caught:
        importing(rows, "mirror", list_ids=a_list, max_removed=1.0, max_rejected=1.0).run()
    assert caught.value.reason is RefusalReason.REMOVES_TOO_MANY
    assert members(a_list) == {"person0@example.com"}


def test_a_member_whose_row_was_rejected_stays(klaviyo, a_list):
    importing(people(0, 1, 2), "mirror", list_ids=a_list).run()
    rows = [*people(0), {"email": "PERSON1@example.com ", "location": {"latitude": "north"}}]
    result = importing(rows, "mirror", list_ids=a_list, max_removed=1, max_rejected=1).run()
    assert (result["rejected"], result["removed"]) == (1, 1)
    assert members(a_list) == {"person0@example.com", "person1@example.com"}


def test_more_rejected_rows_than_allowed_remove_nobody(klaviyo, a_list):
    importing(people(0, 1, 2), "mirror", list_ids=a_list).run()
    with pytest.raises(KlaviyoRejectedRowsError):
        importing([*people(0, 3), {"email": "bad"}], "mirror", list_ids=a_list, max_removed=1.0).run()
    assert members(a_list) == {row["email"] for row in people(0, 1, 2, 3)}


def test_a_member_is_known_by_any_of_its_identifiers(klaviyo, a_list):
    whole = {"email": "ada@example.com", "phone_number": "+15005550001", "external_id": "a-1"}
    importing([whole, *people(0, 1, 2)], "mirror", list_ids=a_list).run()
    for row in ({"email": "ada@example.com"}, {"phone_number": "+15005550001"}, {"external_id": "a-1"}):
        result = importing([row, *people(0, 1, 2)], "mirror", list_ids=a_list).run()
        assert (result["added"], result["removed"]) == (0, 0)
    (profile,) = KlaviyoHook().paginate("get_profiles", query={"filter": 'equals(external_id,"a-1")'})
    result = importing([{"id": profile.id}, *people(0, 1, 2)], "mirror", list_ids=a_list).run()
    assert (result["added"], result["removed"]) == (0, 0)


def test_a_row_with_another_key_than_the_members_is_on_the_list(klaviyo, a_list):
    importing([{"external_id": "a-1"}, *people(0)], "mirror", list_ids=a_list).run()
    row = {"email": "ada@example.com", "external_id": "a-1"}
    result = importing([row, *people(0)], "mirror", list_ids=a_list).run()
    assert (result["added"], result["removed"]) == (0, 0)


def test_members_of_many_pages_are_read(klaviyo, a_list):
    importing(people(*range(250)), "mirror", list_ids=a_list).run()
    result = importing(people(*range(205), *range(900, 910)), "mirror", list_ids=a_list).run()
    assert (result["added"], result["removed"]) == (10, 45)
    assert len(members(a_list)) == 215


def test_members_who_leave_are_taken_off_a_thousand_at_a_time(klaviyo, a_list):
    importing(people(*range(1_205)), "mirror", list_ids=a_list).run()
    result = importing(people(0, 1), "mirror", list_ids=a_list, max_removed="100%").run()
    assert result["removed"] == 1_203
    assert klaviyo.counted()["remove_profiles_from_list"] == 2
    assert members(a_list) == {row["email"] for row in people(0, 1)}


def test_with_a_state_only_changed_rows_and_those_who_left_the_list_are_imported(klaviyo, a_list, state):
    importing(people(*range(10)), "mirror", list_ids=a_list, state_path=state).run()
    left = KlaviyoHook().paginate("get_profiles", query={"filter": 'equals(email,"person3@example.com")'})
    KlaviyoHook().remove_profiles_from_list(a_list, [left[0].id])
    rows = [*people(*range(8)), *people(8, title="Dr")]
    result = importing(rows, "mirror", list_ids=a_list, state_path=state).run()
    assert result == {
        "rows": 9, "duplicates": 0, "accepted": 2, "rejected": 0, "unchanged": 7, "added": 1, "removed": 1,
    }  # fmt: skip
    assert members(a_list) == {row["email"] for row in people(*range(9))}
    again = importing(rows, "mirror", list_ids=a_list, state_path=state).run()
    assert (again["accepted"], again["unchanged"], again["added"], again["removed"]) == (0, 9, 0, 0)


def test_a_dry_run_of_a_mirror_writes_nothing(klaviyo, a_list):
    importing(people(*range(5)), "mirror", list_ids=a_list).run()
    before = klaviyo.counted()
    result = importing(people(*range(4), 7), "mirror", list_ids=a_list, dry_run=True).run()
    assert (result["added"], result["removed"], result["dry_run"]) == (1, 1, True)
    after = klaviyo.counted()
    assert {name for name in after if after[name] != before.get(name)} == {"get_list", "get_profiles_for_list"}


def test_a_dry_run_that_would_be_refused_says_so(klaviyo, a_list):
    importing(people(*range(5)), "mirror", list_ids=a_list).run()
    with pytest.raises(KlaviyoRefusedError, match="4 of the 5 members"):
        importing(people(0), "mirror", list_ids=a_list, dry_run=True).run()


def test_members_that_cannot_be_read_stop_the_import_before_it_begins(klaviyo, a_list):
    importing(people(0), "mirror", list_ids=a_list).run()
    posted = klaviyo.counted()["bulk_import_profiles"]
    klaviyo.fail("get_profiles_for_list", "status_before_commit", status=503, times=99)
    with pytest.raises(KlaviyoTransientError):
        importing(people(0, 1), "mirror", list_ids=a_list).run()
    assert sum(klaviyo.fired()) > 0
    assert klaviyo.counted()["bulk_import_profiles"] == posted


def test_a_removal_whose_answer_is_lost_is_made_again(klaviyo, a_list):
    importing(people(0, 1), "mirror", list_ids=a_list).run()
    klaviyo.fail("remove_profiles_from_list", "drop_after_commit", times=1)
    assert importing(people(0), "mirror", list_ids=a_list, max_removed=1).run()["removed"] == 1
    assert klaviyo.fired() == [1]
    assert members(a_list) == {"person0@example.com"}


@pytest.mark.parametrize("deferrable", [False, True])
def test_earlier_jobs_that_put_profiles_on_the_list_are_waited_for(slow_jobs, deferrable):
    a_list = KlaviyoHook().create_list("Mirrored").id
    importing(people(0, 1, 2, 3, 4), "mirror", list_ids=a_list).run()
    early = importing(people(5), "upsert", list_ids=a_list, timeout=0.001)
    with pytest.raises(KlaviyoImportTimeoutError):
        early.run()
    elsewhere = importing(people(6), "upsert", list_ids=OTHER_LIST, timeout=0.001)
    with pytest.raises(KlaviyoImportTimeoutError):
        elsewhere.run()
    task = importing(people(0, 1, 2, 3, 4), "mirror", list_ids=a_list, deferrable=deferrable)
    assert task.run()["removed"] == 1
    assert len(task.deferrals) == 2 * deferrable
    assert members(a_list) == {row["email"] for row in people(0, 1, 2, 3, 4)}


def test_a_retry_removes_whoever_an_earlier_try_did_not(klaviyo, a_list):
    importing(people(0, 1), "mirror", list_ids=a_list).run()
    klaviyo.fail("remove_profiles_from_list", "status_before_commit", status=401, times=1)
    task = importing(people(0), "mirror", list_ids=a_list, max_removed=1)
    posted = klaviyo.counted()["bulk_import_profiles"]
    with pytest.raises(KlaviyoAuthError):
        task.run()
    assert klaviyo.fired() == [1]
    assert task.run()["removed"] == 1
    assert klaviyo.counted()["bulk_import_profiles"] == posted + 1, "the batch was noted, and is not posted again"
