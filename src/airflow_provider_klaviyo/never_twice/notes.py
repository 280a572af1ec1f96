"""What a task notes in Airflow's task state store, and of what each note is.

The notes are a public format: they are seen and edited in Airflow's UI, and older versions of this package wrote them.
So each is read tolerantly: what is missing or cannot be read is ``None``. A note that does not say of what it is (an
older or a hand-written one) is taken to be of whatever the task does.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import blake2s
from typing import Any, ClassVar, Self


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

    :param at: when it was noted, or what it is of was done: seconds since the epoch.
    :param generation: Airflow's ``max_tries`` at that time: constant over automatic retries, another number after a
        clear. :class:`~airflow_provider_klaviyo.resume.state.TaskState` fills it in.
    :param attempt: number of the try that noted it; filled in likewise.
    """

    KEY: ClassVar[str]

    at: float = 0.0
    generation: int | None = None
    attempt: int | None = None

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Self:
        return cls(at=moment(raw.get("at")) or 0.0, generation=_whole(raw, "generation"), attempt=_whole(raw, "try"))

    def json(self) -> dict[str, Any]:
        return {"at": iso(self.at), "generation": self.generation, "try": self.attempt}

    def is_of(self, other: Note) -> bool:
        """True if both are of the same thing."""
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

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Self:
        note = super(_OfCampaign, cls).read(raw)
        return replace(note, name=_text(raw, "name"), channel=_text(raw, "channel"), source=_text(raw, "source"))

    def json(self) -> dict[str, Any]:
        about = {"name": self.name, "channel": self.channel, "source": self.source}
        return {name: value for name, value in about.items() if value is not None} | super(_OfCampaign, self).json()

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
    :param by_klaviyo: True if the times are by Klaviyo's clock, as far as the worker had an answer to know it from.
    """

    KEY: ClassVar[str] = "klaviyo_intent"

    audiences: frozenset[str] = frozenset()
    beside: frozenset[str] = frozenset()
    until: float | None = None
    ended: float | None = None
    by_klaviyo: bool = False

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Self:
        return replace(
            super(IntentNote, cls).read(raw),
            audiences=_texts(raw, "audiences"),
            beside=_texts(raw, "beside"),
            until=moment(raw.get("until")),
            ended=moment(raw.get("ended")),
            by_klaviyo=raw.get("clock") == "klaviyo",
        )

    def json(self) -> dict[str, Any]:
        facts = super(IntentNote, self).json() | {"audiences": sorted(self.audiences)}
        facts |= {"beside": sorted(self.beside)} if self.beside else {}
        return facts | _times(self) | ({"clock": "klaviyo"} if self.by_klaviyo else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignNote(_OfCampaign):
    """A campaign was made, or adopted.

    :param id: its id; empty in a note that lacks it, and so is of no use.
    """

    KEY: ClassVar[str] = "klaviyo_campaign"

    id: str = ""

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Self:
        return replace(super(CampaignNote, cls).read(raw), id=_text(raw, "id") or "")

    def json(self) -> dict[str, Any]:
        return {"id": self.id, **super(CampaignNote, self).json()}


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

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Self:
        return replace(
            super(SendNote, cls).read(raw),
            campaign=_text(raw, "campaign") or "",
            until=moment(raw.get("until")),
            ended=moment(raw.get("ended")),
            accepted=raw.get("accepted") is True,
        )

    def json(self) -> dict[str, Any]:
        accepted = {"accepted": True} if self.accepted else {}
        return {"campaign": self.campaign, **super(SendNote, self).json(), **_times(self), **accepted}

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

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Self:
        message, template, copy = (_text(raw, name) or "" for name in ("message", "template", "copy"))
        return replace(super(TemplateNote, cls).read(raw), message=message, template=template, copy=copy)

    def json(self) -> dict[str, Any]:
        about = {"message": self.message, "template": self.template, "copy": self.copy}
        return {**about, **super(TemplateNote, self).json()}

    def is_of(self, other: Note) -> bool:
        return isinstance(other, TemplateNote) and self.message == other.message


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

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Self:
        return replace(
            super(PostNote, cls).read(raw),
            operation=_text(raw, "operation") or "",
            content=_text(raw, "content"),
            answered=raw.get("answered") is True,
        )

    def json(self) -> dict[str, Any]:
        about = {"operation": self.operation, "content": self.content}
        return {**about, **super(PostNote, self).json(), "answered": self.answered}

    def is_of(self, other: Note) -> bool:
        return isinstance(other, PostNote) and (self.operation, self.content) == (other.operation, other.content)


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


def _times(note: IntentNote | SendNote) -> dict[str, str]:
    return {name: iso(at) for name, at in (("until", note.until), ("ended", note.ended)) if at is not None}


def _ids(ids: object) -> list[str]:
    return sorted({str(one) for one in ids}) if isinstance(ids, Collection) and not isinstance(ids, str) else []


def _text(raw: Mapping[str, Any], name: str) -> str | None:
    value = raw.get(name)
    return value if isinstance(value, str) else None


def _texts(raw: Mapping[str, Any], name: str) -> frozenset[str]:
    value = raw.get(name)
    return frozenset(map(str, value)) if isinstance(value, list) else frozenset()


def _whole(raw: Mapping[str, Any], name: str) -> int | None:
    value = raw.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
