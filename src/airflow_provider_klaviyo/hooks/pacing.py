"""The extra ``rate_limit`` of a connection: how its calls are paced, and with whom they share the budget."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from airflow_provider_klaviyo.api.client_settings import Auth, PrivateKey
from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.api.limits import shared_bookings
from airflow_provider_klaviyo.api.limits.redis import SCHEMES
from airflow_provider_klaviyo.api.pacing import Pacing
from airflow_provider_klaviyo.hooks.extra import yes_or_no

DEFAULTS = {"share": 0.9, "max_wait": 60.0}
MEANING = (
    'give {"share": 0.9, "max_wait": 60}: the part of Klaviyo\'s limits to use (more than 0, at most 1), and the '
    'seconds that a call waits at most (up to 3600); for several hosts also "redis": "redis://…"; or false: no pacing'
)


def pacing(where: str, extra: Any, base_url: str, proof: Auth) -> Pacing | None:
    """Return how the calls of a connection are paced; ``None``: not at all.

    By default, calls to Klaviyo are paced, and calls to this machine (the sandbox) are not.

    :param where: the connection, as messages name it.
    :param extra: the value of ``rate_limit``, ``None`` when it is not given.
    :param proof: what the calls prove themselves with: a key, whose account is counted, or an OAuth app.
    :raises KlaviyoValidationError: the value is not understood.
    """
    is_given = extra is not None and extra != ""
    switch = yes_or_no(extra)
    if switch is False or (not is_given and base_url.startswith("http:")):
        return None
    given = {} if switch or not is_given else extra
    if not isinstance(given, Mapping) or given.keys() - {*DEFAULTS, "redis"}:
        raise KlaviyoValidationError(f"{where}: extra 'rate_limit' is not understood; {MEANING}.", pointer="rate_limit")
    redis = "" if given.get("redis") is None else given["redis"]
    numbers = {name: _number(given.get(name), default) for name, default in DEFAULTS.items()}
    is_url = isinstance(redis, str) and redis.partition("://")[0] in SCHEMES
    if None in numbers.values() or not (redis == "" or is_url):
        raise KlaviyoValidationError(f"{where}: extra 'rate_limit': {MEANING}.", pointer="rate_limit")
    home = _home()
    by_account = isinstance(proof, PrivateKey)
    try:
        bookings = shared_bookings(redis or str(home / "budget.sqlite"))
        return Pacing(proof.counted_as, base_url, bookings, home / "accounts", by_account=by_account, **numbers)
    except KlaviyoValidationError as error:
        raise KlaviyoValidationError(f"{where}: extra 'rate_limit': {error.message}", pointer="rate_limit") from None


def _number(value: Any, default: float) -> Any:
    """The number that a value is, ``None`` if it is not one; the default where nothing is given."""
    if value is None:
        return default
    with suppress(TypeError, ValueError, OverflowError):
        return None if isinstance(value, bool) else float(value)
    return None


def _home() -> Path:
    return Path(os.path.expandvars(os.environ.get("AIRFLOW_HOME", "~/airflow"))).expanduser() / "klaviyo-limits"
