"""A saved request log is played again."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from airflow_provider_klaviyo.sandbox.cli import main
from airflow_provider_klaviyo.sandbox.testing import KlaviyoSandbox


def test_a_lifecycle_is_played_again_with_its_double_send(api, tmp_path, capsys):
    api.create("Before")  # what is made later has other ids in the replay
    before = len(api.requests())
    campaign_id, _ = api.create("Failing")
    api.fault(operation="send_campaign", fault="status_after_commit", status=504)
    assert api.start(campaign_id).status_code == 504
    assert api.fired() == [1]
    api.advance(100)
    assert api.status(campaign_id) == "Sent"
    assert api.start(campaign_id).status_code in (200, 202)
    api.advance(100)
    assert api.status(campaign_id) == "Sent"
    file = tmp_path / "failed.json"
    file.write_text(json.dumps(api.requests()[before:]))
    assert main(["replay", str(file)]) == 0, capsys.readouterr().out
    table = capsys.readouterr().out
    assert campaign_id not in table
    fresh = KlaviyoSandbox(api.url)
    assert all(one.is_same for one in fresh.replay(file))
    [campaign] = [row for row in fresh.campaigns if row["name"] == "Failing"]
    assert campaign["id"] != campaign_id
    fresh.advance(100)
    assert [row["campaign_id"] for row in fresh.sends] == [campaign["id"]] * 2


def test_what_ends_differently_is_shown_and_ends_with_1(api, tmp_path, capsys):
    api.create("Changed", template=None)
    rows = api.requests()
    rows[0]["status"] = 500
    rows.append({**rows[0], "body": {"omitted_bytes": 300000}})
    file = tmp_path / "log.json"
    file.write_text(json.dumps(rows))
    assert main(["replay", str(file), "--json"]) == 1
    changed, left_out = json.loads(capsys.readouterr().out)
    assert (changed["was"], changed["now"]) == (500, 201)
    assert "300000 bytes" in left_out["why"]


@pytest.mark.parametrize("content", ["", "{}", "[1]", '[{"path": "/api"}]'])
def test_a_file_that_is_no_log_is_refused_in_one_line(tmp_path, capsys, content):
    file = tmp_path / "log.json"
    file.write_text(content)
    assert main(["replay", str(file)]) == 2
    assert str(file) in capsys.readouterr().err


def test_a_key_that_was_refused_is_refused_again(api, tmp_path):
    api.http.headers["authorization"] = "Klaviyo-API-Key pk_readonly"
    assert api.start("01H5QQV9F57XJHJDMD86RX4QM5").status_code == 403
    file = tmp_path / "log.json"
    file.write_text(json.dumps(api.requests()))
    assert main(["replay", str(file)]) == 0


def test_a_send_time_of_the_log_is_still_ahead_when_it_is_played_again(api, tmp_path):
    at = datetime(2026, 1, 10, tzinfo=UTC).timestamp()
    assert api.http.post("/sandbox/reset", json={"clock": at}).status_code == 200
    strategy = {"method": "static", "datetime": "2026-01-12T00:00:00+00:00", "options": {"is_local": False}}
    campaign_id, _ = api.create("Later", send_strategy=strategy)
    api.start(campaign_id)
    file = tmp_path / "log.json"
    file.write_text(json.dumps(api.requests()))
    api.http.post("/sandbox/reset")
    fresh = KlaviyoSandbox(api.url)
    assert all(one.is_same for one in fresh.replay(file))
    assert fresh.sends == []
    fresh.advance(3 * 86400)
    [delivery] = fresh.sends
    assert delivery["at"].startswith("2026-01-12T00:00")


@pytest.mark.parametrize("clock", [-1, 1e300])
def test_a_reset_to_no_time_is_refused(api, clock):
    assert api.http.post("/sandbox/reset", json={"clock": clock}).status_code == 400
