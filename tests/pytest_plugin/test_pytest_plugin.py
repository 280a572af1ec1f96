"""The fixture ``klaviyo_sandbox`` in a project that has nothing but this package and pytest."""

from __future__ import annotations

import pytest

from tests.pytest_plugin.conftest import Pytest

SEND = """
def send(url, campaign_id="01H5QQV9F57XJHJDMD86RX4QM5", patience=10):
    headers = {"Authorization": "Klaviyo-API-Key pk_test", "revision": "2026-04-15"}
    body = {"data": {"type": "campaign-send-job", "id": campaign_id}}
    return httpx.post(f"{url}/api/campaign-send-jobs", headers=headers, json=body, timeout=patience)
"""
IMPORTS = "import httpx, pytest, sys, datetime\n"


@pytest.fixture
def passes(pytester: pytest.Pytester, run_pytest: Pytest):
    """Return a function that runs a file of tests, all of which have to pass."""

    def check(code: str, passed: int, *arguments: str) -> None:
        pytester.makepyfile(IMPORTS + SEND + code)
        run_pytest(*arguments).assert_outcomes(passed=passed)

    return check


def test_a_first_test_needs_no_conftest(passes):
    passes(
        """
def test_it_is_sent_once(klaviyo_sandbox):
    send(klaviyo_sandbox.url)
    delivery = klaviyo_sandbox.assert_sent_once("Holiday Sale: *")
    assert klaviyo_sandbox.sends == [delivery]
    assert [row["operation"] for row in klaviyo_sandbox.requests] == ["send_campaign"]
    [campaign] = [row for row in klaviyo_sandbox.campaigns if row["id"] == delivery["campaign_id"]]
    assert campaign["name"] == delivery["name"]
    assert campaign["messages"][0]["channel"] == campaign["channel"] == "email"
""",
        1,
    )


def test_each_test_has_an_account_of_its_own(passes):
    passes(
        """
@pytest.mark.parametrize("turn", range(3))
def test_nothing_is_left_of_another(klaviyo_sandbox, turn):
    assert klaviyo_sandbox.sends == klaviyo_sandbox.requests == []
    klaviyo_sandbox.fail("get_accounts", status=500, times=None)
    send(klaviyo_sandbox.url)
    klaviyo_sandbox.assert_sent_once("Holiday Sale*")
""",
        3,
    )


def test_a_write_that_is_late_does_not_reach_the_next_test(passes):
    passes(
        """
def test_one_gives_up_waiting(klaviyo_sandbox):
    late = klaviyo_sandbox.fail("send_campaign", "delay", seconds=0.5, when="before")
    with pytest.raises(httpx.ReadTimeout):
        send(klaviyo_sandbox.url, patience=0.1)
    assert late.fired == 1

def test_another_is_left_alone(klaviyo_sandbox):
    import time
    time.sleep(0.8)
    assert klaviyo_sandbox.sends == []
    assert {row["status"] for row in klaviyo_sandbox.campaigns} == {"Draft", "Sent"}
""",
        2,
    )


def test_a_fault_is_asked_for_in_one_line_and_says_how_often_it_fired(passes):
    passes(
        """
def test_faults(klaviyo_sandbox):
    refused = klaviyo_sandbox.fail("send_campaign", status=503)
    gateway = klaviyo_sandbox.fail("send_campaign", "status_after_commit", status=504)
    cut = klaviyo_sandbox.fail("send_campaign")
    assert send(klaviyo_sandbox.url).status_code == 503
    assert klaviyo_sandbox.requests[-1]["committed"] is False
    assert send(klaviyo_sandbox.url).status_code == 504
    assert klaviyo_sandbox.requests[-1]["committed"] is True
    with pytest.raises(httpx.RemoteProtocolError):
        send(klaviyo_sandbox.url)
    assert (refused.fired, gateway.fired, cut.fired) == (1, 1, 1)

def test_a_fault_that_is_none(klaviyo_sandbox):
    with pytest.raises(Exception, match="fault 'explode' is not known. Known: drop_before_commit"):
        klaviyo_sandbox.fail("send_campaign", "explode")
""",
        2,
    )


def test_the_clock_takes_seconds_and_timedeltas(passes):
    passes(
        """
def now(klaviyo_sandbox):
    return datetime.datetime.fromisoformat(httpx.get(f"{klaviyo_sandbox.url}/sandbox/clock").json()["now"])

def test_clock(klaviyo_sandbox):
    before = now(klaviyo_sandbox)
    klaviyo_sandbox.advance(3600)
    klaviyo_sandbox.advance(datetime.timedelta(days=2))
    assert datetime.timedelta(0) <= now(klaviyo_sandbox) - before - datetime.timedelta(days=2, hours=1)
""",
        1,
    )


