"""Safety switches of a connection: what it refuses to do, whatever a DAG asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_klaviyo.api.calls import Call
from airflow_provider_klaviyo.api.errors import (
    KlaviyoApiError,
    KlaviyoRateLimitError,
    KlaviyoTransientError,
    KlaviyoValidationError,
)
from airflow_provider_klaviyo.api.operations import Operation
from airflow_provider_klaviyo.api.request import Request, build
from airflow_provider_klaviyo.exceptions import KlaviyoRefusedError
from airflow_provider_klaviyo.hooks.extra import shown, yes_or_no

SENDS = ("send_campaign", "create_conversation_message")
"""The operations that put a message on its way to people at once."""


class Safety:
    """Asked before each request of a connection; refuses before anything leaves this machine.

    :param where: the connection, as messages name it: ``Connection 'klaviyo_default'``.
    :param read_only: refuse everything that :func:`is_write`.
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
        if self.read_only and is_write(request.operation):
            raise KlaviyoRefusedError(
                f"{self._where}: refused {request}, nothing was sent: the connection is read-only. "
                f"Its extra 'read_only' must be false, or missing, for this DAG to write."
            )
        if self.require_test_account and request.operation.id in SENDS:
            if self._is_test_account is None:
                self._is_test_account = yield from self._ask(request)
            if not self._is_test_account:
                raise KlaviyoRefusedError(
                    f"{self._where}: refused {request}, nothing was sent: the connection may send only from a test "
                    f"account (extra 'require_test_account'), and the account is live: people would get this."
                )

    def _ask(self, request: Request) -> Call[bool]:
        try:
            document = yield build("get_accounts")
        except (KlaviyoTransientError, KlaviyoRateLimitError):
            raise
        except KlaviyoApiError as error:
            raise KlaviyoRefusedError(
                f"{self._where}: refused {request}, nothing was sent: the connection may send only from a test account "
                f"(extra 'require_test_account'), and whether this is one cannot be told. {error}"
            ) from error
        return [account.attributes.get("test_account") for account in document.resources] == [True]

    def notes(self, is_test_account: bool | None) -> str:
        """Which switches are on, in words, for who tests the connection.

        :param is_test_account: what Klaviyo says of the account; ``None`` when that cannot be told.
        """
        notes = []
        if self.read_only:
            notes.append("The connection is read-only: writes are refused (extra 'read_only').")
        if self.require_test_account:
            sends = "Sends are let through" if is_test_account else "Sends are refused"
            notes.append(f"{sends}: the connection requires a test account (extra 'require_test_account').")
        return " ".join(notes)


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


def is_write(operation: Operation) -> bool:
    """Whether an operation may change something: anything but a GET, unless it needs nothing but ``:read`` scopes.

    The latter are the queries of Klaviyo's reporting, and the rendering of a template, which are POSTs.
    """
    reads_only = bool(operation.scopes) and all(scope.endswith(":read") for scope in operation.scopes)
    return operation.method != "GET" and not reads_only


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
