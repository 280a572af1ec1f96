from __future__ import annotations

import gzip
import json
import os
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pyarrow import parquet

from airflow_provider_klaviyo.api.filters import equals
from airflow_provider_klaviyo.campaigns import email, push
from airflow_provider_klaviyo.exceptions import KlaviyoApiError, KlaviyoTransientError, KlaviyoValidationError
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.transfers.klaviyo_to_storage import KlaviyoToObjectStorageOperator
from airflow_provider_klaviyo.transfers.resources import SOURCES
from tests.support.context import Task
from tests.support.filling import new_list
from tests.support.sandbox import DRAFT_EMAIL, DRAFT_SMS, LIST, Klaviyo
from tests.support.scripted import Scripted, error, json_api

DAY = datetime(2026, 2, 3, tzinfo=UTC)
NEXT = DAY + timedelta(days=1)
SEEDED = "2026-01-05T09:00:00+00:00"


def exporting(path: Any, resource: str = "events", **arguments: Any) -> Task:
    return Task(
        lambda: KlaviyoToObjectStorageOperator(task_id="export", resource=resource, path=str(path), **arguments)
    )


def lines(path: Path) -> list[Any]:
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in content.split(b"\n")[:-1]]


def record(times: list[datetime], **event: Any) -> None:
    """Events of one profile at these times."""
    events = [
        {"metric": "Viewed", "properties": {"n": number}, "time": at.isoformat(), "unique_id": f"{number}", **event}
        for number, at in enumerate(times)
    ]
    for start in range(0, len(events), 1_000):
        KlaviyoHook().import_events([({"email": "ada@example.com"}, events[start : start + 1_000])])


# --- rows -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["events.jsonl", "events.jsonl.gz", "events.parquet"])
def test_all_pages_of_events_are_written_each_once(klaviyo: Klaviyo, tmp_path: Path, name: str) -> None:
    record([DAY + timedelta(seconds=number) for number in range(2_500)])
    path = tmp_path / "new" / name
    returned = exporting(path, since=DAY, until=NEXT).run()
    assert returned == {
        "path": str(path),
        "count": 2_500,
        "since": "2026-02-03T00:00:00+00:00",
        "until": "2026-02-04T00:00:00+00:00",
    }
    assert klaviyo.counted()["get_events"] == 3
    rows = parquet.read_table(path).to_pylist() if name.endswith("parquet") else lines(path)
    assert len({row["id"] for row in rows}) == 2_500
    assert [row["timestamp"] for row in rows] == [int(DAY.timestamp()) + number for number in range(2_500)]
    assert [file.name for file in path.parent.iterdir()] == [name]


def test_an_event_has_the_ids_that_it_is_joined_by(klaviyo: Klaviyo, tmp_path: Path) -> None:
    record([DAY], value=9.5)
    exporting(tmp_path / "events.jsonl").run()
    [row] = lines(tmp_path / "events.jsonl")
    [profile] = KlaviyoHook().paginate("get_profiles", query={"filter": 'equals(email,"ada@example.com")'})
    [metric] = [one for one in KlaviyoHook().get_metrics() if one.name == "Viewed"]
    assert list(row) == ["id", "profile_id", "metric_id", "timestamp", "event_properties", "datetime", "uuid"]
    assert (row["profile_id"], row["metric_id"]) == (profile.id, metric.id)
    assert row["event_properties"] == {"n": 0, "$value": 9.5}


def test_fields_leave_the_ids_of_an_event_and_the_time_of_the_window(klaviyo: Klaviyo, tmp_path: Path) -> None:
    record([DAY])
    exporting(tmp_path / "events.jsonl", fields=["event_properties"]).run()
    [row] = lines(tmp_path / "events.jsonl")
    assert list(row) == ["id", "profile_id", "metric_id", "event_properties", "datetime"]
    assert None not in row.values()


