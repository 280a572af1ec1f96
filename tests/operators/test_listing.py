from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_klaviyo.api.filters import any_of, contains, equals
from airflow_provider_klaviyo.campaigns import push
from airflow_provider_klaviyo.exceptions import KlaviyoApiError, KlaviyoValidationError
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.operators.campaigns import KlaviyoListCampaignsOperator
from airflow_provider_klaviyo.storage import write_json_lines
from tests.support.context import Task
from tests.support.sandbox import DRAFT_EMAIL, DRAFT_PAST_STATIC, DRAFT_SMS, LIST, SENT
from tests.support.scripted import Scripted, error, json_api

SALE = "01J0TAG000000000000000SALE"


def listing(**arguments: Any) -> Task:
    return Task(lambda: KlaviyoListCampaignsOperator(task_id="list", **arguments))


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


# --- rows -------------------------------------------------------------------------------------------------------------


def test_all_channels_are_listed_at_once(klaviyo):
    audiences = {"included": [LIST]}
    pushed = KlaviyoHook().create_campaign({"name": "Ping", "audiences": audiences}, [push(body="Ping")]).id
    rows = listing().run()
    assert {row["id"]: row["channel"] for row in rows} == {
        DRAFT_EMAIL: "email",
        DRAFT_PAST_STATIC: "email",
        SENT: "email",
        DRAFT_SMS: "sms",
        pushed: "mobile_push",
    }
    assert rows[0]["status"] == "Draft"
    assert klaviyo.counted()["get_campaigns"] == 3


def test_some_channels_filtered_sorted_and_sparse(klaviyo):
    wanted = equals("status", "Draft") & contains("name", "Holiday")
    rows = listing(channels=["email"], filter=wanted, fields=["name"], sort="-name").run()
    assert rows == [
        {"id": DRAFT_EMAIL, "channel": "email", "name": "Holiday Sale: Email Campaign"},
        {"id": DRAFT_PAST_STATIC, "channel": "email", "name": "Holiday Sale"},
    ]
    [request] = klaviyo.requests("get_campaigns")
    assert request["query"]["fields[campaign]"] == "name"


def test_a_filter_as_text_may_hold_jinja(klaviyo):
    KlaviyoHook().update_campaign(DRAFT_SMS, {"name": "manual__now"})
    rows = listing(filter='contains(name,"{{ run_id }}")').run()
    assert [row["id"] for row in rows] == [DRAFT_SMS]


def test_messages_and_tags_stand_with_their_campaign(klaviyo):
    rows = listing(fields=["name", "send_strategy.method"], include=["campaign-messages", "tags"]).run()
    by_id = {row["id"]: row for row in rows}
    assert by_id[DRAFT_PAST_STATIC]["tags"] == [{"id": SALE, "name": "sale"}]
    assert by_id[DRAFT_EMAIL]["tags"] == []
    assert by_id[DRAFT_SMS]["messages"][0]["definition"]["channel"] == "sms"
    assert set(by_id[SENT]) == {"id", "channel", "name", "send_strategy", "messages", "tags"}
    assert by_id[SENT]["send_strategy"] == {"method": "immediate"}


def test_all_pages_are_listed(klaviyo):
    hook = KlaviyoHook()
    made = {hook.clone_campaign(DRAFT_SMS, f"Clone {number}").id for number in range(120)}
    rows = listing(channels=["sms"], fields=["name"]).run()
    assert {row["id"] for row in rows} == made | {DRAFT_SMS}
    assert klaviyo.counted()["get_campaigns"] == 2
    with pytest.raises(KlaviyoApiError, match="More than 1 pages"):
        listing(channels=["sms"], max_pages=1).run()


def test_more_rows_than_xcom_should_hold_are_refused_with_the_remedy(connect):
    rows = [{"type": "campaign", "id": str(number), "attributes": {"name": "x" * 1000}} for number in range(1100)]
    with Scripted(json_api(200, {"data": rows})) as server:
        connect(server.url)
        with pytest.raises(KlaviyoValidationError, match=r"1,100 rows of .* output_path"):
            listing(channels=["sms"]).run()


