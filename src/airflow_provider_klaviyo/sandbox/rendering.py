"""Templates filled in as Klaviyo does: its language is Django's with tags of its own.

It is brought into the form of Jinja, which Airflow has with it, and evaluated in Jinja's sandbox, without arithmetic.
A block that is not known is refused, as Klaviyo does. Filters that are not known here change nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jinja2
from jinja2.sandbox import SandboxedEnvironment

LONGEST = 20_000_000
"""Characters that a template comes to at most."""

LINKS: Mapping[str, str] = {
    "unsubscribe": "Unsubscribe",
    "manage_preferences": "Manage preferences",
    "web_view": "View in browser",
}
"""Klaviyo's tags for links, and their words. With ``_link`` after it, a tag is the bare address."""

NEEDS_PROFILE = re.compile(r"\{%\s*coupon_code\b")
NO_OUTPUT = r"autoescape|endautoescape|load|today|current_\w+|update_property_link|catalog|endcatalog|currency_format"

COMMENT = re.compile(r"\{%\s*comment\b.*?%\}.*?\{%\s*endcomment\s*%\}|\{#[^\n]*?#\}", re.DOTALL)
LINK = re.compile(rf"\{{%\s*({'|'.join(LINKS)})(_link)?(?:\s+['\"]([^'\"]*)['\"])?\s*%\}}")
WITHOUT_OUTPUT = re.compile(rf"\{{%\s*(?:{NO_OUTPUT})\b.*?%\}}")
EMPTY = re.compile(r"\{%\s*empty\s*%\}")
PIECE = re.compile(r"(\{\{.*?\}\}|\{%.*?%\})|(\{[{%#])")
"""A tag, which stands on one line; or what else Jinja would take for the beginning of one."""

BLOCK = re.compile(r"\{%(?!\s*(?:if|elif|else|endif|for|endfor|with|endwith)\b)")
ARGUMENT = re.compile(r"\|\s*(\w+)\s*:(\"[^\"]*\"|'[^']*'|[\w.]+)")
LOOP = re.compile(r"\bforloop\.(counter0?|first|last)\b")
LOOP_NAMES = {"counter": "loop.index", "counter0": "loop.index0", "first": "loop.first", "last": "loop.last"}


class RenderingError(ValueError):
    """Klaviyo would refuse to fill in the template with these values."""


def render(text: str | None, context: Mapping[str, Any], *, escape: bool = True) -> str | None:
    """The text with its tags filled in; a variable without a value comes to nothing.

    :param escape: True if values are written as HTML.
    :raises RenderingError: a tag is not closed, or not known, or needs a real profile.
    """
    if text is None:
        return None
    if NEEDS_PROFILE.search(text):
        raise RenderingError("customer profile is required")
    plain = COMMENT.sub("", text)
    plain = WITHOUT_OUTPUT.sub("", LINK.sub(_link, EMPTY.sub("{% else %}", plain)))
    try:
        template = _environment(escape).from_string(PIECE.sub(_as_jinja, plain))
        return "".join(_bounded(template.generate(dict(context))))
    except RenderingError:
        raise
    except (jinja2.TemplateError, ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise RenderingError("check the included django syntax, and that it is compatible with the context") from error


def preview(text: str | None, context: Mapping[str, Any], *, escape: bool = False) -> str | None:
    """The same for a preview: a text that cannot be filled in is shown with its tags."""
    try:
        return render(text, context, escape=escape)
    except RenderingError:
        return text


def _link(found: re.Match[str]) -> str:
    name, is_bare, words = found.groups()
    return f"#{name}" if is_bare else f'<a href="#{name}">{words or LINKS[name]}</a>'


def _as_jinja(piece: re.Match[str]) -> str:
    """``name|default:'there'`` as ``name|default('there')``, and the like."""
    tag, brace = piece.groups()
    if brace:
        return f"{{{{ '{brace}'|safe }}}}"
    if BLOCK.match(tag):
        raise RenderingError(f"{tag} is not a tag of Klaviyo")
    return LOOP.sub(lambda loop: LOOP_NAMES[loop[1]], ARGUMENT.sub(r"|\1(\2)", tag))


def _bounded(parts: Iterator[str]) -> Iterator[str]:
    left = LONGEST
    for part in parts:
        left -= len(part)
        if left < 0:
            raise RenderingError("the template comes to too much text")
        yield part


class _Filters(dict[str, Callable[..., Any]]):
    """Filters by name; one that is not known changes nothing."""

    def get(self, name: str, _: Any = None) -> Callable[..., Any]:
        return self[name]

    def __missing__(self, name: str) -> Callable[..., Any]:
        return lambda value, *_: value


FILTERS = _Filters(
    default=lambda value, other="": value or other,
    lookup=lambda value, name: value.get(name) if isinstance(value, Mapping) else None,
    length=lambda value: len(value) if hasattr(value, "__len__") else 0,
    title=lambda value: str(value).title(),
    upper=lambda value: str(value).upper(),
    lower=lambda value: str(value).lower(),
    safe=jinja2.filters.do_mark_safe,
)


class _Environment(SandboxedEnvironment):
    """Jinja without arithmetic, which Django's language does not have."""

    intercepted_binops = frozenset(SandboxedEnvironment.default_binop_table)
    intercepted_unops = frozenset(SandboxedEnvironment.default_unop_table)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        raise RenderingError(f"there is no {operator}")

    def call_unop(self, context: Any, operator: str, arg: Any) -> Any:
        raise RenderingError(f"there is no {operator}")


def _environment(escape: bool) -> SandboxedEnvironment:
    environment = _Environment(autoescape=escape, undefined=jinja2.ChainableUndefined, keep_trailing_newline=True)
    environment.filters = FILTERS
    environment.globals.clear()
    return environment