def test_campaigns_of_all_channels_are_written_with_their_messages(klaviyo: Klaviyo, tmp_path: Path) -> None:
    hook = KlaviyoHook()
    audiences = {"included": [LIST]}
    pushed = hook.create_campaign({"name": "Ping", "audiences": audiences}, [push(body="Ping")]).id
    for number in range(100):
        hook.create_campaign({"name": f"C{number}", "audiences": audiences}, [email(subject="Hello")])
    returned = exporting(tmp_path / "campaigns.jsonl", "campaigns").run()
    rows = {row["id"]: row for row in lines(tmp_path / "campaigns.jsonl")}
    assert returned["count"] == len(rows) == len(klaviyo.all_ids() | set(rows))
    assert {rows[one]["channel"] for one in (DRAFT_EMAIL, DRAFT_SMS, pushed)} == {"email", "sms", "mobile_push"}
    assert rows[DRAFT_EMAIL]["message_ids"] == hook.get_message_ids(DRAFT_EMAIL)
    assert klaviyo.counted()["get_campaigns"] > len(rows) // 100 + 2


def test_profiles_have_their_consent_and_predictions_only_if_named(klaviyo: Klaviyo, tmp_path: Path) -> None:
    hook = KlaviyoHook()
    hook.import_events([({"email": f"p{number}@example.com"}, []) for number in range(150)])
    path = tmp_path / "profiles.jsonl"
    count = exporting(path, "profiles").run()["count"]
    rows = lines(path)
    assert count == len({row["id"] for row in rows}) > 150
    assert klaviyo.counted()["get_profiles"] == 2
    assert all(row["subscriptions"]["email"]["marketing"] for row in rows)
    assert "predictive_analytics" not in rows[0]
    exporting(path, "profiles", fields=["email", "predictive_analytics.total_clv"]).run()
    assert list(lines(path)[0]) == ["id", "email", "updated", "predictive_analytics"]


@pytest.mark.parametrize(("resource", "pages"), [("lists", 2), ("segments", 2)])
def test_all_lists_and_segments_are_written(klaviyo: Klaviyo, tmp_path: Path, resource: str, pages: int) -> None:
    for number in range(10):
        new_list(klaviyo, f"L{number}")
        KlaviyoHook().create_segment(f"S{number}", {"condition_groups": []})
    returned = exporting(tmp_path / "all.jsonl", resource).run()
    rows = lines(tmp_path / "all.jsonl")
    assert returned["count"] == len({row["id"] for row in rows}) > 10
    assert {f"{resource[0].upper()}{number}" for number in range(10)} <= {row["name"] for row in rows}
    assert klaviyo.counted()[f"get_{resource}"] == pages


def test_a_filter_is_added_to_the_window(klaviyo: Klaviyo, tmp_path: Path) -> None:
    record([DAY], metric="Bought")
    record([DAY, NEXT])
    metric = next(one.id for one in KlaviyoHook().get_metrics() if one.name == "Viewed")
    path = tmp_path / "events.jsonl"
    for wanted in (equals("metric_id", metric), f'equals(metric_id,"{metric}")'):
        assert exporting(path, since=DAY, until=NEXT, filter=wanted).run()["count"] == 1
        assert lines(path)[0]["metric_id"] == metric


# --- the window -------------------------------------------------------------------------------------------------------


def test_a_window_has_its_first_moment_and_not_its_last_to_the_microsecond(klaviyo: Klaviyo, tmp_path: Path) -> None:
    tick = timedelta(microseconds=1)
    record([DAY - tick, DAY, NEXT - tick, NEXT])
    numbers = []
    for start in (DAY - timedelta(days=1), DAY, NEXT):
        exporting(tmp_path / "events.jsonl", since=start, until=start + timedelta(days=1)).run()
        numbers.append([row["event_properties"]["n"] for row in lines(tmp_path / "events.jsonl")])
    assert numbers == [[0], [1, 2], [3]]


