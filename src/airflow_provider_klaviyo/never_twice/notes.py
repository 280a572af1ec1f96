"""What a task remembers over its tries: notes in Airflow's task state store, and how a retry differs from a clear.

The notes are a public format: they are seen and edited in Airflow's UI, and older versions of this package wrote them.
So each is read tolerantly: what is missing or cannot be read is ``None``. A note that does not name its subject (an
older or a hand-written one) is taken to be of whatever the task does.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2s
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

import pendulum

if TYPE_CHECKING:
    from airflow.sdk import Context

ALSO = "also"
"""Under this name a note has the further ones of its key."""

BY_KLAVIYO = "klaviyo"
"""The clock of a note whose times are by Klaviyo's, as far as the worker had an answer to know it from."""

_NEVER_EXPIRE = timedelta.max


@dataclass(frozen=True, slots=True)
class Subject:
    """What a campaign that a task makes is recognised by.

    :param source: the campaign that it is a clone of, if it is one.
    """

    name: str
    channel: str
    source: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A fact that a task keeps over its tries.

    In the store it is a JSON object: moments are ISO 8601, and what is ``None``, false or empty is left out.

    :param at: when it was noted, or its subject was done: seconds since the epoch.
    :param generation: Airflow's ``max_tries`` at that time: constant over automatic retries, another number after a
        clear. :class:`TaskState` fills it in.
    :param attempt: number of the try that noted it; filled in likewise.
    """

    KEY: ClassVar[str]

    at: float = 0.0
    generation: int | None = None
    attempt: int | None = None

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Self:
        """The note that a JSON object is; a field that cannot be read has its default."""
        found = {field.name: _READ[str(field.type)](raw.get(_key(field.name))) for field in fields(cls)}
        return cls(**{name: value for name, value in found.items() if value is not None})

    def json(self) -> dict[str, Any]:
        """The note as it is stored."""
        noted = ((_key(field.name), _WRITE.get(str(field.type)), getattr(self, field.name)) for field in fields(self))
        return {key: write(value) if write else value for key, write, value in noted if _is_given(value)}

    def is_of(self, other: Note) -> bool:
        """True if both are of the same subject."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfCampaign(Note):
    """A note of a campaign that the task makes.

    :param name: its name; ``None`` in a hand-written note.
    :param channel: its channel; ``None`` in a note of an older version, which does not have its source either.
    :param source: the campaign that it is a clone of, if it is one.
    """

    name: str | None = None
    channel: str | None = None
    source: str | None = None

    def is_of(self, other: Note) -> bool:
        return isinstance(other, type(self)) and self._about == other._about

    def fits(self, subject: Subject) -> bool:
        """True if it is of this campaign, as far as it says."""
        if self.channel is None:
            return self.name in (None, subject.name)
        return self._about == (subject.name, subject.channel, subject.source)

    @property
    def _about(self) -> tuple[str | None, ...]:
        return self.name, self.channel, self.source


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentNote(_OfCampaign):
    """A campaign is about to be made.

    :param audiences: digests of the audiences that it may have.
    :param beside: ids of campaigns of this name that were there before, and are not it.
    :param until: the call begins no later.
    :param ended: when its answer was given up.
    :param clock: :data:`BY_KLAVIYO`, or ``None``: the times are by the worker's own clock.
    """

    KEY: ClassVar[str] = "klaviyo_intent"

    audiences: frozenset[str] = frozenset()
    beside: frozenset[str] = frozenset()
    until: float | None = None
    ended: float | None = None
    clock: str | None = None

    @property
    def by_klaviyo(self) -> bool:
        return self.clock == BY_KLAVIYO


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignNote(_OfCampaign):
    """A campaign was made, or adopted.

    :param id: its id; empty in a note that lacks it, and so is of no use.
    """

    KEY: ClassVar[str] = "klaviyo_campaign"

    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendNote(Note):
    """A send was about to be asked for.

    :param until: the call begins no later.
    :param ended: when its answer came, or was given up.
    :param accepted: True if Klaviyo took it, or its effect was seen.
    """

    KEY: ClassVar[str] = "klaviyo_send"

    campaign: str = ""
    until: float | None = None
    ended: float | None = None
    accepted: bool = False

    def is_of(self, other: Note) -> bool:
        return isinstance(other, SendNote) and self.campaign == other.campaign


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateNote(Note):
    """A message was given a template.

    :param copy: the template's id in the campaign.
    """

    KEY: ClassVar[str] = "klaviyo_template"

    message: str = ""
    template: str = ""
    copy: str = ""

    def is_of(self, other: Note) -> bool:
        return isinstance(other, TemplateNote) and self.message == other.message


