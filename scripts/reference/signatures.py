"""Parameters of classes and functions: type, default and meaning, each from where it is written."""

from __future__ import annotations

import inspect
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_args, get_origin

from msgspec import Struct

import airflow_provider_klaviyo
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoMethods, Method
from scripts.reference.docstrings import parse

PACKAGE = "airflow_provider_klaviyo"
AIRFLOWS = ("args", "kwargs", "context")
"""Parameters that are Airflow's, or stand for any."""

ELSEWHERE = {
    "task_groups.klaviyo_campaign": (
        "operators.campaigns.create.KlaviyoCreateCampaignOperator",
        "operators.campaigns.estimate.KlaviyoEstimateRecipientsOperator",
        "operators.campaigns.send.KlaviyoSendCampaignOperator",
        "operators.approval.KlaviyoApproveCampaignOperator",
    ),
}
"""What passes its parameters on, as its docstring says, and to what, where they are explained."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter as a page shows it.

    :param default: as Python writes it; ``None``: it must be given.
    :param owner: the class or function whose signature has it.
    :param is_own: True if the thing itself says what it means, or takes it.
    """

    name: str
    type: str
    default: str | None
    meaning: str
    owner: object
    is_own: bool


def parameters(thing: Any) -> list[Parameter]:
    """The parameters of a class's constructor, of those of its bases that are of this package, or of a function."""
    found: dict[str, Parameter] = {}
    for owner, function in _signatures(thing):
        is_struct = inspect.isclass(function)
        for given in inspect.signature(function).parameters.values():
            is_any = given.kind in (given.VAR_POSITIONAL, given.VAR_KEYWORD)
            is_said = given.name in parse(thing).params
            if given.name == "self" or given.name in found or ((is_any or given.name in AIRFLOWS) and not is_said):
                continue
            found[given.name] = Parameter(
                name=("**" if given.kind is given.VAR_KEYWORD else "") + given.name,
                type=_type(inspect.get_annotations(function)[given.name] if is_struct else given.annotation),
                default=None if given.default is given.empty or is_any else _written(given.default),
                meaning=meaning(thing, given.name),
                owner=owner,
                is_own=owner is thing or is_said,
            )
    return sorted(found.values(), key=lambda one: one.owner is not thing)


def meaning(thing: Any, name: str) -> str:
    """What a parameter is said to mean; empty if nobody says it."""
    said = (parse(source).params.get(name) for source in _bases(thing, *_elsewhere(thing)))
    return next(filter(None, said), "")


def _elsewhere(thing: Any) -> Iterator[Any]:
    """What explains parameters of a thing besides itself and its bases."""
    path = f"{thing.__module__}.{thing.__qualname__}".removeprefix(f"{PACKAGE}.")
    yield from map(_found, ELSEWHERE.get(path, ()))
    module = sys.modules[thing.__module__]
    if named := re.search(r"parameters are those of :func:`(\w+)`", thing.__doc__ or ""):
        yield getattr(module, named[1])
        yield from _elsewhere(getattr(module, named[1]))
    if path.startswith("api."):
        yield from (KlaviyoMethods, module)


def _found(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(import_module(f"{PACKAGE}.{module}"), name)


def _bases(*things: Any) -> Iterator[Any]:
    """Each thing, and the bases of a class that are of this package."""
    for thing in things:
        yield from (
            base for base in getattr(thing, "__mro__", (thing,)) if PACKAGE in getattr(base, "__module__", PACKAGE)
        )


def _signatures(thing: Any) -> Iterator[tuple[object, Callable[..., Any]]]:
    """What has parameters: a function itself; of a class the constructors along its bases, as they are written."""
    if not inspect.isclass(thing):
        yield thing, thing
    elif not issubclass(thing, Enum):
        for base in _bases(thing):
            written = inspect.unwrap(base.__init__)  # Airflow wraps those of operators, and of all that inherit them
            if written.__qualname__ == f"{base.__qualname__}.__init__":
                yield base, written
            elif issubclass(base, Struct):  # which has none that is written
                yield base, base


def methods(hook: type) -> dict[str, Any]:
    """The calls that a hook has as methods, by name."""
    return {name: method.call for name, method in vars(hook).items() if isinstance(method, Method)}


def members(thing: type) -> dict[str, Any]:
    """The public methods and properties of a class itself that say what they do."""
    found = {name: vars(thing)[name] for name in vars(thing) if not name.startswith("_")}
    return {name: one for name, one in found.items() if isinstance(one, property) or inspect.isfunction(one)}


def public(module: ModuleType) -> list[str]:
    """The names that a module is imported for: its ``__all__``; else what it defines that has Klaviyo in its name, and
    where there is no such thing, all that it defines."""
    given: list[str] | None = getattr(module, "__all__", None)
    own = [name for name, one in vars(module).items() if getattr(one, "__module__", "") == module.__name__]
    own = [name for name in own if not name.startswith("_")]
    return given or [name for name in own if "klaviyo" in name.lower()] or own


def _type(annotation: Any) -> str:
    """An annotation as it is written, with the choices in place of their name. Another task's output can stand for all
    that is templated, so that is left out."""
    if annotation is inspect.Parameter.empty:
        return ""
    annotation = re.sub(r" \| Output\b", "", str(annotation))
    text = re.sub(r"\b[A-Z]\w+\b", lambda match: literals().get(match[0], match[0]), annotation)
    return re.sub(r"Literal\[([^\]]*)\]", lambda match: match[1].replace(", ", " | ").replace("'", '"'), text)


@cache
def literals() -> dict[str, str]:
    """The names that the package gives to choices, with these."""
    walked = pkgutil.walk_packages(airflow_provider_klaviyo.__path__, f"{PACKAGE}.")
    modules = [import_module(found.name) for found in walked]
    return {
        name: f"Literal[{', '.join(map(repr, get_args(value)))}]"
        for module in modules
        for name, value in vars(module).items()
        if get_origin(value) is Literal
    }


def _written(value: Any) -> str:
    if isinstance(value, Enum):
        return _written(value.value)
    if isinstance(value, tuple):
        return f"({', '.join(map(_written, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, Path):
        return value.name
    return f'"{value}"' if isinstance(value, str) else repr(value)
