"""Figures in a table of a real MariaDB."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pymysql
import pytest

from tests.support.mariadb import DRIVERS, mariadb, warehouse
from tests.support.reporting import report, send
from tests.support.sandbox import DRAFT_EMAIL

Ask = Callable[[str], list[Any]]

TABLE = "figures"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with mariadb() as socket:
        yield socket


@pytest.fixture(params=DRIVERS)
def ask(request: pytest.FixtureRequest, server: str, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Asks, in UTC, the database that ``warehouse`` is the connection of, whose server is an hour ahead."""
    hooks = warehouse(request.param, server)
    monkeypatch.setattr("airflow_provider_klaviyo.operators.reports.table.BaseHook", hooks)

    def run(sql: str) -> list[Any]:
        with closing(pymysql.connect(unix_socket=server, user="root", database="test")) as database:
            cursor = database.cursor()
            cursor.execute("SET time_zone = '+00:00'")
            cursor.execute(sql)
            database.commit()
            return list(cursor.fetchall())

    run("SET GLOBAL time_zone = '+01:00'")
    run("DROP TABLE IF EXISTS figures")
    return run


def test_figures_are_typed_and_a_retry_replaces_them(klaviyo, ask):
    sent = send(klaviyo)
    task = report(TABLE)
    for _ in range(2):
        assert task.run() == {"table": "figures", "count": 1}
    [(campaign_id, recipients, rate, snapshot_at, send_time)] = ask(
        "SELECT campaign_id, recipients, open_rate, snapshot_at, send_time FROM figures"
    )
    assert campaign_id == DRAFT_EMAIL
    assert recipients == klaviyo.sends(DRAFT_EMAIL)[0]["recipients"]
    assert 0 < rate < 1
    assert send_time == sent.replace(tzinfo=None)
    assert snapshot_at > send_time


def test_a_table_of_ones_own_may_have_other_types(klaviyo, ask):
    sent = send(klaviyo)
    ask(
        "CREATE TABLE figures (account_id text, campaign_id text, campaign_message_id text, variation text, "
        "send_channel text, conversion_metric_id text, snapshot_at timestamp(3) NULL, campaign_name text, "
        "subject text, template_id text, send_time timestamp NULL, recipients int)"
    )
    task = report(TABLE, statistics=["recipients"], create_table=False)
    task.run()
    task.run()
    assert ask("SELECT send_time FROM figures") == [(sent.replace(tzinfo=None),)]


def test_rows_that_the_database_refuses_leave_the_earlier_ones(klaviyo, ask):
    send(klaviyo)
    task = report(TABLE)
    task.run()
    ask(
        "CREATE TRIGGER refuses BEFORE INSERT ON figures FOR EACH ROW "
        "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'a trigger refuses'"
    )
    with pytest.raises(Exception, match="a trigger refuses"):
        task.run()
    assert ask("SELECT count(*) FROM figures") == [(1,)]
