"""A revision is added, or replaced, with its own document alone: those of the others are not needed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_klaviyo.api import operations, schemas
from airflow_provider_klaviyo.api.operations import SPEC
from scripts import distill_spec

OLDER, NEWER = "2019-01-15", "2019-07-15"


def document(revision: str, *operation_ids: str, burst: int = 10, alias: str | None = None) -> dict[str, Any]:
    """A tiny published document with one GET per operation."""
    answer = {"description": "Success", "content": {"application/vnd.api+json": {"schema": {"type": "object"}}}}
    return {
        "info": {"version": revision},
        "paths": {
            f"/api/{name}/{{id}}": {
                "get": {
                    "operationId": name,
                    "summary": "Prose.",
                    "x-klaviyo-ratelimit": {"burst": f"{burst}/s", "steady": "150/m"},
                    "x-klaviyo-scopes": ["things:read"],
                    "x-klaviyo-operation-aliases": [alias] if alias else [],
                    "parameters": [
                        {"name": "page[size]", "in": "query", "schema": {"type": "integer", "title": "Prose"}}
                    ],
                    "responses": {"200": answer},
                }
            }
            for name in operation_ids
        },
        "components": {
            "responses": {"ClientError": {"content": {"application/vnd.api+json": {"schema": {"type": "object"}}}}},
            "schemas": {"Thing": {"type": "string", "description": "Prose."}},
        },
    }


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The empty directory that is written to."""
    monkeypatch.setattr(distill_spec, "TARGET", tmp_path / "spec")
    return tmp_path / "spec"


def distill(spec: Path, *documents: dict[str, Any]) -> dict[str, bytes]:
    """Run the script on documents; return all that is there then, by name."""
    files = []
    for number, given in enumerate(documents):
        files.append(spec.parent / f"published-{number}.json")
        files[-1].write_text(json.dumps(given))
    distill_spec.main([str(path) for path in files])
    return contents(spec.glob("*"))


def contents(paths: Iterable[Path]) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in paths}


@pytest.mark.parametrize(("first", "then"), [(OLDER, NEWER), (NEWER, OLDER)])
def test_a_revision_that_is_added_alone_gives_what_all_together_give(spec: Path, first: str, then: str) -> None:
    documents = {
        OLDER: document(OLDER, "get_thing", "get_old", alias="read_thing"),
        NEWER: document(NEWER, "get_thing", "get_new", burst=3, alias="fetch_thing"),
    }
    distill(spec, documents[first])
    added = distill(spec, documents[then])
    for path in spec.iterdir():
        path.unlink()
    assert added == distill(spec, *documents.values())
    table = json.loads(added["operations.json"])
    assert table["revisions"] == [OLDER, NEWER]
    assert {name: row["revisions"] for name, row in table["operations"].items()} == {
        "get_new": [NEWER],
        "get_old": [OLDER],
        "get_thing": [OLDER, NEWER],
    }
    thing = table["operations"]["get_thing"]
    assert (thing["limits"]["burst"], thing["aliases"]) == (3, ["fetch_thing", "read_thing"])
    assert b"Prose" not in b"".join(added.values())


def test_a_revision_that_is_distilled_again_is_replaced_and_the_others_stay(spec: Path) -> None:
    older = document(OLDER, "get_thing", burst=10, alias="read_thing")
    before = distill(spec, older, document(NEWER, "get_thing", "get_gone", burst=3, alias="fetch_thing"))
    after = distill(spec, document(NEWER, "get_new"))
    assert after[f"{OLDER}.json"] == before[f"{OLDER}.json"]
    assert after == distill(spec, older, document(NEWER, "get_new"))
    table = json.loads(after["operations.json"])
    assert table["operations"].keys() == {"get_new", "get_thing"}
    thing = table["operations"]["get_thing"]
    assert (thing["limits"]["burst"], thing["aliases"], thing["revisions"]) == (10, ["read_thing"], [OLDER])


def test_a_revision_is_added_to_what_this_package_carries(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package then finds it in the table, without a line of code."""
    spec.mkdir()
    shipped = contents(SPEC.iterdir())
    for name, content in shipped.items():
        (spec / name).write_bytes(content)
    known, rows = operations.revisions(), operations.operations()
    after = distill(spec, document("2099-01-15", "get_campaign", "get_thing"))
    assert {name: after[name] for name in shipped if name != "operations.json"} == {
        name: content for name, content in shipped.items() if name != "operations.json"
    }
    monkeypatch.setattr(operations, "SPEC", spec)
    monkeypatch.setattr(schemas, "SPEC", spec)
    cached = [value for value in vars(operations).values() if hasattr(value, "cache_clear")] + [schemas.published]
    for reader in cached:
        reader.cache_clear()
    try:
        assert operations.revisions() == (*known, "2099-01-15")
        assert operations.get("get_campaign").revisions == (*known, "2099-01-15")
        assert operations.operations().keys() == rows.keys() | {"get_thing"}
        assert operations.get("get_list") == rows["get_list"]
        assert schemas.published("get_thing", "2099-01-15")["query"] == {"page[size]": {"schema": {"type": "integer"}}}
        assert schemas.published("get_lists", known[0])["filters"]
    finally:
        monkeypatch.undo()
        for reader in cached:
            reader.cache_clear()


def test_the_table_that_this_package_carries_is_made_of_its_revisions(spec: Path) -> None:
    spec.mkdir()
    for path in SPEC.iterdir():
        if path.name != "operations.json":
            (spec / path.name).write_bytes(path.read_bytes())
    distill_spec.write_table()
    assert (spec / "operations.json").read_bytes() == (SPEC / "operations.json").read_bytes()


def test_what_a_derived_document_has_besides_goes_when_the_revision_is_published(spec: Path) -> None:
    distill(spec, document(OLDER, "get_thing"))
    derived = spec.parent / "derived.json"
    derived.write_text(json.dumps(document(NEWER, "get_thing", "get_other", "get_campaign_messages")))
    distill_spec.main(["--later", str(derived)])
    rows = json.loads((spec / "later.json").read_text())["operations"]
    assert rows.keys() == {"get_other", "list_campaign_messages"}
    assert rows["get_other"]["revisions"] == [NEWER]
    distill(spec, document(NEWER, "get_thing", "get_other"))
    assert json.loads((spec / "later.json").read_text())["operations"].keys() == {"list_campaign_messages"}
