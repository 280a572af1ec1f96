"""What people do after a campaign has reached them: it follows from the campaign and the address, and from the time.

Nothing is stored, and nothing of it shows among the events. How many do what, and how soon, is a choice: of those that
an email is sent to, 3 % bounce, 60 % of the others open it, half of these click, and 40 % of these order. Most of it
happens in the first hours; after five days nobody does anything any more. Nobody opens a text message, and nobody
clicks in a push notification.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass

LASTING = 5 * 86400.0
"""Seconds after which nobody reacts any more; orders are a campaign's for as long."""
BOUNCE, OPEN, CLICK, ORDER = 0.03, 0.6, 0.5, 0.4
"""How many of those that could do it do it."""
ARRIVING, OPENING, CLICKING, ORDERING = 240.0, 3 * 3600.0, 180.0, 1800.0
"""Seconds that it takes: to arrive at most, the others on average."""


@dataclass(frozen=True, slots=True)
class Reaction:
    """Something that one person has done, or that has happened to a mail.

    :param kind: ``delivered``, ``bounced``, ``opens``, ``clicks`` or ``orders``.
    :param address: whose.
    :param value: of an order.
    """

    kind: str
    address: str
    value: float = 0.0


def reactions(campaign_id: str, channel: str, address: str, age: float) -> Iterator[Reaction]:
    """What one person has done.

    :param age: seconds since it was sent to them.
    """
    dice = _dice(campaign_id, address)
    after = next(dice) * ARRIVING
    if after > age:
        return
    if next(dice) < BOUNCE:
        yield Reaction("bounced", address)
        return
    yield Reaction("delivered", address)
    steps = [("opens", OPEN, OPENING), ("clicks", CLICK, CLICKING), ("orders", ORDER, ORDERING)]
    skipped = {"sms": "opens", "mobile_push": "clicks"}.get(channel)
    for kind, share, on_average in steps:
        does, soon, price = next(dice) < share, next(dice), next(dice)
        if kind == skipped:
            continue
        after += -math.log(1 - soon) * on_average
        if not does or after > min(age, LASTING):
            return
        yield Reaction(kind, address, value=round(20 + 100 * price, 2) if kind == "orders" else 0.0)


def _dice(campaign_id: str, address: str) -> Iterator[float]:
    """Numbers from 0 to 1, always the same ones."""
    digest = hashlib.sha256(f"{campaign_id}:{address}".encode()).digest()
    for start in range(0, len(digest), 2):
        yield int.from_bytes(digest[start : start + 2], "big") / 65536
