"""Pacing: a budget of calls per account and operation, shared by every process that calls Klaviyo.

Klaviyo counts calls in fixed windows of a second, a minute and, for some operations, a day. Where its windows start is
not known here, so this package keeps to the stricter rule: no window of that length, *wherever it starts*, holds more
calls than the limit. Before a call, one short transaction books the next instant that keeps the rule; the caller then
sleeps until it. Nothing is held while it sleeps, so a killed process blocks nobody.

================  ===================================================================================================
``budget``        :class:`Budget`: what the transports use
``windows``       a share of the limits as plain windows
``schedule``      the arithmetic: the next legal instant, as a pure function
``store``         where bookings are kept, as a protocol; and the simplest one, in memory
``sqlite``        one host: a file
``redis``         several hosts: a Redis server (``reserve.lua`` is ``schedule`` in Redis' language)
``fallback``      pacing goes on in this process while the shared store is out of order
``process``       one lock per process, and what a fork has to do with it
================  ===================================================================================================
"""

from __future__ import annotations

from airflow_provider_klaviyo.api.limits.budget import Budget
from airflow_provider_klaviyo.api.limits.fallback import shared_store
from airflow_provider_klaviyo.api.limits.store import MemoryStore

__all__ = ["Budget", "MemoryStore", "shared_store"]