N = TypeVar("N", bound=Note)

_done_here: deque[tuple[Any, Note]] = deque(maxlen=1_000)
"""What this process has done, each with the task instance that did."""


class TaskState:
    """The task instance's own notes, in Airflow's task state store.

    The store exists from Airflow 3.3 on; it outlives retries and kills. It outlives clears on 3.3, but not on 3.4,
    where clearing in the UI empties it. On an older Airflow nothing is remembered (:attr:`durable` is false). So a note
    means that something was done; a missing note means that nothing was, unless :attr:`may_have_forgotten`.

    Each key has one note, whose list ``also`` has those of other campaigns, where a task makes several. The keys can be
    seen and edited in the UI, which is the manual override.

    :param context: the task's context.
    """

    def __init__(self, context: Context) -> None:
        ti: Any = context["ti"]
        self._ti = ti
        self._store: Any = context.get("task_state_store")
        self._context = context
        self._last_read: dict[type[Note], list[Any]] = {}
        self.generation: int = ti.max_tries
        """Constant over automatic retries; another number after somebody cleared the task."""

    @property
    def durable(self) -> bool:
        return self._store is not None

    @property
    def attempt(self) -> int:
        """The number of this try; it goes on counting over clears."""
        return int(self._ti.try_number)

    @property
    def is_rerun(self) -> bool:
        """True if an earlier try of this task may have written something."""
        return self.attempt > 1

    @property
    def is_retry(self) -> bool:
        """True if an earlier try of the same generation may have: false in the first try after a clear."""
        first = self.generation - (self._context["task"].retries or 0) + 1
        return self.attempt > max(first, 1)

    @property
    def was_cleared(self) -> bool:
        """True if somebody cleared this task, or another one of the run, since the run began.

        Another one may have done what is this one's now: a mapped task's index moves with its list, a task is renamed.
        """
        is_cleared = self.generation > (self._context["task"].retries or 0)
        return is_cleared or bool(getattr(self._context["dag_run"], "clear_number", 0))

    @property
    def may_have_forgotten(self) -> bool:
        """True if something may have been done that is not noted."""
        return self.was_cleared or (self.is_rerun and not self.durable)

    @property
    def run_began(self) -> datetime:
        """A moment before which no try of this run can have written anything, by the scheduler's clock."""
        run = self._context["dag_run"]
        return pendulum.instance(min(moment for moment in (run.run_after, _started(run)) if moment is not None))

    @property
    def try_began(self) -> float:
        """When this try began: seconds since the epoch, by this worker's clock."""
        return float(self._ti.start_date.timestamp())

    @property
    def quiet_since(self) -> float:
        """Since when nothing was written that is not noted: seconds since the epoch.

        Earlier tries ended before this one began. In the first try of a task of a cleared run, others wrote before the
        clear, with which the run began again.
        """
        start = _started(self._context["dag_run"])
        if self.is_rerun or start is None:
            return self.try_began
        return min(self.try_began, float(start.timestamp()))

    def all(self, kind: type[N]) -> list[N]:
        """All notes of a kind, as they are now: those that this task has written, and what people made of them."""
        raw = self._store.get(kind.KEY) if self.durable else None
        primary = [raw] if isinstance(raw, Mapping) else []
        also = primary[0].get(ALSO) if primary else None
        found = [*primary, *(also if isinstance(also, list) else [])]
        notes = [kind.read(one) for one in found if isinstance(one, Mapping)]
        self._last_read[kind] = notes
        return list(notes)

    def find(self, kind: type[N], is_meant: Callable[[N], bool]) -> N | None:
        """The note that is meant, as it is now."""
        return next((note for note in self.all(kind) if is_meant(note)), None)

    def has_done(self, note: Note) -> bool:
        """True if this very execution has done the same thing before: the task does it for the second time.

        The number of the try does not show that: Airflow can run a try again, after a reschedule.
        """
        return any(ti is self._ti and one.is_of(note) for ti, one in _done_here)

    def done(self, note: Note) -> None:
        """Remember for this execution that it has done what the note is of; :meth:`put` does so itself."""
        _done_here.append((self._ti, note))

    def put(self, note: N) -> N:
        """Write a note, in place of the one of the same thing; it never expires. Does nothing below Airflow 3.3.

        :returns: the note, as it can be read from now on.
        """
        note = replace(note, generation=self.generation, attempt=self.attempt)
        self.done(note)
        self._write(type(note), note, instead_of=note)
        return note

    def restore(self, note: N, earlier: N | None) -> None:
        """Put back what was noted before a write that was certainly not carried out; no note, if there was none.

        What another try has noted since stays.
        """
        noted = self.find(type(note), note.is_of)
        if noted and (noted.generation, noted.attempt) == (note.generation, note.attempt):
            self._write(type(note), earlier, instead_of=note)

    def forget(self, kind: type[Note]) -> None:
        """Drop all notes of a kind."""
        if self.durable and self.all(kind):
            self._store.delete(kind.KEY)
            self._last_read.pop(kind, None)

    def drop(self, note: N) -> None:
        self.restore(note, None)

    def _write(self, kind: type[N], note: N | None, *, instead_of: N) -> None:
        if not self.durable:
            return
        noted: list[N] = self._last_read[kind] if kind in self._last_read else self.all(kind)
        place = next((place for place, one in enumerate(noted) if one.is_of(instead_of)), len(noted))
        noted[place : place + 1] = [] if note is None else [note]
        if not noted:
            self._store.delete(kind.KEY)
            return
        first, *others = (one.json() for one in noted)
        self._store.set(kind.KEY, first | ({ALSO: others} if others else {}), retention=_NEVER_EXPIRE)


