"""Docstrings with Sphinx fields, read, and written as Markdown."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

FIELD = re.compile(r":(?P<kind>param|returns?|raises)(?: (?P<name>[^:]+))?: ?(?P<text>.*)")
ROLE = re.compile(r":(?P<role>\w+):`~?(?P<target>[^`]+)`|``(?P<code>.+?)``")
LABEL = re.compile(r"(?:^|(?<=[.:)] ))\*(?P<label>[A-Z][^*]+)\*(?=[:, ])")

ELSEWHERE = re.compile(r"The (other )?parameters are those of :\w+:`[^`]+`\.")
"""What a reader of the source needs; a page has these parameters."""

Link = Callable[[str], str | None]
"""The address of what a name stands for, ``None`` if it has none."""


@dataclass(slots=True)
class Docstring:
    """A docstring in its parts, each as it was written.

    :param paragraphs: what is not a field; the first one is the summary.
    :param params: meaning by name of the parameter.
    :param returns: what is returned; empty if that is not said.
    :param raises: name of the error, and when it is raised.
    """

    paragraphs: list[str] = field(default_factory=list)
    params: dict[str, str] = field(default_factory=dict)
    returns: str = ""
    raises: list[tuple[str, str]] = field(default_factory=list)


def parse(documented: object) -> Docstring:
    """The docstring of a class, function or property; of nothing that it inherits."""
    found = Docstring()
    for lines in _parts(inspect.cleandoc(getattr(documented, "__doc__", None) or "").splitlines()):
        if not (head := FIELD.match(lines[0])):
            if text := ELSEWHERE.sub("", "\n".join(lines)).strip():
                found.paragraphs.append(text)
            continue
        text = " ".join([head["text"], *(line.strip() for line in lines[1:])]).strip()
        match head["kind"]:
            case "param":
                found.params[head["name"]] = text
            case "raises":
                found.raises.append((head["name"], text))
            case _:
                found.returns = text
    return found


def _parts(lines: list[str]) -> Iterator[list[str]]:
    """Paragraphs and fields. What is indented belongs to what stands before it, also across an empty line."""
    part: list[str] = []
    for number, line in enumerate(lines):
        follows = next((later for later in lines[number:] if later), "")
        ends = not line and not follows.startswith(" ")
        if part and (ends or FIELD.match(line)):
            yield part
            part = []
        if part or line:
            part.append(line)
    if part:
        yield part


def inline(text: str, link: Link) -> str:
    """Running text as Markdown: roles and code become code, with a link where the name is known."""

    def code(match: re.Match[str]) -> str:
        role, target = match["role"], match["target"]
        shown = match["code"] or target
        if target and role != "mod":
            shown = re.sub(r".*<(.+)>$", r"\1", target).rpartition(".")[2] + ("()" if role in ("func", "meth") else "")
        address = link(shown)
        return f"[`{shown}`]({address})" if address else f"`{shown}`"

    return ROLE.sub(code, text)


def cell(text: str) -> str:
    """Markdown that can stand in a table."""
    return text.replace("|", "\\|").replace("\n", " ")


def large(text: str) -> str:
    """The first letter large, but in a word such as iOS."""
    return text[:1].upper() + text[1:] if text[1:2].islower() or text[1:2] == " " else text


def paragraph(text: str, link: Link) -> str:
    """A paragraph as Markdown: with its code below it, if it has some, and as a list, if it is one of labels."""
    words, is_followed, code = text.partition("::\n")
    if is_followed:
        return f"{inline(_joined(words), link)}:\n\n```py\n{inspect.cleandoc(code)}\n```"
    if text.startswith("=="):
        return "\n".join(_table(text.splitlines(), link))
    words = _joined(text)
    if not (labels := list(LABEL.finditer(words))) or labels[0].start():
        return inline(words, link)
    ends = [label.start() for label in labels[1:]] + [len(words)]
    items = [(label["label"], words[label.end() : end].strip()) for label, end in zip(labels, ends, strict=True)]
    return "\n".join(f"- **{label}**{'' if rest[0] in ':,' else ' '}{inline(rest, link)}" for label, rest in items)


def _joined(text: str) -> str:
    return " ".join(line.strip() for line in text.splitlines())


def _table(lines: list[str], link: Link) -> Iterator[str]:
    """A table of two columns whose rows may go over several lines."""
    start = lines[0].rindex(" =") + 1
    rows: list[list[str]] = []
    for line in lines[1:-1]:
        first, second = line[:start].strip(), line[start:].strip()
        if line.startswith("=="):
            rows.append(["---", "---"])
        elif rows and (not first or rows[-1][0].endswith(",")):
            rows[-1] = [" ".join(filter(None, pair)) for pair in zip(rows[-1], (first, second), strict=True)]
        else:
            rows.append([first, second])
    yield from (f"| {' | '.join(cell(inline(text, link)) for text in row)} |" for row in rows)
