"""Rows of a file: JSON Lines, CSV or Parquet, plain or gzipped, wherever Airflow's object storage reaches."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import IO, Any, cast

import msgspec

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.audiences.fields import Columns
from airflow_provider_klaviyo.audiences.rejected import RowError
from airflow_provider_klaviyo.storage import storage

Row = Mapping[str, Any] | RowError
"""A row, or why it cannot be read."""

FORMATS = {".jsonl": "JSON Lines", ".ndjson": "JSON Lines", ".csv": "CSV", ".parquet": "Parquet"}

_LARGEST_CELL = 2**31 - 1


def check_path(path: str) -> None:
    """:raises KlaviyoValidationError: the name of the file does not end as those that can be read."""
    if _suffix(path) not in FORMATS:
        raise KlaviyoValidationError(
            f"path is {path!r}; its name has to end in {', '.join(FORMATS)}, or one of them and .gz.", pointer="path"
        )


def rows_of(path: str, columns: Columns) -> Iterator[Row]:
    """The rows of a file, read as they are needed.

    :param path: as ``ObjectStoragePath`` takes it, such as ``s3://bucket/customers.csv.gz``.
    :param columns: judges the columns of a table before its first row.
    :raises KlaviyoValidationError: there is no such file, it is empty, or its columns are not known.
    """
    check_path(path)
    try:
        file = cast("IO[bytes]", storage(path).open("rb"))
    except FileNotFoundError:
        raise KlaviyoValidationError(f"path is {path!r}, and there is no such file.", pointer="path") from None
    with file:
        content = cast("IO[bytes]", gzip.GzipFile(fileobj=file)) if path.endswith(".gz") else file
        suffix = _suffix(path)
        if suffix == ".csv":
            yield from _csv(content, columns)
        elif suffix == ".parquet":
            yield from _parquet(content, columns)
        else:
            yield from _json_lines(content, path)


def _suffix(path: str) -> str:
    return PurePosixPath(path.removesuffix(".gz")).suffix.lower()


def _json_lines(file: IO[bytes], path: str) -> Iterator[Row]:
    decode = msgspec.json.Decoder().decode
    is_empty = True
    for number, line in enumerate(iter(file.readline, b"")):
        text = line.removeprefix(b"\xef\xbb\xbf") if number == 0 else line
        if not text.strip():
            continue
        is_empty = False
        try:
            row = decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            yield RowError(f"the line is not JSON: {error}")
            continue
        yield row if isinstance(row, dict) else RowError("the line is JSON, but not an object")
    if is_empty:
        raise KlaviyoValidationError(
            f"path is {path!r}, which is empty. If no rows is right, skip this task when there are none.",
            pointer="path",
        )


def _csv(file: IO[bytes], columns: Columns) -> Iterator[Row]:
    csv.field_size_limit(_LARGEST_CELL)
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        reader = csv.reader(text, strict=True)
        names = next(reader, None)
        if not names:
            raise KlaviyoValidationError(
                "The CSV file is empty; its first line has to name the columns.", pointer="path"
            )
        columns.check(names)
        if len(set(names)) < len(names):
            raise KlaviyoValidationError(f"The CSV file names a column twice: {', '.join(names)}.", pointer="path")
        for cells in reader:
            if not cells:
                continue
            if len(cells) == len(names):
                yield dict(zip(names, cells, strict=True))
            else:
                yield RowError(f"it has {len(cells)} cells, and there are {len(names)} columns")
    except (csv.Error, UnicodeDecodeError) as error:
        raise KlaviyoValidationError(
            f"The CSV file cannot be read after line {reader.line_num}: {error}. It has to be UTF-8, with commas, and "
            f"double quotes around cells that hold commas, quotes or line breaks.",
            pointer="path",
        ) from error


def _parquet(file: IO[bytes], columns: Columns) -> Iterator[Row]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise KlaviyoValidationError(
            "path is a Parquet file, which needs the package pyarrow: pip install 'airflow-provider-klaviyo[parquet]'.",
            pointer="path",
        ) from None
    try:
        table = parquet.ParquetFile(io.BytesIO(file.read()) if isinstance(file, gzip.GzipFile) else file)
        columns.check(table.schema_arrow.names)
        for batch in table.iter_batches(batch_size=5_000):
            yield from batch.to_pylist()
    except pyarrow.ArrowInvalid as error:
        raise KlaviyoValidationError(f"The Parquet file cannot be read: {error}", pointer="path") from error
