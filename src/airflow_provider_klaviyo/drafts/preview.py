"""What a person sees of a campaign before it goes out, as Markdown."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any, cast

from airflow_provider_klaviyo.api.campaigns import Channel
from airflow_provider_klaviyo.api.document import Resource
from airflow_provider_klaviyo.api.errors import KlaviyoAuthError, KlaviyoNotFoundError
from airflow_provider_klaviyo.api.lists import find_audience
from airflow_provider_klaviyo.campaigns.mail import Mail
from airflow_provider_klaviyo.drafts.draft import channel_of
from airflow_provider_klaviyo.drafts.edits import Draft, with_attributes
from airflow_provider_klaviyo.drafts.last_sends import last_sends
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook

LONGEST = 3_000
"""Characters of a message that are shown."""

WIDTH = 100
"""Characters of a line of it: Airflow's page does not break lines of code."""

NOT_COUNTED = "not counted: put KlaviyoEstimateRecipientsOperator before this task"

_MARKS = re.compile(r"([\\`*_{}\[\]()#+!|<>~-])")


def preview(hook: KlaviyoHook, draft: Draft, links: Mapping[str, str]) -> str:
    """A table of what the campaign is, to whom it goes and when, and its message as text.

    What the key may not read is left out. *Rate limit*: 1 request for each list or segment, 2 for the recipients, 1 or
    2 for the last campaign to the same audience, 1 for the template.

    :param links: pages about it, by their names.
    """
    campaign, message = draft.campaign, draft.messages[0]
    definition: Mapping[str, Any] = message.attributes.get("definition") or {}
    content: Mapping[str, Any] = definition.get("content") or {}
    audiences: Mapping[str, Any] = campaign.attributes.get("audiences") or {}
    sender = " ".join(str(content[name]) for name in ("from_label", "from_email") if content.get(name))
    facts = {
        "Channel": channel_of(message),
        "Subject": content.get("subject") or content.get("title"),
        "Preview text": content.get("preview_text"),
        "From": sender,
        "To": _names(hook, audiences.get("included") or ()),
        "Not to": _names(hook, audiences.get("excluded") or ()),
        "When": _when(campaign.attributes.get("send_strategy")),
        "Recipients": _counted(hook, campaign.id) or NOT_COUNTED,
        "Last time": _last(hook, campaign, channel_of(message)),
    }
    rows = [f"| {name} | {_plain(value)} |" for name, value in facts.items() if value]
    places = " · ".join(f"[{name}]({url})" for name, url in links.items() if url)
    text = _text(hook, draft, message, content)
    return "\n".join(["| Campaign | " + _plain(campaign.name) + " |", "| --- | --- |", *rows, "", places, "", *text])


def _plain(value: object) -> str:
    """A text that Markdown shows as it is, on one line."""
    return _MARKS.sub(r"\\\1", " ".join(str(value).split()))


def _names(hook: KlaviyoHook, ids: Iterable[Any]) -> str:
    return ", ".join(_name(hook, str(one)) for one in ids)


def _name(hook: KlaviyoHook, id_: str) -> str:
    """The name of a list or segment; its id, if it cannot be known."""
    try:
        found = hook.run(find_audience(id_))
    except KlaviyoAuthError:
        return id_
    return f"{found.name} ({found.type} {id_})" if found else f"{id_} (neither a list nor a segment)"


def _when(strategy: Any) -> str:
    given: Mapping[str, Any] = strategy if isinstance(strategy, Mapping) else {}
    moment = given.get("datetime") or given.get("date")
    options = given["options"] if isinstance(given.get("options"), Mapping) else {}
    if str(options.get("is_local")).lower() == "true" and moment:
        shown = str(moment)[:16].replace("T", " ")
        moment = f"{shown} on each recipient's clock"
    return f"{given.get('method', 'not known')}{f', {moment}' if moment else ''}"


def _counted(hook: KlaviyoHook, campaign_id: str) -> str | None:
    """The recipients as Klaviyo has counted them last; ``None``: it has no count."""
    try:
        return f"{hook.get_estimation(campaign_id):,}"
    except KlaviyoNotFoundError:
        return None


def _last(hook: KlaviyoHook, campaign: Resource, channel: Channel) -> str:
    """The last campaign that was sent to the same audience."""
    included = set(cast("Mapping[str, Any]", campaign.attributes.get("audiences") or {}).get("included") or ())
    for one in last_sends(hook, channel):
        audiences = one.attributes.get("audiences")
        if isinstance(audiences, Mapping) and set(audiences.get("included") or ()) == included:
            reached = _counted(hook, one.id)
            return f"{one.name}, {one.attributes.get('send_time')}{f', {reached} recipients' if reached else ''}"
    return "no campaign to the same audience among the last"


def _text(hook: KlaviyoHook, draft: Draft, message: Resource, content: Mapping[str, Any]) -> list[str]:
    """The message as text, in a block of code, so that nothing in it is taken for Markdown."""
    text = str(content.get("body") or "")
    template = draft.template_of(message)
    if template is not None:
        attributes = with_attributes(hook, template).attributes
        html = str(attributes.get("html") or "")
        text = Mail(html).read.text or str(attributes.get("text") or "")
    if not text.strip():
        return ["*There is no text to be shown.*"]
    cut = text if len(text) <= LONGEST else f"{text[:LONGEST]} …"
    shown = "\n".join(line for part in cut.splitlines() for line in textwrap.wrap(part, WIDTH) or [""])
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    return [fence + "text", shown, fence]