@pytest.mark.parametrize("resource", ["campaigns", "profiles", "lists", "segments"])
def test_what_was_updated_at_since_is_in_and_at_until_is_out(klaviyo: Klaviyo, tmp_path: Path, resource: str) -> None:
    path = tmp_path / "rows.jsonl"
    exporting(path, resource).run()
    time_of = SOURCES[resource].time
    seeded = sum(datetime.fromisoformat(row[time_of]) == datetime.fromisoformat(SEEDED) for row in lines(path))
    assert seeded > 0
    at = datetime.fromisoformat(SEEDED)
    assert exporting(path, resource, since=SEEDED, until=at + timedelta(microseconds=1)).run()["count"] == seeded
    assert exporting(path, resource, since=at - timedelta(days=1), until=SEEDED).run()["count"] == 0
    assert (
        exporting(path, resource, since=at + timedelta(microseconds=1), until=at + timedelta(days=1)).run()["count"]
        == 0
    )


def test_a_profile_that_is_updated_again_moves_to_a_later_window(klaviyo: Klaviyo, tmp_path: Path) -> None:
    path = tmp_path / "profiles.jsonl"
    window = {"since": SEEDED, "until": "2026-01-06T00:00:00+00:00"}
    exporting(path, "profiles", **window).run()
    before = {row["id"] for row in lines(path)}
    changed = min(before)
    headers = {"Authorization": "Klaviyo-API-Key pk_other", "revision": "2026-04-15"}
    body = {"data": {"type": "profile", "id": changed, "attributes": {"first_name": "Grace"}}}
    httpx.patch(f"{klaviyo.url}/api/profiles/{changed}", json=body, headers=headers).raise_for_status()
    exporting(path, "profiles", **window).run()
    assert before - {row["id"] for row in lines(path)} == {changed}
    exporting(path, "profiles", since=window["until"]).run()
    assert [row["first_name"] for row in lines(path) if row["id"] == changed] == ["Grace"]


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".parquet"])
def test_the_same_window_makes_the_same_bytes(klaviyo: Klaviyo, tmp_path: Path, suffix: str) -> None:
    record([DAY + timedelta(seconds=number) for number in range(1_200)])
    contents = []
    for name in ("one", "two"):
        exporting(tmp_path / f"{name}{suffix}", since=DAY, until=NEXT).run()
        contents.append((tmp_path / f"{name}{suffix}").read_bytes())
    assert contents[0] == contents[1]


@pytest.mark.parametrize("resource", SOURCES)
def test_a_window_without_rows_is_a_file_with_the_same_columns(klaviyo: Klaviyo, tmp_path: Path, resource: str) -> None:
    record([DAY])
    some, none = tmp_path / "some.parquet", tmp_path / "none.parquet"
    assert exporting(some, resource).run()["count"] > 0
    assert exporting(none, resource, since="2020-01-01T00:00:00Z", until="2020-01-02T00:00:00Z").run()["count"] == 0
    assert parquet.read_schema(none) == parquet.read_schema(some)
    assert parquet.read_table(none).num_rows == 0
    exporting(tmp_path / "none.jsonl", resource, since="2020-01-01T00:00:00Z", until="2020-01-02T00:00:00Z").run()
    assert (tmp_path / "none.jsonl").read_bytes() == b""


def test_a_window_that_ends_in_a_moment_is_waited_for(klaviyo: Klaviyo, tmp_path: Path) -> None:
    until = datetime.now(UTC) + timedelta(seconds=0.5)
    exporting(tmp_path / "events.jsonl", since=DAY, until=until).run()
    assert datetime.now(UTC) >= until


