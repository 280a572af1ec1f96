"""Figures in a table of a real PostgreSQL, with the drivers that Airflow's hook has for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.support.postgres import postgres
from tests.support.reporting import report, send
from tests.support.sandbox import DRAFT_EMAIL

provider = pytest.importorskip(
    "airflow.providers.postgres.hooks.postgres", reason="Airflow's provider is not installed"
)

Ask = Callable[[str], list[Any]]

TABLE = "marketing.figures"


@pytest.fixture(scope="module")
def server() -> Iterator[dict[str, Any]]:
    with postgres() as connection:
        yield connection


@pytest.fixture(params=["psycopg2", "psycopg"])
def ask(request: pytest.FixtureRequest, server: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Asks the database that ``warehouse`` is the connection of, which is reached over one of the drivers."""
    import psycopg2

    if request.param == "psycopg" and not getattr(provider, "USE_PSYCOPG3", False):
        pytest.skip("Airflow's hook takes psycopg 3 from SQLAlchemy 2 on only")
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(server))
    monkeypatch.setattr(provider, "USE_PSYCOPG3", request.param == "psycopg", raising=False)
    address = {"host": server["host"], "user": server["login"], "dbname": server["schema"]}

    def run(sql: str) -> list[Any]:
        with closing(psycopg2.connect(**address)) as database, database, database.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall()) if cursor.description else []

    run("DROP SCHEMA IF EXISTS marketing CASCADE")
    run("CREATE SCHEMA marketing")
    return run


def test_figures_are_typed_and_a_retry_replaces_them(klaviyo, ask):
    sent = send(klaviyo)
    task = report(TABLE)
    for _ in range(2):
        assert task.run() == {"table": "marketing.figures", "count": 1}
    [(campaign_id, variation, recipients, rate, snapshot_at, send_time)] = ask(
        "SELECT campaign_id, variation, recipients, open_rate, snapshot_at, send_time FROM marketing.figures"
    )
    assert (campaign_id, variation) == (DRAFT_EMAIL, "")
    assert recipients == klaviyo.sends(DRAFT_EMAIL)[0]["recipients"]
    assert 0 < rate < 1
    assert send_time == sent.replace(tzinfo=None)
    assert snapshot_at > send_time


def test_a_table_of_ones_own_may_have_other_types(klaviyo, ask):
    sent = send(klaviyo)
    ask(
        "CREATE TABLE marketing.figures (account_id text, campaign_id text, campaign_message_id text, variation text, "
        "send_channel text, conversion_metric_id text, snapshot_at timestamptz, campaign_name text, subject text, "
        "template_id text, send_time timestamptz, recipients int, revenue_per_recipient numeric, loaded_at timestamptz "
        "DEFAULT now(), PRIMARY KEY (account_id, campaign_id, campaign_message_id, variation, send_channel, "
        "conversion_metric_id, snapshot_at))"
    )
    task = report(TABLE, statistics=["recipients", "revenue_per_recipient"], create_table=False)
    task.run()
    task.run()
    assert ask("SELECT send_time FROM marketing.figures") == [(sent,)]


def test_rows_that_the_database_refuses_leave_the_earlier_ones(klaviyo, ask):
    send(klaviyo)
    task = report(TABLE)
    task.run()
    ask("ALTER TABLE marketing.figures ADD CHECK (recipients < 0) NOT VALID")
    with pytest.raises(Exception, match="check constraint"):
        task.run()
    assert ask("SELECT count(*) FROM marketing.figures") == [(1,)]
