#!/usr/bin/env python3
"""Write ``docs/operations.md``: every published operation, and by which hook method and operators it is called.

    python -m scripts.operations_table

What is published is read from the package's table of operations, and what calls it from the package's source: each
function and class, the functions and classes it names, and so on down to the operations that are named.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import airflow_provider_klaviyo
from airflow_provider_klaviyo.api.operations import Operation, later, operations, revisions
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoMethods, Method

PACKAGE = "airflow_provider_klaviyo"
SOURCE = Path(next(iter(airflow_provider_klaviyo.__path__)))
TARGET = Path(__file__).resolve().parent.parent / "docs" / "operations.md"
CAMPAIGN_PATHS = ("/api/campaigns", "/api/campaign-")

POLICY = f"{PACKAGE}.api.message"
"""The module that names an operation to treat it differently, not to call it."""

NOT_CAMPAIGNS_API = ("query_campaign_values",)

Name = tuple[str, str]
"""A module, and a name defined at its top level."""

HEAD = """# Operations

Every operation that Klaviyo publishes in the API revisions {revisions}: {count} of them. Each can be called by
its id, or by an alias, with `KlaviyoApiOperator(operation=…)`, `KlaviyoHook.call(…)` and `KlaviyoAsyncHook.call(…)`;
path, query and body are checked before the call. Those with a method of their own are called more easily by that, and
those with an operator of their own more safely by that. A GET is listed with the operators and sensors that only read.

Rate limits are per account, in fixed windows of a second, a minute and a day. Scopes are what the API key needs.

This page is written by `python -m scripts.operations_table`.
"""
LATER = """## Since {revision}

