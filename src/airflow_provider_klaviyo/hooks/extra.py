"""The extra of a connection, read strictly: what Airflow cannot read, it hands on as an empty one, switches and all."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError

if TYPE_CHECKING:
    from airflow.sdk import Connection

EXTRAS = ("revision", "timeout", "rate_limit", "oauth", "oauth_refresh_token", "read_only", "require_test_account")

_YES_OR_NO = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


class _Twice(Exception):  # noqa: N818 - never leaves this module
    """A name is given twice in one object."""


def read_extra(connection: Connection) -> dict[str, Any]:
    """The extra as a mapping; empty when the connection has none.

    No message quotes it: it may hold a secret.

    :raises KlaviyoValidationError: it is neither blank nor a JSON object, or gives a name twice.
    """
    where = f"Connection {connection.conn_id!r}"
    text = _text(connection)
    if text is None or (isinstance(text, str) and not text.strip()):
        return {}
    extra, twice = _parsed(text)
    if twice is not None:
        raise KlaviyoValidationError(
            f"{where}: its extra gives {_name(twice)} twice, and which one counts is not known. Give it once.",
            pointer="extra",
        )
    if not isinstance(extra, dict):
        raise KlaviyoValidationError(
            f"{where}: its extra is not a JSON object, so its switches cannot be read. Write it like "
            f'{{"read_only": true}}: double quotes, no comma after the last value, nothing before the first brace. '
            f"It is not shown here, as it may hold a secret.",
            pointer="extra",
        )
    return extra


def check_names(where: str, extra: Mapping[str, Any]) -> None:
    """:raises KlaviyoValidationError: a name that is not one of :data:`EXTRAS`; the nearest is named."""
    for name in extra:
        if name not in EXTRAS:
            near = difflib.get_close_matches(str(name), EXTRAS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise KlaviyoValidationError(
                f"{where}: extra {_name(name)} is not known.{hint} Allowed: {', '.join(EXTRAS)}.",
                pointer=name if _is_word(name) else "extra",
            )


def yes_or_no(value: Any) -> bool | None:
    """What a value means as a switch, ``None`` if it is neither yes nor no: a boolean, or a text as URIs have them."""
    if isinstance(value, bool):
        return value
    return _YES_OR_NO.get(value.strip().lower()) if isinstance(value, str) else None


def shown(value: Any) -> str:
    """A value as messages show it: a short one as it is; of anything that might be a secret, its kind only."""
    if isinstance(value, str):
        is_short = len(value) <= 20 and not re.search("pk_", value, re.IGNORECASE)
        return repr(value) if is_short else f"a text of {len(value)} characters"
    if value is None or isinstance(value, bool | int | float):
        return json.dumps(value) if abs(value or 0) < 1e20 else "a number"
    return "a list" if isinstance(value, Sequence) else "an object"


def _text(connection: Connection) -> Any:
    try:
        return connection.extra
    except ValueError:  # Airflow 3.0's own check of it, in its own words
        return "not JSON"


def _parsed(text: Any) -> tuple[Any, str | None]:
    """The JSON value, ``None`` if there is none; and the name that it gives twice, if it does.

    Raised from here, so that no exception which holds the text is the context of another.
    """
    try:
        return json.loads(text, object_pairs_hook=_once), None
    except _Twice as error:
        return None, str(error)
    except (ValueError, TypeError, RecursionError):
        return None, None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in pairs:
        if name in result:
            raise _Twice(name)
        result[name] = value
    return result


def _name(name: Any) -> str:
    return repr(name) if _is_word(name) else f"a name of {len(str(name))} characters, not shown as it may be a secret,"


def _is_word(name: Any) -> bool:
    """True if a name may be shown: a key or token that was given as a name has digits, or is longer."""
    return bool(re.fullmatch(r"[\ufeff ]*(?!(?i:pk_))[A-Za-z][A-Za-z_ -]{0,29}", str(name)))
