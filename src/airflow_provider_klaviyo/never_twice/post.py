"""Any POST, at most once per task, where nothing is known of what it makes and nothing can be looked up.

A task that makes one POST uses :func:`post_once`. One that makes several, of parts of its work, asks
:func:`posted_before` first, and leaves out what an earlier try has posted.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import ClassVar, TypeVar

from airflow_provider_klaviyo.api.calls import Call
from airflow_provider_klaviyo.api.errors import KlaviyoAmbiguousWriteError, KlaviyoError
from airflow_provider_klaviyo.api.request import Departure, departing
from airflow_provider_klaviyo.exceptions import KlaviyoRefusedError, RefusalReason
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.never_twice.look import begin_by, now
from airflow_provider_klaviyo.never_twice.notes import Note, TaskState, iso

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class PostNote(Note):
    """Another POST was about to be made.

    :param content: digest of all that is posted.
    :param answered: True if Klaviyo took it.
    """

    KEY: ClassVar[str] = "klaviyo_post"

    operation: str = ""
    content: str | None = None
    answered: bool = False

    def is_of(self, other: Note) -> bool:
        return isinstance(other, PostNote) and (self.operation, self.content) == (other.operation, other.content)


REMEDY = (
    "Look in Klaviyo what is there, and clear this task to post it again. If posting it twice does no harm, set "
    "repeat_safe=True."
)


def post_once(
    hook: KlaviyoHook,
    state: TaskState,
    call: Call[T],
    *,
    operation: str,
    content: str,
    is_one_of_several: bool = False,
    remedy: str = REMEDY,
) -> T:
    """Make a POST unless an earlier try of this task may have made it.

    The intent is noted before the call; the note goes when the call certainly has not left this machine, or Klaviyo has
    refused it. A retry that finds a note of the operation posts nothing, whatever its content is now; one try may post
    different contents. Where nothing can be noted (Airflow below 3.3), no retry posts. After a clear, the first try
    posts: whoever cleared the task wants it done again.

    :param call: makes the POST; carried out at most once.
    :param content: digest of all that is posted.
    :param is_one_of_several: True if a retry may post it though an earlier try has posted another content: the task has
        asked :func:`posted_before`.
    :param remedy: what to do when it is not known if it was carried out.
    :raises KlaviyoRefusedError: it was, or may have been, carried out already.
    :raises KlaviyoAmbiguousWriteError: it is not known if it was carried out.
    """
    until = begin_by(hook, time.time())
    _refuse_repeat(state, operation, content, remedy, is_one_of_several=is_one_of_several)
    note = state.put(PostNote(operation=operation, content=content, at=now(hook)))
    departure = Departure(until)
    try:
        result = hook.run(departing(call, departure))
    except KlaviyoAmbiguousWriteError as error:
        error.message += f" A retry of this task will not post it again. {remedy}"
        raise
    except Exception as error:
        if isinstance(error, KlaviyoError) or not departure.has_left:
            state.drop(note)
        raise
    state.put(replace(note, at=now(hook), answered=True))
    return result


def posted_before(state: TaskState, operation: str, contents: Collection[str], *, remedy: str) -> set[str]:
    """Of several contents that a task is to post, those that an earlier try has posted.

    :param contents: digests of all that the task is to post.
    :param remedy: what to do when it is not known if one was carried out.
    :raises KlaviyoRefusedError: an earlier try may have posted one, or it has posted something else than these: what is
        to be posted is no longer the same, and it cannot be known what is left of it.
    """
    if not state.durable:
        _refuse_retry(state, operation, remedy)
        return set()
    posted: set[str] = set()
    for note in state.all(PostNote):
        if note.generation != state.generation or note.operation not in ("", operation) or state.has_done(note):
            continue
        if not note.answered:
            raise _may_be_posted(operation, note, "by an earlier try of this task", remedy)
        if note.content is None or note.content not in contents:
            raise KlaviyoRefusedError(
                f"{operation} was carried out at {iso(note.at)} by an earlier try of this task, with other content "
                f"than there is now: what is left of it cannot be known. Nothing more was posted. {remedy}",
                reason=RefusalReason.POSTED,
            )
        posted.add(note.content)
    return posted


def _refuse_retry(state: TaskState, operation: str, remedy: str) -> None:
    if state.is_retry:
        raise KlaviyoRefusedError(
            f"{operation} was not posted: this is a retry, an earlier try may have posted it, and below Airflow "
            f"3.3 a task cannot note what it did. {remedy}",
            reason=RefusalReason.MAY_BE_POSTED,
        )


def _may_be_posted(operation: str, note: PostNote, when: str, remedy: str) -> KlaviyoRefusedError:
    return KlaviyoRefusedError(
        f"{operation} was posted at {iso(note.at)} {when}, and it is not known if it was carried out. It was not "
        f"posted again. {remedy}",
        reason=RefusalReason.MAY_BE_POSTED,
    )


def _refuse_repeat(state: TaskState, operation: str, content: str, remedy: str, *, is_one_of_several: bool) -> None:
    if not state.durable:
        _refuse_retry(state, operation, remedy)
        return
    for note in state.all(PostNote):
        is_ours = state.has_done(note)
        is_repeat = note.content == content or not (is_ours or is_one_of_several)
        if note.generation != state.generation or note.operation not in ("", operation) or not is_repeat:
            continue
        when = "a moment ago" if is_ours else "by an earlier try of this task"
        if note.answered:
            raise KlaviyoRefusedError(
                f"{operation} was carried out at {iso(note.at)} {when}. It was not posted again. {remedy}",
                reason=RefusalReason.POSTED,
            )
        raise _may_be_posted(operation, note, when, remedy)
