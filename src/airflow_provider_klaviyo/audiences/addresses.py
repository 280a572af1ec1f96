"""E-mail addresses and phone numbers: what is taken for one."""

from __future__ import annotations

import re

_EMAIL = re.compile(
    r"[^@\s\"(),:;<>\[\]\\\ud800-\udfff]+@[A-Za-z0-9][^@\s.,;:<>()\[\]\"\\\ud800-\udfff]*"
    r"(?:\.[^@\s.,;:<>()\[\]\"\\\ud800-\udfff]+)+"
)
_PLAIN = re.compile(r"[A-Za-z0-9_.+-]+@[A-Za-z0-9][A-Za-z0-9-]*\.[A-Za-z0-9.-]*[A-Za-z0-9-]")
"""Most addresses, at half the time; each is one of the above, but for the odd ones."""

_LONGEST = 254
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")


def is_email(text: str) -> bool:
    """True if a text has the form of an e-mail address."""
    if len(text) > _LONGEST or (_PLAIN.fullmatch(text) is None and _EMAIL.fullmatch(text) is None):
        return False
    return ".." not in text and ".@" not in text and "@." not in text


def is_e164(text: str) -> bool:
    """True if a text is a phone number with its country, such as ``+442071838750``."""
    return _E164.fullmatch(text) is not None
