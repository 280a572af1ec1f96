"""A connection in Airflow's own hands: its form, its REST API, its test button on both paths, and its command line.

Each runs in a process of its own with an empty Airflow home, where Airflow finds the provider as it is installed.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Connection
from packaging.version import Version

from airflow_provider_klaviyo.get_provider_info import get_provider_info
from airflow_provider_klaviyo.hooks.connection import client_settings
from airflow_provider_klaviyo.hooks.extra import EXTRAS, Safety
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from tests.support.airflow_versions import AIRFLOW, since_airflow
from tests.support.serving import Serving

KEY = "pk_0123456789abcdef"
CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN = "the-client-id", "the-client-secret", "the-refresh-token"
SECRETS = (KEY, CLIENT_SECRET, REFRESH_TOKEN)
DOCUMENTATION = Path(__file__).parents[2].joinpath("docs", "connection.md").read_text(encoding="utf-8")

FORM = """
import json, sys
from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService

[form] = [form for form in HookMetaService.hook_meta_data() if form.connection_type == "klaviyo"]
ours = [name for name in sys.modules if name.startswith("airflow_provider_klaviyo")]
print(json.dumps({"form": form.model_dump(mode="json"), "imported": sorted(ours)}))
"""
API = """
import json, sys
from airflow import models, settings

models.import_all_models()
from airflow.models.base import Base

Base.metadata.create_all(settings.engine)
from airflow.api_fastapi.app import create_app
from starlette.testclient import TestClient

with TestClient(create_app(apps="core"), raise_server_exceptions=False) as client:
    token = client.post("/auth/token", json={"username": "admin", "password": "admin"}).json()["access_token"]
    answers = [
        (answer.status_code, answer.text)
        for method, path, body in json.loads(sys.argv[1])
        for answer in [
            client.request(method, f"/api/v2/{path}", json=body, headers={"Authorization": f"Bearer {token}"})
        ]
    ]
print(json.dumps(answers))
"""
WORKER = """
import json, sys, uuid
from airflow.sdk.execution_time.connection_test_supervisor import supervise_connection_test

supervise_connection_test(
    connection_test_id=uuid.uuid4(), connection_id="shop", timeout=30, token="token", server=sys.argv[1]
)
print(json.dumps("done"))
"""

RunPython = Callable[..., Any]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(limits=False) as running:
        yield running


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """That of an Airflow with an empty home, in which connections may be tested."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")},
        "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow")),
        "AIRFLOW__API_AUTH__JWT_ISSUER": "tests",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "NO_PROXY": "127.0.0.1",
    }