def _started(run: Any) -> datetime | None:
    """When the run began, or began again after a clear; a run that waits may not have it."""
    return getattr(run, "start_date", None)


def digest(value: Any) -> str:
    """Sixteen characters that stand for a JSON value."""
    return blake2s(json.dumps(value, sort_keys=True, default=str).encode(errors="replace"), digest_size=8).hexdigest()


def digest_of_audiences(audiences: Mapping[str, Any]) -> str:
    """The same for the same lists and segments, in whatever order."""
    return digest([_ids(audiences.get("included")), _ids(audiences.get("excluded"))])


def iso(at: float) -> str:
    """A moment, in seconds since the epoch, as it is noted."""
    return datetime.fromtimestamp(at, UTC).isoformat()


def moment(noted: object) -> float | None:
    """Seconds since the epoch of a moment as it is noted; ``None`` if it cannot be read."""
    try:
        read = datetime.fromisoformat(str(noted))
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _ids(ids: object) -> list[str]:
    return sorted({str(one) for one in ids}) if isinstance(ids, Collection) and not isinstance(ids, str) else []


def _key(field: str) -> str:
    """The name of a field in the store."""
    return "try" if field == "attempt" else field


def _is_given(value: Any) -> bool:
    return value is not None and value is not False and value not in ("", frozenset(), ())


_READ: Mapping[str, Callable[[Any], Any]] = {
    "str": lambda value: value if isinstance(value, str) else None,
    "str | None": lambda value: value if isinstance(value, str) else None,
    "int | None": lambda value: value if type(value) is int else None,
    "float": moment,
    "float | None": moment,
    "bool": lambda value: value is True,
    "frozenset[str]": lambda value: frozenset(map(str, value)) if isinstance(value, list) else None,
    "tuple[str, ...]": lambda value: tuple(map(str, value)) if isinstance(value, list) else None,
}
"""How a field is read, by its type; ``None`` for what cannot be."""

_WRITE: Mapping[str, Callable[[Any], Any]] = {
    "float": iso,
    "float | None": iso,
    "frozenset[str]": sorted,
    "tuple[str, ...]": list,
}
"""How a field is written, where it is not as it is."""
