"""Create a campaign."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_klaviyo.campaigns.attributes import ATTRIBUTES, check_attributes, in_full
from airflow_provider_klaviyo.campaigns.content import check_message
from airflow_provider_klaviyo.campaigns.once import IfExists, OnClear, check_once
from airflow_provider_klaviyo.campaigns.values import Field, Output, is_template
from airflow_provider_klaviyo.tasks import CONNECTION, JSON_RENDERERS, KlaviyoCampaignOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class KlaviyoCreateCampaignOperator(KlaviyoCampaignOperator):
    """Create a campaign as a draft, once. Nothing is sent before ``KlaviyoSendCampaignOperator``.

    What is not templated is checked when the DAG is imported; the rest after rendering, before the first call.

    *Retry, kill, lost answer*: the campaign is made at most once. What it is recognised by is noted before the call and
    its id after it (Airflow 3.3 and later: task state store, keys ``klaviyo_intent`` and ``klaviyo_campaign``); a later
    try adopts the campaign, or looks for one of this name and audience. Give each run's campaign a name of its own; and
    each of several that one task makes.
    *Clear*: as ``on_clear`` asks; an adopted draft gets the attributes and content that the DAG has now. Where Airflow
    has forgotten the notes (3.4 empties the store when a task is cleared in its UI), the campaign is looked for by name
    and audience among those made since the run began, and adopted also if it was sent since.
    *Rate limit*: 2 requests, and 1 for each look: in a run of which something was cleared, and 3 for ``if_exists``;
    10/s and 150/min per account.

    :param name: the campaign's name in Klaviyo. Templated.
    :param audiences: ``{"included": [ids], "excluded": [ids]}`` of lists and segments. Templated.
    :param messages: one message, made by ``email()``, ``sms()``, ``push()`` or ``silent_push()``, in a list. Templated.
    :param send_strategy: made by ``immediate()`` (the default), ``static()``, ``throttled()`` or ``smart_send_time()``.
        Templated.
    :param send_options: ``{"use_smart_sending": bool}``. Templated.
    :param tracking_options: UTM parameters and, for email, click and open tracking. Templated.
    :param on_clear: after a clear, ``"adopt"`` the campaign made before, or make a ``"new"`` one beside it.
    :param if_exists: what to do when Klaviyo has a campaign of this name and channel already, in whatever status and
        whoever made it (what this task made itself is gone on with in any case): ``"make"`` another (the default);
        ``"skip"`` this task, and those after it; ``"refuse"`` (fail); ``"adopt"`` it: a draft gets what the DAG has. So
        ``"skip"`` and the date in the name mean once a day, however many runs there are. Runs at the same time may
        still make two: set ``max_active_runs=1``.
    :returns: the campaign's id.
    :raises KlaviyoValidationError: a setting that Klaviyo would refuse, or did; nothing was made.
    :raises KlaviyoRefusedError: it cannot be known which of several campaigns is this task's, or there is one and
        ``if_exists="refuse"``.
    :raises AirflowSkipException: there is one, and ``if_exists="skip"``.
    :raises KlaviyoAmbiguousWriteError: Klaviyo did not answer, and it is not known yet if it made the campaign.
    """

    template_fields = ("name", "messages", *ATTRIBUTES, *CONNECTION)
    template_fields_renderers = JSON_RENDERERS

    def __init__(
        self,
        *,
        name: str | Output,
        audiences: Mapping[str, Any] | Output,
        messages: Sequence[Mapping[str, Any]] | Output,
        send_strategy: Mapping[str, Any] | Output | None = None,
        send_options: Mapping[str, Any] | Output | None = None,
        tracking_options: Mapping[str, Any] | Output | None = None,
        on_clear: OnClear = "adopt",
        if_exists: IfExists = "make",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.audiences = audiences
        self.messages = messages
        self.send_strategy = send_strategy
        self.send_options = send_options
        self.tracking_options = tracking_options
        self.on_clear = on_clear
        self.if_exists = if_exists
        check_once(on_clear, if_exists)
        self._checked(revision=self.known_revision)

    def _checked(self, *, revision: str | None = None, now: datetime | None = None) -> tuple[dict[str, Any], list[Any]]:
        """Attributes and messages as they are to be sent; ``now`` is given once they are rendered."""
        messages = _one_message(self.messages, rendered=now is not None)
        given = {name: getattr(self, name) for name in ("name", *ATTRIBUTES)}
        required = ("name", "audiences")
        attributes = check_attributes(given, revision=revision, channel=_channel(messages), now=now, required=required)
        return attributes, messages

    def execute(self, context: Context) -> str:
        from airflow_provider_klaviyo.api.campaigns import create_campaign
        from airflow_provider_klaviyo.drafts.draft import write_attributes
        from airflow_provider_klaviyo.drafts.edits import keep, of_new
        from airflow_provider_klaviyo.never_twice.make import make_once
        from airflow_provider_klaviyo.never_twice.notes import Subject, TaskState

        attributes, messages = self._checked(revision=self.hook.api_revision, now=datetime.now(UTC))
        made = make_once(
            self.hook,
            TaskState(context),
            create_campaign(attributes, messages),
            Subject(attributes["name"], messages[0]["channel"]),
            audiences=[attributes["audiences"]],
            on_clear=self.on_clear,
            if_exists=self.if_exists,
        )
        self.show_link(context, made.id)
        if made.answer is None:
            written = write_attributes(self.hook, made.id, in_full(attributes), messages[0])
        else:
            written = of_new(self.hook, made.answer, image_id=messages[0].get("image_id"))
        keep(context, made.id, written)
        self.log.info("Campaign %s %r is in Klaviyo.", made.id, attributes["name"])
        return made.id


def _channel(messages: list[Any]) -> str | None:
    """The channel, where it is known before rendering."""
    channel = messages[0].get("channel") if messages and isinstance(messages[0], Mapping) else None
    return None if channel is None or is_template(channel) else channel


def _one_message(messages: Any, *, rendered: bool) -> list[Any]:
    field = Field("/messages", rendered=rendered)
    if field.pending(messages):
        return []
    if isinstance(messages, Mapping | str) or not isinstance(messages, Sequence) or len(messages) != 1:
        raise field.error(
            f"is {messages!r}",
            "Give a list of exactly one message, such as [email(subject=…)]; another channel is another campaign.",
        )
    return [check_message(message, rendered=rendered) for message in messages]
