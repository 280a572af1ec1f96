"""The tables that are not made of signatures: errors by reason, fields of the connection, JSON of the sandbox."""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields

from airflow_provider_klaviyo.compat import AirflowFailException
from airflow_provider_klaviyo.exceptions import KlaviyoAuthError, KlaviyoValidationError
from airflow_provider_klaviyo.get_provider_info import get_provider_info
from airflow_provider_klaviyo.hooks.extra import EXTRAS
from airflow_provider_klaviyo.sandbox import pytest_plugin
from airflow_provider_klaviyo.sandbox.faults import FAULTS, Rule
from airflow_provider_klaviyo.sandbox.journal import Entry
from airflow_provider_klaviyo.sandbox.settings import CHOICES, Settings
from scripts.reference.docstrings import Link, cell, inline, large, paragraph, parse
from scripts.reference.pages import DOCS

Row = tuple[str, ...]
FIELD = ("Field", "Type", "Meaning")
JSON_TYPES = {
    "str": "text",
    "int": "number",
    "float": "number",
    "bool": "boolean",
    "dict": "object",
    "Mapping": "object",
    "list": "list",
    "None": "null",
    "Any": "any",
}


def table(head: Row, rows: Iterable[Row]) -> str:
    """A Markdown table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows))


def told(page: str, start: str) -> list[Row]:
    """The rows of the first table of a page at or behind some words, with links as ``docs/reference`` needs them."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.search(r"(?:^\|.*\n)+", text[text.index(start) :], re.MULTILINE)
    lines = found[0].splitlines()[2:] if found else []
    return [tuple(_moved(part.strip(), page) for part in re.split(r"(?<!\\)\|", line[1:-1])) for line in lines]


def _moved(text: str, page: str) -> str:
    return re.sub(r"\]\((?=[\w.])", "](../", text.replace("](#", f"]({page}#"))


# --- errors -----------------------------------------------------------------------------------------------------------


def retried(error: type[BaseException]) -> str:
    """If Airflow runs a task again that has failed by an error, while it has ``retries``."""
    if issubclass(error, AirflowFailException):
        return "no"
    if issubclass(error, KlaviyoAuthError | KlaviyoValidationError):
        return "no, in an operator or sensor of this package; yes, in a task of your own that uses the hook"
    return "yes"


def errors(link: Link) -> Iterator[str]:
    """What happened, which error that is, and what to do."""
    yield "## By what happened"
    yield table(
        ("What happened", "Error", "Retried", "What to do"),
        (
            (what, re.sub(r"`(\w+)`", lambda name: inline(f"``{name[1]}``", link), error), again, remedy)
            for error, what, again, remedy in told("reliability.md", "## What a failed task means")
        ),
    )
    yield "## By the reason of a refusal"
    yield "A [`KlaviyoRefusedError`](#klaviyorefusederror) has its `reason`. Nothing was written."
    refusals = (row[:3] for row in told("reliability.md", "### Why it was refused"))
    yield table(("`reason`", "What happened", "What to do"), refusals)


# --- the connection ---------------------------------------------------------------------------------------------------


def connection(_: Link) -> Iterator[str]:
    """Its fields and extras, with their names in the form."""
    (kind,) = get_provider_info()["connection-types"]
    shown, form = kind["ui-field-behaviour"], kind["conn-fields"]
    yield f"Connection type: `{kind['connection-type']}`."
    yield "## Fields"
    yield table(
        ("Field", "In the form", "What goes there"),
        (
            (f"`{name}`", shown["relabeling"][name], shown["placeholders"][name])
            for name in ("password", "login", "host")
        ),
    )
    yield "`schema` and `port` are hidden in the form; a URI may have them."
    yield "## Extras"
    about = {row[0].strip("`"): row[1:] for row in told("connection.md", "| extra | value |")}
    yield table(
        ("Extra", "In the form", "Value", "What it does"),
        ((f"`{name}`", form[name]["label"] if name in form else "only as JSON", *about[name]) for name in EXTRAS),
    )


# --- the sandbox ------------------------------------------------------------------------------------------------------

SENDS = {
    "campaign_id": ("str", "the campaign"),
    "name": ("str", "its name when it went out"),
    "channel": ("str", "`email`, `sms` or `mobile_push`"),
    "at": ("str", "the sandbox's time at which sending began, in ISO 8601"),
    "recipients": ("int", "how many it has reached so far; a throttled send grows by the hour"),
    "addresses": ("list[str]", "who they are: an email address or a phone number for each"),
}
"""A row of ``GET /sandbox/sends``."""

