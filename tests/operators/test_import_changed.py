from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_provider_klaviyo.audiences import batches
from airflow_provider_klaviyo.exceptions import (
    KlaviyoAuthError,
    KlaviyoError,
    KlaviyoImportTimeoutError,
    KlaviyoRejectedRowsError,
    KlaviyoValidationError,
)
from proof.gateway import API, Reply
from tests.support.importing import importing, people
from tests.support.sandbox import LIST, OTHER_LIST

UNAUTHORISED = b'{"errors": [{"id": "1", "status": 401, "code": "not_authenticated", "title": "", "detail": "No."}]}'


@pytest.mark.parametrize("deferrable", [False, True])
def test_the_second_run_imports_only_what_has_changed(klaviyo, state, deferrable):
    first = importing(people(0, 1, 2), "changed", state_path=state, list_ids=LIST, deferrable=deferrable).run()
    assert first == {"rows": 3, "duplicates": 0, "accepted": 3, "rejected": 0, "unchanged": 0}
    rows = [*people(2, 0), *people(1, title="Dr"), *people(3)]
    second = importing(rows, "changed", state_path=state, list_ids=LIST, deferrable=deferrable).run()
    assert second == {"rows": 4, "duplicates": 0, "accepted": 2, "rejected": 0, "unchanged": 2}
    third = importing(rows, "changed", state_path=state, list_ids=LIST, deferrable=deferrable).run()
    assert third == {"rows": 4, "duplicates": 0, "accepted": 0, "rejected": 0, "unchanged": 4}
    assert klaviyo.counted()["bulk_import_profiles"] == 2


def test_the_state_has_no_address(klaviyo, state):
    importing(people(0), "changed", state_path=state).run()
    content = Path(state.removeprefix("file://")).read_bytes()
    assert b"example" not in content
    assert b"P0" not in content
    assert len(content.partition(b"\n")[2]) == 24


@pytest.mark.parametrize("other", [{"list_ids": OTHER_LIST}, {"list_ids": [LIST, OTHER_LIST]}, {}])
def test_for_other_lists_everything_is_imported(klaviyo, state, other):
    importing(people(0, 1), "changed", state_path=state, list_ids=LIST).run()
    assert importing(people(0, 1), "changed", state_path=state, **other).run()["accepted"] == 2


def test_another_mapping_of_the_columns_imports_everything(klaviyo, state):
    rows = people(0, 1)
    importing(rows, "changed", state_path=state).run()
    columns = {"first_name": "last_name"}
    assert importing(rows, "changed", state_path=state, columns=columns).run()["accepted"] == 2


def test_a_field_that_is_to_be_cleared_is_a_change(klaviyo, state):
    rows = people(0, title=None)
    importing(rows, "changed", state_path=state).run()
    assert importing(rows, "changed", state_path=state, nulls="clear").run()["accepted"] == 1
    assert importing(rows, "changed", state_path=state, nulls="clear").run()["accepted"] == 0
    assert klaviyo.counted()["create_or_update_profile"] == 1


def test_rows_that_were_rejected_are_imported_by_the_next_run(gateway, state):
    named = {"source": {"pointer": "/data/attributes/profiles/data/2/attributes/first_name"}}
    error = {"id": "1", "status": 400, "code": "invalid", "title": "Invalid input.", "detail": "No such name.", **named}
    reply = Reply(400, json.dumps({"errors": [error]}).encode(), API)
    gateway.answer("bulk_import_profiles", reply, committed=False)
    rows = [{"email": "bad"}, *people(0, 1, 2)]
    first = importing(rows, "changed", state_path=state, max_rejected=2).run()
    assert gateway.fired == 1
    assert (first["accepted"], first["rejected"]) == (2, 2)
    second = importing([{"email": "good@example.com"}, *people(0, 1, 2)], "changed", state_path=state).run()
    assert (second["accepted"], second["unchanged"]) == (2, 2)


@pytest.mark.parametrize("deferrable", [False, True])
def test_rows_that_a_job_refused_are_imported_by_the_next_run(klaviyo, state, deferrable):
    importing([{"phone_number": "+15005550001"}, {"email": "taken@example.com"}], "upsert").run()
    rows = [*people(0), {"email": "taken@example.com", "phone_number": "+15005550001"}]
    given = {"state_path": state, "max_rejected": 1, "deferrable": deferrable}
    assert importing(rows, "changed", **given).run()["rejected"] == 1
    again = importing(rows, "changed", **given).run()
    assert (again["accepted"], again["rejected"], again["unchanged"]) == (0, 1, 1)


def test_more_rejected_rows_than_allowed_do_not_make_the_others_unknown(klaviyo, state):
    rows = [*people(0, 1), {"email": "bad"}]
    with pytest.raises(KlaviyoRejectedRowsError):
        importing(rows, "changed", state_path=state).run()
    assert importing(people(0, 1), "changed", state_path=state).run()["unchanged"] == 2


