"""Put a tag on a campaign or take it off, whatever was done before."""

from __future__ import annotations

import difflib
import logging

from airflow_provider_klaviyo.api.errors import (
    KlaviyoAmbiguousWriteError,
    KlaviyoConflictError,
    KlaviyoValidationError,
)
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook

log = logging.getLogger(__name__)


def tag_of(hook: KlaviyoHook, name: str, *, create: bool) -> str:
    """The id of the tag with a name.

    :param create: make the tag if there is none.
    :raises KlaviyoValidationError: there is none, or more than one; the message says what to do.
    :raises KlaviyoAmbiguousWriteError: whether it was made is not known; the next try looks again.
    """
    found = _find(hook, name)
    if found is None and create:
        return _create(hook, name)
    if found is None:
        names = [str(tag.attributes.get("name")) for tag in hook.get_tags()]
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else "Make it in Klaviyo, or set missing='create'."
        raise KlaviyoValidationError(f"There is no tag {name!r} in this account. {hint}", pointer="tag")
    return found


def tag(hook: KlaviyoHook, campaign_id: str, tag_id: str) -> bool:
    """Put a tag on a campaign; whether it had to be.

    :raises KlaviyoAmbiguousWriteError: whether it was put there is not known; the next try looks again.
    """
    if tag_id in hook.get_campaign_tag_ids(campaign_id):
        return False
    try:
        hook.tag_campaigns(tag_id, [campaign_id])
    except KlaviyoAmbiguousWriteError as error:
        log.warning("%s Looking whether campaign %s has the tag.", error, campaign_id)
        if tag_id not in hook.get_campaign_tag_ids(campaign_id):
            raise
    return True


def untag(hook: KlaviyoHook, campaign_id: str, tag_id: str) -> bool:
    """Take a tag off a campaign; whether it had to be."""
    if tag_id not in hook.get_campaign_tag_ids(campaign_id):
        return False
    hook.untag_campaigns(tag_id, [campaign_id])
    return True


def _find(hook: KlaviyoHook, name: str) -> str | None:
    found = hook.find_tags(name)
    if len(found) > 1:
        ids = ", ".join(tag.id for tag in found)
        raise KlaviyoValidationError(
            f"There are {len(found)} tags named {name!r} ({ids}); say which one with tag_id.", pointer="tag"
        )
    return found[0].id if found else None


def _create(hook: KlaviyoHook, name: str) -> str:
    """A new tag, or the one that somebody (or a call whose answer was lost) has just made."""
    try:
        return hook.create_tag(name).id
    except (KlaviyoAmbiguousWriteError, KlaviyoConflictError) as error:
        log.warning("%s Looking whether tag %r is there.", error, name)
        if made := _find(hook, name):
            return made
        raise
