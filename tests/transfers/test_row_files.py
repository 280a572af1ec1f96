"""What is written into a file of rows comes back from it, whatever it is."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from airflow.sdk import ObjectStoragePath
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from airflow_provider_klaviyo.transfers.row_files import writing


def lines(path: Path) -> list[Any]:
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in content.split(b"\n")[:-1]]


TEXT = st.text(st.characters(exclude_categories=()), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
COLUMNS: dict[str, Any] = {"id": "text", "anything": "json"}


def whole(value: Any) -> Any:
    """The value with ``?`` in place of half a character."""
    return json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.fixed_dictionaries({"id": TEXT, "anything": JSON}), max_size=5))
def test_any_value_comes_back_from_any_file(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    for name in ("rows.jsonl", "rows.jsonl.gz", "rows.parquet"):
        with writing(ObjectStoragePath(str(tmp_path / name)), COLUMNS) as write:
            write(rows[:2])
            write(rows[2:])
    assert lines(tmp_path / "rows.jsonl") == lines(tmp_path / "rows.jsonl.gz") == [whole(row) for row in rows]
    read = parquet.read_table(tmp_path / "rows.parquet").to_pylist()
    decoded = [None if row["anything"] is None else json.loads(row["anything"]) for row in read]
    assert decoded == [whole(row["anything"]) for row in rows]
    assert [row["id"] for row in read] == [whole(row["id"]) for row in rows]
