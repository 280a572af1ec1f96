from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_klaviyo.audiences import batches
from airflow_provider_klaviyo.exceptions import (
    KlaviyoAmbiguousWriteError,
    KlaviyoAuthError,
    KlaviyoError,
    KlaviyoImportTimeoutError,
    KlaviyoNotFoundError,
    KlaviyoRejectedRowsError,
    KlaviyoTransientError,
    KlaviyoValidationError,
)
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.imports import posting
from airflow_provider_klaviyo.never_twice import repeat
from airflow_provider_klaviyo.operators.audiences import KlaviyoCreateListOperator, KlaviyoImportProfilesOperator
from proof.gateway import API, Reply
from tests.support.importing import importing, members, profile
from tests.support.sandbox import LIST, OTHER_LIST

UNAUTHORISED = b'{"errors": [{"id": "1", "status": 401, "code": "not_authenticated", "title": "", "detail": "No."}]}'


def people(count: int, **more: Any) -> list[dict[str, Any]]:
    return [{"email": f"person{number}@example.com", "first_name": f"P{number}", **more} for number in range(count)]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("deferrable", [False, True])
def test_rows_become_profiles_and_join_the_lists(klaviyo, deferrable):
    task = importing(people(3), list_ids=[LIST, OTHER_LIST], deferrable=deferrable)
    assert task.run() == {"rows": 3, "duplicates": 0, "accepted": 3, "rejected": 0}
    assert len(task.deferrals) == deferrable
    emails = {row["email"] for row in people(3)}
    assert emails <= members(LIST) & members(OTHER_LIST)
    assert (profile("person1@example.com") or {})["first_name"] == "P1"


def test_of_several_rows_with_one_key_the_last_is_imported(klaviyo):
    rows = [
        {"email": "a@example.com", "first_name": "old"},
        *people(2),
        {"email": "A@example.com", "first_name": "new"},
    ]
    assert importing(rows).run() == {"rows": 4, "duplicates": 1, "accepted": 3, "rejected": 0}
    assert (profile("A@example.com") or {})["first_name"] == "new"


def test_rejected_rows_are_in_the_file_and_the_others_in_klaviyo(klaviyo, tmp_path):
    path = tmp_path / "new" / "rejected.jsonl"
    rows = [
        *people(2),
        {"email": "no"},
        {"first_name": "x"},
        "text",
        {"phone_number": "+15005550001", "email": "taken@example.com"},
    ]
    rows += [{"email": "person0@example.com", "external_id": "klaviyo-refuses"}]
    result = importing(rows, max_rejected="50%", rejected_path=f"file://{path}").run()
    assert (result["rows"], result["rejected"]) == (7, 3)
    assert result["accepted"] + result["duplicates"] == 4
    assert [(line.get("row"), line.get("field")) for line in lines(path)] == [(3, "email"), (4, None), (5, None)]
    assert lines(path)[0]["key"] == {"email": "no"}


def test_more_rejected_rows_than_allowed_fail_the_task_when_all_others_are_imported(klaviyo):
    with pytest.raises(
        KlaviyoRejectedRowsError, match="1 of 3 rows were rejected, and max_rejected allows 0"
    ) as caught:
        importing([*people(2), {"email": "no"}]).run()
    assert (caught.value.rejected, caught.value.allowed, caught.value.rows) == (1, 0, 3)
    assert profile("person1@example.com")


@pytest.mark.parametrize("deferrable", [False, True])
def test_rows_that_klaviyos_jobs_refuse_are_in_the_file_beside_the_others(klaviyo, tmp_path, deferrable):
    path = tmp_path / "rejected.jsonl"
    numbers = [f"+1500555{number:04}" for number in range(150)]
    importing([*people(150), *({"phone_number": number} for number in numbers)]).run()
    rows = [{"email": row["email"], "phone_number": number} for row, number in zip(people(150), numbers, strict=True)]
    task = importing(
        [{"email": "no"}, *rows, {"email": "new@example.com"}],
        max_rejected="100%",
        rejected_path=f"file://{path}",
        deferrable=deferrable,
    )
    result = task.run()
    assert (result["accepted"], result["rejected"]) == (1, 151)
    by_check, *by_job = lines(path)
    assert (by_check["row"], by_check["field"]) == (1, "email")
    assert [line["key"] for line in by_job] == rows
    assert all(line["job"] and line["reason"].startswith("Klaviyo: ") for line in by_job)
    assert task.run()["rejected"] == 151
    assert len(lines(path)) == 151, "what is written again does not stand there twice"


