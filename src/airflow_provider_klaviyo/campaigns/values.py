"""Reading one value of a campaign, or one argument of a task: refuse it, or return it as it is to be sent.

Values are judged twice. When a DAG is imported, some are still Jinja, or the output of an upstream task: these
are left alone. After Airflow has rendered them they are judged again, as what is sent; numbers and booleans may then
have become strings, and are turned back.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.api.operations import check_revision
from airflow_provider_klaviyo.api.text import check_text, nearest, printable

Output: TypeAlias = Any
"""What another task returns (``create.output``, or a ``@task``'s call), in place of a value: it is known when the task
runs. For type checkers it is anything."""

ADDRESS = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")


def is_template(value: object) -> bool:
    """True if this may become another value later: Jinja, or an object that Airflow resolves (such as ``task.output``).

    Klaviyo's own tags look like Jinja too, so a string that has some is never judged by its length or form.
    """
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    return hasattr(type(value), "resolve") and not isinstance(value, os.PathLike)


class Field(Struct, frozen=True):
    """Where a value stands, and how it is judged.

    :param pointer: JSON pointer, such as ``/definition/content/subject``.
    :param rendered: True if Airflow has rendered the value, so that Jinja in it is a mistake.
    """

    pointer: str
    rendered: bool = False

    def at(self, key: str | int) -> Field:
        """The field ``key`` below this one."""
        return replace(self, pointer=f"{self.pointer}/{printable(key)}")

    def error(self, problem: str, remedy: str) -> KlaviyoValidationError:
        """An error that reads ``<field> <problem>. <remedy>``."""
        name = self.pointer.strip("/").replace("/", ".")
        return KlaviyoValidationError(f"{name} {problem}. {remedy}", pointer=self.pointer)

    def pending(self, value: object) -> bool:
        """True if the value cannot be judged yet.

        :raises KlaviyoValidationError: it ought to have been rendered by now.
        """
        if not is_template(value):
            return False
        if self.rendered:
            raise self.error(
                f"is {show(value)} after rendering",
                "Only text may hold Klaviyo's {{ tags }}; check the braces, and that the argument is a template field.",
            )
        return True


Reader = Callable[[Any, Field], Any]


def show(value: object) -> str:
    """The value for an error message, cut when long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"


PARTS_COUNT = ("audiences", "path_params", "query")
"""Arguments of which a part that is ``None`` or empty counts as not given, too: an exclusion, a filter."""


def comes_to_nothing(value: object) -> bool:
    """True if a rendered value would pass for one that was not given. 0 and False are given."""
    if isinstance(value, str):
        return value.strip() in ("", "None")
    if isinstance(value, int | float):
        return False
    try:
        return not value
    except Exception:  # native Jinja leaves an undefined name as an object that refuses to be looked at
        return True


def check_rendered(given: Any, got: Any, field: Field) -> None:
    """Refuse what was to be rendered and came to nothing: a bound, an exclusion or a filter would silently be gone.

    What the DAG file itself gives as ``None``, or empty, or leaves out, is not given, and is left alone.

    :param given: the argument before rendering: Jinja, another task's output, or a dict or list that may hold some.
    :param got: the same after rendering.
    :raises KlaviyoValidationError: ``pointer`` names the argument, or the part of it.
    """
    if is_template(given):
        _check_came(got, field)
        if field.pointer.strip("/").split("/")[0] in PARTS_COUNT:
            _check_parts(got, field)
    elif isinstance(given, Mapping) and isinstance(got, Mapping):
        for key, part in given.items():
            check_rendered(part, got.get(key), field.at(key))
    elif isinstance(given, list | tuple) and isinstance(got, list | tuple):
        for index, (part, item) in enumerate(zip(given, got, strict=False)):
            check_rendered(part, item, field.at(index))


def _check_parts(value: Any, field: Field) -> None:
    parts: Iterable[tuple[str | int, Any]] = ()
    if isinstance(value, Mapping):
        parts = value.items()
    elif isinstance(value, list | tuple):
        parts = enumerate(value)
    for key, part in parts:
        _check_came(part, field.at(key))
        _check_parts(part, field.at(key))


def _check_came(value: Any, field: Field) -> None:
    if comes_to_nothing(value):
        name = field.pointer.rpartition("/")[2]
        raise field.error(
            f"is {show(value)} after rendering",
            f"It was to come from another task, or from Jinja, and nothing came: check if that task was skipped or "
            f"returned nothing. Nothing is not taken for 'not given'. If it is meant, leave {name!r} out: of the DAG "
            f"file, or of the dict that the other task returns.",
        )


def mapping(value: Any, field: Field, readers: Mapping[str, Reader], required: Iterable[str] = ()) -> dict[str, Any]:
    """An object with known keys, each value read by its reader. ``None`` is JSON's null: kept where not required."""
    if not isinstance(value, Mapping):
        raise field.error(f"is {show(value)}", f"Give a dict with some of: {', '.join(readers)}.")
    for key in value:
        if key not in readers:
            raise field.at(key).error(
                "is not a field that Klaviyo takes here", f"Allowed: {', '.join(readers)}.{nearest(key, readers)}"
            )
    for key in required:
        if value.get(key) is None:
            raise field.at(key).error("is missing", "Klaviyo requires it: give a value.")
    return {key: None if item is None else readers[key](item, field.at(key)) for key, item in value.items()}


def sequence(value: Any, field: Field, reader: Reader) -> Any:
    """A list, each item read by the reader."""
    if field.pending(value):
        return value
    if not isinstance(value, list | tuple):
        raise field.error(
            f"is {show(value)}",
            "Give a list. For a list from an upstream task use its .output, or render_template_as_native_obj=True: "
            "plain Jinja renders to a string.",
        )
    return [reader(item, field.at(index)) for index, item in enumerate(value)]


def text(value: Any, field: Field) -> Any:
    """A string, which may hold Klaviyo's tags."""
    if isinstance(value, str):
        check_text(value, field.pointer)
    elif not field.pending(value):
        raise field.error(f"is {show(value)}", "Give a string.")
    return value


def filled(value: Any, field: Field) -> Any:
    """A string that is not blank."""
    if isinstance(text(value, field), str) and not value.strip():
        raise field.error(f"is {show(value)}", "Give some text.")
    return value


def at_most(longest: int) -> Reader:
    """A string that is not blank, of at most so many characters."""

    def reader(value: Any, field: Field) -> Any:
        if isinstance(filled(value, field), str) and len(value) > longest and not is_template(value):
            raise field.error(
                f"is {show(value)}, {len(value)} characters long", f"Klaviyo takes {longest} at most: shorten it."
            )
        return value

    return reader


def address(value: Any, field: Field) -> Any:
    """One e-mail address, judged lightly: Klaviyo decides if it is a verified sender."""
    if isinstance(text(value, field), str) and not is_template(value) and not ADDRESS.fullmatch(value):
        raise field.error(f"is {show(value)}", "Give one e-mail address, such as news@example.com.")
    return value


def identifier(value: Any, field: Field) -> Any:
    """The id of something in Klaviyo.

    :raises KlaviyoValidationError: empty, not a string, with a space or half a character in it, or Jinja that is left.
    """
    if field.pending(value):
        return value
    if value == "None":
        raise field.error("is 'None'", "An upstream task returned nothing: check the XCom that this is rendered from.")
    if not isinstance(value, str) or not value or any(map(str.isspace, value)):
        raise field.error(
            f"is {show(value)}", "Give an id as a string, such as 'Y6nRLr', or the output of the task that makes it."
        )
    check_text(value, field.pointer)
    return value


def flag(value: Any, field: Field) -> Any:
    """A boolean, or what Jinja makes of one."""
    if field.pending(value) or isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    raise field.error(f"is {show(value)}", "Give True or False.")


def whole(value: Any, field: Field) -> Any:
    """An integer, or what Jinja makes of one."""
    if field.pending(value) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, str) and re.fullmatch(r"\s*-?[0-9]{1,18}\s*", value):
        return int(value)
    raise field.error(f"is {show(value)}", "Give a whole number.")