def test_what_was_posted_and_not_seen_to_be_imported_is_imported_again(klaviyo, state):
    importing(people(0, 1), "changed", state_path=state).run()
    klaviyo.settings(jobs_end="cancelled")
    with pytest.raises(KlaviyoError, match="cancelled 1 of 1"):
        importing([*people(0), *people(1, title="Dr")], "changed", state_path=state).run()
    klaviyo.settings(jobs_end="complete")
    # back to what the first run imported: Klaviyo may have got the other one, so it is imported
    assert importing(people(0, 1), "changed", state_path=state).run()["accepted"] == 1


def test_a_run_that_ends_while_it_posts_leaves_what_it_posted_to_the_next(klaviyo, gateway, state, monkeypatch):
    monkeypatch.setattr(batches, "MOST_PROFILES", 1)
    importing(people(0, 1, 2), "changed", state_path=state).run()
    gateway.answer("bulk_import_profiles", Reply(401, UNAUTHORISED, API), committed=False, holding=b"person2@")
    with pytest.raises(KlaviyoAuthError):
        importing([*people(0), *people(1, 2, title="Dr")], "changed", state_path=state).run()
    assert gateway.fired == 1
    result = importing(people(0, 1, 2), "changed", state_path=state).run()
    assert (result["accepted"], result["unchanged"]) == (2, 1)


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_retry_that_goes_on_waiting_confirms_what_was_posted(klaviyo, state, deferrable):
    given = {"state_path": state, "list_ids": LIST, "deferrable": deferrable}
    task = importing(people(0, 1), "changed", timeout=0.001, **given)
    klaviyo.fail("get_bulk_import_profiles_job", "status_before_commit", status=503, times=99)
    with pytest.raises(KlaviyoImportTimeoutError):
        task.run()
    assert sum(klaviyo.fired()) > 0
    klaviyo.mend()
    task.make = importing(people(0, 1), "changed", **given).make
    assert task.run() == {"rows": 2, "duplicates": 0, "accepted": 2, "rejected": 0, "unchanged": 0}
    assert importing(people(0, 1), "changed", **given).run()["unchanged"] == 2


def test_a_state_that_another_run_has_written_since_is_left_as_it_is(klaviyo, state):
    slow = importing(people(0, 1), "changed", state_path=state, timeout=0.001)
    klaviyo.fail("get_bulk_import_profiles_job", "status_before_commit", status=503, times=99)
    with pytest.raises(KlaviyoImportTimeoutError):
        slow.run()
    assert sum(klaviyo.fired()) > 0
    klaviyo.mend()
    importing(people(1, 2, title="Dr"), "changed", state_path=state).run()
    slow.make = importing(people(0, 1), "changed", state_path=state).make
    assert slow.run()["accepted"] == 2
    assert importing(people(1, 2, title="Dr"), "changed", state_path=state).run()["unchanged"] == 2


def test_a_task_that_is_cleared_imports_what_is_not_in_the_state(klaviyo, state):
    task = importing(people(0, 1), "changed", state_path=state)
    task.run()
    task.clear()
    assert task.run()["unchanged"] == 2
    Path(state.removeprefix("file://")).unlink()
    task.clear()
    assert task.run()["accepted"] == 2


@pytest.mark.parametrize(
    "content", [b"", b"email,name\na@example.com,Ada\n", b'{"klaviyo_import_state": 1}\n', b"\xff\n"]
)
def test_a_file_that_is_not_a_state_is_left_as_it_is(klaviyo, tmp_path, content):
    path = tmp_path / "customers.csv"
    path.write_bytes(content)
    if content:
        with pytest.raises(KlaviyoValidationError, match="a file that this operator has not written"):
            importing(people(0), "changed", state_path=f"file://{path}").run()
        assert path.read_bytes() == content
        assert klaviyo.counted()["bulk_import_profiles"] == 0
    else:
        assert importing(people(0), "changed", state_path=f"file://{path}").run()["accepted"] == 1


def test_a_state_that_is_not_whole_imports_everything(klaviyo, state):
    importing(people(0, 1), "changed", state_path=state).run()
    path = Path(state.removeprefix("file://"))
    path.write_bytes(path.read_bytes()[:-1])
    assert importing(people(0, 1), "changed", state_path=state).run()["accepted"] == 2
    assert importing(people(0, 1), "changed", state_path=state).run()["accepted"] == 0


def test_a_state_that_cannot_be_written_stops_the_import_before_it_begins(klaviyo, tmp_path):
    (tmp_path / "a file").write_text("")
    with pytest.raises(KlaviyoValidationError, match=r"state_path is .*cannot be (read|written)"):
        importing(people(0), "changed", state_path=f"file://{tmp_path}/a file/state").run()
    assert klaviyo.counted()["bulk_import_profiles"] == 0


def test_a_dry_run_has_what_has_changed_and_leaves_the_state(klaviyo, state):
    importing(people(0, 1), "changed", state_path=state).run()
    path = Path(state.removeprefix("file://"))
    before = path.read_bytes()
    result = importing([*people(0), *people(1, title="Dr")], "changed", state_path=state, dry_run=True).run()
    assert (result["accepted"], result["unchanged"], len(result["examples"])) == (1, 1, 1)
    assert path.read_bytes() == before
