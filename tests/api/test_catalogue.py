"""Every operation that Klaviyo publishes can be called by name, and the page that lists them is up to date."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_provider_klaviyo.api.checks import check_call, check_names, facts
from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.api.operations import get, operations, revisions
from airflow_provider_klaviyo.api.request import build
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoAsyncHook, KlaviyoHook
from airflow_provider_klaviyo.operators.api import KlaviyoApiOperator
from scripts.operations_table import TARGET, cells, is_of_campaigns_api, render

REVISIONS = revisions()

CATALOGUE = Path(__file__).with_name("catalogue.txt").read_text().split()


def path_params(operation: str) -> dict[str, str]:
    return dict.fromkeys(get(operation).path_parameters, "A1")


def required_query(operation: str, revision: str) -> dict[str, Any]:
    """The least that an operation asks for."""
    query: dict[str, Any] = {}
    for name, parameter in facts(operation, revision)["query"].items():
        if parameter.get("required"):
            items = parameter["schema"].get("items", parameter["schema"])
            query[name] = items["enum"][0] if "enum" in items else "A1"
    if "messages.channel" in facts(operation, revision).get("filters", {}):
        query["filter"] = "equals(messages.channel,'email')"
    return query


def test_the_catalogue_has_223_operations():
    assert len(CATALOGUE) == len(set(CATALOGUE)) == 223


@pytest.mark.parametrize("name", CATALOGUE)
def test_each_name_of_the_catalogue_is_an_operator_of_its_own_at_the_dags_import(name):
    operator = KlaviyoApiOperator(task_id="call", operation=name, path_params=path_params(name))
    assert get(operator.operation).id in operations()


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_published_operation_passes_the_check_with_what_it_requires(revision):
    for known in operations().values():
        if revision not in known.revisions:
            continue
        call = {"path_params": path_params(known.id), "query": required_query(known.id, revision)}
        if "body" in facts(known.id, revision):
            with pytest.raises(KlaviyoValidationError, match=f"{known.id}.* needs a body"):
                check_call(revision, known.id, **call)
        else:
            check_call(revision, known.id, **call)
        assert "{" not in build(known.id, **call).target


def test_every_name_of_a_published_parameter_is_taken_and_no_other():
    for known in operations().values():
        for revision in known.revisions:
            names = facts(known.id, revision)["query"]
            check_names(known.id, path_params=known.path_parameters, query=names, revision=revision)
            with pytest.raises(KlaviyoValidationError, match="'nope' is not a query parameter"):
                check_names(known.id, path_params=known.path_parameters, query=[*names, "nope"], revision=revision)


def test_an_operation_that_is_missing_in_a_revision_is_refused_there_with_the_one_that_has_it():
    newer = [known for known in operations().values() if known.revisions == REVISIONS[1:]]
    assert newer
    for known in newer:
        with pytest.raises(KlaviyoValidationError, match=f"revision='{REVISIONS[1]}'"):
            check_names(known.id, revision=REVISIONS[0])


# --- docs/operations.md -----------------------------------------------------------------------------------------------


def test_the_page_is_what_the_code_says():
    assert TARGET.read_text() == render(), "run: python -m scripts.operations_table"


def test_the_page_has_every_operation_once_and_every_name_of_the_catalogue():
    page = TARGET.read_text()
    for known in operations().values():
        assert page.count(f"| {known.method} `{known.path}` |") == 1
        assert all(f"`{name}`" in page for name in (known.id, *known.aliases))
    assert [name for name in CATALOGUE if f"`{name}`" not in page] == []


def test_each_of_the_26_operations_of_the_campaigns_api_has_a_method_of_both_hooks():
    campaigns = [known for known in operations().values() if is_of_campaigns_api(known)]
    assert len(campaigns) == 26
    for known in campaigns:
        methods = [name.strip("`()") for name in cells(known)[2].split("<br>")]
        assert methods != ["call"]
        assert all(callable(getattr(hook, name)) for name in methods for hook in (KlaviyoHook, KlaviyoAsyncHook))


def test_each_write_of_the_campaigns_api_has_an_operator_of_its_own():
    writes = [known for known in operations().values() if is_of_campaigns_api(known) and known.method != "GET"]
    assert len(writes) == 10
    assert [known.id for known in writes if "KlaviyoApiOperator" in cells(known)[3]] == []
