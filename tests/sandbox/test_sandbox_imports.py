"""A bulk import: what fails one row, what fails the whole request, and what can be switched."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.test_sandbox_neighbours import EMPTY, found, profiles, resource

PATH = "/api/profile-bulk-import-jobs"


def imported(api: Any, *rows: dict[str, Any], list_id: str | None = None) -> Any:
    lists = {"relationships": {"lists": {"data": [{"type": "list", "id": list_id}]}}} if list_id else {}
    return api.send("POST", PATH, resource("profile-bulk-import-job", profiles(*rows), **lists))


def done(api: Any, *rows: dict[str, Any]) -> Any:
    job = imported(api, *rows)
    assert job.status_code == 202, job.text
    api.advance(10)
    return api.get(f"{PATH}/{job.json()['data']['id']}").json()["data"]


def switch(api: Any, **settings: Any) -> None:
    assert api.send("POST", "/sandbox/settings", settings).status_code == 200


def counted(api: Any, type_: str, id_: str) -> int:
    answer = api.query(f"/api/{type_}s/{id_}", {f"additional-fields[{type_}]": "profile_count"})
    return int(answer.json()["data"]["attributes"]["profile_count"])


def test_two_hundred_and_fifty_bad_rows_are_found_over_several_pages_and_each_is_named(api):
    job = done(api, *({"email": f"bad {number}"} for number in range(250)), {"email": "good@example.com"})
    assert (job["attributes"]["failed_count"], job["attributes"]["completed_count"]) == (250, 1)
    path, pages = f"{PATH}/{job['id']}/import-errors?page[size]=100", []
    while path:
        page = api.http.get(path).json()
        pages.append([error["attributes"] for error in page["data"]])
        path = page["links"]["next"]
    assert [len(page) for page in pages] == [100, 100, 50]
    errors = [error for page in pages for error in page]
    for number, error in enumerate(errors):
        assert error["source"]["pointer"] == f"/data/attributes/profiles/data/{number}/attributes/email"
        assert error["original_payload"]["attributes"] == {"email": f"bad {number}"}


@pytest.mark.parametrize("bad", [{"email": 7}, {"email": "a@example.com", "shoe": "x"}, {"properties": []}])
def test_a_row_of_a_wrong_type_fails_the_whole_request_with_a_pointer_unless_switched_off(api, bad):
    refused = imported(api, {"email": "good@example.com"}, bad)
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["source"]["pointer"].startswith("/data/attributes/profiles/data/1/")
    switch(api, import_pointer=False)
    refused = imported(api, {"email": "good@example.com"}, bad)
    assert (refused.status_code, refused.json()["errors"][0]["source"]) == (400, {})
    api.advance(10)
    assert found(api, "good@example.com") == []


def test_a_phone_number_that_is_none_is_an_import_error(api):
    job = done(api, {"email": "good@example.com"}, {"phone_number": "0123"})
    assert job["attributes"]["failed_count"] == 1


def test_null_is_ignored_unless_it_is_switched_to_clear(api):
    done(api, {"email": "a@example.com", "title": "Dr", "last_name": "A"})
    done(api, {"email": "a@example.com", "title": None})
    assert found(api, "a@example.com")[0]["attributes"]["title"] == "Dr"
    switch(api, import_nulls="clear")
    done(api, {"email": "a@example.com", "title": None})
    [profile] = found(api, "a@example.com")
    assert (profile["attributes"]["title"], profile["attributes"]["last_name"]) == (None, "A")


def test_a_row_can_unset_custom_properties(api):
    done(api, {"email": "a@example.com", "properties": {"kept": 1, "gone": 2}})
    rows = profiles({"email": "a@example.com"})
    rows["profiles"]["data"][0]["meta"] = {"patch_properties": {"unset": ["gone"]}}
    assert api.send("POST", PATH, resource("profile-bulk-import-job", rows)).status_code == 202
    api.advance(10)
    assert found(api, "a@example.com")[0]["attributes"]["properties"] == {"kept": 1}


def test_what_is_too_large_is_refused(api):
    refused = imported(api, {"email": "a@example.com"}, {"email": "b@example.com", "title": "x" * 100_001})
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["source"]["pointer"] == "/data/attributes/profiles/data/1"
    assert imported(api, *({"title": "x" * 90_000} for _ in range(56))).status_code == 413
    assert imported(api, *({"title": "x" * 90_000} for _ in range(55))).status_code == 202


def test_a_list_that_is_not_there_is_pointed_at_and_an_unknown_job_is_not_found(api):
    refused = imported(api, {"email": "a@example.com"}, list_id="NoList")
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["source"]["pointer"] == "/data/relationships/lists/data/0/id"
    assert api.get(f"{PATH}/01KNOSUCHJOB").status_code == 404


def test_a_job_can_be_made_to_end_cancelled_and_does_nothing_then(api):
    switch(api, jobs_end="cancelled")
    job = done(api, {"email": "a@example.com"})
    assert (job["attributes"]["status"], job["attributes"]["completed_count"]) == ("cancelled", 0)
    assert found(api, "a@example.com") == []
    api.http.post("/sandbox/reset")
    assert done(api, {"email": "a@example.com"})["attributes"]["status"] == "complete"


def test_a_fault_hits_the_look_at_a_job(api):
    job = done(api, {"email": "a@example.com"})
    api.fault(operation="get_bulk_import_profiles_job", fault="status_before_commit", status=503)
    assert api.get(f"{PATH}/{job['id']}").status_code == 503
    assert api.fired() == [1]
    assert api.get(f"{PATH}/{job['id']}").status_code == 200


@pytest.mark.parametrize("given", [{"import_nulls": "keep"}, {"import_pointer": 1}, {"other": True}, []])
def test_a_setting_that_is_not_known_is_refused_and_changes_nothing(api, given):
    before = api.get("/sandbox/settings").json()
    assert api.send("POST", "/sandbox/settings", given).status_code == 400
    assert api.get("/sandbox/settings").json() == before


def test_a_profile_count_lags_behind_the_membership(api):
    assert imported(api, {"email": "a@example.com"}, list_id=EMPTY).status_code == 202
    api.advance(3.5)
    assert len(api.get(f"/api/lists/{EMPTY}/profiles").json()["data"]) == 1
    assert counted(api, "list", EMPTY) == 0
    api.advance(2)
    assert counted(api, "list", EMPTY) == 1


def test_a_large_import_is_not_kept_in_the_request_log(api):
    assert imported(api, *({"email": f"u{number}@example.com"} for number in range(10_000))).status_code == 202
    assert set(api.requests()[-1]["body"]) == {"omitted_bytes"}


def test_a_job_counts_what_it_has_done_while_it_works(api):
    job_id = imported(
        api, *({"email": f"c{number}@example.com"} for number in range(7)), {"email": "bad"}, list_id=EMPTY
    )
    job_id = job_id.json()["data"]["id"]
    seen = []
    for _ in range(7):
        api.advance(0.5)
        job = api.get(f"{PATH}/{job_id}").json()["data"]["attributes"]
        seen.append((job["status"], job["completed_count"], job["failed_count"], len(members(api))))
    assert seen == [
        ("queued", 0, 0, 0),
        ("processing", 0, 0, 0),
        ("processing", 2, 0, 0),
        ("processing", 4, 0, 0),
        ("processing", 6, 0, 0),
        ("complete", 7, 1, 7),
        ("complete", 7, 1, 7),
    ]


def members(api: Any) -> list[Any]:
    return list(api.get(f"/api/lists/{EMPTY}/profiles").json()["data"])
