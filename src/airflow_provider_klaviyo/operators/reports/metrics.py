"""A metric by what people call it."""

from __future__ import annotations

from collections.abc import Iterable

from airflow_provider_klaviyo.api.document import Resource
from airflow_provider_klaviyo.api.text import nearest
from airflow_provider_klaviyo.campaigns.values import Field

NAMED = 20
"""Metrics that an error names at most."""


def find(metrics: Iterable[Resource], wanted: str) -> str:
    """The id of the metric of this name, name and integration, or id.

    :param wanted: as ``"Placed Order"``, ``"Placed Order (Shopify)"`` or ``"RESQ6t"``.
    :raises KlaviyoValidationError: there is none, or several; the message names them.
    """
    there = list(metrics)
    if any(metric.id == wanted for metric in there):
        return wanted
    found = [metric for metric in there if wanted in (metric.name, _full_name(metric))]
    if len(found) == 1:
        return found[0].id
    field = Field("/conversion_metric")
    if not found:
        names = sorted({_full_name(metric) for metric in there})
        hint = nearest(wanted, [*names, *(metric.name for metric in there)], most=3)
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        raise field.error(
            f"is {wanted!r}, as which Klaviyo has no metric",
            f"It has: {', '.join(names[:NAMED]) or 'none'}{more}.{hint}",
        )
    same = len({_full_name(metric) for metric in found}) < len(found)
    candidates = ", ".join(f"{_full_name(metric)!r} ({metric.id})" for metric in found)
    raise field.error(
        f"is {wanted!r}, as which Klaviyo has {len(found)} metrics",
        f"Give {'the id of one' if same else 'one with its integration'}: {candidates}.",
    )


def _full_name(metric: Resource) -> str:
    integration = (metric.attributes.get("integration") or {}).get("name")
    return f"{metric.name} ({integration})" if integration else metric.name
