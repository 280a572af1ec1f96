"""The account. There is exactly one."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_provider_klaviyo.sandbox.call import Handler
from airflow_provider_klaviyo.sandbox.handlers.reading import many, one

HANDLERS: Mapping[str, Handler] = {"get_accounts": many("account"), "get_account": one("account")}
