"""What a task that reads much returns: values in XCom, while they are small."""

from __future__ import annotations

import json
from typing import Any

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.compat import conf

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
