from __future__ import annotations

import random

import pytest

from airflow_provider_klaviyo.api import filters
from airflow_provider_klaviyo.audiences import batches
from airflow_provider_klaviyo.exceptions import (
    KlaviyoError,
    KlaviyoValidationError,
)
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.operators.audiences import KlaviyoImportProfilesOperator
from tests.support.importing import importing, members, people
from tests.support.sandbox import LIST, OTHER_LIST

FAULTS = [*3 * ["bulk_import_profiles"], "get_bulk_import_profiles_job", "remove_profiles_from_list"]
"""Calls that may fail on the way."""

PEOPLE = {"filter": str(filters.any_of("email", [f"person{number}@example.com" for number in range(10)]))}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"mode": "Mirror"}, "mode is 'Mirror'; allowed: 'upsert', 'changed', 'mirror'"),
        ({"mode": None}, "mode is None"),
        ({"mode": "changed"}, "mode='changed' needs state_path"),
        ({"mode": "changed", "state_path": " "}, "state_path is ' '"),
        ({"mode": "changed", "state_path": 5}, "state_path is 5"),
        ({"mode": "changed", "state_path": "s3://b/s", "rejected_path": "s3://b/s"}, "give each a file of its own"),
        ({"mode": "upsert", "state_path": "s3://b/s"}, "of use with mode='changed' or mode='mirror' only"),
        ({"mode": "mirror"}, "list_ids names none"),
        ({"mode": "mirror", "list_ids": []}, "list_ids names none"),
        ({"mode": "mirror", "list_ids": [LIST, OTHER_LIST]}, "list_ids names 2"),
        ({"mode": "mirror", "list_ids": LIST, "max_removed": "many"}, "max_removed is 'many'"),
        ({"mode": "mirror", "list_ids": LIST, "max_removed": 1.5}, "max_removed is 1.5"),
        ({"mode": "mirror", "list_ids": LIST, "max_removed": None}, "max_removed is None"),
    ],
)
def test_what_cannot_be_is_refused_when_the_dag_is_imported(arguments, words):
    with pytest.raises(KlaviyoValidationError, match=words):
        KlaviyoImportProfilesOperator(task_id="import", profiles=[], **arguments)


@pytest.mark.parametrize(
    ("name", "value"),
    [("list_ids", "{{ nothing }}"), ("state_path", "{{ nothing }}"), ("max_removed", "{{ nothing }}")],
)
def test_an_argument_that_is_rendered_to_nothing_is_an_error(klaviyo, name, value):
    given = {"list_ids": LIST, "state_path": "file:///tmp/state", "max_removed": "5%", name: value}
    with pytest.raises(KlaviyoError, match=f"{name} is"):
        importing(people(0), "mirror", **given).run()
    assert klaviyo.requests() == []


@pytest.mark.parametrize("mode", ["changed", "mirror"])
@pytest.mark.parametrize("seed", range(4))
def test_after_any_course_of_runs_a_run_that_ends_well_leaves_klaviyo_as_its_rows(
    klaviyo, a_list, state, monkeypatch, mode, seed
):
    """Runs that fail on the way, at any of their calls, and runs that are never tried again."""
    monkeypatch.setattr(batches, "MOST_PROFILES", 1)
    chance = random.Random(seed)
    failures = 0
    for _ in range(12):
        rows = [
            {"email": f"person{number}@example.com", "first_name": chance.choice(["A", "B"])}
            for number in sorted(chance.sample(range(6), chance.randint(3, 6)))
        ]
        given = {"state_path": state, "list_ids": a_list, "max_removed": 1.0, "timeout": 2}
        task = importing(rows, mode, **given)
        if fault := chance.choice([None, None, *FAULTS]):
            klaviyo.fail(fault, "status_before_commit", status=401, times=1, skip=chance.randint(0, 3))
        klaviyo.settings(jobs_end=chance.choice([*5 * ["complete"], "cancelled"]))
        for _ in range(chance.choice([1, 1, 2])):
            try:
                result = task.run()
            except KlaviyoError:
                failures += 1
                continue
            klaviyo.mend()
            there = {one.text("email"): one for one in KlaviyoHook().paginate("get_profiles", query=PEOPLE)}
            assert {email: there[email].text("first_name") for email in (row["email"] for row in rows)} == {
                row["email"]: row["first_name"] for row in rows
            }, "a row that was left out is not as it is in Klaviyo"
            listed = members(a_list)
            assert listed >= {row["email"] for row in rows}
            assert mode == "changed" or listed == {row["email"] for row in rows}
            assert result["accepted"] + result["unchanged"] == len(rows)
            break
        klaviyo.mend()
    assert failures