@pytest.fixture(scope="module")
def run_python(environment: dict[str, str]) -> RunPython:
    """Runs code and returns its last line, read as JSON."""

    def run(code: str, *arguments: str) -> Any:
        command = [sys.executable, "-c", code, *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run


# --- the form --------------------------------------------------------------------------------------------------------

[KIND] = get_provider_info()["connection-types"]
FIELDS: dict[str, Any] = KIND["conn-fields"]


@pytest.fixture(scope="module")
def rendered(run_python: RunPython) -> Any:
    """The form, and what of this package was imported for it."""
    return run_python(FORM)


@since_airflow("3.3", "forms that are rendered without the hook: Airflow 3.2 imports all hooks of all providers")
def test_airflow_renders_the_form_without_importing_the_hook(rendered: Any) -> None:
    assert rendered["imported"] == ["airflow_provider_klaviyo", "airflow_provider_klaviyo.get_provider_info"]


@since_airflow("3.2", "forms that are declared")
def test_the_form_has_the_fields_that_are_declared(rendered: Any) -> None:
    form = rendered["form"]
    assert list(form["extra_fields"]) == list(FIELDS)
    for name, field in form["extra_fields"].items():
        assert field["schema"]["title"] == FIELDS[name]["label"]
        assert "null" in field["schema"]["type"], "a field that may be left empty"
    assert form["extra_fields"]["oauth_refresh_token"]["schema"]["format"] == "password"
    standard = form["standard_fields"]
    assert {name for name, field in standard.items() if field and field["hidden"]} == {"port", "url_schema"}
    assert "client id" in standard["login"]["title"]
    assert "client secret" in standard["password"]["title"]


def read(extra: dict[str, Any]) -> Any:
    return client_settings(Connection(conn_id="shop", conn_type="klaviyo", login="id", password="secret"), extra)


def test_a_form_whose_fields_are_all_empty_says_nothing() -> None:
    texts = FIELDS.keys() - {"read_only", "require_test_account"}
    for extra in (dict.fromkeys(FIELDS), dict.fromkeys(texts, "")):
        given = client_settings(Connection(conn_id="shop", conn_type="klaviyo", password=KEY), extra)
        plain = client_settings(Connection(conn_id="shop", conn_type="klaviyo", password=KEY), {})
        assert given.auth.header() == plain.auth.header()
        assert (given.revision, given.read_timeout) == (plain.revision, plain.read_timeout)
        assert given.pacing is not None
        assert plain.pacing is not None


def test_every_extra_but_the_nested_one_has_a_field() -> None:
    assert set(FIELDS) == set(EXTRAS) - {"oauth"}


def test_what_a_field_of_the_form_allows_a_connection_understands() -> None:
    values = {"revision": "2026-07-15", "timeout": 30, "oauth_refresh_token": "x", "read_only": True}
    values |= {"rate_limit": {"share": 0.5, "max_wait": 5}}
    extra = dict.fromkeys(FIELDS) | values
    found = read(extra)
    assert (found.revision, found.read_timeout, repr(found.auth)) == ("2026-07-15", 30.0, "OAuth(***)")
    assert found.pacing.max_wait == 5


# --- the documentation -----------------------------------------------------------------------------------------------


def test_the_documentation_lists_exactly_the_extras_there_are() -> None:
    [table] = re.findall(r"^\| extra \| value.*?\n\n", DOCUMENTATION, re.MULTILINE | re.DOTALL)
    assert sorted(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == sorted(EXTRAS)


EXAMPLES = re.findall(r"^export AIRFLOW_CONN_\w+='([^']+)'", DOCUMENTATION, re.MULTILINE)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_of_the_documentation_is_a_connection(example: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_KLAVIYO_DEFAULT", example.replace("…", "x"))
    found = KlaviyoHook().get_conn().settings
    assert found.base_url == ("http://127.0.0.1:5528" if "5528" in example else "https://a.klaviyo.com")
    assert repr(found.auth) == ("OAuth(***)" if "oauth" in example else "PrivateKey(***)")
    assert isinstance(found.guard, Safety)
    assert found.guard.read_only == ("read_only" in example)


def test_the_documentation_has_examples_of_all_forms() -> None:
    assert [example[0] for example in EXAMPLES] == ["{", "k", "k", "k", "k"]


# --- the REST API and the test button on the API server --------------------------------------------------------------


@pytest.fixture(scope="module")
def answers(run_python: RunPython, sandbox: Sandbox) -> dict[str, tuple[int, str]]:
    """What Airflow's API answers to requests like those of its UI."""
    plain = {"connection_id": "shop", "conn_type": "klaviyo", "host": sandbox.url, "password": KEY}
    empty = dict.fromkeys(FIELDS)
    form = {**empty, "oauth_refresh_token": REFRESH_TOKEN, "read_only": True}
    nested = {"oauth": {"refresh_token": REFRESH_TOKEN}}
    app = {**plain, "connection_id": "app", "login": CLIENT_ID, "password": CLIENT_SECRET}
    edited = {**app, "password": "***", "extra": json.dumps({**form, "oauth_refresh_token": "***"})}
    steps: dict[str, tuple[str, str, Any]] = {
        "key": ("POST", "connections/test", plain),
        "empty form": ("POST", "connections/test", {**plain, "extra": json.dumps(empty)}),
        "no password": ("POST", "connections/test", {**plain, "password": None}),
        "wrong key": ("POST", "connections/test", {**plain, "password": "pk_invalid"}),
        "misspelt": ("POST", "connections/test", {**plain, "extra": '{"readonly": true}'}),
        "unreadable": ("POST", "connections/test", {**plain, "extra": '{"read_only": true,}'}),
        "empty switch": ("POST", "connections/test", {**plain, "extra": '{"read_only": ""}'}),
        "host with a path": ("POST", "connections/test", {**plain, "host": "https://a.klaviyo.com/api"}),
        "app": ("POST", "connections/test", {**app, "extra": json.dumps(form)}),
        "store": ("POST", "connections", {**app, "extra": json.dumps(form)}),
        "store nested": ("POST", "connections", {**app, "connection_id": "nested", "extra": json.dumps(nested)}),
        "show": ("GET", "connections/app", None),
        "show nested": ("GET", "connections/nested", None),
        "edited": ("POST", "connections/test", edited),
    }
    answered = run_python(API, json.dumps(list(steps.values())))
    return dict(zip(steps, [(status, text) for status, text in answered], strict=True))


def outcome(answers: dict[str, tuple[int, str]], step: str) -> tuple[bool, str]:
    status, text = answers[step]
    assert status == 200, text
    body = json.loads(text)
    return body["status"], body["message"]


@pytest.mark.parametrize("step", ["key", "empty form", "app"])
def test_the_button_says_which_account_it_is(answers: dict[str, tuple[int, str]], step: str) -> None:
    ok, message = outcome(answers, step)
    assert ok
    assert "Example Outfitters" in message
    assert "a test account" in message


def test_the_button_says_that_the_connection_is_read_only(answers: dict[str, tuple[int, str]]) -> None:
    assert "read-only" in outcome(answers, "app")[1]
    assert "read-only" not in outcome(answers, "key")[1]


@pytest.mark.parametrize(
    ("step", "says"),
    [
        ("no password", "the connection's password is empty"),
        ("wrong key", "is not accepted"),
        ("misspelt", "Did you mean 'read_only'?"),
        ("host with a path", "give scheme and host only"),
        ("empty switch", "extra 'read_only' is ''"),
    ],
)
def test_the_button_says_what_is_wrong(answers: dict[str, tuple[int, str]], step: str, says: str) -> None:
    ok, message = outcome(answers, step)
    assert not ok
    assert says in message
    assert not any(secret in message for secret in SECRETS)


def test_the_button_is_not_green_where_the_extra_cannot_be_read(answers: dict[str, tuple[int, str]]) -> None:
    status, text = answers["unreadable"]
    assert status != 200 or not json.loads(text)["status"], text
    assert KEY not in text


@pytest.mark.parametrize("step", ["show", "show nested"])
def test_airflow_shows_a_stored_connection_without_its_secrets(answers: dict[str, tuple[int, str]], step: str) -> None:
    status, text = answers[step]
    assert status == 200
    assert "oauth" in text
    assert not any(secret in text for secret in SECRETS)


def test_the_button_works_in_the_edit_form_where_airflow_shows_asterisks_for_secrets(
    answers: dict[str, tuple[int, str]],
) -> None:
    """Airflow 3.0 hands the asterisks to the hook, which says what to type instead."""
    assert answers["store"][0] == 201
    ok, message = outcome(answers, "edited")
    assert ok == (Version("3.1") <= AIRFLOW), message
    assert ok or "'***', which is how Airflow shows a secret" in message


# --- the test button on a worker -----------------------------------------------------------------------------------


class ExecutionApi(Serving):
    """The two calls of Airflow's Execution API that a worker makes to test a connection."""

    def __init__(self, connection: dict[str, Any]) -> None:
        self.results: list[dict[str, Any]] = []
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(200, json.dumps(connection).encode())

            def do_PATCH(self) -> None:
                api.results.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self._answer(204, b"")

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        super().__init__(Handler)


@since_airflow("3.3", "connections tested by workers")
@pytest.mark.parametrize(
    ("fields", "state", "says"),
    [
        ({"password": KEY}, "success", "Example Outfitters"),
        (
            {"login": CLIENT_ID, "password": CLIENT_SECRET, "extra": json.dumps({"oauth_refresh_token": "x"})},
            "success",
            "Example Outfitters",
        ),
        ({}, "failed", "the connection's password is empty"),
        ({"password": "***"}, "failed", "Type the private key (pk_…) again"),
        ({"password": KEY, "extra": "read_only=true"}, "failed", "its extra is not a JSON object"),
        ({"password": KEY, "extra": '{"read_only": ""}'}, "failed", "give true or false"),
    ],
    ids=["key", "OAuth", "password absent", "password masked", "extra unreadable", "switch empty"],
)
def test_a_worker_tests_a_connection(
    run_python: RunPython, sandbox: Sandbox, fields: dict[str, Any], state: str, says: str
) -> None:
    connection = {"conn_id": "shop", "conn_type": "klaviyo", "host": sandbox.url, **fields}
    with ExecutionApi(connection) as api:
        run_python(WORKER, api.url)
    assert [result["state"] for result in api.results] == [state]
    assert says in api.results[0]["result_message"]


# --- the command line ------------------------------------------------------------------------------------------------


def airflow_connections_test(environment: dict[str, str], connection: str) -> subprocess.CompletedProcess[str]:
    airflow = Path(sys.executable).with_name("airflow")
    command = [str(airflow), "connections", "test", "klaviyo_default"]
    given = {**environment, "AIRFLOW_CONN_KLAVIYO_DEFAULT": connection, "COLUMNS": "500"}
    return subprocess.run(command, env=given, capture_output=True, text=True, timeout=120)


def test_the_command_line_tests_a_connection_given_as_json(environment: dict[str, str], sandbox: Sandbox) -> None:
    connection = {"conn_type": "klaviyo", "host": sandbox.url, "password": KEY, "extra": {"read_only": True}}
    done = airflow_connections_test(environment, json.dumps(connection))
    assert (done.returncode, "Connection success!" in done.stdout) == (0, True), done.stdout + done.stderr


@pytest.mark.parametrize(
    ("query", "says"), [("readonly=true", "Did you mean 'read_only'?"), ("read_only", "extra 'read_only' is ''")]
)
def test_the_command_line_says_what_is_wrong_with_a_connection_given_as_a_uri(
    environment: dict[str, str], sandbox: Sandbox, query: str, says: str
) -> None:
    port = sandbox.url.rpartition(":")[2]
    done = airflow_connections_test(environment, f"klaviyo://:{KEY}@127.0.0.1:{port}/http?{query}")
    assert "Connection failed!" in done.stdout
    assert says in done.stdout
    assert KEY not in done.stdout + done.stderr