def test_jobs_that_klaviyo_cancels_are_named(klaviyo):
    klaviyo.settings(jobs_end="cancelled")
    with pytest.raises(KlaviyoError, match=r"Klaviyo cancelled 1 of 1 import jobs: \w+.*Clear this task"):
        importing(people(2)).run()
    assert profile("person0@example.com") is None


NAMED = {"source": {"pointer": "/data/attributes/profiles/data/2/attributes/location/timezone"}}


def refusal(**more: Any) -> Reply:
    error = {"id": "1", "status": 400, "code": "invalid", "title": "Invalid input.", "detail": "No such zone.", **more}
    return Reply(400, json.dumps({"errors": [error]}).encode(), API)


def test_a_row_that_klaviyo_names_in_its_refusal_is_dropped_and_the_rest_posted(gateway, tmp_path):
    path = tmp_path / "rejected.jsonl"
    gateway.answer("bulk_import_profiles", refusal(**NAMED), committed=False)
    result = importing(people(5), max_rejected=1, rejected_path=f"file://{path}").run()
    assert gateway.fired == 1
    assert (result["accepted"], result["rejected"]) == (4, 1)
    (line,) = lines(path)
    assert (line["row"], line["field"], line["reason"]) == (3, "location.timezone", "Klaviyo: No such zone.")
    assert line["key"] == {"email": "person2@example.com"}


def test_a_row_that_klaviyo_refuses_without_naming_it_is_found_by_halving(gateway, tmp_path):
    path = tmp_path / "rejected.jsonl"
    for _ in range(4):
        gateway.answer("bulk_import_profiles", refusal(), committed=False, holding=b"person5@")
    result = importing(people(8), max_rejected=1, rejected_path=f"file://{path}").run()
    assert gateway.waiting == 0
    assert (result["accepted"], result["rejected"]) == (7, 1)
    assert [line["key"] for line in lines(path)] == [{"email": "person5@example.com"}]


def test_a_refusal_of_everything_is_not_blamed_on_the_rows(gateway, monkeypatch):
    monkeypatch.setattr(posting, "MOST_UNEXPLAINED", 2)
    for _ in range(20):
        gateway.answer("bulk_import_profiles", refusal(), committed=False)
    with pytest.raises(KlaviyoValidationError, match="No such zone"):
        importing(people(8), max_rejected=1.0).run()
    assert 6 <= gateway.fired < 10


def test_a_list_that_goes_while_rows_are_posted_is_not_blamed_on_the_rows(gateway):
    gone = {"source": {"pointer": "/data/relationships/lists/data/0/id"}}
    gateway.answer("bulk_import_profiles", refusal(**gone), committed=False)
    with pytest.raises(KlaviyoValidationError, match="No such zone"):
        importing(people(2), list_ids=LIST).run()
    assert gateway.fired == 1


def test_an_import_whose_answer_is_lost_is_posted_again(klaviyo):
    klaviyo.fail("bulk_import_profiles", "drop_after_commit", times=2)
    assert importing(people(2)).run()["accepted"] == 2
    assert klaviyo.fired() == [2]


def test_an_import_that_is_never_answered_fails_the_try(klaviyo):
    klaviyo.fail("bulk_import_profiles", "drop_after_commit", times=9)
    with pytest.raises(KlaviyoAmbiguousWriteError):
        importing(people(2)).run()
    assert klaviyo.fired() == [repeat.ATTEMPTS]


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_retry_goes_on_waiting_and_imports_nothing_again(klaviyo, deferrable):
    task = importing(people(3), list_ids=LIST, deferrable=deferrable, timeout=0.001)
    klaviyo.fail("get_bulk_import_profiles_job", "status_before_commit", status=503, times=99)
    with pytest.raises(KlaviyoImportTimeoutError, match="1 import jobs were not over in time"):
        task.run()
    assert sum(klaviyo.fired()) > 0
    klaviyo.mend()
    task.make = importing(None, path="file:///is/not/read.csv", list_ids=LIST).make
    assert task.run() == {"rows": 3, "duplicates": 0, "accepted": 3, "rejected": 0}
    assert klaviyo.counted()["bulk_import_profiles"] == 1


def test_a_retry_posts_only_the_batches_that_were_not_accepted(klaviyo, gateway, monkeypatch):
    monkeypatch.setattr(batches, "MOST_PROFILES", 2)
    gateway.answer("bulk_import_profiles", Reply(401, UNAUTHORISED, API), committed=False, holding=b"person4@")
    task = importing(people(6))
    with pytest.raises(KlaviyoAuthError):
        task.run()
    assert gateway.fired == 1
    assert task.run()["accepted"] == 6
    assert gateway.passed.count("bulk_import_profiles") == 4


