"""The extra of a connection, read strictly: its switches, and how its calls are paced."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_klaviyo.api.calls import Call
from airflow_provider_klaviyo.api.client_settings import Auth, PrivateKey
from airflow_provider_klaviyo.api.discreet import Discreet
from airflow_provider_klaviyo.api.errors import (
    KlaviyoApiError,
    KlaviyoRateLimitError,
    KlaviyoTransientError,
    KlaviyoValidationError,
)
from airflow_provider_klaviyo.api.limits import shared_bookings
from airflow_provider_klaviyo.api.pacing import Pacing
from airflow_provider_klaviyo.api.redis_server import SCHEMES, RedisServer
from airflow_provider_klaviyo.api.request import Request, build
from airflow_provider_klaviyo.api.text import nearest
from airflow_provider_klaviyo.exceptions import KlaviyoRefusedError, RefusalReason

if TYPE_CHECKING:
    from airflow.sdk import Connection

EXTRAS = ("revision", "timeout", "rate_limit", "oauth", "oauth_refresh_token", "read_only", "require_test_account")

SENDS = ("send_campaign", "create_conversation_message")
"""The operations that put a message on its way to people at once."""

DEFAULTS = {"share": 0.9, "max_wait": 60.0}
MEANING = (
    'give {"share": 0.9, "max_wait": 60}: the part of Klaviyo\'s limits to use (more than 0, at most 1), and the '
    'seconds that a call waits at most (up to 3600); for several hosts also "redis": "redis://…"; or false: no pacing'
)

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
            raise KlaviyoValidationError(
                f"{where}: extra {_name(name)} is not known.{nearest(name, EXTRAS)} Allowed: {', '.join(EXTRAS)}.",
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


class Safety:
    """Asked before each request of a connection; refuses before anything leaves this machine.

    :param where: the connection, as messages name it: ``Connection 'klaviyo_default'``.
    :param read_only: refuse everything that :attr:`~.Operation.is_write`.
    :param require_test_account: refuse :data:`SENDS` unless Klaviyo says that the account is a test account. It is
        asked once in the life of a hook, with a call of ``get_accounts``.
    """

    def __init__(self, where: str, *, read_only: bool = False, require_test_account: bool = False) -> None:
        self._where = where
        self.read_only = read_only
        self.require_test_account = require_test_account
        self._is_test_account: bool | None = None

    def __call__(self, request: Request) -> Call[None]:
        """Let a request through, or refuse it.

        :raises KlaviyoRefusedError: a switch of the connection forbids it. Running the task again cannot help.
        """
        if self.read_only and request.operation.is_write:
            raise KlaviyoRefusedError(
                f"{self._where}: refused {request}, nothing was sent: the connection is read-only. "
                f"Its extra 'read_only' must be false, or missing, for this DAG to write.",
                reason=RefusalReason.READ_ONLY,
            )
        if self.require_test_account and request.operation.id in SENDS:
            if self._is_test_account is None:
                self._is_test_account = yield from self._ask(request)
            if not self._is_test_account:
                raise KlaviyoRefusedError(
                    f"{self._where}: refused {request}, nothing was sent: the connection may send only from a test "
                    f"account (extra 'require_test_account'), and the account is live: people would get this.",
                    reason=RefusalReason.LIVE_ACCOUNT,
                )

    def _ask(self, request: Request) -> Call[bool]:
        try:
            document = yield build("get_accounts")
        except (KlaviyoTransientError, KlaviyoRateLimitError):
            raise
        except KlaviyoApiError as error:
            raise KlaviyoRefusedError(
                f"{self._where}: refused {request}, nothing was sent: the connection may send only from a test account "
                f"(extra 'require_test_account'), and it is not known if this is one. {error}",
                reason=RefusalReason.LIVE_ACCOUNT,
            ) from error
        return [account.attributes.get("test_account") for account in document.resources] == [True]

    def describe(self, is_test_account: bool | None) -> str:
        """Which switches are on, in words, for the test of a connection.

        :param is_test_account: what Klaviyo says of the account; ``None`` when that is not known.
        """
        switches = []
        if self.read_only:
            switches.append("The connection is read-only: writes are refused (extra 'read_only').")
        if self.require_test_account:
            sends = "Sends are let through" if is_test_account else "Sends are refused"
            switches.append(f"{sends}: the connection requires a test account (extra 'require_test_account').")
        return " ".join(switches)


def read_safety(where: str, extra: Mapping[str, Any]) -> Safety:
    """The switches in a connection's extra.

    :raises KlaviyoValidationError: a value that is neither yes nor no, or an empty one: a switch that is misread must
        not be off.
    """
    return Safety(
        where,
        read_only=_switch(where, extra, "read_only"),
        require_test_account=_switch(where, extra, "require_test_account"),
    )


def _switch(where: str, extra: Mapping[str, Any], name: str) -> bool:
    value = extra.get(name)
    if value is None:  # as the form writes a switch that was left alone
        return False
    meaning = yes_or_no(value)
    if meaning is None:
        raise KlaviyoValidationError(
            f"{where}: extra {name!r} is {shown(value)}; give true or false, or leave it out for false.", pointer=name
        )
    return meaning


class RateLimit(Discreet, frozen=True):
    """How the calls of a connection are to be paced.

    :param share: part of the published limits to use.
    :param max_wait: seconds that a call waits at most.
    :param redis: URL of the server that several hosts share, which may hold a password; empty if there is none.
    """

    share: float
    max_wait: float
    redis: str

    def __str__(self) -> str:
        return f"share={self.share}, max_wait={self.max_wait}, redis={'***' if self.redis else None}"


def read_rate_limit(where: str, extra: Any, base_url: str) -> RateLimit | None:
    """Return how the calls of a connection are to be paced; ``None``: not at all.

    By default, calls to Klaviyo are paced, and calls to this machine (the sandbox) are not.

    :param where: the connection, as messages name it.
    :param extra: the value of ``rate_limit``, ``None`` when it is not given.
    :raises KlaviyoValidationError: the value is not understood.
    """
    is_given = extra is not None and extra != ""
    switch = yes_or_no(extra)
    if switch is False or (not is_given and base_url.startswith("http:")):
        return None
    given = {} if switch or not is_given else extra
    if not isinstance(given, Mapping) or given.keys() - {*DEFAULTS, "redis"}:
        raise KlaviyoValidationError(f"{where}: extra 'rate_limit' is not understood; {MEANING}.", pointer="rate_limit")
    redis = "" if given.get("redis") is None else given["redis"]
    numbers = {name: _number(given.get(name), default) for name, default in DEFAULTS.items()}
    is_url = isinstance(redis, str) and redis.partition("://")[0] in SCHEMES
    if None in numbers.values() or not (redis == "" or is_url):
        raise KlaviyoValidationError(f"{where}: extra 'rate_limit': {MEANING}.", pointer="rate_limit")
    if redis:
        try:
            RedisServer(redis)
        except KlaviyoValidationError as error:
            raise KlaviyoValidationError(
                f"{where}: extra 'rate_limit': {error.message}", pointer="rate_limit"
            ) from None
    return RateLimit(**numbers, redis=redis)


def pacing(where: str, rate_limit: RateLimit | None, base_url: str, proof: Auth) -> Pacing | None:
    """Return what paces the calls of a connection.

    :param where: the connection, as messages name it.
    :param rate_limit: how.
    :param proof: what the calls prove themselves with: a key, whose account is counted, or an OAuth app.
    :raises KlaviyoValidationError: a value cannot be used.
    """
    if rate_limit is None:
        return None
    home = airflow_home() / "klaviyo-limits"
    with _naming(where):
        return Pacing(
            proof.counted_as,
            base_url,
            shared_bookings(rate_limit.redis or str(home / "budget.sqlite")),
            home / "accounts",
            by_account=isinstance(proof, PrivateKey),
            share=rate_limit.share,
            max_wait=rate_limit.max_wait,
        )


@contextmanager
def _naming(where: str) -> Iterator[None]:
    """An error raised in this block names the connection and the extra."""
    try:
        yield
    except KlaviyoValidationError as error:
        raise KlaviyoValidationError(f"{where}: extra 'rate_limit': {error.message}", pointer="rate_limit") from None


def _number(value: Any, default: float) -> Any:
    """The number that a value is, ``None`` if it is not one; the default where nothing is given."""
    if value is None:
        return default
    with suppress(TypeError, ValueError, OverflowError):
        return None if isinstance(value, bool) else float(value)
    return None


def airflow_home() -> Path:
    """Where Airflow's files are on this machine."""
    return Path(os.path.expandvars(os.environ.get("AIRFLOW_HOME", "~/airflow"))).expanduser()
