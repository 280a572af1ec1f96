"""Files of rows that are written a few at a time: JSON Lines, plain or gzipped, and Parquet."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any, cast

from airflow_provider_klaviyo.api.errors import KlaviyoApiError, KlaviyoValidationError
from airflow_provider_klaviyo.storage import check_pyarrow, replacing
from airflow_provider_klaviyo.transfers.resources import Kind, Row

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet")

AT_ONCE = 5_000
"""Rows that a row group of a Parquet file has, and that are held until it is written."""

Write = Callable[[Sequence[Row]], None]


def check_path(path: Any) -> None:
    """:raises KlaviyoValidationError: the name of the file does not end as those that can be written."""
    if not isinstance(path, str) or not path.lower().endswith(SUFFIXES):
        raise KlaviyoValidationError(
            f"path is {path!r}; its name has to end in one of: {', '.join(SUFFIXES)}.", pointer="path"
        )


@contextmanager
def writing(path: ObjectStoragePath, columns: Mapping[str, Kind]) -> Iterator[Write]:
    """A new file of rows, which takes the place of one of that name when the block ends without an exception.

    The same rows make the same bytes. Half a character (a lone surrogate) is written as ``?``.

    :param columns: of the rows, in order. They are there also if there is no row.
    :raises KlaviyoValidationError: it is to be Parquet, and pyarrow is not installed.
    :raises KlaviyoApiError: a value does not fit into the column of a Parquet file.
    """
    name = path.name.lower()
    if name.endswith(".parquet"):
        check_pyarrow(str(path))
    with replacing(path, "wb") as file:
        if name.endswith(".parquet"):
            with _parquet(file, columns) as write:
                yield write
        elif name.endswith(".gz"):
            with gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0) as content:
                yield _json_lines(cast("IO[bytes]", content))
        else:
            yield _json_lines(file)


def _json_lines(file: IO[bytes]) -> Write:
    def write(rows: Sequence[Row]) -> None:
        file.writelines(_json(row).encode("utf-8", "replace") + b"\n" for row in rows)

    return write


@contextmanager
def _parquet(file: IO[bytes], columns: Mapping[str, Kind]) -> Iterator[Write]:
    import pyarrow as pa
    from pyarrow import parquet

    types = {
        "text": pa.string(),
        "time": pa.timestamp("us", tz="UTC"),
        "whole": pa.int64(),
        "number": pa.float64(),
        "flag": pa.bool_(),
        "ids": pa.list_(pa.string()),
        "json": pa.string(),
    }
    schema = pa.schema([(name, types[kind]) for name, kind in columns.items()])

    def column(name: str, kind: Kind, rows: Sequence[Row]) -> Any:
        try:
            return pa.array([_cell(kind, row[name]) for row in rows], types[kind])
        except (ValueError, TypeError, OverflowError):
            raise KlaviyoApiError(
                f"Klaviyo answered with a value of {name!r} that is not of the kind that it publishes ({kind}): it "
                f"does not fit into the column of a Parquet file. Nothing was written. A .jsonl file takes any value."
            ) from None

    held: list[Row] = []
    with parquet.ParquetWriter(file, schema) as writer:

        def flush() -> None:
            arrays = [column(name, kind, held) for name, kind in columns.items()]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            held.clear()

        def write(rows: Sequence[Row]) -> None:
            held.extend(rows)
            if len(held) >= AT_ONCE:
                flush()

        yield write
        if held:
            flush()


def _cell(kind: Kind, value: Any) -> Any:
    """A value as a Parquet column takes it."""
    if value is None:
        return None
    if kind == "time":
        read = datetime.fromisoformat(value)
        return read if read.tzinfo else read.replace(tzinfo=UTC)
    if kind == "json" or (kind == "text" and not isinstance(value, str)):
        value = _json(value)
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
