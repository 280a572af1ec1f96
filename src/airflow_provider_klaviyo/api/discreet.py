"""Records that hold what is not to be shown: a secret, or what people are known by."""

from __future__ import annotations

from msgspec import Struct


class Discreet(Struct, frozen=True):
    """A record of which only the ``str`` is shown: by ``repr`` and ``rich``, too, which show each field of others."""

    def __str__(self) -> str:
        return "***"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self})"

    def __rich_repr__(self) -> list[tuple[str, str]]:
        return [("shown", str(self))]