@pytest.mark.parametrize(
    ("window", "words"),
    [
        ({"since": DAY, "until": DAY}, "since is 2026-02-03T00:00:00.00:00, which is not before until .*Interval"),
        ({"since": NEXT, "until": DAY}, "which is not before until"),
        ({"since": DAY, "until": datetime.now(UTC) + timedelta(hours=1)}, "which lies ahead"),
    ],
)
def test_a_window_that_is_empty_or_lies_ahead_is_refused(
    klaviyo: Klaviyo, tmp_path: Path, window: dict[str, Any], words: str
) -> None:
    with pytest.raises(KlaviyoValidationError, match=words):
        exporting(tmp_path / "events.jsonl", **window).run()
    assert klaviyo.requests() == []


@pytest.mark.parametrize("name", ["since", "until", "path", "filter"])
def test_an_argument_that_is_rendered_to_nothing_is_an_error(klaviyo: Klaviyo, tmp_path: Path, name: str) -> None:
    arguments = {"path": tmp_path / "events.jsonl", "since": DAY, name: "{{ nothing }}"}
    with pytest.raises(KlaviyoValidationError, match=f"{name} is '' after rendering"):
        exporting(**arguments).run()
    assert klaviyo.requests() == []


# --- what goes wrong --------------------------------------------------------------------------------------------------


def test_a_task_that_fails_between_pages_leaves_the_old_file(klaviyo: Klaviyo, tmp_path: Path) -> None:
    record([DAY + timedelta(seconds=number) for number in range(2_500)])
    path = tmp_path / "events.jsonl.gz"
    path.write_bytes(b"old")
    klaviyo.fail("get_events", "status_before_commit", status=400, skip=1)
    with pytest.raises(KlaviyoApiError):
        exporting(path).run()
    assert klaviyo.fired() == [1]
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    assert exporting(path).run()["count"] == len(lines(path)) == 2_500


def test_a_process_that_is_killed_between_pages_leaves_the_old_file(klaviyo: Klaviyo, tmp_path: Path) -> None:
    record([DAY + timedelta(seconds=number) for number in range(2_500)])
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"old")
    klaviyo.fail("get_events", "delay", seconds=2, when="before", skip=1)
    if not (child := os.fork()):
        try:
            exporting(path).run()
        finally:
            os._exit(1)
    until = time.monotonic() + 30
    while klaviyo.fired() != [1] and time.monotonic() < until:
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert klaviyo.fired() == [1]
    assert path.read_bytes() == b"old"
    assert exporting(path).run()["count"] == len(lines(path)) == 2_500


@pytest.mark.parametrize(
    "fault",
    [
        {"fault": "throttle", "retry_after": 0},
        {"fault": "status_before_commit", "status": 503},
        {"fault": "drop_before_commit"},
        {"fault": "garbage"},
    ],
    ids=lambda fault: str(fault["fault"]),
)
def test_a_passing_failure_between_pages_loses_and_doubles_nothing(
    klaviyo: Klaviyo, tmp_path: Path, fault: dict[str, Any]
) -> None:
    record([DAY + timedelta(seconds=number) for number in range(2_500)])
    klaviyo.fail("get_events", skip=1, **fault)
    assert exporting(tmp_path / "events.jsonl").run()["count"] == 2_500
    assert klaviyo.fired() == [1]
    assert len({row["id"] for row in lines(tmp_path / "events.jsonl")}) == 2_500


def event(number: int, **attributes: Any) -> dict[str, Any]:
    given = {"datetime": DAY.isoformat(), "timestamp": 1, **attributes}
    return {"type": "event", "id": f"e{number}", "attributes": given, "relationships": {}}