def test_what_was_sent_instead_is_said(pytester, run_pytest):
    pytester.makepyfile(
        IMPORTS
        + SEND
        + """
def test_nothing(klaviyo_sandbox):
    klaviyo_sandbox.assert_sent_once("Holiday Sale")

def test_another(klaviyo_sandbox):
    send(klaviyo_sandbox.url)
    klaviyo_sandbox.assert_sent_once("Weekly sale")

def test_twice(klaviyo_sandbox):
    send(klaviyo_sandbox.url)
    send(klaviyo_sandbox.url)
    klaviyo_sandbox.assert_sent_once("Holiday Sale*")
"""
    )
    result = run_pytest("--tb=short")
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(
        [
            "E   AssertionError: 'Holiday Sale' was not sent. Campaigns of this name:",
            "E     'Holiday Sale' is 'Draft'",
            "E   Nothing was sent.",
            "E   AssertionError: 'Weekly sale' was not sent. There is no campaign of this name. Sent was:",
            "E     'Holiday Sale: * (email, 01H5QQV9F57XJHJDMD86RX4QM5) to * at 20*",
            "E   AssertionError: 'Holiday Sale[*]' was sent 2 times:",
            "E     'Holiday Sale: * (email, 01H5QQV9F57XJHJDMD86RX4QM5) to * at 20*",
            "E     'Holiday Sale: * (email, 01H5QQV9F57XJHJDMD86RX4QM5) to * at 20*",
        ]
    )
    assert "testing.py" not in result.stdout.str()


def test_the_workers_of_xdist_have_a_sandbox_each(passes):
    passes(
        """
@pytest.mark.parametrize("turn", range(6))
def test_one(klaviyo_sandbox, turn):
    assert klaviyo_sandbox.sends == []
    send(klaviyo_sandbox.url)
    klaviyo_sandbox.assert_sent_once("Holiday Sale*")
""",
        6,
        "-n",
        "2",
    )


def test_the_official_sdk_talks_to_it(passes):
    passes(
        """
def test_sdk(klaviyo_sandbox):
    from klaviyo_api import KlaviyoAPI
    sdk = KlaviyoAPI("pk_test", max_retries=3, test_host=klaviyo_sandbox.url)
    gateway = klaviyo_sandbox.fail("send_campaign", "status_after_commit", status=504)
    sdk.Campaigns.send_campaign({"data": {"type": "campaign-send-job", "id": "01H5QQV9F57XJHJDMD86RX4QM5"}})
    assert gateway.fired == 1
    with pytest.raises(AssertionError, match="was sent 2 times"):
        klaviyo_sandbox.assert_sent_once("Holiday Sale*")
""",
        1,
    )


def test_airflow_finds_the_connection(passes):
    passes(
        """
def test_connection(klaviyo_sandbox):
    from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
    assert KlaviyoHook().get_connection("klaviyo_default").host == klaviyo_sandbox.url
    assert KlaviyoHook().test_connection()[0] is True
    assert klaviyo_sandbox.requests[0]["operation"] == "get_accounts"
""",
        1,
    )


def test_options_are_overridden_like_any_fixture(passes):
    passes(
        """
@pytest.fixture(scope="session")
def klaviyo_sandbox_options():
    return {"speed": 7, "limits": True}

def test_options(klaviyo_sandbox):
    state = httpx.get(f"{klaviyo_sandbox.url}/sandbox/state").json()
    assert state["clock"]["speed"] == 7
    assert state["limits"]["enforced"] is True
""",
        1,
    )


def test_a_project_that_does_not_use_it_pays_nothing(passes):
    passes(
        """
def test_modules():
    loaded = {name for name in sys.modules if name.startswith("airflow")}
    assert loaded == {
        "airflow_provider_klaviyo", "airflow_provider_klaviyo.sandbox", "airflow_provider_klaviyo.sandbox.pytest_plugin"
    }
    assert "aiohttp" not in sys.modules
""",
        1,
    )


def test_a_folder_of_dags_that_is_missing_is_said_in_one_line(pytester, run_pytest):
    pytester.makeini("[pytest]\nklaviyo_dags = pipelines\n")
    result = run_pytest()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: klaviyo_dags = pipelines: there is no folder *pipelines."])
