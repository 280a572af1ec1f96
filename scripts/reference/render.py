"""The pages as Markdown."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from enum import Enum
from functools import cache
from itertools import chain, pairwise, zip_longest
from typing import Any

from scripts.reference import tables
from scripts.reference.docstrings import Docstring, Link, cell, inline, large, paragraph, parse
from scripts.reference.mentions import anchor, mentions
from scripts.reference.pages import PAGES, Page, Section
from scripts.reference.signatures import Parameter, members, parameters

WRITTEN = "*Written by `python -m scripts.reference` from the docstrings.*"
BASE = {"Operator": "BaseOperator", "Sensor": "BaseSensorOperator"}
"""What else a task takes, by what its name ends with."""
SUCH_AS = {
    "BaseOperator": "`task_id` and `retries`",
    "BaseSensorOperator": "`task_id`, `poke_interval`, `timeout`, `mode` and `soft_fail`",
}


def rendered() -> dict[str, str]:
    """The text of each page by the name of its file."""
    return {"index.md": _index(), **{page.file: _page(page) for page in PAGES}}


@cache
def addresses() -> dict[str, str]:
    """Where each name is: file and anchor. Of functions with their brackets, as texts name them; modules, too."""
    found = {section.imported_from: page.file for page in PAGES for section in page.sections}
    for page in PAGES:
        for name, thing in page.things.items():
            found[name if inspect.isclass(thing) else f"{name}()"] = f"{page.file}#{anchor(name)}"
    return found


def _links(page: Page, around: str = "") -> Link:
    """What finds the address of a name for a text of a page, but not that of the name which the text is about."""

    def link(name: str) -> str | None:
        found = None if name.removesuffix("()") == around else addresses().get(name)
        return found.removeprefix(page.file) if found else None

    return link


def _index() -> str:
    lines = [
        "# Reference",
        "",
        "Every public name of the package, with its parameters. How they are used, job by job: "
        "[the documentation](../index.md).",
        "",
        "| Page | What is there |",
        "| --- | --- |",
    ]
    for page in PAGES:
        shown = [name for section in page.sections if not section.calls for name in section.things]
        names = ", ".join(f"[`{name}`]({page.file}#{anchor(name)})" for name in shown)
        calls = sum(len(section.things) for section in page.sections if section.calls)
        names += f", and {calls} methods" if calls else ""
        lines.append(f"| [{page.title}]({page.file}) | {names or cell(page.intro)} |")
    return "\n".join([*lines, "", WRITTEN, ""])


def _page(page: Page) -> str:
    parts = [f"# {page.title}", page.intro]
    if len(page.things) > 2 and page.tables != "errors":
        parts.append("\n".join(_summary(page)))
    if page.tables:
        parts += getattr(tables, page.tables)(_links(page))
    for section in page.sections:
        parts += [f"## {section.title}"] if section.title else []
        level = "###" if section.title else "##"
        for name, thing in section.things.items():
            parts += _entry(page, section, level, name, thing)
    return "\n\n".join([*filter(None, parts), f"{WRITTEN}\n"])


def _summary(page: Page) -> Iterator[str]:
    yield "| Name | What it is for |"
    yield "| --- | --- |"
    for name, thing in page.things.items():
        first = inline(_first_sentence(parse(thing)), lambda _: None)
        yield f"| [`{name}`](#{anchor(name)}) | {cell(first)} |"


def _first_sentence(doc: Docstring) -> str:
    text = " ".join(doc.paragraphs[0].partition("::\n")[0].split()) if doc.paragraphs else ""
    head, dot, _ = text.partition(". ")
    return head + dot.strip()


def _entry(page: Page, section: Section, level: str, name: str, thing: Any) -> Iterator[str]:
    link = _links(page, name)
    yield f"{level} {name}"
    if getattr(thing, "__name__", name) != name and not section.calls:
        yield f"Another name of {inline(f'``{thing.__name__}``', link)}."
        return
    doc = parse(thing)
    summary, *more = doc.paragraphs
    yield paragraph(summary, link)
    if section.calls:
        yield f"`hook.{name}{_signature(thing)}`"
    else:
        yield f"```py\nfrom {section.imported_from} import {name}\n```"
    yield _text(more, link)
    if inspect.isclass(thing) and issubclass(thing, BaseException):
        yield f"*Airflow retries a task that fails so*: {tables.retried(thing)}."
    if inspect.isclass(thing) and issubclass(thing, Enum):
        yield "\n".join(["| Name | Value |", "| --- | --- |", *(f"| `{one.name}` | `{one.value}` |" for one in thing)])
    yield from _parameters(page, name, thing, link)
    yield from _results(doc, link)
    if section.members:
        for member, one in members(thing).items():
            yield from _member(f"{level}#", member, one, link)
    if (used := mentions(name)) and not section.calls and inspect.isroutine(thing) | inspect.isclass(thing):
        yield f"In use: {', '.join(used)}."


def _text(paragraphs: Iterable[str], link: Link) -> str:
    """Paragraphs with an empty line between them; lists that follow one another are one list."""
    parts = [paragraph(text, link) for text in paragraphs]
    ends = ["\n" if one.startswith("- ") and after.startswith("- ") else "\n\n" for one, after in pairwise(parts)]
    return "".join(chain.from_iterable(zip_longest(parts, ends, fillvalue="")))


def _signature(call: Any) -> str:
    """How a call is made, and what it returns."""
    signature = inspect.signature(call)
    bare = [one.replace(annotation=one.empty) for one in signature.parameters.values()]
    returned = re.sub(r"^Call\[(.*)\]$", r"\1", str(signature.return_annotation))
    return f"{signature.replace(parameters=bare, return_annotation=signature.empty)} -> {returned}"


def _parameters(page: Page, name: str, thing: Any, link: Link) -> Iterator[str]:
    given = parameters(thing)
    own = [one for one in given if one.is_own]
    if own:
        yield "\n".join(_table(own, link))
    for owner in dict.fromkeys(one.owner for one in given if not one.is_own):
        inherited = [f"`{one.name}`" for one in given if one.owner is owner and not one.is_own]
        address = _links(page)(owner.__name__)
        where = f"[{owner.__name__}]({address})" if address else f"`{owner.__name__}`"
        yield f"From {where}: {', '.join(inherited)}."
    if inspect.isclass(thing) and (base := next((BASE[end] for end in BASE if name.endswith(end)), None)):
        yield f"Also takes what every `{base}` of Airflow takes, such as {SUCH_AS[base]}."


def _table(given: Iterable[Parameter], link: Link) -> Iterator[str]:
    yield "| Parameter | Type | Default | Meaning |"
    yield "| --- | --- | --- | --- |"
    for one in given:
        is_any = one.name.startswith("*")
        default = f"`{one.default}`" if one.default is not None else "" if is_any else "required"
        kind = f"`{cell(one.type)}`" if one.type else ""
        yield f"| `{one.name}` | {kind} | {cell(default)} | {cell(_meaning(one, link))} |"


def _meaning(one: Parameter, link: Link) -> str:
    """The first letter large, and what Airflow renders marked."""
    text = re.sub(r"\bTemplated\b\.?", r"*\g<0>*", inline(one.meaning, link))
    return large(text)


def _results(doc: Docstring, link: Link) -> Iterator[str]:
    if doc.returns:
        yield f"**Returns** {inline(doc.returns, link)}"
    if doc.raises:
        lines = [f"- {inline(f'``{name}``', link)}: {inline(text, link)}" for name, text in doc.raises]
        yield "\n".join(["**Raises**", "", *lines])


def _member(level: str, name: str, one: Any, link: Link) -> Iterator[str]:
    doc = parse(one)
    if not doc.paragraphs:
        return
    yield f"{level} {name}" if isinstance(one, property) else f"{level} {name}()"
    yield _text(doc.paragraphs, link)
    if not isinstance(one, property) and (given := parameters(one)):
        yield "\n".join(_table(given, link))
    yield from _results(doc, link)
