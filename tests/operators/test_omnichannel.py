"""Campaigns of revision 2026-10-15: what lists and reports read of them, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote_plus

import pytest

from airflow_provider_klaviyo.api.filters import any_of, contains, equals, greater_than
from airflow_provider_klaviyo.compat import TaskDeferred
from airflow_provider_klaviyo.exceptions import KlaviyoError, KlaviyoNotFoundError, KlaviyoValidationError
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.operators.campaigns import KlaviyoListCampaignsOperator
from airflow_provider_klaviyo.operators.reports import KlaviyoCampaignReportOperator
from tests.support.context import Task
from tests.support.hooks import Call, both
from tests.support.one_campaign import CAMPAIGN, OneOmnichannelCampaign
from tests.support.sandbox import DRAFT_EMAIL, DRAFT_PAST_STATIC, DRAFT_SMS, SENT, Klaviyo
from tests.support.scripted import Scripted, error, json_api

REVISION = "2026-10-15"
SALE = "01J0TAG000000000000000SALE"
DAY = 86400.0

Connect = Callable[..., None]


def listing(**arguments: Any) -> Task:
    given = {"revision": REVISION, **arguments}
    return Task(lambda: KlaviyoListCampaignsOperator(task_id="list", **given))


def report(campaign_ids: Any, **arguments: Any) -> Task:
    given = {"conversion_metric": "Placed Order (Shopify)", "revision": REVISION, **arguments}
    return Task(lambda: KlaviyoCampaignReportOperator(task_id="report", campaign_ids=campaign_ids, **given))


def by_id(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in rows}


# --- a list -----------------------------------------------------------------------------------------------------------


def test_all_campaigns_are_listed_with_a_status_made_of_their_messages(klaviyo: Klaviyo) -> None:
    klaviyo.send(DRAFT_SMS)
    klaviyo.wait_for_sends()
    rows = by_id(listing().run())
    assert {id_: row["status"] for id_, row in rows.items()} == {
        DRAFT_EMAIL: "Draft",
        DRAFT_PAST_STATIC: "Draft",
        SENT: "Sent",
        DRAFT_SMS: "Sent",
    }
    row, campaign = rows[DRAFT_SMS], klaviyo.campaign(DRAFT_SMS)
    assert set(row) == {
        *("id", "name", "builder", "archived", "color", "description", "send_settings", "created_at", "updated_at"),
        *("status", "send_time"),
    }
    assert [row[name] for name in ("name", "created_at", "updated_at", "send_time")] == [
        campaign[name] for name in ("name", "created_at", "updated_at", "send_time")
    ]
    [request] = [row for row in klaviyo.requests("get_campaigns") if row["revision"] == REVISION]
    assert request["query"]["page[size]"] == "100"


def test_all_pages_are_listed(klaviyo: Klaviyo) -> None:
    hook = KlaviyoHook()
    made = {hook.clone_campaign(DRAFT_SMS, f"Clone {number}").id for number in range(120)}
    assert made < set(by_id(listing().run()))


def test_filtered_sorted_and_by_some_fields(klaviyo: Klaviyo) -> None:
    wanted = contains("name", "Holiday") & greater_than("created_at", datetime.fromisoformat("2020-01-01T00:00:00Z"))
    rows = listing(filter=wanted, fields=["name", "status"], sort="-name").run()
    assert [row["name"] for row in rows] == sorted((row["name"] for row in rows), reverse=True)
    assert {"id": DRAFT_EMAIL, "name": "Holiday Sale: Email Campaign", "status": "Draft"} in rows
    assert all(set(row) == {"id", "name", "status"} for row in rows)


def test_names_alone_are_asked_for_without_messages(klaviyo: Klaviyo) -> None:
    assert all(set(row) == {"id", "name"} for row in listing(fields=["name"]).run())
    [request] = klaviyo.requests("get_campaigns")
    assert "include" not in request["query"]


def test_messages_and_tags_stand_with_their_campaign(klaviyo: Klaviyo) -> None:
    rows = by_id(listing(include=["campaign-messages", "tags"]).run())
    assert [tag["name"] for tag in rows[DRAFT_PAST_STATIC]["tags"]] == ["sale"]
    assert rows[DRAFT_EMAIL]["tags"] == []
    [message] = rows[SENT]["messages"]
    assert message["id"] == klaviyo.message(SENT)["id"]
    assert message["definition"]["status"] == "sent"


def test_what_only_this_revision_has_is_taken(klaviyo: Klaviyo, connect: Connect) -> None:
    connect(klaviyo.url, revision=REVISION)
    rows = listing(revision=None, filter=equals("builder", "wizard"), fields=["builder"]).run()
    assert {row["builder"] for row in rows} == {"wizard"}
    assert len(rows) == 4


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"channels": ["email"]}, "channels", "channel"),
    ({"filter": equals("status", "Sent")}, "filter", "choose among the rows by their 'status'"),
    ({"filter": 'equals(status,"Sent")'}, "filter", "status"),
    ({"filter": equals("messages.channel", "email")}, "filter", "messages.channel"),
    ({"filter": contains("name", "x") & any_of("scheduled_at", ["x"])}, "filter", "scheduled_at"),
    ({"fields": ["name", "send_strategy.method"]}, "fields", "send_strategy.method"),
    ({"fields": ["audiences"]}, "fields", "audiences"),
    ({"fields": "name"}, "fields", "give a list"),
    ({"fields": 5}, "fields", "give a list"),
    ({"fields": [5]}, "fields", "has 5"),
    ({"sort": "-scheduled_at"}, "sort", "updated_at"),
]
WHAT_IS_GONE = pytest.mark.parametrize(("arguments", "pointer", "words"), REFUSED)


@WHAT_IS_GONE
def test_what_it_does_not_list_by_is_refused_when_the_dag_is_imported(
    arguments: dict[str, Any], pointer: str, words: str
) -> None:
    with pytest.raises(KlaviyoValidationError) as caught:
        KlaviyoListCampaignsOperator(task_id="list", revision=REVISION, **arguments)
    assert caught.value.pointer == pointer
    assert words in str(caught.value)


@WHAT_IS_GONE
def test_and_before_the_first_call_if_the_connection_says_the_revision(
    klaviyo: Klaviyo, connect: Connect, arguments: dict[str, Any], pointer: str, words: str
) -> None:
    connect(klaviyo.url, revision=REVISION)
    with pytest.raises(KlaviyoValidationError) as caught:
        listing(revision=None, **arguments).run()
    assert caught.value.pointer == pointer
    assert klaviyo.requests() == []


NINE, TEN, ELEVEN = (f"2026-11-27T{hour}:00:00+00:00" for hour in ("09", "10", "11"))


@pytest.mark.parametrize(
    ("messages", "send_times", "expected"),
    [
        ({"M1": "sent", "M2": "sent"}, {"M1": TEN, "M2": NINE}, TEN),
        ({"M1": "sent", "M2": "cancelled"}, {"M1": NINE, "M2": ELEVEN}, NINE),
        ({"M1": "sent", "M2": "sent"}, {"M1": NINE, "M2": "2026-11-27T09:30:00+02:00"}, NINE),
        ({"M1": "scheduled", "M2": "draft"}, {"M1": NINE, "M2": "some day"}, NINE),
        ({"M1": "cancelled", "M2": "cancelled"}, {"M1": NINE, "M2": TEN}, TEN),
        ({}, {}, None),
    ],
)
def test_the_send_time_is_the_last_of_the_messages_that_are_not_cancelled_if_there_are_any(
    connect: Connect, messages: dict[str, str], send_times: dict[str, str], expected: str | None
) -> None:
    with OneOmnichannelCampaign(messages, send_times) as server:
        connect(server.url)
        [row] = listing(filter=any_of("id", [CAMPAIGN]), fields=["send_time"]).run()
    assert row == {"id": CAMPAIGN, "send_time": expected}


def test_a_campaign_whose_messages_are_not_named_is_not_taken_for_one_without(connect: Connect) -> None:
    campaign = {"type": "campaign", "id": "C1", "attributes": {"definition": {"name": "One"}}}
    with Scripted(json_api(200, {"data": [campaign], "included": [message("M1", "sent")]})) as server:
        connect(server.url)
        assert [row["status"] for row in listing().run()] == ["Unknown"]


@both
def test_the_hooks_list_campaigns_too(klaviyo: Klaviyo, connect: Connect, call: Call) -> None:
    connect(klaviyo.url, revision=REVISION)
    assert by_id(call("list_campaigns", {"fields": ["status"]}))[SENT] == {"id": SENT, "status": "Sent"}
    with pytest.raises(KlaviyoValidationError, match="channels"):
        call("list_campaigns", {"channels": ["sms"]})


# --- a report ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def sent(klaviyo: Klaviyo) -> list[str]:
    """An email and a text message that were sent, and a day has passed."""
    for campaign_id in (DRAFT_EMAIL, DRAFT_SMS):
        klaviyo.send(campaign_id)
    klaviyo.wait_for_sends()
    klaviyo.advance(DAY)
    return [DRAFT_EMAIL, DRAFT_SMS]


def test_a_report_has_the_rows_that_it_has_in_other_revisions(klaviyo: Klaviyo, sent: list[str]) -> None:
    before = report(sent, revision="2026-07-15").run()
    rows = report(sent).run()
    assert len(rows) == 2
    for row in (*before, *rows):
        row["snapshot_at"] = ""
    assert rows == before
    assert [row["subject"] for row in rows] == ["Our holiday sale ends soon", None]
    asked = [row["operation"] for row in klaviyo.requests() if row["revision"] == REVISION]
    assert asked == ["get_campaigns", "get_accounts", "get_metrics", "query_campaign_values", "list_campaign_messages"]


def test_more_than_a_hundred_campaigns_are_listed_by_hundreds(klaviyo: Klaviyo, sent: list[str]) -> None:
    hook = KlaviyoHook()
    ids = [hook.clone_campaign(DRAFT_SMS, f"Clone {number}").id for number in range(120)]
    assert {row["campaign_id"] for row in report([*ids, *sent]).run()} == set(sent)
    asked = [row["query"]["filter"] for row in klaviyo.requests("get_campaigns") if row["revision"] == REVISION]
    assert [wanted.count('"') // 2 for wanted in asked] == [100, 22]


def test_a_campaign_that_is_not_there_is_named(klaviyo: Klaviyo) -> None:
    with pytest.raises(KlaviyoNotFoundError, match="NOPE"):
        report("NOPE").run()


def test_it_waits_until_so_long_after_the_send_time_of_the_message(klaviyo: Klaviyo, sent: list[str]) -> None:
    task = report(sent, report_after=timedelta(hours=23))
    assert len(task.run()) == 2
    assert task.deferrals == []


# --- several messages and variations ----------------------------------------------------------------------------------

LATELY = (datetime.now(UTC) - timedelta(hours=1)).isoformat()


def resource(kind: str, id_: str, definition: dict[str, Any], **related: list[str]) -> dict[str, Any]:
    relationships = {
        name.replace("_", "-"): {"data": [{"type": name.replace("_", "-")[:-1], "id": one} for one in ids]}
        for name, ids in related.items()
    }
    return {"type": kind, "id": id_, "attributes": {"definition": definition}, "relationships": relationships}


def message(id_: str, status: str, *variations: str) -> dict[str, Any]:
    definition = {"status": status, "send_options": {"send_time": LATELY}}
    return resource("campaign-message", id_, definition, campaign_variations=list(variations))


def variation(id_: str, subject: str) -> dict[str, Any]:
    return resource("campaign-variation", id_, {"details": {"subject": subject, "template_id": f"T-{id_}"}})


def answers(*messages: dict[str, Any]) -> list[bytes]:
    """What a report reads before its figures."""
    campaign = resource("campaign", "C1", {"name": "One"}, campaign_messages=[one["id"] for one in messages])
    metric = {"type": "metric", "id": "M", "attributes": {"name": "Placed Order", "integration": {"name": "Shopify"}}}
    return [
        json_api(200, {"data": [campaign], "included": list(messages)}),
        json_api(200, {"data": [{"type": "account", "id": "A"}]}),
        json_api(200, {"data": [metric]}),
    ]


def test_a_row_has_the_subject_of_its_own_variation(connect: Connect) -> None:
    messages = [message("M1", "sent", "V1", "V2"), message("M2", "sent", "V3")]
    figures = [("M1", "V1"), ("M1", "V2"), ("M1", None), ("M2", None), ("M2", "V9")]
    results = [
        {
            "groupings": {"campaign_id": "C1", "campaign_message_id": id_, "variation": one, "send_channel": "email"},
            "statistics": {"recipients": 1.0},
        }
        for id_, one in figures
    ]
    of_report = {"type": "campaign-values-report", "attributes": {"results": results}}
    variations = [variation("V1", "A"), variation("V2", "B"), variation("V3", "C")]
    with Scripted(
        *answers(*messages),
        json_api(200, {"data": of_report}),
        json_api(200, {"data": messages, "included": variations}),
    ) as server:
        connect(server.url)
        rows = report("C1", statistics=["recipients"]).run()
    assert [(row["subject"], row["template_id"]) for row in rows] == [
        ("A", "T-V1"),
        ("B", "T-V2"),
        (None, None),
        ("C", "T-V3"),
        (None, None),
    ]
    assert {row["send_time"] for row in rows} == {datetime.fromisoformat(LATELY).isoformat(timespec="seconds")}
    asked = unquote_plus(server.requests[-1].partition(b"\r\n")[0].decode())
    assert asked.startswith('GET /api/campaign-messages?filter=any(id,["M1","M2"])')


@pytest.mark.parametrize(("second", "waits"), [("sent", True), ("cancelled", True), (None, False)])
def test_of_messages_that_were_sent_in_part_the_report_waits(connect: Connect, second: str | None, waits: bool) -> None:
    messages = [message("M1", "sent" if second else "cancelled"), *([message("M2", second)] if second else [])]
    task = report("C1", report_after=timedelta(days=1))
    operator = task.make()
    with Scripted(*answers(*messages), error(403)) as server:
        connect(server.url)
        with pytest.raises(TaskDeferred if waits else KlaviyoError):
            operator.execute(task.context(operator))
        assert len(server.requests) == (3 if waits else 4)
