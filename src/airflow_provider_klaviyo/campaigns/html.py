"""Two texts of HTML compared by what they say: Klaviyo does not keep a template's HTML as it was written."""

from __future__ import annotations

import re
from html.parser import HTMLParser

SPACE = re.compile(r"\s+")


def is_same_html(one: str, other: str) -> bool:
    """True if they differ at most in how they are written: kind of white space, quotes, entities, case of tags."""
    return one == other or _parts(one) == _parts(other)


def _parts(html: str) -> list[object]:
    reading = _Reading()
    reading.feed(html.strip())
    reading.close()
    return reading.parts


class _Reading(HTMLParser):
    """HTML as elements, attributes and words. White space counts where there was none before."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[object] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.parts.append((tag, sorted((name, value or "") for name, value in attrs)))

    def handle_endtag(self, tag: str) -> None:
        self.parts.append(("/", tag))

    def handle_data(self, data: str) -> None:
        self.parts.append(("text", SPACE.sub(" ", data)))

    def handle_comment(self, data: str) -> None:
        self.parts.append(("comment", SPACE.sub(" ", data)))

    def handle_decl(self, decl: str) -> None:
        self.parts.append(("declaration", decl.lower()))

    def unknown_decl(self, data: str) -> None:
        self.parts.append(("declaration", data))

    def handle_pi(self, data: str) -> None:
        self.parts.append(("instruction", data))
