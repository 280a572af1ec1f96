from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_klaviyo.exceptions import (
    KlaviyoNotFoundError,
    KlaviyoValidationError,
)
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.operators.reports import KlaviyoCampaignReportOperator
from tests.support.context import dag_run
from tests.support.reports import REPORT, report
from tests.support.sandbox import DRAFT_EMAIL, DRAFT_SMS

ACCOUNT, SHOPIFY = "Sandb0", "RESQ6t"
HOUR = 3600.0
KEY = (
    *("account_id", "campaign_id", "campaign_message_id", "variation", "send_channel", "conversion_metric_id"),
    "snapshot_at",
)
ABOUT = ("campaign_name", "subject", "template_id", "send_time")


# --- rows -------------------------------------------------------------------------------------------------------------


def test_a_row_has_its_key_the_campaign_and_typed_figures(klaviyo, sent):
    [row] = report(sent, statistics=["recipients", "opens_unique", "open_rate", "conversion_value"]).run()
    assert tuple(row) == (*KEY, *ABOUT, "recipients", "opens_unique", "open_rate", "conversion_value")
    message = klaviyo.message(sent)
    assert [row[name] for name in KEY[:-1]] == [ACCOUNT, sent, message["id"], "", "email", SHOPIFY]
    assert row["campaign_name"] == "Holiday Sale: Email Campaign"
    assert row["subject"] == "Our holiday sale ends soon"
    assert row["template_id"] == klaviyo.template_of(sent)
    send_time = datetime.fromisoformat(klaviyo.campaign(sent)["send_time"])
    assert datetime.fromisoformat(row["send_time"]) == send_time.replace(microsecond=0)
    assert row["recipients"] == klaviyo.sends(sent)[0]["recipients"]
    assert row["recipients"] >= row["opens_unique"] > 0
    assert isinstance(row["recipients"], int)
    assert isinstance(row["open_rate"], float)
    assert 0 < row["open_rate"] < 1
    assert datetime.fromisoformat(row["snapshot_at"]) - datetime.fromisoformat(row["send_time"]) >= timedelta(days=1)


def test_several_campaigns_are_one_request_and_one_without_figures_is_named(klaviyo, sent, capsys):
    klaviyo.send(DRAFT_SMS)
    klaviyo.wait_for_sends()
    clone = KlaviyoHook().clone_campaign(DRAFT_EMAIL, "Not sent").id
    rows = report([sent, DRAFT_SMS, clone, sent]).run()
    assert {row["campaign_id"]: row["send_channel"] for row in rows} == {sent: "email", DRAFT_SMS: "sms"}
    assert {row["campaign_id"]: row["subject"] for row in rows}[DRAFT_SMS] is None
    assert klaviyo.counted()[REPORT] == 1
    assert f"Klaviyo has no figures of campaign {clone}, 'Not sent' (Draft)" in capsys.readouterr().out


