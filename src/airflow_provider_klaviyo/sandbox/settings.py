"""What can be switched where Klaviyo's behaviour varies, or its documents and its answers disagree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

CHOICES: Mapping[str, tuple[Any, ...]] = {
    "import_pointer": (True, False),
    "import_nulls": ("ignore", "clear"),
    "jobs_end": ("complete", "cancelled"),
    "reactions": (True, False),
}
"""The allowed values of each setting, the default first."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The switches.

    :param import_pointer: True if a bulk import that is refused with a 400 points at what is wrong.
    :param import_nulls: what a null in a row of a bulk import does to the attribute: ``ignore`` or ``clear``.
    :param jobs_end: how jobs over profiles end that are accepted from now on: ``complete``, or ``cancelled`` without
        having done anything.
    :param reactions: True if people open, click and order after a campaign has reached them, in its report.
    """

    import_pointer: bool = True
    import_nulls: str = "ignore"
    jobs_end: str = "complete"
    reactions: bool = True

    def changed(self, given: object) -> Settings:
        """These settings with some changed.

        :param given: settings by name.
        :raises ValueError: a name or a value is not known; the message says what is.
        """
        known = [field.name for field in fields(self)]
        if not isinstance(given, Mapping):
            raise ValueError(f"Settings are an object (a dict) with some of {', '.join(known)}.")
        for name, value in given.items():
            if name not in CHOICES:
                raise ValueError(f"{name} is not a setting. Known: {', '.join(known)}.")
            if not any(value is choice or (isinstance(value, str) and value == choice) for choice in CHOICES[name]):
                raise ValueError(f"{name} is one of {CHOICES[name]}, not {value!r}.")
        return replace(self, **given)