CAMPAIGNS = {
    "id": ("str", "the campaign"),
    "channel": ("str", "`email`, `sms` or `mobile_push`"),
    "messages": (
        "list[dict]",
        "the definitions of its messages: `channel`, `label`, `content`, …",
    ),
    "name": ("str", "Klaviyo's attribute; so are all that follow"),
    "status": ("str", "one of [`CampaignStatus`](content.md#campaignstatus)"),
    "archived": ("bool", "always false"),
    "audiences": ("dict", "`included` and `excluded`: ids of lists and segments"),
    "send_options": ("dict | None", "`use_smart_sending`"),
    "tracking_options": ("dict | None", "UTM parameters, clicks and opens"),
    "send_strategy": ("dict", "`method`, and what it takes"),
    "created_at": ("str", "when it was made, in ISO 8601"),
    "scheduled_at": ("str | None", "when it was last put on its way"),
    "updated_at": ("str", "when it last changed"),
    "send_time": ("str | None", "when it goes, or went, out"),
}
"""A row of ``GET /sandbox/campaigns``."""

CLOCK = {
    "now": ("str", "the sandbox's time, in ISO 8601"),
    "speed": ("float", "sandbox seconds in a real second"),
}
"""``GET /sandbox/clock``."""


def sandbox(_: Link) -> Iterator[str]:
    """The fields of what each control answers."""
    yield "## GET /sandbox/sends"
    yield "A list, oldest first, with a row for each delivery of a campaign. A double send is two rows."
    yield _written(SENDS)
    yield "## GET /sandbox/campaigns"
    yield "A list, oldest first."
    yield _written(CAMPAIGNS)
    yield "## GET /sandbox/requests"
    yield "A list, oldest first. It has no credential."
    yield _written(documented(Entry))
    yield "## GET /sandbox/faults"
    yield "A list, in the order in which they were added. `POST` takes the same, one or a list, but for `fired`."
    yield _written(documented(Rule))
    yield "| `fault` | What it does |\n| --- | --- |\n" + "\n".join(f"| `{name}` | {FAULTS[name]} |" for name in FAULTS)
    yield "## GET /sandbox/clock"
    yield _written(CLOCK)
    yield "`POST` takes `advance`: seconds, zero or more."
    yield "## GET /sandbox/settings"
    yield "`POST` takes those that are to change."
    yield _written(documented(Settings))
    yield table(
        ("Setting", "Values, the default first"),
        ((f"`{name}`", ", ".join(f"`{json.dumps(one)}`" for one in CHOICES[name])) for name in CHOICES),
    )


def _written(rows: Mapping[str, tuple[str, str]]) -> str:
    return table(FIELD, ((f"`{name}`", _json(kind), large(cell(meaning))) for name, (kind, meaning) in rows.items()))


def documented(row: type) -> dict[str, tuple[str, str]]:
    """The fields of a row, each with its type and what it means: those of a dataclass, and its properties."""
    said = parse(row).params
    found = {one.name: (str(one.type), said.get(one.name, "")) for one in fields(row) if one.name[0] != "_"}
    for name, one in vars(row).items():
        if isinstance(one, property):
            found[name] = str(inspect.signature(one.fget).return_annotation), " ".join(parse(one).paragraphs)  # type: ignore[arg-type]
    return {name: (kind, inline(text, lambda _: None)) for name, (kind, text) in found.items()}


def _json(kind: str) -> str:
    """A type of Python as JSON has it."""
    return " or ".join(JSON_TYPES[one.partition("[")[0]] for one in kind.split(" | "))


# --- the fixture ------------------------------------------------------------------------------------------------------


def fixture(link: Link) -> Iterator[str]:
    """The fixtures of the pytest plugin, and its option."""
    source = ast.parse(inspect.getsource(pytest_plugin))
    found = {node.name: node for node in source.body if isinstance(node, ast.FunctionDef)}
    for name in ("klaviyo_sandbox", "klaviyo_sandbox_options"):
        yield f"## {name}"
        yield from (paragraph(part, link) for part in (ast.get_docstring(found[name]) or "").split("\n\n"))
        if name == "klaviyo_sandbox":
            yield "It is a [`KlaviyoSandbox`](#klaviyosandbox). Ask for it by its name, as an argument of the test."
    yield f"## {pytest_plugin.DAGS}"
    yield (
        "An option of pytest, in `pyproject.toml` or `pytest.ini`: the folder of the DAGs to test, from pytest's root. "
        "They get an Airflow of their own, empty and temporary."
    )
