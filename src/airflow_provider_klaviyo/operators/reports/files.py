"""Rows of a report in a file: JSON Lines, CSV or Parquet."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import datetime
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.campaigns.figures import Columns
from airflow_provider_klaviyo.storage import check_pyarrow, replacing, write_json_lines

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

SUFFIXES = (".jsonl", ".csv", ".parquet")


def check_path(path: str) -> None:
    """:raises KlaviyoValidationError: the name of the file does not end as those that can be written."""
    if PurePosixPath(path).suffix.lower() not in SUFFIXES:
        raise KlaviyoValidationError(
            f"path is {path!r}; its name has to end in one of: {', '.join(SUFFIXES)}.", pointer="path"
        )


def write(path: ObjectStoragePath, of: Columns, rows: Sequence[dict[str, Any]]) -> None:
    """Write the rows, replacing a file of that name. There is never half a file of that name.

    :raises KlaviyoValidationError: it is to be Parquet, and pyarrow is not installed.
    """
    match path.suffix.lower():
        case ".csv":
            with replacing(path, "w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, list(of))
                writer.writeheader()
                writer.writerows(rows)
        case ".parquet":
            check_pyarrow(str(path))
            with replacing(path, "wb") as file:
                _write_parquet(file, of, rows)
        case _:
            write_json_lines(path, rows)


def _write_parquet(file: IO[bytes], of: Columns, rows: Sequence[dict[str, Any]]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    types = {"text": pa.string(), "time": pa.timestamp("us", tz="UTC"), "count": pa.int64(), "number": pa.float64()}
    times = [name for name, kind in of.items() if kind == "time"]
    typed = [{**row, **{name: datetime.fromisoformat(row[name]) for name in times if row[name]}} for row in rows]
    schema = pa.schema([(name, types[kind]) for name, kind in of.items()])
    parquet.write_table(pa.Table.from_pylist(typed, schema=schema), file)
