"""A mail as it would reach people, and what makes it unfit for that. Pure: no network, no Airflow."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from html.parser import HTMLParser
from typing import Any

from airflow_provider_klaviyo.campaigns.values import Field, filled, is_template, show

EXCERPT = 80
"""Characters of a mail that an error shows at most."""

REGULAR_EXPRESSION = "re:"
"""What a pattern begins with that is a regular expression."""

INLINE = frozenset(
    ["a", "abbr", "b", "big", "code", "em", "font", "i", "mark", "s", "small", "span", "strong", "sub", "sup", "u"]
)
"""Elements that do not part the words around them."""

UNSEEN = frozenset(("script", "style", "title"))
LISTS = frozenset(("ol", "table", "tbody", "tr", "ul"))
MISSING = frozenset(("NaN", "NaT", "None", "nan", "null", "undefined"))

TAG = re.compile(r"\{\{|\{%|%7B(?:%7B|%25)|&#123;&#123;|\*\|\w", re.IGNORECASE)
LOREM = re.compile(r"\blorem\s+ipsum\b", re.IGNORECASE)
TO_NOBODY = re.compile(
    r"\b(?i:hi|hello|hey|dear|hallo|liebe|lieber|bonjour|cher|hola|ciao)\s+(?:,|(?:None|nan|null|undefined)\b)"
)
COMMENT = re.compile(r"<!--.*?-->|\{#[^\n]*?#\}|\{%\s*comment\b.*?%\}.*?\{%\s*endcomment\s*%\}", re.DOTALL)
UNSUBSCRIBE_TAG = re.compile(r"\{%\s*unsubscribe(?:_link)?\b")


@dataclass(frozen=True)
class Mail:
    """One mail.

    :param html: its HTML part, filled in.
    :param text: its plain text part, filled in; empty: there is none.
    :param source: the template's HTML, with Klaviyo's tags.
    :param subject: empty where it is not known; it may have Klaviyo's tags, as may the preview text.
    """

    html: str
    text: str = ""
    source: str = ""
    subject: str = ""
    preview_text: str = ""

    @cached_property
    def read(self) -> Reading:
        """What a person sees of the HTML."""
        reading = Reading()
        reading.feed(self.html)
        reading.close()
        return reading

    def find(self, pattern: re.Pattern[str]) -> str | None:
        """An excerpt around the first match, anywhere in the mail: as people read it, or in the HTML itself."""
        for part in (self.subject, self.preview_text, self.read.text, self.text, self.html):
            if match := pattern.search(part):
                return excerpt(part, match)
        return None


class Reading(HTMLParser):
    """HTML as a person reads it: words, links, images, and lists that have nothing in them."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.images = 0
        self.values: set[str] = set()
        self.links: list[tuple[str, str]] = []
        self.empty_list: str | None = None
        self._words: list[str] = []
        self._unseen: str | None = None
        self._link: tuple[str, int] | None = None
        self._lists: list[tuple[str, bool]] = []

    @cached_property
    def text(self) -> str:
        """Its words, with single spaces."""
        return " ".join("".join(self._words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in UNSEEN:
            self._unseen = tag
        if tag not in INLINE:
            self._words.append(" ")
        if tag == "a":
            self._link = (dict(attrs).get("href") or "", len(self._words))
        self.images += tag == "img"
        if tag in LISTS:
            self._lists.append((tag, False))
        else:
            self._fill()

    def handle_endtag(self, tag: str) -> None:
        if tag == self._unseen:
            self._unseen = None
        if tag not in INLINE:
            self._words.append(" ")
        if tag == "a" and self._link is not None:
            href, begins = self._link
            self.links.append((href, "".join(self._words[begins:])))
            self._link = None
        if any(name == tag for name, _ in self._lists):
            self._end_list(tag)

    def handle_data(self, data: str) -> None:
        if self._unseen is not None:
            return
        self._words.append(data)
        if data.strip():
            self.values.add(data.strip())
            self._fill()

    def _fill(self) -> None:
        if self._lists:
            self._lists[-1] = (self._lists[-1][0], True)

    def _end_list(self, tag: str) -> None:
        name, is_filled = self._lists.pop()
        while name != tag:
            name, is_filled_outside = self._lists.pop()
            is_filled = is_filled or is_filled_outside
        if is_filled:
            self._fill()
        elif self.empty_list is None:
            self.empty_list = tag


def excerpt(text: str, match: re.Match[str]) -> str:
    """The match with what stands around it, on one line of at most :data:`EXCERPT` characters."""
    found = match[0][: EXCERPT - 2]
    around = (EXCERPT - 2 - len(found)) // 2
    start, end = max(0, match.start() - around), match.start() + len(found) + around
    line = " ".join(text[start:end].split())
    return f"{'…' if start else ''}{line}{'…' if end < len(text) else ''}"


def as_pattern(value: Any, field: Field) -> Any:
    """What to search for, as :func:`compiled` takes it. Jinja is judged once it is rendered.

    :raises KlaviyoValidationError: it is blank, or no regular expression.
    """
    filled(value, field)
    if field.rendered or not is_template(value):
        try:
            compiled(value)
        except re.error as error:
            raise field.error(f"is {show(value)}", f"This is not a regular expression: {error}.") from None
    return value


def compiled(pattern: str) -> re.Pattern[str]:
    """Plain text, in whatever case and with whatever white space; after ``re:`` a regular expression as it is."""
    if pattern.startswith(REGULAR_EXPRESSION):
        return re.compile(pattern.removeprefix(REGULAR_EXPRESSION))
    return re.compile(r"\s+".join(map(re.escape, pattern.split())), re.IGNORECASE)


def is_empty(mail: Mail) -> str | None:
    """There is nothing to read and nothing to see."""
    return None if mail.read.text or mail.read.images else "it has neither words nor images."


def unrendered_tags(mail: Mail) -> str | None:
    """A tag that nobody has filled in, also where an editor has written its braces in another way."""
    for part in (mail.html, mail.text):
        if match := TAG.search(part):
            return f"a tag is still there: {excerpt(part, match)!r}."
    return None


def placeholder_text(mail: Mail) -> str | None:
    """Text that stood in for the real one."""
    found = mail.find(LOREM)
    return f"there is placeholder text: {found!r}." if found else None


def missing_values(mail: Mail) -> str | None:
    """A variable without a value that people would notice."""
    if match := TO_NOBODY.search(mail.read.text):
        return f"a value is missing, and its tag has no default: {excerpt(mail.read.text, match)!r}."
    if found := sorted(mail.read.values & MISSING):
        return f"a value is missing: people would read {found[0]!r}."
    return None


def empty_list(mail: Mail) -> str | None:
    """A list or a table without anything in it: there were no products, say."""
    found = mail.read.empty_list
    return f"a list has nothing in it: there is an empty <{found}>." if found else None


def unsubscribe_link(mail: Mail) -> str | None:
    """Klaviyo's tag in the template, or a link of that name in the mail."""
    if UNSUBSCRIBE_TAG.search(COMMENT.sub("", mail.source)):
        return None
    if any(href and "unsubscribe" in (href + words).lower() for href, words in mail.read.links):
        return None
    return "there is no unsubscribe link, so Klaviyo would append a footer of its own. Put {% unsubscribe %} into it."


Check = Callable[[Mail], str | None]
"""Returns what is wrong with a mail, as a sentence, or ``None``."""

Checks = dict[str, Check]
"""Checks by name."""

CHECKS: Checks = {
    "empty_mail": is_empty,
    "unrendered_tags": unrendered_tags,
    "placeholder_text": placeholder_text,
    "missing_values": missing_values,
    "empty_list": empty_list,
    "unsubscribe_link": unsubscribe_link,
}
"""The built-in checks."""


def failures(mail: Mail, checks: Checks) -> dict[str, str]:
    """What is wrong with a mail, by the name of the check."""
    found = {name: check(mail) for name, check in checks.items()}
    return {name: what for name, what in found.items() if what is not None}


def expecting(pattern: re.Pattern[str]) -> Check:
    """A check that a pattern is in a mail."""
    return lambda mail: None if mail.find(pattern) is not None else "it is not in the mail."


def forbidding(pattern: re.Pattern[str]) -> Check:
    """A check that a pattern is not in a mail."""

    def check(mail: Mail) -> str | None:
        found = mail.find(pattern)
        return None if found is None else f"it is in the mail: {found!r}."

    return check