# --- files ------------------------------------------------------------------------------------------------------------


def test_rows_go_to_a_file_and_its_path_and_count_to_xcom(klaviyo, tmp_path):
    told = listing(output_path=f"file://{tmp_path}/new/{{{{ run_id }}}}.jsonl", fields=["name"]).run()
    path = tmp_path / "new" / "manual__now.jsonl"
    assert told == {"path": f"file://{path}", "count": 4}
    assert {row["id"] for row in lines(path)} == {DRAFT_EMAIL, DRAFT_PAST_STATIC, SENT, DRAFT_SMS}
    assert list(path.parent.iterdir()) == [path]


def test_a_later_run_replaces_the_file(klaviyo, tmp_path):
    path = tmp_path / "campaigns.jsonl"
    listing(output_path=path).run()
    listing(output_path=str(path), channels=["sms"]).run()
    assert [row["id"] for row in lines(path)] == [DRAFT_SMS]


def test_a_listing_that_fails_leaves_the_file_as_it_was(connect, tmp_path):
    path = tmp_path / "campaigns.jsonl"
    path.write_text("before")
    page = {"data": [{"type": "campaign", "id": "A"}], "links": {"next": "/api/campaigns?page%5Bcursor%5D=2"}}
    with Scripted(json_api(200, page), error(400)) as server:
        connect(server.url)
        with pytest.raises(KlaviyoValidationError):
            listing(channels=["sms"], output_path=path).run()
    assert len(server.requests) == 2
    assert path.read_text() == "before"


def test_a_write_that_fails_leaves_no_half_file(tmp_path):
    path = tmp_path / "campaigns.jsonl"
    path.write_text("before")
    with pytest.raises(TypeError):
        write_json_lines(ObjectStoragePath(path), [{"id": "A"}, {"id": object()}])
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(rows=st.lists(st.dictionaries(st.text(), values, max_size=4), max_size=5))
def test_every_row_is_one_line_and_is_read_back_equal(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    write_json_lines(ObjectStoragePath(path), rows)
    written = path.read_bytes().decode("utf-8").split("\n")
    assert written.pop() == ""
    assert [json.loads(line) for line in written] == rows


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"channels": ["mail"]}, "channels is 'mail'; allowed: 'email', 'sms', 'mobile_push'"),
        ({"channels": "email"}, "channels is 'email'; give a list"),
        ({"channels": []}, "channels is empty"),
        ({"filter": equals("name", "A")}, "'equals' with one value is not allowed for 'name'"),
        ({"filter": any_of("ids", ["A"])}, "cannot filter by 'ids'"),
        ({"filter": "contains(name,A)"}, "a string in quotes"),
        ({"filter": equals("messages.channel", "sms")}, "with 'channels' instead"),
        ({"filter": contains("name", "{{ ds }}")}, "holds Jinja"),
        ({"fields": ["nam"]}, "fields is 'nam'.*Did you mean 'name'"),
        ({"fields": "name"}, "fields is 'name'; give a list"),
        ({"include": ["template"]}, "include is 'template'"),
        ({"sort": "status"}, "sort is 'status'"),
        ({"max_pages": 0}, "max_pages is 0"),
    ],
)
def test_a_wrong_setting_is_an_error_of_the_dags_import(arguments, words):
    with pytest.raises(KlaviyoValidationError, match=words):
        KlaviyoListCampaignsOperator(task_id="list", **arguments)


def test_a_filter_that_turns_out_wrong_when_rendered_is_refused_before_any_call(klaviyo):
    with pytest.raises(KlaviyoValidationError, match="cannot filter by 'manual__now'"):
        listing(filter="has({{ run_id }})").run()
    assert klaviyo.requests() == []
