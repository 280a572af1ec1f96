"""Lists, segments and templates by their names, of which Klaviyo allows several of the same."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from airflow_provider_klaviyo.api.errors import KlaviyoAmbiguousWriteError, KlaviyoConflictError, KlaviyoValidationError

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from airflow_provider_klaviyo.api.document import Resource


def find_or_create(
    log: FilteringBoundLogger,
    kind: str,
    name: str,
    *,
    find: Callable[[str], list[Resource]],
    create: Callable[[], Resource],
) -> tuple[Resource, bool]:
    """The one of a name, and True if it was there before; a create that is not answered is looked up.

    :param kind: ``list``, ``segment`` or ``template``.
    :raises KlaviyoValidationError: there are several; the message names them.
    :raises KlaviyoAmbiguousWriteError: it is not known if it was made; the next try looks again.
    """
    from airflow_provider_klaviyo.never_twice.look import look_until, settled_after

    if found := _one(kind, name, find(name)):
        log.info("%s %r is there already: %s.", kind.capitalize(), name, found.id)
        return found, True
    try:
        made = create()
    except (KlaviyoAmbiguousWriteError, KlaviyoConflictError) as error:
        log.warning("%s", error)
        shows_by = settled_after(time.time())
        shown = look_until(
            lambda: find(name),
            lambda found: bool(found) or time.time() >= shows_by,
            what=f"{kind} {name!r} was made",
        )
        if (found := _one(kind, name, shown)) is None:
            raise
        made = found
    log.info("%s %r is made: %s.", kind.capitalize(), name, made.id)
    return made, False


def _one(kind: str, name: str, found: list[Resource]) -> Resource | None:
    if len(found) > 1:
        ids = ", ".join(one.id for one in found)
        raise KlaviyoValidationError(
            f"There are {len(found)} {kind}s named {name!r} ({ids}), so it cannot be known which is meant. Use the id "
            f"of the right one in its place, or rename the others.",
            pointer="name",
        )
    return found[0] if found else None