def test_without_notes_a_retry_imports_again(klaviyo):
    task = importing(people(2), timeout=0.001)
    task.store = None
    klaviyo.fail("get_bulk_import_profiles_job", "status_before_commit", status=503, times=99)
    with pytest.raises(KlaviyoImportTimeoutError):
        task.run()
    assert sum(klaviyo.fired()) > 0
    klaviyo.mend()
    task.make = importing(people(2)).make
    assert task.run()["accepted"] == 2
    assert klaviyo.counted()["bulk_import_profiles"] == 2


@pytest.mark.parametrize("forgets", [False, True])
def test_a_cleared_task_imports_again(klaviyo, forgets):
    task = importing(people(2))
    task.run()
    task.clear(forgets=forgets)
    assert task.run()["accepted"] == 2
    assert klaviyo.counted()["bulk_import_profiles"] == 2


@pytest.mark.parametrize("lists", [["gone00"], [LIST, "gone00"]])
def test_a_list_that_is_gone_stops_the_import_before_it_begins(klaviyo, lists):
    with pytest.raises(KlaviyoValidationError, match=r"'gone00', and there is no such list.*Nothing was imported"):
        importing(people(2), list_ids=lists).run()
    assert klaviyo.counted()["bulk_import_profiles"] == 0


def test_a_file_of_rejected_rows_that_cannot_be_written_stops_the_import_before_it_begins(klaviyo, tmp_path):
    (tmp_path / "a file").write_text("")
    with pytest.raises(KlaviyoValidationError, match=r"rejected_path is .*cannot be written.*Nothing was imported"):
        importing(people(2), rejected_path=f"file://{tmp_path}/a file/rejected.jsonl").run()
    assert klaviyo.requests() == []


def test_the_rejected_rows_are_in_the_file_when_posting_fails(klaviyo, tmp_path):
    path = tmp_path / "rejected.jsonl"
    klaviyo.fail("bulk_import_profiles", "status_before_commit", status=401)
    with pytest.raises(KlaviyoAuthError):
        importing([*people(2), {"email": "no"}], rejected_path=f"file://{path}").run()
    assert klaviyo.fired() == [1]
    assert [line["row"] for line in lines(path)] == [3]


def test_a_list_that_is_named_twice_is_joined_once(klaviyo):
    task = importing(people(1), list_ids=[LIST, "{{ '" + LIST + "' }}"])
    assert task.run()["accepted"] == 1
    assert klaviyo.counted()["get_list"] == 1


def test_the_output_of_another_task_may_name_a_list():
    with DAG("audience", schedule=None):
        made = KlaviyoCreateListOperator(task_id="make", name="New")
        one = KlaviyoImportProfilesOperator(task_id="one", profiles=people(1), list_ids=[LIST, made.output])
        two = KlaviyoImportProfilesOperator(task_id="two", profiles=made.output, list_ids=made.output)
    assert one.upstream_task_ids == two.upstream_task_ids == {"make"}


def test_a_column_that_is_not_known_stops_the_import_before_it_begins(klaviyo):
    with pytest.raises(KlaviyoValidationError, match="Column 'emial'"):
        importing([*people(2), {"emial": "x"}]).run()
    assert klaviyo.counted()["bulk_import_profiles"] == 0


def test_a_job_that_is_not_known_any_more_fails_the_task(klaviyo):
    task = importing(people(1), timeout=0.001)
    klaviyo.fail("get_bulk_import_profiles_job", "status_before_commit", status=503, times=99)
    with pytest.raises(KlaviyoImportTimeoutError):
        task.run()
    assert sum(klaviyo.fired()) > 0
    klaviyo.reset()
    task.make = importing(people(1)).make
    with pytest.raises(KlaviyoNotFoundError):
        task.run()


def test_a_wrong_key_ends_the_wait_at_once(klaviyo):
    klaviyo.fail("get_bulk_import_profiles_job", "status_before_commit", status=401)
    with pytest.raises(KlaviyoAuthError):
        importing(people(1), deferrable=True).run()
    assert klaviyo.fired() == [1]


def test_looks_that_fail_for_a_passing_reason_do_not_end_the_wait(klaviyo):
    klaviyo.fail("get_bulk_import_profiles_job", "status_before_commit", status=503, times=3)
    assert importing(people(1), deferrable=True).run()["accepted"] == 1
    assert klaviyo.fired() == [3]


def test_a_dry_run_writes_nothing(klaviyo):
    result = importing([*people(4), {"email": "no"}], list_ids=LIST, dry_run=True).run()
    assert {name: result[name] for name in ("rows", "accepted", "rejected", "dry_run")} == {
        "rows": 5, "accepted": 4, "rejected": 1, "dry_run": True,
    }  # fmt: skip
    assert result["examples"][0]["attributes"]["email"] == "person0@example.com"
    assert set(klaviyo.counted()) == {"get_list"}


