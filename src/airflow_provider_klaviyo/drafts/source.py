"""What a clone takes over from its source, judged before it is made."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from airflow_provider_klaviyo.api.campaigns import Channel
from airflow_provider_klaviyo.api.document import Resource
from airflow_provider_klaviyo.api.errors import KlaviyoAuthError, KlaviyoValidationError
from airflow_provider_klaviyo.api.lists import find_audience
from airflow_provider_klaviyo.campaigns.attributes import check_audiences, check_send_options, check_tracking_options
from airflow_provider_klaviyo.campaigns.strategies import check_strategy
from airflow_provider_klaviyo.campaigns.values import Field, show
from airflow_provider_klaviyo.drafts.draft import channel_of
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook

TRACKED: Mapping[Channel, tuple[str, ...]] = {
    "email": ("add_tracking_params", "custom_tracking_params", "is_tracking_clicks", "is_tracking_opens"),
    "sms": ("add_tracking_params", "custom_tracking_params"),
    "mobile_push": (),
}
"""The tracking options that Klaviyo takes for each channel."""

EXAMPLES = {
    "audiences": "{'included': […]}",
    "send_strategy": "immediate()",
    "send_options": "{'use_smart_sending': True}",
    "tracking_options": "tracking_options(…)",
}

log = logging.getLogger(__name__)


def channel_of_source(source: Resource, messages: Sequence[Resource]) -> Channel:
    """The one channel of all messages of a campaign.

    :raises KlaviyoValidationError: it has no message, or messages of several channels.
    """
    channels = sorted({channel_of(message) for message in messages})
    if len(channels) == 1:
        return channels[0]
    found = f"has messages of several channels ({', '.join(channels)})" if channels else "has no message in Klaviyo"
    raise KlaviyoValidationError(
        f"Campaign {source.id} {found}, so it was not cloned. Give the id of a campaign with messages of one channel.",
        pointer="campaign_id",
    )


def audiences_of(campaign: Resource) -> dict[str, list[str]]:
    """The ids of the lists and segments of a campaign, as far as Klaviyo's answer has them."""
    found = campaign.attributes.get("audiences")
    lists = found if isinstance(found, Mapping) else {}
    return {name: _texts(lists.get(name)) for name in ("included", "excluded")}


def kept_from(
    hook: KlaviyoHook, source: Resource, *, given: Collection[str], channel: Channel, now: datetime
) -> dict[str, Any]:
    """The attributes of the source as they are to be written into its clone; those that were given here are left out.

    What Klaviyo does not take for the channel is dropped, and the log names it.

    :raises KlaviyoValidationError: the source has a setting that cannot be used again; the message names it.
    """
    readers: dict[str, Callable[[Any], Any]] = {
        "audiences": lambda found: _audiences(hook, found),
        "send_strategy": lambda found: check_strategy(
            _without_nulls(found), revision=hook.api_revision, channel=channel, now=now
        ),
        "send_options": lambda found: _send_options(source, found),
        "tracking_options": lambda found: _tracking_options(source, found, channel),
    }
    kept = {}
    for name, reader in readers.items():
        if name in given:
            continue
        found = source.attributes.get(name)
        try:
            value = reader(found)
        except KlaviyoValidationError as error:
            raise KlaviyoValidationError(
                f"{name} of the source campaign {source.id} cannot be used again: {error.message} Give this task "
                f"its own {name}, such as {EXAMPLES[name]}.",
                pointer=error.pointer,
            ) from error
        if value is not None:
            kept[name] = value
    return kept


def _audiences(hook: KlaviyoHook, found: Any) -> Any:
    audiences = {"excluded": [], **check_audiences(_without_nulls(found), rendered=True)}
    for name, ids in audiences.items():
        for index, id_ in enumerate(ids):
            if not _is_there(hook, id_):
                raise Field(f"/audiences/{name}/{index}").error(
                    f"is {id_!r}, which is neither a list nor a segment in Klaviyo any more",
                    "Without it the clone would reach other people than its source.",
                )
    return audiences


def _is_there(hook: KlaviyoHook, id_: str) -> bool:
    """True if a list or segment of this id is there, and if the key may not look."""
    try:
        return hook.run(find_audience(id_)) is not None
    except KlaviyoAuthError as error:
        if error.status != 403:
            raise
        log.info("It is not known if list or segment %s of the source is still there: %s", id_, error)
        return True


def _send_options(source: Resource, found: Any) -> Any:
    if found is None:
        return None
    taken = _taken(source, "send_options", found, ("use_smart_sending",), "Klaviyo does not take it")
    return check_send_options({"use_smart_sending": True, **_without_nulls(taken)}, rendered=True)


def _tracking_options(source: Resource, found: Any, channel: Channel) -> Any:
    if found is None:
        return None
    why = f"Klaviyo does not take it for {channel}"
    taken = _taken(source, "tracking_options", found, TRACKED[channel], why)
    return check_tracking_options(taken, channel, rendered=True) if taken else None


def _taken(source: Resource, name: str, found: Any, fields: Collection[str], why: str) -> dict[str, Any]:
    """Those of an attribute's fields that Klaviyo takes; the log has the others, loudly if anything is lost."""
    if not isinstance(found, Mapping):
        raise Field(f"/{name}").error(f"is {show(found)}", "It should be an object.")
    for field in sorted(found.keys() - set(fields)):
        level = logging.WARNING if found[field] else logging.INFO
        log.log(level, "%s.%s of campaign %s (%s) is not kept: %s.", name, field, source.id, show(found[field]), why)
    return {field: value for field, value in found.items() if field in fields}


def _without_nulls(found: Any) -> Any:
    """Klaviyo's answers have null for what does not apply; its requests leave it out."""
    if not isinstance(found, Mapping):
        return found
    return {name: _without_nulls(value) for name, value in found.items() if value is not None}


def _texts(ids: Any) -> list[str]:
    return [id_ for id_ in ids if isinstance(id_, str)] if isinstance(ids, list) else []