def one_of(*allowed: str) -> Reader:
    """One of these strings."""

    def reader(value: Any, field: Field) -> Any:
        if field.pending(value) or value in allowed:
            return value
        raise field.error(f"is {show(value)}", f"Allowed: {', '.join(allowed)}.{nearest(value, allowed)}")

    return reader


def key_values(value: Any, field: Field) -> Any:
    """An object of the user's own making: any JSON below names that are not blank."""
    if field.pending(value):
        return value
    if not isinstance(value, Mapping) or not all(isinstance(key, str) and key.strip() for key in value):
        raise field.error(f"is {show(value)}", "Give a dict whose keys are names.")
    check_text(value, field.pointer)
    for key, item in value.items():
        try:
            json.dumps(item, allow_nan=False, default=_later)
        except (TypeError, ValueError) as error:
            raise field.at(key).error(f"is {show(item)}", "Give a value that JSON can hold.") from error
    return dict(value)


def _later(value: object) -> None:
    if not is_template(value):
        raise TypeError(f"{show(value)} is not JSON")


def check_connection(klaviyo_conn_id: Any, revision: Any, *, rendered: bool = False) -> None:
    """Refuse a connection's name or an API revision that cannot be one. Jinja is judged once it is rendered.

    :param revision: ``None``: the connection's.
    :raises KlaviyoValidationError: empty, no string, of another form, or still Jinja after rendering.
    """
    is_name = isinstance(klaviyo_conn_id, str) and not comes_to_nothing(klaviyo_conn_id)
    if (rendered or not is_template(klaviyo_conn_id)) and (not is_name or is_template(klaviyo_conn_id)):
        raise KlaviyoValidationError(
            f"klaviyo_conn_id is {klaviyo_conn_id!r}; give the name of a connection of type 'klaviyo'.",
            pointer="klaviyo_conn_id",
        )
    if revision is not None and (rendered or not is_template(revision)):
        check_revision(revision)


def check_id(name: str, value: Any, *, rendered: bool = False) -> None:
    """Refuse an id that cannot be one. Jinja, and the output of another task, is judged once it is rendered.

    :raises KlaviyoValidationError: as :func:`identifier` does.
    """
    identifier(value, Field(name, rendered=rendered))


def check_choice(name: str, value: Any, allowed: Sequence[Any]) -> None:
    """:raises KlaviyoValidationError: not one of those allowed; the nearest is named."""
    if value not in allowed:
        hint = nearest(value, [str(choice) for choice in allowed])
        raise KlaviyoValidationError(
            f"{name} is {value!r}; allowed: {', '.join(map(repr, allowed))}.{hint}", pointer=name
        )


def positive(name: str, seconds: Any) -> float:
    """:raises KlaviyoValidationError: not a number of seconds greater than 0."""
    if isinstance(seconds, timedelta):
        seconds = seconds.total_seconds()
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < math.inf:
        raise KlaviyoValidationError(f"{name} is {seconds!r}; give seconds, more than 0.", pointer=name)
    return float(seconds)
