"""Check what Klaviyo makes of a template, before anybody gets it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_klaviyo.api.errors import KlaviyoNotFoundError, KlaviyoValidationError
from airflow_provider_klaviyo.campaigns import mail
from airflow_provider_klaviyo.campaigns.values import (
    Field,
    Output,
    address,
    check_choice,
    check_id,
    filled,
    is_template,
    key_values,
    sequence,
)
from airflow_provider_klaviyo.never_twice.repeat import repeat
from airflow_provider_klaviyo.storage import replacing, storage
from airflow_provider_klaviyo.tasks import CONNECTION, KlaviyoTask

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_klaviyo.api.document import Resource

CLIPPED = 102_000
"""Bytes of HTML that Gmail shows; it cuts off the rest."""

STANDARD_FIELDS = ("email", "first_name", "last_name", "phone_number", "title", "locale", "external_id", "image")
"""Fields of a profile that a template names without ``person``, too."""


class KlaviyoRenderTemplateOperator(KlaviyoTask):
    """Have Klaviyo fill in a template, and fail unless the mail is fit to be sent. Nothing is sent or changed.

    Klaviyo fills in a template from values only (``context``), not for a profile. For ``profile_id`` or
    ``profile_email`` the profile is read, and its fields are the values, as ``first_name`` and as
    ``person.first_name``, its custom properties as ``person.plan``. What needs a real reader, such as
    ``{% coupon_code %}``, Klaviyo refuses to fill in this way.

    The built-in checks, each of which ``skip_checks`` leaves out:

    - ``empty_mail``: there are neither words nor images;
    - ``unrendered_tags``: ``{{`` or ``{%`` is still there, also as ``%7B%7B``; or ``*|`` of another tool;
    - ``placeholder_text``: lorem ipsum, in the subject too;
    - ``missing_values``: "Hi ,", or a ``None`` or ``undefined`` by itself;
    - ``empty_list``: a list, table or row without anything in it;
    - ``unsubscribe_link``: neither Klaviyo's tag in the template nor a link with "unsubscribe" in it.

    *Retry, kill, lost answer, clear*: fills in and checks again. A mail that fails its checks fails the task at once:
    no retry makes it better. *Rate limit*: 2 requests, for a campaign 3, for a profile 1 more; templates are filled
    in at 3/s and 60/min per account.

    :param template_id: the template. Templated. Give this, ``campaign_id`` or ``message_id``.
    :param campaign_id: a campaign with one email message, whose own copy is checked, with its subject and preview
        text as they are. Templated.
    :param message_id: the same, by its message. Templated.
    :param context: values by name. They win over the profile's. Templated.
    :param profile_id: a profile. Templated.
    :param profile_email: the address of a profile. Templated.
    :param expect: what has to be in the mail: in what people read, or in the HTML. Plain text, in whatever case and
        with whatever white space; after ``re:`` a regular expression, such as ``r're:(?s)(class="product".*){3}'``.
        Templated.
    :param forbid: what must not be in it, likewise. Templated.
    :param skip_checks: built-in checks that are left out.
    :param path: file for the HTML as Klaviyo has filled it in, for people to look at, as ``ObjectStoragePath`` takes
        it. It is written before the checks. Templated.
    :returns: ``{"template_id", "name", "characters", "checks"}``, for a campaign also ``subject``, with ``path`` also
        that. Not the mail.
    :raises KlaviyoTemplateCheckError: the mail fails a check, or Klaviyo cannot fill it in; the message has each check
        with a short excerpt.
    :raises KlaviyoNotFoundError: no such template, campaign, message or profile.
    """

    template_fields = (
        *("template_id", "campaign_id", "message_id", "context", "profile_id", "profile_email"),
        *("expect", "forbid", "path", *CONNECTION),
    )
    template_fields_renderers = dict.fromkeys(("context", "expect", "forbid"), "json")
    ui_color = "#f6f1eb"
    any_revision = True

    def __init__(
        self,
        *,
        template_id: str | Output | None = None,
        campaign_id: str | Output | None = None,
        message_id: str | Output | None = None,
        context: Mapping[str, Any] | Output | None = None,
        profile_id: str | Output | None = None,
        profile_email: str | Output | None = None,
        expect: Sequence[str] | Output = (),
        forbid: Sequence[str] | Output = (),
        skip_checks: Sequence[str] = (),
        path: str | Output | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.template_id = template_id
        self.campaign_id = campaign_id
        self.message_id = message_id
        self.context = context
        self.profile_id = profile_id
        self.profile_email = profile_email
        self.expect = expect
        self.forbid = forbid
        self.skip_checks = skip_checks
        self.path = path
        self._subject()
        self._check_values()
        self._checks()

    def _subject(self, *, rendered: bool = False) -> str:
        """The name of the one argument that says what is checked."""
        given = [name for name in ("template_id", "campaign_id", "message_id") if getattr(self, name) is not None]
        if len(given) != 1:
            raise Field("template_id").error(
                f"is {self.template_id!r}, campaign_id {self.campaign_id!r}, message_id {self.message_id!r}",
                "Give exactly one of them.",
            )
        check_id(given[0], getattr(self, given[0]), rendered=rendered)
        return given[0]

    def _check_values(self, *, rendered: bool = False) -> None:
        if self.context is not None:
            key_values(self.context, Field("/context", rendered=rendered))
        if self.profile_id is not None:
            check_id("profile_id", self.profile_id, rendered=rendered)
        if self.profile_email is not None:
            address(self.profile_email, Field("profile_email", rendered=rendered))
            if self.profile_id is not None:
                raise Field("profile_email").error("is given with profile_id", "Give one of them.")
        if self.path is not None:
            filled(str(self.path), Field("path", rendered=rendered))

    def _checks(self, *, rendered: bool = False) -> mail.Checks:
        """The checks by name."""
        if isinstance(self.skip_checks, str):
            raise Field("skip_checks").error(f"is {self.skip_checks!r}", "Give a list.")
        for name in self.skip_checks:
            check_choice("skip_checks", name, tuple(mail.CHECKS))
        found = {name: check for name, check in mail.CHECKS.items() if name not in self.skip_checks}
        for argument, make in (("expect", mail.expecting), ("forbid", mail.forbidding)):
            for pattern in self._patterns(argument, rendered=rendered):
                found[f"{argument} {pattern!r}"] = make(mail.compiled(pattern))
        return found

    def _patterns(self, argument: str, *, rendered: bool) -> list[str]:
        """Those that are known."""
        field = Field(f"/{argument}", rendered=rendered)
        given = sequence(getattr(self, argument), field, mail.as_pattern)
        return [] if is_template(given) else [one for one in given if rendered or not is_template(one)]

    def execute(self, context: Context) -> dict[str, Any]:
        self.check_rendered()
        argument = self._subject(rendered=True)
        self._check_values(rendered=True)
        checks = self._checks(rendered=True)
        template, content = self._of_template() if argument == "template_id" else self._of_message()
        made = self._filled_in(template)
        html = str(made.attributes.get("html") or "")
        result: dict[str, Any] = {"template_id": template.id, "name": template.name, "characters": len(html)}
        if argument != "template_id":
            result["subject"] = content.get("subject")
        if self.path is not None:
            result["path"] = self._write(html)
        self._judge(
            template.id,
            mail.Mail(
                html,
                text=str(made.attributes.get("text") or ""),
                source=str(template.attributes.get("html") or ""),
                subject=str(content.get("subject") or ""),
                preview_text=str(content.get("preview_text") or ""),
            ),
            checks,
        )
        return {**result, "checks": list(checks)}

    def _of_template(self) -> tuple[Resource, Mapping[str, Any]]:
        return self.hook.get_template(str(self.template_id)), {}

    def _of_message(self) -> tuple[Resource, Mapping[str, Any]]:
        """The copy that a campaign's message has, and the message's content."""
        from airflow_provider_klaviyo.drafts.draft import channel_of, message_in

        campaign_id, message = message_in(self.hook, campaign_id=self.campaign_id, message_id=self.message_id)
        if channel_of(message) != "email":
            raise Field("campaign_id").error(
                f"is {campaign_id!r}, whose message is of channel {channel_of(message)!r}", "Only email has a template."
            )
        template = self.hook.get_template_of_message(message.id)
        if template is None:
            raise Field("campaign_id").error(
                f"is {campaign_id!r}, whose message {message.id} has no template",
                "Assign one first (KlaviyoAssignTemplateOperator).",
            )
        return template, message.mapping("definition").get("content") or {}

    def _filled_in(self, template: Resource) -> Resource:
        from airflow_provider_klaviyo.exceptions import KlaviyoTemplateCheckError

        values = {**self._of_profile(), **(self.context or {})}
        try:
            return repeat(self.log, self.hook.render_template, template.id, values)
        except KlaviyoValidationError as error:
            if error.status != 400:
                raise
            reason = (
                f"Klaviyo cannot fill it in. {error} A tag or filter is none of Klaviyo's, or is not closed, or needs "
                f"a real reader, as {{% coupon_code %}} does: look at such a template in Klaviyo's preview."
            )
            raise KlaviyoTemplateCheckError(template.id, {"render": reason}) from error

    def _of_profile(self) -> dict[str, Any]:
        """The values that a profile gives to a template."""
        if self.profile_id is not None:
            profile = self.hook.get_profile(self.profile_id)
        elif self.profile_email is not None:
            found = self.hook.find_profile(self.profile_email)
            if found is None:
                raise KlaviyoNotFoundError(
                    "Klaviyo has no profile of the address in profile_email. Give that of one it has, or the values "
                    "themselves with context.",
                    pointer="profile_email",
                )
            profile = found
        else:
            return {}
        fields = {name: value for name, value in profile.attributes.items() if value is not None}
        person = {**(fields.pop("properties", None) or {}), **(fields.pop("location", None) or {}), **fields}
        return {**{name: fields[name] for name in STANDARD_FIELDS if name in fields}, "person": person}

    def _write(self, html: str) -> str:
        path = storage(self.path)
        with replacing(path, "w", encoding="utf-8") as file:
            file.write(html)
        self.log.info("%s has the mail as Klaviyo fills it in.", path)
        return str(path)

    def _judge(self, template_id: str, made: mail.Mail, checks: mail.Checks) -> None:
        from airflow_provider_klaviyo.exceptions import KlaviyoTemplateCheckError

        if failed := mail.failures(made, checks):
            raise KlaviyoTemplateCheckError(template_id, failed)
        self.log.info("Template %s, filled in by Klaviyo, passes %d checks.", template_id, len(checks))
        if (size := len(made.html.encode())) > CLIPPED:
            self.log.warning(
                "Its HTML has %s bytes. Gmail cuts off what is beyond %s, and with it a footer.",
                f"{size:,}",
                f"{CLIPPED:,}",
            )
