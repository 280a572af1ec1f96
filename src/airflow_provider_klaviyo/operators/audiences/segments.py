"""Segments: make one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_klaviyo.campaigns.values import Field, Output, filled, key_values
from airflow_provider_klaviyo.operators.named import find_or_create
from airflow_provider_klaviyo.tasks import CONNECTION, KlaviyoTask

if TYPE_CHECKING:
    from airflow.sdk import Context


class KlaviyoCreateSegmentOperator(KlaviyoTask):
    """Make a segment, or adopt the one of that name. Klaviyo finds its members in the minutes that follow.

    *Retry, kill, lost answer, clear*: the segment that an earlier try made is found by its name. It can be made twice
    only if two tasks make the same name at the same time. *Rate limit*: 1 or 2 requests; segments are made at 1/s,
    15/min and 100/day per account.

    :param name: the segment's name. Templated.
    :param definition: Klaviyo's definition of who is in it, ``{"condition_groups": [{"conditions": […]}]}``. That of a
        segment that is there already is left as it is; the log warns where it differs. Templated.
    :returns: the segment's id.
    :raises KlaviyoValidationError: there are several segments of that name, or Klaviyo refuses the definition.
    :raises KlaviyoAmbiguousWriteError: Klaviyo did not answer, and the segment does not show. The next try looks again.
    """

    template_fields = ("name", "definition", *CONNECTION)
    template_fields_renderers = {"definition": "json"}  # noqa: RUF012
    ui_color = "#f6f1eb"
    any_revision = True

    def __init__(self, *, name: str | Output, definition: Mapping[str, Any] | Output, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.definition = definition
        self._checked()

    def _checked(self, *, rendered: bool = False) -> tuple[str, Any]:
        name = filled(self.name, Field("/name", rendered=rendered))
        field = Field("/definition", rendered=rendered)
        definition = key_values(self.definition, field)
        if definition == {}:
            raise field.error("is {}", "Give Klaviyo's definition of who is in the segment.")
        return name, definition

    def execute(self, context: Context) -> str:
        self.check_rendered()
        name, definition = self._checked(rendered=True)
        found, was_there = find_or_create(
            self.log,
            "segment",
            name,
            find=self.hook.find_segments,
            create=lambda: self.hook.create_segment(name, definition),
        )
        if was_there and not _has(found.attributes.get("definition"), definition):
            self.log.warning(
                "The definition of segment %s in Klaviyo is another than the DAG's; it was left as it is. Change it in "
                "Klaviyo, or use another name.",
                found.id,
            )
        return found.id


def _has(there: Any, wanted: Any) -> bool:
    """True if a definition is as wanted; Klaviyo may add fields that were not given."""
    if isinstance(wanted, Mapping):
        return isinstance(there, Mapping) and all(_has(there.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list | tuple):
        return isinstance(there, list) and len(there) == len(wanted) and all(map(_has, there, wanted))
    return bool(there == wanted)
