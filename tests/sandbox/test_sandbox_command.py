"""The command: what it prints, and how it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from airflow_provider_klaviyo.sandbox.cli import main
from tests.sandbox.sandbox_api import Api

COMMAND = "import sys; from airflow_provider_klaviyo.sandbox.cli import main; sys.exit(main())"
REAL = "pk_" + "0a1b2c3d4e5f" * 3


def served(tmp_path, connect, *arguments):
    """What the command writes to stdout and stderr, by the time it ends, of one request to it."""
    with (tmp_path / "stderr").open("w+") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, "serve", "--port", "0", *arguments],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        assert process.stdout is not None
        first = process.stdout.readline()
        api: Api = connect(first.split()[-1])
        api.get("/api/accounts")
        assert [api.http.get(path).status_code for path in ("/livez", "/readyz")] == [200, 200]
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()
        process.stdout.close()
        assert process.wait(10) == 0
        errors.seek(0)
        return first, rest, errors.read()


def test_the_first_line_is_the_url_and_the_rest_is_for_people(tmp_path, connect):
    first, rest, errors = served(tmp_path, connect)
    url = first.removeprefix("Klaviyo sandbox at ").strip()
    assert rest == ""
    assert f"{url}/" in errors
    assert f'"host": "{url}"' in errors
    assert "Limits:     on" in errors
    assert " 200 GET '/api/accounts'" in errors


def test_quiet_says_nothing_but_the_url(tmp_path, connect):
    _, rest, errors = served(tmp_path, connect, "--quiet")
    assert rest == errors == ""


def test_each_error_is_one_line_that_says_what_to_do(capsys, tmp_path, api):
    taken = api.url.rpartition(":")[2]
    missing = tmp_path / "none" / "state.json"
    for arguments, said in (
        (["serve", "--port", taken], "--port 0"),
        (["serve", "--port", "65536"], "65535"),
        (["serve", "--port", "0", "--data", str(missing)], str(missing.parent)),
        (["serve", "--port", "0", "--seed", str(missing)], str(missing)),
        (["sends", "--url", "ftp://here"], "http://"),
        (["faults", "--add", "{"], "not JSON"),
        (["nonsense"], "nonsense"),
    ):
        assert main(arguments) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1


def test_where_no_sandbox_answers_it_ends_with_1(capsys):
    assert main(["sends", "--url", "http://127.0.0.1:9"]) == 1
    assert "No sandbox answers at http://127.0.0.1:9" in capsys.readouterr().err


def test_it_reads_and_turns_the_controls(capsys, api):
    at = ["--url", api.url]
    campaign_id, _ = api.create("By hand")
    api.start(campaign_id)
    api.advance(10)
    assert main(["sends", *at]) == 0
    assert "By hand" in capsys.readouterr().out
    assert main(["sends", *at, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == api.sends()
    assert main(["requests", *at, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == api.requests()
    assert main(["requests", *at]) == 0
    assert "send_campaign" in capsys.readouterr().out
    assert main(["faults", *at, "--clear", "--add", '{"fault": "garbage"}', "--json"]) == 0
    assert [rule["fault"] for rule in json.loads(capsys.readouterr().out)] == ["garbage"]
    assert main(["reset", *at]) == 0
    assert (api.sends(), api.requests(), api.fired()) == ([], [], [])


def test_the_seed_that_it_prints_can_be_served(capsys, tmp_path, connect):
    assert main(["seed"]) == 0
    (tmp_path / "seed.json").write_text(capsys.readouterr().out)
    first, _, _ = served(tmp_path, connect, "--seed", str(tmp_path / "seed.json"))
    assert first


def test_it_says_its_version(capsys):
    assert main(["--version"]) == 0
    assert "klaviyo-sandbox, version" in capsys.readouterr().out


@pytest.mark.parametrize("key", [REAL, REAL.replace("pk_", "pk_WkAbCd_")])
def test_a_key_that_looks_real_is_refused_and_leaves_no_trace(api, key):
    api.http.headers["authorization"] = f"Klaviyo-API-Key {key}"
    answer = api.start("01H5QQV9F57XJHJDMD86RX4QM5")
    assert answer.status_code == 401
    [error] = answer.json()["errors"]
    assert "looks like a real key" in error["detail"]
    assert key not in answer.text
    del api.http.headers["authorization"]
    assert api.requests() == []