@pytest.mark.parametrize("link", ["http://127.0.0.1:1/api/events?page[cursor]=x", "http://evil.example/api/events"])
def test_a_next_page_on_another_host_is_refused(connect: Any, brief_pauses: None, tmp_path: Path, link: str) -> None:
    with Scripted(json_api(200, {"data": [event(1)], "links": {"next": link}})) as server:
        connect(server.url)
        with pytest.raises(KlaviyoTransientError, match="Refused to follow a link"):
            exporting(tmp_path / "events.jsonl").run()
        assert len(server.requests) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_page_that_names_itself_as_the_next_does_not_go_on_for_ever(
    connect: Any, brief_pauses: None, tmp_path: Path
) -> None:
    with Scripted(json_api(200, {"data": [event(1)], "links": {"next": "/api/events?page[cursor]=x"}})) as server:
        connect(server.url)
        with pytest.raises(KlaviyoApiError, match="names itself as the next"):
            exporting(tmp_path / "events.jsonl").run()
        assert len(server.requests) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_value_of_another_kind_fails_parquet_by_name_and_fits_into_json_lines(
    connect: Any, brief_pauses: None, tmp_path: Path
) -> None:
    with Scripted(json_api(200, {"data": [event(1, timestamp="secret@example.com")], "links": {}})) as server:
        connect(server.url)
        with pytest.raises(KlaviyoApiError, match="a value of 'timestamp'") as raised:
            exporting(tmp_path / "events.parquet").run()
        assert "secret" not in str(raised.value)
        assert exporting(tmp_path / "events.jsonl").run()["count"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["events.jsonl"]


def test_neither_log_nor_file_has_the_key_and_the_log_no_address(
    klaviyo: Klaviyo, tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    record([DAY])
    exporting(tmp_path / "profiles.jsonl", "profiles").run()
    said = caplog.text + "".join(capsys.readouterr())
    assert "ada@example.com" in (tmp_path / "profiles.jsonl").read_text()
    assert "ada@example.com" not in said
    assert "pk_" not in said + (tmp_path / "profiles.jsonl").read_text()


def test_a_refusal_of_klaviyo_is_the_tasks_error(connect: Any, brief_pauses: None, tmp_path: Path) -> None:
    with Scripted(error(403, "No scope.")) as server:
        connect(server.url)
        with pytest.raises(KlaviyoApiError, match="events:read"):
            exporting(tmp_path / "events.jsonl").run()


# --- arguments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"resource": "event"}, r"resource is 'event'; allowed: .*Did you mean 'events'"),
        ({"path": "s3://bucket/events.csv"}, "path is .*has to end in one of: .jsonl, .jsonl.gz, .parquet"),
        ({"since": "2026-02-03"}, "since is '2026-02-03'. Give an aware datetime"),
        ({"until": datetime(2026, 2, 3)}, "until is datetime.*Give an aware datetime"),
        ({"since": "yesterday"}, "since is 'yesterday'"),
        ({"fields": ["emial"], "resource": "profiles"}, "fields is 'emial'; allowed: .*Did you mean 'email'"),
        ({"fields": "email"}, "fields is 'email'; give a list"),
        ({"filter": "equals(name,"}, "Filter 'equals"),
        ({"filter": equals("name", "Sale")}, "cannot filter by 'name'"),
        ({"filter": "greater-than(datetime,2026-01-01T00:00:00Z)"}, "filter holds datetime; give since and until"),
        ({"resource": "campaigns", "filter": 'equals(messages.channel,"sms")'}, "all channels are read"),
        ({"resource": "campaigns", "revision": "2026-10-15"}, "campaigns are of another kind"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_when_the_dag_is_imported(arguments: dict[str, Any], words: str) -> None:
    given = {"resource": "events", "path": "/tmp/events.jsonl", **arguments}
    with pytest.raises(KlaviyoValidationError, match=words):
        KlaviyoToObjectStorageOperator(task_id="export", **given)


def test_what_jinja_renders_is_judged_before_klaviyo_is_called(klaviyo: Klaviyo, tmp_path: Path) -> None:
    for arguments in ({"since": "{{ run_id }}"}, {"path": "{{ run_id }}.csv"}, {"fields": ["{{ run_id }}"]}):
        with pytest.raises(KlaviyoValidationError, match=f"{next(iter(arguments))} is"):
            exporting(**{"path": tmp_path / "events.jsonl", **arguments}).run()
    assert klaviyo.requests() == []
