"""Who is calling, what they may do, and in which revision they speak.

Keys of the sandbox: any ``pk_…`` may do everything, except

- ``pk_invalid``: 401
- ``pk_readonly``: 403 to whatever needs a ``:write`` scope
- what looks like a key of Klaviyo, ``pk_`` and 30 or more hexadecimal digits: 401, and nothing of the request is kept
- ``pk_scopes_<scope>+<scope>…``: 403 to whatever needs another scope. ``pk_scopes_campaigns:read+lists:read``
  is a key that may only read campaigns and lists.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from airflow_provider_klaviyo.api.operations import OMNICHANNEL, Operation, is_later, is_omnichannel, revisions
from airflow_provider_klaviyo.sandbox.refusals import Reason, RefusedError, invalid, nothing_there, refusal

REVISION = re.compile(r"\d{4}-\d{2}-\d{2}(\.[a-z]+)?")
SCOPED = "pk_scopes_"
REAL_KEY = re.compile(r"pk_([0-9A-Za-z]{6}_)?[0-9a-f]{30,}")
"""What keys of Klaviyo look like (a choice: their form is not published)."""


@dataclass(frozen=True, slots=True)
class Access:
    """A caller.

    :param quota: whose rate limits are used up: all private keys share the account's.
    :param scopes: the scopes granted; ``None`` for all.
    """

    quota: str = "account"
    scopes: frozenset[str] | None = None
    read_only: bool = False


Scheme = Callable[[str], Access | None]
"""Returns the holder of a credential; ``None`` when it is not valid."""


class RealKeyError(RefusedError):
    """The key looks like one of Klaviyo's: nothing of the request may be kept."""


def refuse_real_key(header: str) -> None:
    """Refuse what looks like a real key.

    :raises RealKeyError: 401; the message says why, without the key.
    """
    if REAL_KEY.search(header):
        why = (
            "This looks like a real key of Klaviyo, and this is a sandbox: nothing was kept of the request. "
            "Use a made-up key, such as pk_test."
        )
        raise RealKeyError(401, "authentication_failed", "Incorrect authentication credentials.", [Reason(why)])


def private_key(key: str) -> Access | None:
    """The holder of a private key."""
    if not re.fullmatch(r"pk_\S+", key) or key == "pk_invalid":
        return None
    if key.startswith(SCOPED):
        return Access(scopes=frozenset(key.removeprefix(SCOPED).split("+")))
    return Access(read_only=key == "pk_readonly")


def authenticate(header: str | None, schemes: Mapping[str, Scheme]) -> Access:
    """The caller behind an ``Authorization`` header.

    :param schemes: by lower-case scheme name.
    :raises RefusedError: 401.
    """
    if not header:
        raise refusal(
            401,
            "not_authenticated",
            "Authentication credentials were not provided.",
            "Missing or invalid authorization scheme. Use 'Authorization: Klaviyo-API-Key <private key>'.",
        )
    scheme, _, credential = header.partition(" ")
    access = schemes[scheme.lower()](credential.strip()) if scheme.lower() in schemes else None
    if access is None:
        raise refusal(
            401,
            "authentication_failed",
            "Incorrect authentication credentials.",
            "The API key specified is invalid.",
        )
    return access


def authorise(access: Access, operation: Operation) -> None:
    """Let a caller through that has all scopes the operation needs.

    :raises RefusedError: 403.
    """
    lacks_write = access.read_only and any(scope.endswith(":write") for scope in operation.scopes)
    lacks_scope = access.scopes is not None and not access.scopes.issuperset(operation.scopes)
    if lacks_write or lacks_scope:
        detail = "You do not have permission to perform this action."
        raise refusal(403, "permission_denied", detail, f"{detail} It needs: {', '.join(operation.scopes)}.")


def applied_revision(header: str | None, opted_out: bool) -> str:
    """The revision a request is answered in.

    The sandbox carries the revisions of ``operations.revisions()`` and treats any older one as retired (a choice). A
    retired one falls forward to the oldest carried; a date between two of them counts as the earlier. Of 2026-10-15 it
    has no document: see :mod:`airflow_provider_klaviyo.sandbox.omnichannel`.

    :param opted_out: the request asks not to fall forward.
    :raises RefusedError: 400 for a missing, malformed or future revision, 410 for a retired one.
    """
    known = f"The sandbox knows {', '.join((*revisions(), OMNICHANNEL))}."
    if not header:
        raise invalid(f"The 'revision' header is required. {known}", parameter="revision")
    if not REVISION.fullmatch(header) or "." in header:
        raise invalid(f"{header!r} is not a stable revision (YYYY-MM-DD). {known}", parameter="revision")
    if is_omnichannel(header):
        return header
    if header > OMNICHANNEL:
        raise invalid(f"Revision {header} does not exist yet. {known}", parameter="revision")
    if header < revisions()[0]:
        if opted_out:
            raise _gone(header)
        return revisions()[0]
    return max(revision for revision in revisions() if revision <= header)


def check_published(operation: Operation, revision: str) -> None:
    """Refuse an operation that is newer than the revision.

    :raises RefusedError: 404.
    """
    newest = revisions()[-1] if is_omnichannel(revision) and not is_later(operation) else revision
    if newest not in operation.revisions:
        raise nothing_there(
            f"Revision date requested is before the earliest available. {operation.id} needs {operation.revisions[0]}."
        )


def _gone(revision: str) -> RefusedError:
    return refusal(410, "gone", "Gone.", f"Revision {revision} is retired. Use {revisions()[0]} or later.")
