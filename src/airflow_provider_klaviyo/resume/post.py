"""Any POST, at most once per task, where nothing is known of what it makes and nothing can be looked up."""

from __future__ import annotations

from collections.abc import Callable

from airflow_provider_klaviyo.api.document import Document
from airflow_provider_klaviyo.api.errors import KlaviyoAmbiguousWriteError, KlaviyoError
from airflow_provider_klaviyo.exceptions import KlaviyoRefusedError
from airflow_provider_klaviyo.resume.looking import now
from airflow_provider_klaviyo.resume.state import TaskState

POST = "klaviyo_post"

REMEDY = (
    "Look in Klaviyo what is there, and clear this task to post it anew. If posting it twice does no harm, set "
    "repeat_safe=True."
)


def post_once(state: TaskState, operation: str, post: Callable[[], Document]) -> Document:
    """Make a POST unless an earlier try of this task may have made it.

    The intent is noted before the call; the note goes when Klaviyo has certainly not carried the call out. A retry that
    finds a note posts nothing. Where nothing can be noted (Airflow below 3.3), no retry posts. After a clear, the first
    try posts: who cleared the task wants it done again.

    :param post: makes the call; called at most once.
    :raises KlaviyoRefusedError: an earlier try has made the call, or may have.
    :raises KlaviyoAmbiguousWriteError: whether it was carried out is not known.
    """
    _refuse_repeat(state, operation)
    state.put(POST, operation=operation, at=now(), answered=False)
    try:
        document = post()
    except KlaviyoAmbiguousWriteError as error:
        error.message += f" A retry of this task will not post it again. {REMEDY}"
        raise
    except KlaviyoError:
        state.drop(POST)
        raise
    state.put(POST, operation=operation, at=now(), answered=True)
    return document


def _refuse_repeat(state: TaskState, operation: str) -> None:
    if not state.durable:
        if state.is_retry:
            raise KlaviyoRefusedError(
                f"{operation} was not posted: this is a retry, an earlier try may have posted it, and below Airflow "
                f"3.3 a task cannot note whether it did. {REMEDY}"
            )
        return
    note = state.get(POST)
    if note.get("generation") != state.generation:
        return
    if note["answered"]:
        raise KlaviyoRefusedError(
            f"{note['operation']} was carried out at {note['at']} by an earlier try of this task, which failed after "
            f"it. It was not posted again. {REMEDY}"
        )
    raise KlaviyoRefusedError(
        f"{note['operation']} was posted at {note['at']} by an earlier try of this task, and whether it was carried "
        f"out is not known. It was not posted again. {REMEDY}"
    )
