"""What a task that reads much gives on: values in XCom while they are small, rows in a file when they are many."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.compat import conf

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

LARGEST_XCOM = 1_000_000
"""Bytes of JSON that are put into Airflow's database at most."""


def check_xcom_size(value: Any, remedy: str) -> None:
    """Refuse a value that is too large for Airflow's database, where XComs are unless a custom backend keeps them.

    :param remedy: what to do instead, as a sentence.
    :raises KlaviyoValidationError: it is larger than 1 MB of JSON.
    """
    if not conf.get("core", "xcom_backend", fallback="BaseXCom").endswith("BaseXCom"):
        return
    size = len(json.dumps(value, default=str).encode())
    if size > LARGEST_XCOM:
        count = f"{len(value):,} rows" if isinstance(value, list) else "The answer"
        raise KlaviyoValidationError(
            f"{count} of {size:,} bytes would go into XCom, in Airflow's database; {LARGEST_XCOM:,} bytes are allowed. "
            f"{remedy}"
        )


def write_json_lines(path: ObjectStoragePath, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as JSON Lines, replacing a file of that name. There is never half a file of that name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid4().hex}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
