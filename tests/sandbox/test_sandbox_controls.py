"""The controls, the command, and what outlives the process."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from airflow_provider_klaviyo.sandbox.cli import main
from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from tests.sandbox.sandbox_api import STILL

SEEDS = ("YzykDM", "WEmgye", "Y6nRLr", "TUeZtq", "NoOne0")
COMMAND = "import sys; from airflow_provider_klaviyo.sandbox.cli import main; sys.exit(main())"


@contextmanager
def command(*arguments: str) -> Iterator[str]:
    """The command in a process of its own: its URL."""
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "serve", "--port", "0", *arguments], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line.startswith("Klaviyo sandbox at http://127.0.0.1:")
        yield line.split()[-1]
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        process.stdout.close()


def test_the_seeded_ids_are_there_after_a_reset_and_everything_else_is_gone(api):
    campaign_id, _ = api.create()
    api.start(campaign_id)
    api.advance(100)
    api.fault(operation="*", fault="garbage", times=5)
    assert api.http.post("/sandbox/reset").status_code == 200
    assert api.sends() == []
    assert api.requests() == []
    assert api.fired() == []
    assert api.get(f"/api/campaigns/{campaign_id}").status_code == 404
    for list_id in SEEDS:
        assert api.get(f"/api/lists/{list_id}").status_code == 200
    for segment_id in ("YsMa4H", "UTd5ui"):
        assert api.get(f"/api/segments/{segment_id}").status_code == 200
    assert api.get("/api/templates/RipRmi").status_code == 200
    assert api.status("01H5QQV9F57XJHJDMD86RX4QM5") == "Draft"


def test_ids_are_the_same_after_every_reset(api):
    first = api.create()
    api.http.post("/sandbox/reset")
    assert api.create() == first


def test_the_request_log_tells_what_was_asked_and_whether_it_was_done(api):
    api.create("Logged", template=None)
    api.query("/api/campaigns", {"filter": "equals(messages.channel,'email')"})
    made, listed = api.requests()
    assert (made["operation"], made["method"], made["path"], made["status"]) == (
        "create_campaign",
        "POST",
        "/api/campaigns",
        201,
    )
    assert made["committed"] is True
    assert made["body"]["data"]["attributes"]["name"] == "Logged"
    assert (listed["operation"], listed["committed"], listed["body"]) == ("get_campaigns", False, None)
    assert listed["query"] == {"filter": "equals(messages.channel,'email')"}
    assert made["at"] < listed["at"]


def test_the_clock_moves_when_told_and_only_forward(api):
    before = api.http.get("/sandbox/clock").json()["now"]
    assert api.http.post("/sandbox/clock", json={"advance": 3600}).json()["now"][:13] != before[:13]
    for wrong in ({"advance": -1}, {"advance": "1"}, {"advance": True}, {}, [], None):
        assert api.http.post("/sandbox/clock", json=wrong).status_code == 400


def test_a_fast_sandbox_sends_by_itself(sandbox, connect):
    api = connect(sandbox.url)
    campaign_id, _ = api.create()
    api.start(campaign_id)
    deadline = time.monotonic() + 5
    while api.status(campaign_id) != "Sent":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert len(api.sends()) == 1


def test_controls_do_not_answer_to_another_name(api):
    answer = api.http.post("/sandbox/reset", headers={"Host": "evil.example.com"})
    assert answer.status_code == 403


def test_the_page_shows_campaigns_and_requests(api):
    api.create("<b>Sale</b>")
    assert "&lt;b&gt;Sale&lt;/b&gt;" in api.http.get("/").text
    assert "/api/campaigns" in api.http.get("/requests").text


def test_state_outlives_the_process(tmp_path, connect):
    data = tmp_path / "state.json"
    with Sandbox(limits=False, speed=STILL, data=data) as first:
        api = connect(first.url)
        campaign_id, _ = api.create("Kept")
        api.start(campaign_id)
        api.advance(10)
        sent = api.sends()
        second_id, _ = api.create("Kept too")
        api.start(second_id)
        now = api.http.get("/sandbox/clock").json()["now"]
    with Sandbox(limits=False, speed=STILL, data=data) as second:
        api = connect(second.url)
        assert api.http.get("/sandbox/clock").json()["now"] >= now
        assert api.status(campaign_id) == "Sent"
        assert api.sends() == sent
        assert api.status(second_id) == "Queued without Recipients"
        api.advance(10)
        assert api.status(second_id) == "Sent"
        third_id, _ = api.create("New")
        assert third_id not in (campaign_id, second_id)


def test_a_write_is_kept_even_when_the_process_is_killed(tmp_path, connect):
    data = tmp_path / "state.json"
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "serve", "--port", "0", "--data", str(data)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    campaign_id, _ = connect(process.stdout.readline().split()[-1]).create("Kept", template=None)
    process.kill()
    process.wait()
    process.stdout.close()
    with Sandbox(data=data, speed=STILL) as again:
        assert connect(again.url).campaign(campaign_id)["name"] == "Kept"


def test_a_seed_of_ones_own_replaces_the_default(tmp_path, connect):
    seed = tmp_path / "seed.json"
    account: dict[str, Any] = json.loads(default_seed().read_text())["account"]
    person = {"id": "01J", "email": "only.one@example.com"}
    lists = [{"id": "OnlyMe", "name": "Only me", "profiles": ["01J"]}]
    seed.write_text(json.dumps({"account": account, "profiles": [person], "lists": lists}))
    with Sandbox(seed=seed, speed=STILL, strict=True) as running:
        data = connect(running.url).get("/api/lists").json()["data"]
        assert [item["id"] for item in data] == ["OnlyMe"]


def default_seed() -> Path:
    from airflow_provider_klaviyo.sandbox.seed import DEFAULT

    return DEFAULT


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"account": {}}', '{"account": {"id": "A"}, "lists": [{"id": "L"}]}']
)
def test_a_seed_that_is_none_is_refused_by_name(tmp_path, content):
    seed = tmp_path / "seed.json"
    seed.write_text(content)
    with pytest.raises(ValueError, match=r"seed\.json"):
        Sandbox(seed=seed)


@pytest.mark.parametrize("content", ["", "[]", '{"account": {}}', '{"store": 1}'])
def test_a_data_file_that_is_none_is_refused_by_name(tmp_path, content):
    data = tmp_path / "state.json"
    data.write_text(content)
    with pytest.raises(ValueError, match=r"state\.json"):
        Sandbox(data=data)


def test_the_command_takes_under_a_second_of_cpu_and_ends_when_told():
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with command() as url:
        headers = {"Authorization": "Klaviyo-API-Key pk_test", "revision": "2026-04-15"}
        assert httpx.get(f"{url}/api/accounts", headers=headers).status_code == 200
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1


def test_the_command_takes_limits_and_speed(connect):
    with command("--limits", "off", "--speed", "100") as url:
        api = connect(url)
        assert {api.get("/api/accounts").status_code for _ in range(5)} == {200}
        assert api.http.get("/sandbox/clock").json()["speed"] == 100


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.com", "::"])
def test_the_command_refuses_a_host_that_others_can_reach(capsys, host):
    assert main(["serve", "--host", host]) == 2
    assert "--allow-remote" in capsys.readouterr().err


def test_the_command_says_what_is_wrong_with_a_file(capsys, tmp_path):
    assert main(["serve", "--port", "0", "--seed", str(tmp_path / "none.json")]) == 2
    assert "none.json" in capsys.readouterr().err


def test_a_taken_port_is_told_and_leaves_no_thread_behind(api):
    before = threading.active_count()
    with pytest.raises(OSError, match="already in use"), Sandbox(port=int(api.url.rpartition(":")[2])):
        pass
    assert threading.active_count() == before


def test_the_command_says_that_a_port_is_taken(capsys, api):
    assert main(["serve", "--port", api.url.rpartition(":")[2]]) == 2
    assert "address already in use" in capsys.readouterr().err.lower()


def test_the_sandbox_needs_no_airflow():
    code = (
        "import airflow_provider_klaviyo.sandbox.embedded, sys;"
        "assert not [name for name in sys.modules if name == 'airflow' or name.startswith('airflow.')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
