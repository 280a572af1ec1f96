"""What is likely to be wrong with an email, and where."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from html.parser import HTMLParser

CLIPPED = 102 * 1024
"""Bytes of HTML above which Gmail cuts a mail, and with it the unsubscribe link at its end."""

LISTED = 50
"""The most findings."""

QUOTED = 60
TAG = re.compile(r"\{\{[^{}\n]{0,200}\}\}|\{%[^%\n]{0,200}%\}")
LOOKED = 512 * 1024
"""The most characters of HTML that are looked at: a page is asked for every other second."""
UNSUBSCRIBE = ("#unsubscribe", "#manage_preferences")
"""What Klaviyo's tags for these links become in the sandbox."""

Finding = Mapping[str, str]


@lru_cache(maxsize=8)
def check(html: str, subject: str, preview: str, text: str) -> list[Finding]:
    """What is wrong with a mail as its recipient gets it.

    :param html: filled in, as are the others.
    :return: ``what`` is wrong, ``place`` (a line of the HTML, or a part of the mail), ``quote``.
    """
    found = list(_findings(html, {"subject": subject, "preview text": preview, "plain text": text}))
    return found[:LISTED]


def _findings(html: str, parts: Mapping[str, str]) -> Iterator[Finding]:
    size = len(html.encode())
    html = html[:LOOKED]
    parser = _Parser()
    parser.feed(html)
    parser.close()
    if not parser.unsubscribes:
        yield _finding("No unsubscribe link: put {% unsubscribe %} into the template", "the whole mail")
    if size > CLIPPED:
        yield _finding(f"{size / 1024:,.0f} kB of HTML: Gmail clips a mail above 102 kB", "the whole mail")
    yield from parser.found
    for number, line in enumerate(html.splitlines(), 1):
        for tag in TAG.findall(line):
            yield _finding("A tag that was not filled in", f"line {number}", tag)
    for place, content in parts.items():
        for tag in TAG.findall(content):
            yield _finding("A tag that was not filled in", place, tag)


class _Parser(HTMLParser):
    """Looks at links and images."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Finding] = []
        self.unsubscribes = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "a" and "href" in given:
            self._link((given["href"] or "").strip())
        if tag == "img" and given.get("alt") is None:
            self._add("An image without alt text: it says nothing where images are off")
        if tag == "img" and (given.get("src") or "").strip().lower().startswith("http:"):
            self._add("An image by http: many mail programs do not load it; use https:")

    def _link(self, href: str) -> None:
        if href.startswith(UNSUBSCRIBE):
            self.unsubscribes = True
        if href in ("", "#"):
            self._add("A link that leads nowhere")
        if href.lower().startswith("http:"):
            self._add("A link by http: use https:")

    def _add(self, what: str) -> None:
        if len(self.found) < LISTED:
            self.found.append(_finding(what, f"line {self.getpos()[0]}", self.get_starttag_text() or ""))


def _finding(what: str, place: str, quote: str = "") -> Finding:
    return {"what": what, "place": place, "quote": quote if len(quote) <= QUOTED else f"{quote[:QUOTED]}…"}