def test_more_than_a_hundred_campaigns_are_several_requests(klaviyo, sent):
    hook = KlaviyoHook()
    ids = [hook.clone_campaign(DRAFT_SMS, f"Clone {number}").id for number in range(120)]
    [row] = report([*ids, sent]).run()
    assert row["campaign_id"] == sent
    bodies = [request["body"]["data"]["attributes"]["filter"] for request in klaviyo.requests(REPORT)]
    assert [body.count('"') // 2 for body in bodies] == [100, 21]


def test_further_groupings_stand_after_the_key(klaviyo, sent):
    grouped = ["campaign_id", "campaign_message_id", "send_channel", "campaign_message_name", "group"]
    [row] = report(sent, group_by=grouped, statistics=["recipients"]).run()
    assert tuple(row) == (*KEY, "campaign_message_name", "group_id", *ABOUT, "recipients")
    assert row["campaign_message_name"] == "Holiday sale"


def test_the_timeframe_is_what_klaviyo_is_asked_for(klaviyo, sent):
    frame = {"start": "2026-01-01T00:00:00", "end": "2026-01-02T00:00:00"}
    assert report(sent, timeframe=frame).run() == []
    [request] = klaviyo.requests(REPORT)
    asked = request["body"]["data"]["attributes"]["timeframe"]
    assert asked == {"start": "2026-01-01T00:00:00+00:00", "end": "2026-01-02T00:00:00+00:00"}


def test_ids_come_by_jinja(klaviyo, sent):
    run = dag_run(conf={"campaign": sent})
    assert len(report("{{ dag_run.conf.campaign }}", run=run).run()) == 1
    assert len(report(["{{ dag_run.conf.campaign }}"], run=run).run()) == 1


def test_ids_that_come_to_nothing_are_refused(klaviyo):
    with pytest.raises(KlaviyoValidationError, match="campaign_ids is '' after rendering"):
        report("{{ dag_run.conf.get('campaign', '') }}", run=dag_run(conf={})).run()
    assert klaviyo.requests() == []


# --- the metric -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Placed Order (Shopify)", SHOPIFY])
def test_a_metric_is_found_by_its_name_and_integration_or_its_id(klaviyo, sent, name):
    [row] = report(sent, conversion_metric=name).run()
    assert row["conversion_metric_id"] == SHOPIFY


def test_a_name_that_only_one_metric_has_needs_no_integration(klaviyo, sent):
    [row] = report(sent, conversion_metric="Opened Email").run()
    assert row["conversion_metric_id"] == "OpnEml"


def test_of_several_metrics_of_a_name_the_integration_has_to_be_named(klaviyo, sent):
    with pytest.raises(KlaviyoValidationError) as failed:
        report(sent, conversion_metric="Placed Order").run()
    assert "has 2 metrics" in str(failed.value)
    assert "'Placed Order (Shopify)' (RESQ6t), 'Placed Order (WooCommerce)' (Wx8PdR)" in str(failed.value)
    assert klaviyo.counted()[REPORT] == 0


def test_a_metric_that_is_not_there_is_refused_with_those_that_are(klaviyo, sent):
    with pytest.raises(KlaviyoValidationError, match="Did you mean 'Placed Order'"):
        report(sent, conversion_metric="Place Order").run()
    assert klaviyo.counted()[REPORT] == 0


# --- what cannot be right ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"statistics": ["openrate"]}, "statistics is 'openrate'.*Did you mean 'open_rate'"),
        ({"statistics": "opens"}, "Give a list"),
        ({"statistics": []}, "Give a list"),
        ({"statistics": ["opens", "opens"]}, "Name each once"),
        ({"group_by": ["campaign_id"]}, "Klaviyo requires 'campaign_message_id'"),
        ({"group_by": ["campaign_id", "campaign_message_id", "subject"]}, "group_by is 'subject'"),
        ({"timeframe": "ever"}, "timeframe is 'ever'"),
        ({"report_after": 3600}, "Give a timedelta"),
        ({"report_after": timedelta(hours=-1)}, "Give a timedelta"),
        ({"path": "figures.txt"}, r"\.jsonl, \.csv, \.parquet"),
        ({"path": "figures.csv", "table": "t", "sql_conn_id": "w"}, "Give one of them"),
        ({"table": "figures"}, "Give both"),
        ({"sql_conn_id": "warehouse"}, "Give both"),
        ({"table": "figures; DROP TABLE x", "sql_conn_id": "w"}, "give the name of a table"),
        ({"timeout": 0}, "timeout is 0"),
        ({"conversion_metric": " "}, "conversion_metric is ' '"),
        ({"campaign_ids": []}, "campaign_ids is empty"),
        ({"campaign_ids": ["C1", ""]}, "campaign_ids.1 is ''"),
    ],
)
def test_an_argument_that_cannot_be_right_is_an_import_error(arguments, words):
    given = {"campaign_ids": "C1", "conversion_metric": "Placed Order", **arguments}
    with pytest.raises(KlaviyoValidationError, match=words):
        KlaviyoCampaignReportOperator(task_id="report", **given)


def test_a_campaign_that_is_not_there_costs_no_report(klaviyo, sent):
    with pytest.raises(KlaviyoNotFoundError, match="campaign_ids has GONE, of which Klaviyo has no campaign"):
        report([sent, "GONE"]).run()
    assert klaviyo.counted()[REPORT] == 0


def test_rows_that_are_too_many_for_xcom_are_refused_and_the_way_is_named(klaviyo, sent, monkeypatch):
    monkeypatch.setattr("airflow_provider_klaviyo.operators.xcom.LARGEST_XCOM", 100)
    with pytest.raises(KlaviyoValidationError, match=r"1 rows of .* Write them to a file with path, or to a table"):
        report(sent).run()


# --- files ------------------------------------------------------------------------------------------------------------