def test_nulls_clear_custom_properties_and_standard_fields(klaviyo):
    importing([{"email": "a@example.com", "title": "Dr", "properties.plan": "gold"}]).run()
    importing([{"email": "a@example.com", "title": None, "properties.plan": None}], nulls="clear").run()
    found = profile("a@example.com") or {}
    assert found["title"] is None
    assert "plan" not in found["properties"]
    assert klaviyo.counted()["create_or_update_profile"] == 1


@pytest.mark.parametrize("known_by", ["email", "id"])
def test_fields_of_a_location_are_cleared_whatever_the_profile_is_known_by(klaviyo, known_by):
    importing([{"email": "a@example.com", "location": {"city": "London", "zip": "N1"}, "title": "Dr"}]).run()
    (found,) = KlaviyoHook().paginate("get_profiles", query={"filter": 'equals(email,"a@example.com")'})
    known = {"email": {"email": "a@example.com"}, "id": {"id": found.id}}[known_by]
    importing([{**known, "location.city": None, "title": ""}], nulls="clear").run()
    cleared = profile("a@example.com") or {}
    assert (cleared["location"]["city"], cleared["location"]["zip"], cleared["title"]) == (None, "N1", None)
    assert klaviyo.counted()["create_or_update_profile"] == 1


def test_a_column_of_mixed_types_keeps_what_json_can_carry_and_rejects_the_other_rows(klaviyo, tmp_path):
    path = tmp_path / "rejected.jsonl"
    values = [1, "two", [3], {"four": 4}, True, 5.5, b"six", float("inf"), None]
    rows = [{"email": f"person{number}@example.com", "properties.x": value} for number, value in enumerate(values)]
    result = importing(rows, max_rejected=2, rejected_path=f"file://{path}").run()
    assert (result["accepted"], result["rejected"]) == (7, 2)
    assert [(line["row"], line["field"]) for line in lines(path)] == [(7, "properties.x"), (8, "properties.x")]
    found = [(profile(row["email"]) or {})["properties"].get("x") for row in rows[:6]]
    assert found == values[:6]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "profiles or path"),
        ({"profiles": [], "path": "a.csv"}, "one of them only"),
        ({"path": "a.xlsx"}, "'a.xlsx'; its name has to end in"),
        ({"profiles": "a@example.com"}, "give a list of dicts"),
        ({"profiles": [], "nulls": "keep"}, "nulls is 'keep'"),
        ({"profiles": [], "unmapped": "drop"}, "unmapped is 'drop'"),
        ({"profiles": [], "columns": {"a": "e-mail"}}, "maps 'a' to 'e-mail'"),
        ({"profiles": [], "max_rejected": "many"}, "max_rejected is 'many'"),
        ({"profiles": [], "list_ids": ["a b"]}, "list_ids is 'a b'"),
        ({"profiles": [], "list_ids": 5}, "list_ids is 5"),
        ({"profiles": [], "list_ids": [{}]}, "list_ids is {}"),
        ({"profiles": [], "timeout": 0}, "timeout is 0"),
        ({"profiles": [], "timezone": "Berlin"}, "timezone is 'Berlin'"),
    ],
)
def test_what_cannot_be_is_refused_when_the_dag_is_imported(arguments, words):
    with pytest.raises(KlaviyoValidationError, match=words):
        KlaviyoImportProfilesOperator(task_id="import", **arguments)


@pytest.mark.parametrize("name", ["list_ids", "columns", "rejected_path", "default_region", "path"])
def test_an_argument_that_is_rendered_to_nothing_is_an_error(klaviyo, name):
    arguments = {"profiles": people(1), "path": None, name: "{{ nothing }}"}
    if name == "path":
        arguments["profiles"] = None
    with pytest.raises(KlaviyoError, match=f"{name} is"):
        importing(**arguments).run()
    assert klaviyo.requests() == []


def test_a_throttled_import_waits(klaviyo):
    klaviyo.fail("bulk_import_profiles", "throttle", retry_after=1, times=2)
    assert importing(people(1)).run()["accepted"] == 1
    assert klaviyo.fired() == [2]


def test_an_import_that_is_not_possible_now_can_be_tried_again(klaviyo):
    klaviyo.fail("get_list", "status_before_commit", status=503, times=99)
    with pytest.raises(KlaviyoTransientError):
        importing(people(1), list_ids=LIST).run()
    assert sum(klaviyo.fired()) > 0
    assert klaviyo.counted()["bulk_import_profiles"] == 0
