"""Write an email template."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_klaviyo.api.errors import KlaviyoAmbiguousWriteError, KlaviyoApiError, KlaviyoValidationError
from airflow_provider_klaviyo.api.templates import CODE
from airflow_provider_klaviyo.campaigns.html import is_same_html
from airflow_provider_klaviyo.campaigns.values import Field, Output, filled, show
from airflow_provider_klaviyo.operators.named import find_or_create
from airflow_provider_klaviyo.tasks import CONNECTION, KlaviyoTask

if TYPE_CHECKING:
    import jinja2
    from airflow.sdk import Context

    from airflow_provider_klaviyo.api.document import Resource

FILES = (".html", ".txt")

AIRFLOWS = re.compile(r"(?:\{\{|\{%\s*(?:if|elif|for\s+\w+\s+in)\b(?:\s*not\b)?)\s*(?P<name>\w+)[^{}]*\}")
"""A tag of Klaviyo's form, and the name of the value that it begins with."""


class KlaviyoUpsertTemplateOperator(KlaviyoTask):
    """Make an email template of HTML, or write the HTML into the one of that name.

    In ``html`` and ``text``, ``{{ … }}`` and ``{% … %}`` are Klaviyo's and stay as they are. What Airflow is to fill
    in stands in ``[[ … ]]``, with loops and conditions in ``[% … %]``: ``<h1>Week of [[ ds ]]</h1>``. A ``{{ ds }}``,
    which Klaviyo does not know, is refused; so is a ``[[ name ]]`` that Airflow does not know.

    A template that says the same already is left alone. A campaign has a copy of its template, which stays as it is
    until ``KlaviyoAssignTemplateOperator`` runs again.

    *Retry, kill, lost answer, clear*: the template that an earlier try made is found by its name, and written into
    again if it differs, which leaves the same template. It can be made twice only if two tasks make the same name at
    the same time. What a person changed in Klaviyo is written over. *Rate limit*: 1 or 2 requests; 75/s and 750/min per
    account.

    :param name: the template's name, exactly. Templated.
    :param html: its HTML, or the path of an ``.html`` file, relative to the DAG file or to ``template_searchpath``.
        Templated with ``[[ … ]]``.
    :param text: its plain text part, or the path of a ``.txt`` file. Default: what Klaviyo makes of the HTML; of a
        template that is there already it stays as it is. Templated with ``[[ … ]]``.
    :returns: the template's id.
    :raises KlaviyoValidationError: there are several templates of that name, Klaviyo takes no more (1,000 an account),
        or one of the arguments cannot be filled in.
    :raises KlaviyoRefusedError: the template of that name is a drag-and-drop template; it is not written over.
    :raises KlaviyoAmbiguousWriteError: Klaviyo did not answer, and the template does not show. The next try looks
        again.
    """

    template_fields = ("name", "html", "text", *CONNECTION)
    template_ext = FILES
    template_fields_renderers = {"html": "html"}  # noqa: RUF012
    ui_color = "#f6f1eb"
    any_revision = True

    def __init__(
        self, *, name: str | Output, html: str | Output, text: str | Output | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.html = html
        self.text = text
        if isinstance(name, str) and name.endswith(FILES):
            raise Field("/name").error(
                f"is {name!r}", "Airflow would read a file of that name in its place: leave the ending off."
            )
        self._checked()

    def _checked(self, *, rendered: bool = False) -> tuple[Any, Any, Any]:
        name = filled(self.name, Field("/name", rendered=rendered))
        html, text = (
            None if value is None else filled(value, Field(f"/{field}", rendered=rendered))
            for field, value in (("html", self.html), ("text", self.text))
        )
        if html is None:
            raise Field("/html").error("is None", "Give the HTML, or the path of an .html file.")
        return name, html, text

    def execute(self, context: Context) -> str:
        self.check_rendered()
        name, html, text = self._checked(rendered=True)
        template, was_there = find_or_create(
            self.log, "template", name, find=self._find, create=lambda: self._create(name, html, text)
        )
        if was_there:
            self._update(template, html, text)
        return template.id

    def _find(self, name: str) -> list[Resource]:
        found = self.hook.find_templates(name)
        if len(found) > 1:
            raise Field("/name").error(
                f"is {name!r}, as which there are {len(found)} templates ({', '.join(one.id for one in found)})",
                "Nothing was written. Rename or delete all but one of them in Klaviyo.",
            )
        return found

    def _create(self, name: str, html: str, text: str | None) -> Resource:
        try:
            return self.hook.create_template(name, html, text=text)
        except KlaviyoAmbiguousWriteError:
            raise
        except KlaviyoApiError as error:
            error.message += (
                " Template was not made. If there are too many: an account takes 1,000 templates by the API; delete "
                "some in Klaviyo, or keep to one name, which is written over."
            )
            raise

    def _update(self, template: Resource, html: str, text: str | None) -> None:
        kind, there = template.attributes.get("editor_type"), template.attributes
        if kind != CODE:
            from airflow_provider_klaviyo.exceptions import KlaviyoRefusedError, RefusalReason

            raise KlaviyoRefusedError(
                f"Template {template.id}, named {self.name!r}, is of the kind {kind!r}: it was made with an editor of "
                f"Klaviyo, and HTML is written only over templates of HTML ({CODE!r}). Nothing was changed. Use "
                f"another name, or rename that template in Klaviyo.",
                reason=RefusalReason.NOT_CODE,
            )
        same_html = is_same_html(str(there.get("html") or ""), html)
        if same_html and (text is None or _lines(there.get("text")) == _lines(text)):
            self.log.info("Template %s says the same already: nothing is written.", template.id)
            return
        self.hook.update_template(template.id, html, text=text)
        self.log.info("Template %s has new content (%s characters of HTML).", template.id, f"{len(html):,}")

    def _do_render_template_fields(
        self,
        parent: Any,
        template_fields: Iterable[str],
        context: Context,
        jinja_env: jinja2.Environment,
        seen_oids: set[int],
    ) -> None:
        """Airflow's rendering; ``html`` and ``text`` with the other brackets."""
        import jinja2

        fields = list(template_fields)
        content = [name for name in ("html", "text") if name in fields]
        others = [name for name in fields if name not in content]
        super()._do_render_template_fields(parent, others, context, jinja_env, seen_oids)
        for name in content:
            try:
                super()._do_render_template_fields(parent, [name], context, _in_brackets(jinja_env), seen_oids)
            except jinja2.TemplateError as error:
                self._lost = self._lost or Field(f"/{name}").error(
                    f"cannot be filled in: {type(error).__name__}: {error}",
                    "Airflow's values stand in [[ … ]] and [% … %]; what is Klaviyo's, in {{ … }} and {% … %}.",
                )
            else:
                self._lost = self._lost or _meant_for_airflow(name, getattr(self, name), context)


def _lines(text: object) -> list[str]:
    """Plain text, whatever ends its lines."""
    return [line.rstrip() for line in str(text or "").strip().splitlines()]


def _in_brackets(jinja_env: jinja2.Environment) -> jinja2.Environment:
    """The same, where Airflow's values stand in ``[[ … ]]``: ``{{ … }}`` and ``{% … %}`` are Klaviyo's."""
    return jinja_env.overlay(
        variable_start_string="[[",
        variable_end_string="]]",
        block_start_string="[%",
        block_end_string="%]",
        comment_start_string="[#",
        comment_end_string="#]",
    )


def _meant_for_airflow(name: str, value: object, context: Mapping[str, Any]) -> KlaviyoValidationError | None:
    """The error of a tag that Klaviyo would fill in with nothing, since it is Airflow that has such a value."""
    tags = AIRFLOWS.finditer(value) if isinstance(value, str) else ()
    tag = next((tag for tag in tags if tag["name"] in context), None)
    if tag is None:
        return None
    return Field(f"/{name}").error(
        f"has {show(tag[0])}, a value of Airflow",
        f"It would get to Klaviyo as it stands, which has no such value. Write [[ {tag['name']} … ]] in its place: "
        f"{{{{ … }}}} is Klaviyo's here.",
    )
