"""Lists and segments, and who is on a list."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_klaviyo.exceptions import (
    KlaviyoAmbiguousWriteError,
    KlaviyoNotFoundError,
    KlaviyoValidationError,
)
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.operators.audiences import (
    KlaviyoAddProfilesToListOperator,
    KlaviyoCreateListOperator,
    KlaviyoCreateSegmentOperator,
    KlaviyoRemoveProfilesFromListOperator,
)
from tests.support.sandbox import LIST, NOBODY, Klaviyo
from tests.support.tasks import task

ADA, BEN = "01J0PR0F11E000000000000001", "01J0PR0F11E000000000000002"
DEFINITION = {
    "condition_groups": [
        {
            "conditions": [
                {
                    "type": "profile-property",
                    "property": "properties['plan']",
                    "filter": {"type": "string", "operator": "equals", "value": "gold"},
                }
            ]
        }
    ]
}


def members(klaviyo: Klaviyo, list_id: str) -> list[str]:
    return [one["id"] for one in klaviyo.get(f"/api/lists/{list_id}/relationships/profiles")["data"]]


def create_list(**arguments: Any):
    return task(KlaviyoCreateListOperator, {"name": "Autumn", **arguments})


def create_segment(**arguments: Any):
    return task(KlaviyoCreateSegmentOperator, {"name": "Gold", "definition": DEFINITION, **arguments})


# --- lists and segments by name ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("create", [create_list, create_segment])
def test_what_has_the_name_already_is_adopted(klaviyo, create):
    made = create().run()
    assert create().run() == made
    kind = "list" if create is create_list else "segment"
    assert len(klaviyo.requests(f"create_{kind}")) == 1


def test_a_list_has_the_opt_in_process_that_was_asked_for(klaviyo):
    made = create_list(opt_in_process="double_opt_in").run()
    assert KlaviyoHook().get_list(made).attributes["opt_in_process"] == "double_opt_in"


def test_an_adopted_list_of_another_opt_in_process_is_left_as_it_is_and_warned_of(klaviyo, capsys):
    made = create_list(opt_in_process="double_opt_in").run()
    assert create_list(opt_in_process="single_opt_in").run() == made
    assert f"List {made} is 'double_opt_in', not 'single_opt_in'" in capsys.readouterr().out
    assert KlaviyoHook().get_list(made).attributes["opt_in_process"] == "double_opt_in"


def test_an_adopted_segment_of_another_definition_is_left_as_it_is_and_warned_of(klaviyo, capsys):
    made = create_segment().run()
    assert create_segment().run() == made
    assert "another than the DAG's" not in capsys.readouterr().out
    assert create_segment(definition={"condition_groups": []}).run() == made
    assert f"The definition of segment {made} in Klaviyo is another than the DAG's" in capsys.readouterr().out


def test_of_several_lists_of_the_name_none_is_used_and_all_are_named(klaviyo):
    ids = [KlaviyoHook().create_list("Autumn").id for _ in range(2)]
    with pytest.raises(KlaviyoValidationError, match="2 lists named 'Autumn'") as caught:
        create_list().run()
    assert all(one in str(caught.value) for one in ids)


@pytest.mark.parametrize("create", [create_list, create_segment])
def test_a_create_whose_answer_is_lost_is_looked_up_and_not_made_again(klaviyo, create):
    kind = "list" if create is create_list else "segment"
    klaviyo.fail(f"create_{kind}", "drop_after_commit")
    made = create().run()
    assert klaviyo.fired() == [1]
    assert len(klaviyo.requests(f"create_{kind}")) == 1
    assert create().run() == made


@pytest.mark.parametrize("create", [create_list, create_segment])
def test_a_create_that_did_not_arrive_fails_the_try_and_the_next_one_makes_it(klaviyo, create):
    kind = "list" if create is create_list else "segment"
    creating = create()
    klaviyo.fail(f"create_{kind}", "drop_before_commit")
    with pytest.raises(KlaviyoAmbiguousWriteError):
        creating.run()
    assert klaviyo.fired() == [1]
    assert creating.run() == create().run()
    assert [row["committed"] for row in klaviyo.requests(f"create_{kind}")] == [False, True]


def test_what_cannot_be_right_is_refused_when_the_dag_is_imported():
    with pytest.raises(KlaviyoValidationError, match="opt_in_process is 'singel'"):
        KlaviyoCreateListOperator(task_id="list", name="Autumn", opt_in_process="singel")
    with pytest.raises(KlaviyoValidationError, match="name is ' '"):
        KlaviyoCreateListOperator(task_id="list", name=" ")
    with pytest.raises(KlaviyoValidationError, match=r"definition is \{\}"):
        KlaviyoCreateSegmentOperator(task_id="segment", name="Gold", definition={})


# --- who is on a list -------------------------------------------------------------------------------------------------


def add(*profile_ids: str, list_id: str = NOBODY):
    return task(KlaviyoAddProfilesToListOperator, {"list_id": list_id, "profile_ids": list(profile_ids)})


def remove(*profile_ids: str, list_id: str = NOBODY):
    return task(KlaviyoRemoveProfilesFromListOperator, {"list_id": list_id, "profile_ids": list(profile_ids)})


def test_profiles_are_put_on_a_list_and_taken_off_it(klaviyo):
    assert add(ADA, BEN, ADA).run() == NOBODY
    assert members(klaviyo, NOBODY) == [ADA, BEN]
    assert remove(ADA).run() == NOBODY
    assert members(klaviyo, NOBODY) == [BEN]


@pytest.mark.parametrize("fault", ["drop_before_commit", "drop_after_commit"])
def test_an_add_that_is_not_answered_is_made_again(klaviyo, fault):
    klaviyo.fail("add_profiles_to_list", fault)
    add(ADA).run()
    assert klaviyo.fired() == [1]
    assert members(klaviyo, NOBODY) == [ADA]


def test_an_add_that_is_never_answered_fails(klaviyo):
    klaviyo.fail("add_profiles_to_list", "drop_before_commit", times=3)
    with pytest.raises(KlaviyoAmbiguousWriteError):
        add(ADA).run()
    assert klaviyo.fired() == [3]


def test_many_profiles_go_a_thousand_a_call_and_the_log_has_how_far_it_came(klaviyo, capsys):
    rows = [{"type": "profile", "attributes": {"email": f"p{number}@example.com"}} for number in range(1_001)]
    body = {"data": {"type": "profile-bulk-import-job", "attributes": {"profiles": {"data": rows}}}}
    KlaviyoHook().call("bulk_import_profiles", body=body)
    klaviyo.advance(60)
    found = KlaviyoHook().paginate("get_profiles", query={"page[size]": 100})
    ids = [one.id for one in found if str(one.attributes["email"]).startswith("p")][:1_001]
    add(*ids).run()
    assert len(klaviyo.requests("add_profiles_to_list")) == 2
    assert f"1,001 of 1,001 profiles added to list {NOBODY}, " in capsys.readouterr().out
    with pytest.raises(KlaviyoValidationError, match="about rows 1000 to 1000"):
        add(*ids[:1_000], "nobody").run()
    assert f"Stopped after 1,000 of 1,001 profiles added to list {NOBODY}." in capsys.readouterr().out


def test_a_list_that_is_not_there_is_an_error(klaviyo):
    with pytest.raises(KlaviyoNotFoundError):
        add(ADA, list_id="gone00").run()


def test_what_is_rendered_to_nothing_is_not_taken_for_nobody(klaviyo):
    with pytest.raises(KlaviyoValidationError, match="profile_ids is '' after rendering"):
        task(KlaviyoAddProfilesToListOperator, {"list_id": NOBODY, "profile_ids": "{{ '' }}"}).run()
    assert klaviyo.requests() == []


def test_an_id_that_cannot_be_one_is_named_by_its_number(klaviyo):
    with pytest.raises(KlaviyoValidationError, match=r"profile_ids\.1 is ''"):
        KlaviyoAddProfilesToListOperator(task_id="add", list_id=LIST, profile_ids=[ADA, ""])
    with pytest.raises(KlaviyoValidationError, match="profile_ids is empty"):
        KlaviyoRemoveProfilesFromListOperator(task_id="remove", list_id=LIST, profile_ids=[])
    assert klaviyo.requests() == []
