"""Which Airflow the tests run on, and what an older one does not have."""

from __future__ import annotations

from typing import Any

import pytest
from airflow import __version__
from airflow.serialization import serialized_objects
from packaging.version import Version

AIRFLOW = Version(Version(__version__).base_version)

DagSerialization: Any = vars(serialized_objects).get("DagSerialization") or vars(serialized_objects)["SerializedDAG"]
"""What turns DAGs into JSON and back; its name since Airflow 3.2."""


def since_airflow(version: str, what: str) -> pytest.MarkDecorator:
    """Skips a test where Airflow is older.

    :param version: the first Airflow that has it.
    :param what: the feature that the test judges.
    """
    return pytest.mark.skipif(Version(version) > AIRFLOW, reason=f"{what}: since Airflow {version}")
