"""The extra ``rate_limit`` of a connection: how its calls are paced, and with whom they share the budget."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow_provider_klaviyo.api.auth import Auth, PrivateKey
from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.api.limits import shared_store
from airflow_provider_klaviyo.api.pacing import Pacing

DEFAULTS = {"share": 0.9, "max_wait": 60.0}
MEANING = (
    'give {"share": 0.9, "max_wait": 60}: the part of Klaviyo\'s limits to use (more than 0, at most 1), and the '
    'seconds that a call waits at most (up to 3600); for several hosts also "redis": "redis://…"; or false: no pacing'
)


def pacing(where: str, extra: Any, base_url: str, proof: Auth) -> Pacing | None:
    """How the calls of a connection are paced; ``None``: not at all.

    Unless said otherwise, calls to Klaviyo are paced, and calls to this machine (the sandbox) are not.

    :param where: the connection, as messages name it.
    :param extra: the value of ``rate_limit``, ``None`` when it is not given.
    :param proof: what the calls prove themselves with: a key, whose account is counted, or an OAuth app.
    :raises KlaviyoValidationError: the value is not understood.
    """
    if extra is False or (extra in (None, "") and base_url.startswith("http:")):
        return None
    given = {} if extra in (None, "", True) else extra
    if not isinstance(given, Mapping) or given.keys() - {*DEFAULTS, "redis"}:
        raise KlaviyoValidationError(f"{where}: extra 'rate_limit' is not understood; {MEANING}.", pointer="rate_limit")
    home = _home()
    try:
        numbers = {name: float(given.get(name, value)) for name, value in DEFAULTS.items()}
        store = shared_store(str(given.get("redis") or home / "budget.sqlite"))
        by_account = isinstance(proof, PrivateKey)
        return Pacing(proof.counted_as, base_url, store, home / "accounts", by_account=by_account, **numbers)
    except KlaviyoValidationError as error:
        raise KlaviyoValidationError(f"{where}: extra 'rate_limit': {error.message}", pointer="rate_limit") from None
    except (TypeError, ValueError):
        raise KlaviyoValidationError(f"{where}: extra 'rate_limit': {MEANING}.", pointer="rate_limit") from None


def _home() -> Path:
    return Path(os.path.expandvars(os.environ.get("AIRFLOW_HOME", "~/airflow"))).expanduser() / "klaviyo-limits"
