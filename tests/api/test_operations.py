"""The table of operations."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.api.operations import get, match, operations, revisions

REVISIONS = revisions()


def test_an_operation_is_found_by_id_and_by_every_alias():
    for operation in operations().values():
        for name in (operation.id, *operation.aliases):
            assert get(name) is operation


def test_an_operation_says_what_klaviyo_publishes():
    send = get("send_campaign")
    assert (send.method, send.path) == ("POST", "/api/campaign-send-jobs")
    assert (send.limits.burst, send.limits.steady, send.limits.daily) == (10, 150, None)
    assert send.scopes == ("campaigns:write",)
    assert send.success == (202,)
    assert send.revisions == REVISIONS


def test_a_daily_limit_is_known():
    assert get("create_list").limits.daily == 150


def test_an_unknown_name_is_refused_with_the_nearest_names():
    with pytest.raises(KlaviyoValidationError, match="'send_campaign'"):
        get("send_campain")


@pytest.mark.parametrize("slash", ["", "/"])
def test_every_operation_is_matched_by_its_own_path(slash):
    for operation in operations().values():
        path = re.sub(r"\{\w+\}", "X1", operation.path) + slash
        found = match(operation.method.lower(), path)
        assert found is not None
        assert found[0] is operation
        assert found[1] == dict.fromkeys(re.findall(r"\{(\w+)\}", operation.path), "X1")


@pytest.mark.parametrize("path", ["/api/nope", "/api/campaigns/", "/api/campaigns//", "", "/"])
def test_a_path_that_is_not_published_matches_no_delete(path):
    assert match("DELETE", path) is None


def test_the_table_cannot_be_changed():
    with pytest.raises(TypeError):
        operations()["x"] = get("send_campaign")  # type: ignore[index]


def test_importing_reads_nothing():
    code = (
        "import builtins, pathlib; pathlib.Path.read_text = None;"
        "import airflow_provider_klaviyo.api.operations, airflow_provider_klaviyo.api.schemas, sys;"
        "assert 'jsonschema' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
