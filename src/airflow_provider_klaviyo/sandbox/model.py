"""What kinds of things the sandbox holds, and how they point at each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Relation:
    """A relationship of a resource type.

    :param type: the type it points at.
    :param many: True if it points at a list.
    :param shown: True if a resource carries its ``data``, or links only.
    :param inverse: it is not stored, but is the other end of this relationship of ``type``.
    """

    type: str
    many: bool = False
    shown: bool = False
    inverse: str | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """A resource type: the segment of its path, its relationships, and if its ids are long."""

    path: str
    relations: Mapping[str, Relation] = field(default_factory=dict)
    long_ids: bool = False


IDENTIFIERS = ("email", "phone_number", "external_id")
"""The attributes of which no two profiles have the same."""

SUPPRESSED: Mapping[str, Relation] = {
    "lists": Relation("list", many=True, shown=True),
    "segments": Relation("segment", many=True, shown=True),
}
"""The relationships of a suppression job: whose members it is about."""

KINDS: Mapping[str, Kind] = {
    "account": Kind("accounts"),
    "campaign": Kind(
        "campaigns",
        {
            "campaign-messages": Relation("campaign-message", many=True, shown=True),
            "tags": Relation("tag", many=True),
        },
        long_ids=True,
    ),
    "campaign-message": Kind(
        "campaign-messages",
        {
            "campaign": Relation("campaign", shown=True),
            "template": Relation("template", shown=True),
            "image": Relation("image", shown=True),
        },
        long_ids=True,
    ),
    "campaign-send-job": Kind("campaign-send-jobs"),
    "campaign-recipient-estimation": Kind("campaign-recipient-estimations"),
    "campaign-recipient-estimation-job": Kind("campaign-recipient-estimation-jobs"),
    "event": Kind(
        "events",
        {
            "profile": Relation("profile", shown=True),
            "metric": Relation("metric", shown=True),
            "attributions": Relation("attribution", many=True),
        },
    ),
    "image": Kind("images"),
    "import-error": Kind("import-errors"),
    "list": Kind(
        "lists",
        {
            "profiles": Relation("profile", many=True),
            "tags": Relation("tag", many=True),
            "flow-triggers": Relation("flow", many=True),
        },
    ),
    "metric": Kind("metrics", {"flow-triggers": Relation("flow", many=True)}),
    "profile": Kind(
        "profiles",
        {
            "lists": Relation("list", many=True, inverse="profiles"),
            "segments": Relation("segment", many=True, inverse="profiles"),
            "push-tokens": Relation("push-token", many=True),
        },
        long_ids=True,
    ),
    "profile-bulk-import-job": Kind(
        "profile-bulk-import-jobs",
        {
            "lists": Relation("list", many=True, shown=True),
            "profiles": Relation("profile", many=True),
            "import-errors": Relation("import-error", many=True),
        },
        long_ids=True,
    ),
    "profile-suppression-bulk-create-job": Kind("profile-suppression-bulk-create-jobs", SUPPRESSED, long_ids=True),
    "profile-suppression-bulk-delete-job": Kind("profile-suppression-bulk-delete-jobs", SUPPRESSED, long_ids=True),
    "segment": Kind(
        "segments",
        {
            "profiles": Relation("profile", many=True),
            "tags": Relation("tag", many=True),
            "flow-triggers": Relation("flow", many=True),
        },
    ),
    "tag": Kind(
        "tags",
        {
            "tag-group": Relation("tag-group", shown=True),
            "campaigns": Relation("campaign", many=True, inverse="tags"),
            "lists": Relation("list", many=True, inverse="tags"),
            "segments": Relation("segment", many=True, inverse="tags"),
            "flows": Relation("flow", many=True, inverse="tags"),
        },
        long_ids=True,
    ),
    "tag-group": Kind("tag-groups", {"tags": Relation("tag", many=True, inverse="tag-group")}, long_ids=True),
    "template": Kind("templates"),
    "template-universal-content": Kind("template-universal-content", long_ids=True),
}


@dataclass(frozen=True, slots=True)
class Entity:
    """A thing in the account. Never changed in place: a change makes a new one, so that old states can be kept.

    :param relationships: what is stored of its relationships: an id, ``None``, or a list of ids.
    :param internal: what the sandbox knows of it and the API does not return.
    """

    type: str
    id: str
    attributes: Mapping[str, Any]
    relationships: Mapping[str, Any] = field(default_factory=dict)
    internal: Mapping[str, Any] = field(default_factory=dict)

    def having(self, **attributes: Any) -> Entity:
        """A copy with these attributes changed."""
        return Entity(self.type, self.id, {**self.attributes, **attributes}, self.relationships, self.internal)

    def related(self, name: str, to: str | list[str] | None) -> Entity:
        """A copy whose relationship points elsewhere."""
        return Entity(self.type, self.id, self.attributes, {**self.relationships, name: to}, self.internal)

    def knowing(self, **internal: Any) -> Entity:
        """A copy with these internal facts changed."""
        return Entity(self.type, self.id, self.attributes, self.relationships, {**self.internal, **internal})
