"""Files wherever Airflow's object storage reaches. One that is written is there as a whole, or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any
from uuid import uuid4

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath


def storage(path: object) -> ObjectStoragePath:
    """A path or URL, such as ``s3://bucket/file``, as Airflow reaches it."""
    from airflow.sdk import ObjectStoragePath

    return ObjectStoragePath(str(path))


@contextmanager
def replacing(path: ObjectStoragePath, mode: str, **how: Any) -> Iterator[IO[Any]]:
    """A new file, which takes the place of one of that name when the block ends, unless it ends in an exception.

    Until then the old one can be read.

    :param how: as ``open`` takes it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid4().hex}.part")
    try:
        with part.open(mode, **how) as file:
            yield file
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def check_pyarrow(path: str) -> None:
    """:raises KlaviyoValidationError: a file is to be Parquet, and pyarrow is not installed."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise KlaviyoValidationError(
            f"path is {path!r}; Parquet needs pyarrow: pip install 'airflow-provider-klaviyo[parquet]'.",
            pointer="path",
        ) from None


def write_json_lines(path: ObjectStoragePath, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as JSON Lines, in place of a file of that name."""
    with replacing(path, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
