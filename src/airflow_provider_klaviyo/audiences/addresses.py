"""E-mail addresses and phone numbers: what is taken for one."""

from __future__ import annotations

import re
from collections.abc import Sequence

_EMAIL = re.compile(
    r"[^@\s\"(),:;<>\[\]\\\ud800-\udfff]+@[A-Za-z0-9][^@\s.,;:<>()\[\]\"\\\ud800-\udfff]*"
    r"(?:\.[^@\s.,;:<>()\[\]\"\\\ud800-\udfff]+)+"
)
_PLAIN_LINES = re.compile(
    r"(?:[A-Za-z0-9_+-]++(?:\.[A-Za-z0-9_+-]++)*+@[A-Za-z0-9][A-Za-z0-9-]*+(?:\.[A-Za-z0-9-]++)++\n)*+"
)
"""Lines of addresses as most are: each is one of the above."""

_LONGEST = 254
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")


def is_email(text: str) -> bool:
    """True if a text has the form of an e-mail address."""
    return (
        len(text) <= _LONGEST
        and _EMAIL.fullmatch(text) is not None
        and not any(empty in text for empty in ("..", ".@", "@."))
    )


def are_plain_emails(texts: Sequence[str]) -> bool:
    """True if all are e-mail addresses as most are; False: there are others, or what is not an address."""
    lines = "\n".join([*texts, ""])
    return (
        max(map(len, texts)) <= _LONGEST
        and _PLAIN_LINES.fullmatch(lines) is not None
        and lines.count("\n") == len(texts)
    )


def is_e164(text: str) -> bool:
    """True if a text is a phone number with its country, such as ``+442071838750``."""
    return _E164.fullmatch(text) is not None
