"""Any POST, at most once per task, where nothing is known of what it makes and nothing can be looked up."""

from __future__ import annotations

import time
from dataclasses import replace

from airflow_provider_klaviyo.api.calls import Call
from airflow_provider_klaviyo.api.document import Document
from airflow_provider_klaviyo.api.errors import KlaviyoAmbiguousWriteError, KlaviyoError
from airflow_provider_klaviyo.api.request import Departure, departing
from airflow_provider_klaviyo.exceptions import KlaviyoRefusedError, RefusalReason
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.never_twice.look import begin_by, now
from airflow_provider_klaviyo.never_twice.notes import PostNote, TaskState, iso

REMEDY = (
    "Look in Klaviyo what is there, and clear this task to post it again. If posting it twice does no harm, set "
    "repeat_safe=True."
)


def post_once(hook: KlaviyoHook, state: TaskState, call: Call[Document], *, operation: str, content: str) -> Document:
    """Make a POST unless an earlier try of this task may have made it.

    The intent is noted before the call; the note goes when the call certainly has not left this machine, or Klaviyo has
    refused it. A retry that finds a note of the operation posts nothing, whatever its content is now; one try may post
    different contents. Where nothing can be noted (Airflow below 3.3), no retry posts. After a clear, the first try
    posts: whoever cleared the task wants it done again.

    :param call: makes the POST; carried out at most once.
    :param content: digest of all that is posted.
    :raises KlaviyoRefusedError: it was, or may have been, carried out already.
    :raises KlaviyoAmbiguousWriteError: it is not known if it was carried out.
    """
    until = begin_by(hook, time.time())
    _refuse_repeat(state, operation, content)
    note = state.put(PostNote(operation=operation, content=content, at=now(hook)))
    departure = Departure(until)
    try:
        document = hook.run(departing(call, departure))
    except KlaviyoAmbiguousWriteError as error:
        error.message += f" A retry of this task will not post it again. {REMEDY}"
        raise
    except Exception as error:
        if isinstance(error, KlaviyoError) or not departure.has_left:
            state.drop(note)
        raise
    state.put(replace(note, at=now(hook), answered=True))
    return document


def _refuse_repeat(state: TaskState, operation: str, content: str) -> None:
    if not state.durable:
        if state.is_retry:
            raise KlaviyoRefusedError(
                f"{operation} was not posted: this is a retry, an earlier try may have posted it, and below Airflow "
                f"3.3 a task cannot note what it did. {REMEDY}",
                reason=RefusalReason.MAY_BE_POSTED,
            )
        return
    for note in state.all(PostNote):
        is_ours = state.has_done(note)
        is_repeat = note.content == content or not is_ours
        if note.generation != state.generation or note.operation not in ("", operation) or not is_repeat:
            continue
        when = "a moment ago" if is_ours else "by an earlier try of this task"
        if note.answered:
            raise KlaviyoRefusedError(
                f"{operation} was carried out at {iso(note.at)} {when}. It was not posted again. {REMEDY}",
                reason=RefusalReason.POSTED,
            )
        raise KlaviyoRefusedError(
            f"{operation} was posted at {iso(note.at)} {when}, and it is not known if it was carried out. It was not "
            f"posted again. {REMEDY}",
            reason=RefusalReason.MAY_BE_POSTED,
        )