def test_rows_go_to_a_file_of_json_lines_csv_or_parquet(klaviyo, sent, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    task = report(sent, path=f"{tmp_path}/a.jsonl")
    assert task.run() == {"path": f"{tmp_path}/a.jsonl", "count": 1}
    [row] = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert tuple(row)[: len(KEY)] == KEY
    report(sent, path=f"{tmp_path}/b.csv").run()
    with (tmp_path / "b.csv").open(newline="") as file:
        [as_text] = list(csv.DictReader(file))
    assert list(as_text) == list(row)
    assert as_text["recipients"] == str(row["recipients"])
    assert report(sent, path=f"file://{tmp_path}/c.parquet").run()["count"] == 1
    table = parquet.read_table(tmp_path / "c.parquet")
    assert table.schema.names == list(row)
    types = {name: str(table.schema.field(name).type) for name in ("recipients", "open_rate", "send_time", "subject")}
    assert types == {
        "recipients": "int64",
        "open_rate": "double",
        "send_time": "timestamp[us, tz=UTC]",
        "subject": "string",
    }
    assert table.to_pylist()[0]["send_time"] == datetime.fromisoformat(row["send_time"])


def test_a_report_without_rows_is_a_file_with_its_columns(klaviyo, tmp_path):
    assert report(DRAFT_EMAIL, path=f"{tmp_path}/b.csv").run()["count"] == 0
    assert (tmp_path / "b.csv").read_text().startswith("account_id,campaign_id,")


# --- a table ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[Any]]:
    """Asks the database that ``warehouse`` is the connection of."""
    path = tmp_path / "warehouse.db"
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "sqlite", "host": str(path)}))

    def ask(sql: str) -> list[Any]:
        with closing(sqlite3.connect(path)) as database:
            rows = database.execute(sql).fetchall()
            database.commit()
            return rows

    return ask


TABLE = {"table": "figures", "sql_conn_id": "warehouse", "create_table": True}


def test_rows_go_to_a_table_that_is_made_if_it_is_missing(klaviyo, sent, warehouse):
    assert report(sent, **TABLE).run() == {"table": "figures", "count": 1}
    [(campaign_id, recipients, rate, variation)] = warehouse(
        "SELECT campaign_id, recipients, open_rate, variation FROM figures"
    )
    assert (campaign_id, recipients, variation) == (sent, klaviyo.sends(sent)[0]["recipients"], "")
    assert 0 < rate < 1


def test_a_table_that_is_missing_is_not_made_unless_told(klaviyo, sent, warehouse):
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        report(sent, **{**TABLE, "create_table": False}).run()


def test_a_retry_replaces_its_snapshot_and_a_clear_adds_another(klaviyo, sent, warehouse):
    task = report(sent, **TABLE)
    task.run()
    klaviyo.advance(HOUR)
    task.run()
    assert len(warehouse("SELECT * FROM figures")) == 1
    task.clear()
    klaviyo.advance(HOUR)
    task.run()
    moments = [datetime.fromisoformat(at) for (at,) in warehouse("SELECT snapshot_at FROM figures ORDER BY 1")]
    assert len(moments) == 2
    assert timedelta(hours=2) <= moments[1] - moments[0] < timedelta(hours=2, minutes=5)


def test_a_retry_without_a_state_store_replaces_its_snapshot_too(klaviyo, sent, warehouse):
    task = report(sent, durable=False, **TABLE)
    task.run()
    klaviyo.advance(HOUR)
    task.run()
    assert len(warehouse("SELECT * FROM figures")) == 1


def test_a_table_keeps_what_it_had_when_a_row_cannot_be_written(klaviyo, sent, warehouse):
    task = report(sent, **TABLE)
    task.run()
    before = warehouse("SELECT * FROM figures")
    warehouse("CREATE TRIGGER full BEFORE INSERT ON figures BEGIN SELECT RAISE(ABORT, 'disk is full'); END")
    with pytest.raises(sqlite3.IntegrityError, match="disk is full"):
        task.run()
    assert warehouse("SELECT * FROM figures") == before


def test_values_are_parameters_whatever_they_hold(klaviyo, warehouse):
    name = "Robert'); DROP TABLE figures; --"
    klaviyo.change(DRAFT_EMAIL, name=name)
    klaviyo.send(DRAFT_EMAIL)
    klaviyo.wait_for_sends()
    report(DRAFT_EMAIL, **TABLE).run()
    assert warehouse("SELECT campaign_name FROM figures") == [(name,)]


def test_a_connection_that_is_for_no_database_is_refused(klaviyo, sent):
    with pytest.raises(KlaviyoValidationError, match="not for a SQL database"):
        report(sent, table="figures", sql_conn_id="klaviyo_default").run()
