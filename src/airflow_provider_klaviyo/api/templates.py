"""Email templates: found by name, made, changed, and filled in.

Each function is a :data:`~airflow_provider_klaviyo.api.calls.Call`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_klaviyo.api import filters
from airflow_provider_klaviyo.api.calls import Call, paginate
from airflow_provider_klaviyo.api.document import Resource
from airflow_provider_klaviyo.api.request import build

CODE = "CODE"
"""The ``editor_type`` of a template that is HTML, and not made with Klaviyo's drag-and-drop editor."""


def get_template(template_id: str) -> Call[Resource]:
    """One template.

    :raises KlaviyoNotFoundError: no such template.
    """
    return (yield build("get_template", path_params={"id": template_id})).about("template", template_id)


def find_templates(name: str) -> Call[list[Resource]]:
    """The templates of exactly this name. Klaviyo allows several."""
    found = yield from paginate("get_templates", query={"filter": str(filters.any_of("name", [name]))})
    return [one for one in found if one.name == name]


def create_template(name: str, html: str, *, text: str | None = None) -> Call[Resource]:
    """A new template of HTML.

    :param text: its plain text part; ``None``: what Klaviyo makes of the HTML.
    """
    attributes = {"name": name, "editor_type": CODE, **_content(html, text)}
    return (yield build("create_template", body={"data": {"type": "template", "attributes": attributes}})).about(
        "template"
    )


def update_template(template_id: str, html: str, *, text: str | None = None) -> Call[Resource]:
    """Give a template another content. Campaigns have copies, which stay as they are.

    :param text: its plain text part; ``None``: it stays as it is.
    :raises KlaviyoNotFoundError: no such template.
    """
    data = {"type": "template", "id": template_id, "attributes": _content(html, text)}
    answer = yield build("update_template", path_params={"id": template_id}, body={"data": data})
    return answer.about("template", template_id)


def render_template(template_id: str, context: Mapping[str, Any]) -> Call[Resource]:
    """A template as Klaviyo fills it in: its ``html`` and ``text``. Nothing is sent or changed.

    :param context: the values of its variables; one that is missing comes to nothing.
    :raises KlaviyoNotFoundError: no such template.
    :raises KlaviyoValidationError: Klaviyo cannot read its tags, or not without a profile.
    """
    data = {"type": "template", "id": template_id, "attributes": {"context": dict(context)}}
    return (yield build("render_template", body={"data": data})).about("template")


def _content(html: str, text: str | None) -> dict[str, str]:
    return {"html": html} if text is None else {"html": html, "text": text}
