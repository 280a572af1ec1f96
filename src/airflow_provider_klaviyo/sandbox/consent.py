"""What a profile has agreed to, and what that means for each channel.

A profile's ``internal`` holds ``consent``: per channel ``SUBSCRIBED``, ``UNSUBSCRIBED`` or ``NEVER_SUBSCRIBED``, and
``suppressions``: reasons, with times, for which no email is sent whatever the consent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_klaviyo.api.campaigns import CHANNELS
from airflow_provider_klaviyo.sandbox.model import Entity

UNASKED: Mapping[str, Any] = {"consent": dict.fromkeys(CHANNELS, "NEVER_SUBSCRIBED"), "suppressions": []}
"""What is known of a profile that was never asked; all of them share it."""


def address(profile: Entity, channel: str) -> str | None:
    """Where the profile gets marketing on this channel; ``None`` when it must not, or has no address.

    Consent is implicit for email (only the unsubscribed and the suppressed get none) and explicit for SMS and push.
    """
    consent = profile.internal["consent"][channel]
    match channel:
        case "email" if consent != "UNSUBSCRIBED" and not profile.internal["suppressions"]:
            return profile.attributes.get("email")
        case "sms" if consent == "SUBSCRIBED":
            return profile.attributes.get("phone_number")
        case "mobile_push" if consent == "SUBSCRIBED":
            return f"push:{profile.id}"
        case _:
            return None


def subscriptions(profile: Entity) -> Mapping[str, Any]:
    """The ``subscriptions`` attribute."""
    consent = profile.internal["consent"]
    reachable = {channel: address(profile, channel) is not None for channel in CHANNELS}
    return {
        "email": {
            "marketing": {
                "can_receive_email_marketing": reachable["email"],
                "consent": consent["email"],
                "suppression": profile.internal["suppressions"],
                "list_suppressions": [],
            }
        },
        "sms": {"marketing": {"can_receive_sms_marketing": reachable["sms"], "consent": consent["sms"]}},
        "mobile_push": {
            "marketing": {"can_receive_push_marketing": reachable["mobile_push"], "consent": consent["mobile_push"]}
        },
    }