{count} operations. The document of this revision is not public yet; requests, limits and scopes are read from Klaviyo's
SDK. Path and revision are checked before the call, all else is left to Klaviyo. Give `revision="{revision}"` to
`KlaviyoApiOperator` or to a hook. All operations above are in that revision, too; of those for browsers (below
`/client/`) that is known of `get_client_ip_allowlist` alone, as the SDK has the others in no revision. Campaigns are of
another kind there: some tasks [read them](upgrading-a-revision.md#what-reads-2026-10-15), and no operator here writes
them. What the SDK calls `get_campaign_messages` is `list_campaign_messages` here: that name has long been another
operation's.

"""
COLUMNS = ("Operation", "Request", "Hook method", "Operator or sensor", "Rate limit", "Scopes")


def render() -> str:
    """The page."""
    rows = list(operations().values())
    campaigns = [known for known in rows if is_of_campaigns_api(known)]
    others = [known for known in rows if not is_of_campaigns_api(known)]
    parts = [HEAD.format(revisions=" and ".join(revisions()), count=len(rows))]
    parts.append(f"## The Campaigns API\n\n{len(campaigns)} operations.\n\n{table(campaigns)}")
    parts.append(f"## All others\n\n{len(others)} operations.\n\n{table(others)}")
    newer = list(later().values())
    [revision] = {known.revisions[0] for known in newer}
    parts.append(LATER.format(revision=revision, count=len(newer)) + table(newer))
    return "\n".join(parts)


def is_of_campaigns_api(known: Operation) -> bool:
    """True if an operation is one of Klaviyo's Campaigns API (the values report is of its Reporting API)."""
    return known.path.startswith(CAMPAIGN_PATHS) and known.id not in NOT_CAMPAIGNS_API


def table(rows: Iterable[Operation]) -> str:
    """A Markdown table with a row for each operation."""
    lines = [COLUMNS, ("---",) * len(COLUMNS), *map(cells, rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def cells(known: Operation) -> tuple[str, ...]:
    """One row."""
    names = "<br>".join(f"`{name}`" for name in (known.id, *known.aliases))
    since = f"<br>since {known.revisions[0]}" if known.revisions == revisions()[1:] else ""
    methods = hook_methods().get(known.id) or ["call"]
    callers = [name for name, reached in tasks().items() if known.id in reached and fits(known, reached)]
    limits = [f"{known.limits.burst}/s", f"{known.limits.steady}/min"]
    if known.limits.daily is not None:
        limits.append(f"{known.limits.daily}/day")
    return (
        names + since,
        f"{known.method} `{known.path}`",
        "<br>".join(f"`{name}()`" for name in methods),
        "<br>".join(f"`{name}`" for name in callers or ["KlaviyoApiOperator"]),
        ", ".join(limits),
        "<br>".join(f"`{scope}`" for scope in known.scopes) or "none",
    )


def fits(known: Operation, reached: set[str]) -> bool:
    """True if a task that makes these calls is to be named for the operation: a read is named with readers only."""
    return known.method != "GET" or all(operations()[name].method == "GET" for name in reached)


@cache
def hook_methods() -> dict[str, list[str]]:
    """The hook methods that make each operation's call themselves, or leave that to another function."""
    found: dict[str, list[str]] = {}
    for name, method in vars(KlaviyoMethods).items():
        if isinstance(method, Method):
            item = code()[method.call.__module__, method.call.__name__]
            left_to = (code()[other].operations for other in item.uses if other in code())
            for operation in sorted(item.operations or set().union(*left_to)):
                found.setdefault(operation, []).append(name)
    return found


@cache
def tasks() -> dict[str, set[str]]:
    """For each operator and sensor that is not a base of others: the operations it may come to call."""
    bases = {base for item in code().values() for base in item.bases}
    return {
        name: reachable((module, name))
        for (module, name) in sorted(code(), key=lambda key: key[1])
        if module.startswith((f"{PACKAGE}.operators", f"{PACKAGE}.sensors", f"{PACKAGE}.transfers"))
        and name.endswith(("Operator", "Sensor"))
        and (module, name) not in bases
    }


def reachable(start: Name) -> set[str]:
    """The operations that something calls, itself or through what it uses."""
    seen, left = {start}, [start]
    while left:
        new = code()[left.pop()].uses - seen
        seen |= new
        left += new
    return {operation for name in seen for operation in code()[name].operations}


class Item:
    """A function, class or constant at the top level of a module: what it uses of the package, and what it calls."""

    def __init__(self, node: ast.stmt, imported: dict[str, Name], module: str) -> None:
        self.bases = {imported.get(name.id, (module, name.id)) for name in names_in(getattr(node, "bases", []))}
        self.operations: set[str] = set()
        self.uses: set[Name] = set()
        for part in ast.walk(node):
            if isinstance(part, ast.Constant) and isinstance(part.value, str) and part.value in operations():
                self.operations |= {part.value} if module != POLICY else set()
            elif isinstance(part, ast.Name):
                self.uses.add(imported.get(part.id, (module, part.id)))
            elif isinstance(part, ast.Attribute):
                self.uses |= set(self._member(part, imported))

    @staticmethod
    def _member(part: ast.Attribute, imported: dict[str, Name]) -> Iterator[Name]:
        """``campaigns.get_campaign`` of a module, or ``hook.get_campaign``."""
        owner = part.value
        if isinstance(owner, ast.Name) and owner.id in imported:
            yield ".".join(imported[owner.id]), part.attr
        method = vars(KlaviyoMethods).get(part.attr)
        is_hook = isinstance(owner, ast.Name) and owner.id == "hook"
        is_own_hook = isinstance(owner, ast.Attribute) and owner.attr in ("hook", "_hook")
        if (is_hook or is_own_hook) and isinstance(method, Method):
            yield method.call.__module__, method.call.__name__


@cache
def code() -> dict[Name, Item]:
    """Everything at the top level of the package's modules. The hooks are left out: their methods are found by name."""
    items: dict[Name, Item] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        if parts[0] in ("hooks", "sandbox") or parts[-1] == "__init__":
            continue
        module = ".".join((PACKAGE, *parts))
        tree = ast.parse(path.read_text())
        imported = {
            alias.asname or alias.name: (str(node.module), alias.name)
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        for node in tree.body:
            for name in defined_by(node):
                items[module, name] = Item(node, imported, module)
    for item in items.values():
        item.uses &= items.keys()
    return items


def defined_by(node: ast.stmt) -> list[str]:
    """The names that a statement at the top level of a module defines."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [name.id for name in names_in(node.targets)]
    return [node.target.id] if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) else []


def names_in(nodes: Iterable[ast.AST]) -> list[ast.Name]:
    return [node for node in nodes if isinstance(node, ast.Name)]


def main() -> None:
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(render())
    print(f"{TARGET.name}: {len(operations())} operations")


if __name__ == "__main__":
    main()
