"""The settings of a campaign, as create, clone and update take them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any

from airflow_provider_klaviyo.campaigns.audiences import check_audiences
from airflow_provider_klaviyo.campaigns.options import check_send_options, check_tracking_options
from airflow_provider_klaviyo.campaigns.strategies import check_strategy
from airflow_provider_klaviyo.campaigns.values import Field, filled


def in_full(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The same settings for a campaign that has some already: an audience list that is not given is to be empty."""
    audiences = settings.get("audiences")
    if not isinstance(audiences, Mapping):
        return dict(settings)
    return {**settings, "audiences": {"excluded": [], **audiences}}


def check_settings(
    settings: Mapping[str, Any],
    *,
    revision: str | None,
    channel: str | None = None,
    now: datetime | None,
    required: Collection[str] = (),
    partial: bool = False,
) -> dict[str, Any]:
    """Judge settings, and return those that were given as they are to be sent.

    :param settings: ``name``, ``audiences``, ``send_strategy``, ``send_options`` and ``tracking_options``; ``None``
        was not given.
    :param revision: the API revision of the call, where known.
    :param channel: the campaign's channel, where known.
    :param now: the current time, once the settings are rendered; until then Jinja is left alone.
    :param required: the settings that must be given.
    :param partial: for an update: who is included may be left out.
    :raises KlaviyoValidationError: Klaviyo would refuse a setting; the message names it and says what is allowed.
    """
    rendered = now is not None
    readers: dict[str, Callable[[Any], Any]] = {
        "name": lambda value: filled(value, Field("/name", rendered=rendered)),
        "audiences": lambda value: check_audiences(value, partial=partial, rendered=rendered),
        "send_strategy": lambda value: check_strategy(value, revision=revision, channel=channel, now=now),
        "send_options": lambda value: check_send_options(value, rendered=rendered),
        "tracking_options": lambda value: check_tracking_options(value, channel, rendered=rendered),
    }
    return {name: readers[name](value) for name, value in settings.items() if value is not None or name in required}
