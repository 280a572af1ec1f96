"""Arguments that operators, sensors and triggers share: checked when a DAG is imported, and once they are rendered."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import conf

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.api.operations import DEFAULT_REVISION
from airflow_provider_klaviyo.api.text import check_text
from airflow_provider_klaviyo.campaigns.values import comes_to_nothing, is_template, nearest


def check_revision(revision: str) -> str:
    """An API revision as Klaviyo writes it.

    :raises KlaviyoValidationError: not of the form ``YYYY-MM-DD`` or ``YYYY-MM-DD.pre``.
    """
    if not isinstance(revision, str) or not re.fullmatch(r"\d{4}-\d{2}-\d{2}(\.\w+)?", revision, re.ASCII):
        raise KlaviyoValidationError(
            f"revision is {revision!r}; a Klaviyo API revision looks like {DEFAULT_REVISION!r}.", pointer="revision"
        )
    return revision


def check_connection(klaviyo_conn_id: Any, revision: Any, *, rendered: bool = False) -> None:
    """Refuse a connection's name or an API revision that cannot be one. Jinja is judged once it is rendered.

    :param revision: ``None``: the connection's.
    :raises KlaviyoValidationError: empty, no string, of another form, or still Jinja after rendering.
    """
    if (rendered or not is_template(klaviyo_conn_id)) and not _is_name(klaviyo_conn_id):
        raise KlaviyoValidationError(
            f"klaviyo_conn_id is {klaviyo_conn_id!r}; give the name of a connection of type 'klaviyo'.",
            pointer="klaviyo_conn_id",
        )
    if revision is not None and (rendered or not is_template(revision)):
        check_revision(revision)


def check_id(name: str, value: Any, *, rendered: bool = False) -> None:
    """Refuse an id that cannot be one. Jinja, and the output of another task, is judged once it is rendered.

    :raises KlaviyoValidationError: empty, no string, half a character in it, or still Jinja after rendering.
    """
    if is_template(value) and not rendered:
        return
    if not _is_name(value):
        raise KlaviyoValidationError(
            f"{name} is {value!r}; it must be the id of a Klaviyo object (a non-empty string), such as the output of "
            f"the task that makes it.",
            pointer=name,
        )
    check_text(value, name)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and not comes_to_nothing(value) and not is_template(value)


def check_choice(name: str, value: Any, allowed: Sequence[Any]) -> None:
    """:raises KlaviyoValidationError: not one of those allowed; the nearest is named."""
    if value not in allowed:
        hint = nearest(value, [str(choice) for choice in allowed])
        raise KlaviyoValidationError(
            f"{name} is {value!r}; allowed: {', '.join(map(repr, allowed))}.{hint}", pointer=name
        )


def positive(name: str, seconds: Any) -> float:
    """:raises KlaviyoValidationError: not a number of seconds greater than 0."""
    if isinstance(seconds, timedelta):
        seconds = seconds.total_seconds()
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < math.inf:
        raise KlaviyoValidationError(f"{name} is {seconds!r}; give seconds, more than 0.", pointer=name)
    return float(seconds)


def is_deferrable(deferrable: bool | None) -> bool:
    """What was asked for, else Airflow's ``[operators] default_deferrable``."""
    if deferrable is not None:
        return deferrable
    return bool(conf.getboolean("operators", "default_deferrable", fallback=False))
