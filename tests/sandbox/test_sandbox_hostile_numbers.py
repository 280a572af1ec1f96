"""Numbers that the controls, the command and a data file do not take."""

from __future__ import annotations

import json

import pytest

from airflow_provider_klaviyo.sandbox.cli import main
from airflow_provider_klaviyo.sandbox.clock import Clock
from airflow_provider_klaviyo.sandbox.embedded import Sandbox

NUMBERS = ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1" + "0" * 400, "9" * 100_000, "-1", "true", '"1"']
NUMBERS += ["null", "[1]", "{}", "1e300", "1e12", '"NaN"', ""]


@pytest.mark.parametrize("number", NUMBERS)
def test_the_clock_refuses_what_is_not_a_number_of_seconds_it_can_go(target, number):
    before = target.kept()
    answer = target.api.http.post("/sandbox/clock", content=f'{{"advance": {number}}}')
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]
    assert target.kept() == before


def test_the_clock_goes_no_further_than_times_can_be_written(target):
    for _ in range(3):
        target.api.http.post("/sandbox/clock", json={"advance": 8e9})
    years = 250 * 365 * 86400
    while target.api.http.post("/sandbox/clock", json={"advance": years}).status_code == 200:
        pass
    assert "2026" < target.api.http.get("/sandbox/clock").json()["now"][:4] < "9999"
    assert target.api.http.get("/").status_code == 200
    target.api.http.post("/sandbox/reset")


@pytest.mark.parametrize(
    "rule",
    [
        *({"fault": "delay", "seconds": number} for number in (-1, True, "1", None, [1], 1e9, {"a": 1})),
        *({"fault": "throttle", "retry_after": number} for number in (-1, True, "1", 1.5, [1], "a\r\nX: b", 10**12)),
        *({"fault": "garbage", "times": number} for number in (-1, True, "1", 1.5, [1])),
        *({"fault": "garbage", "skip": number} for number in (-1, True, "1", 1.5, None)),
        *({"fault": "stale", "reads": number} for number in (-1, True, "1", 1.5)),
        *({"fault": "status_after_commit", "status": number} for number in (399, 600, True, "500", 500.0, None)),
        {"fault": "garbage", "status": "500"},
        {"fault": "garbage", "seconds": "1"},
        {"fault": "garbage", "retry_after": "1"},
        {"fault": "garbage", "fired": 1},
        {"fault": "garbage", "when": ["before"]},
        {"fault": "garbage", "operation": ["get_list"]},
        {"fault": "garbage", "operation": None},
        {"fault": ["garbage"]},
        {},
        [],
        "garbage",
        7,
        None,
        [[]],
        [{"fault": "garbage"}, {"fault": "none"}],
    ],
    ids=str,
)
def test_a_fault_that_cannot_be_is_refused_and_so_are_those_beside_it(target, rule):
    before = target.kept()
    answer = target.api.http.post("/sandbox/faults", json=rule)
    if rule == []:
        assert (answer.status_code, answer.json()) == (201, [])
    else:
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"]
    assert target.kept() == before


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e400", "9" * 5000])
@pytest.mark.parametrize("name", ["seconds", "retry_after", "times", "skip", "status"])
def test_a_fault_has_no_number_that_json_does_not_have(target, name, number):
    before = target.kept()
    content = f'{{"fault": "delay", "seconds": 1, "{name}": {number}}}'
    assert target.api.http.post("/sandbox/faults", content=content).status_code == 400
    assert target.kept() == before


@pytest.mark.parametrize("speed", [float("nan"), float("inf"), 0.0, -1.0, 1e300])
def test_a_clock_has_a_speed_it_can_keep(speed):
    with pytest.raises(ValueError, match="speed"):
        Clock(speed)


@pytest.mark.parametrize("ahead", [float("nan"), float("inf"), 1e300, -1e300])
def test_a_clock_begins_at_a_time_that_can_be_written(ahead):
    with pytest.raises(ValueError, match="ahead"):
        Clock(ahead=ahead)


@pytest.mark.parametrize(
    "arguments",
    [
        *(["--speed", speed] for speed in ("nan", "inf", "1e400", "0", "-1", "fast", "1e300")),
        *(["--port", port] for port in ("-1", "65536", "99999999999", "1e3", "http")),
    ],
    ids=" ".join,
)
def test_the_command_refuses_a_speed_or_port_that_cannot_be(capsys, arguments):
    assert main(["serve", *arguments]) == 2
    assert arguments[0] in capsys.readouterr().err


@pytest.mark.parametrize("ahead", ["NaN", "1e400", '"1"', "null", "true", "[]"])
def test_a_data_file_whose_clock_is_no_time_is_refused_by_name(tmp_path, ahead):
    data = tmp_path / "state.json"
    store = {"resources": [], "agenda": [], "sends": [], "counter": 0}
    data.write_text(f'{{"ahead": {ahead}, "store": {json.dumps(store)}}}')
    with pytest.raises(ValueError, match=r"state\.json"):
        Sandbox(data=data)
