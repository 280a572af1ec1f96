"""What a campaign contains: one function per kind of message.

Each returns a plain dict that a DAG hands to an operator as an item of ``messages``. Any argument may be Jinja. What is
not given is left out, so that the account's defaults apply. Klaviyo's own tags look like Jinja: keep Airflow from
rendering them with ``{% raw %}Hello {{ first_name }}{% endraw %}``.

All raise :class:`~airflow_provider_klaviyo.api.errors.KlaviyoValidationError` for what Klaviyo would refuse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_klaviyo.api.campaigns import CHANNELS
from airflow_provider_klaviyo.campaigns.values import (
    Field,
    Reader,
    address,
    at_most,
    filled,
    flag,
    identifier,
    is_template,
    key_values,
    mapping,
    one_of,
    sequence,
    text,
    whole,
)

MOST_BUTTONS = 3
LONGEST_LABEL = 40
LONGEST_URL = 2048
LONGEST_PUSH_BODY = 512
ACTIONS_WITH_URL = ("deep_link", "open_url")
ACTIONS = ("open_app", *ACTIONS_WITH_URL, "dismiss")


def check_message(message: Any, *, channel: str | None = None, partial: bool = False, rendered: bool = False) -> Any:
    """Judge a message, and return it as it is to be sent (with its ``image_id``, if it has one).

    :param channel: the campaign's channel, which the message's must be.
    :param partial: for an update: a push message may leave its content out.
    :param rendered: True if Airflow has rendered the values, so that Jinja outside of text is a mistake.
    :return: a dict; whatever was given, where it cannot be judged before it is rendered.
    :raises KlaviyoValidationError: Klaviyo would refuse it; ``pointer`` names the field, such as
        ``/definition/content/action_buttons/0/label``.
    """
    field = Field("/definition", rendered=rendered)
    if field.pending(message):
        return message
    found = message.get("channel") if isinstance(message, Mapping) else None
    if found is None:
        raise field.at("channel").error("is missing", "Use email(), sms(), push() or silent_push() to make a message.")
    if is_template(one_of(*CHANNELS)(found, field.at("channel"))):
        return message
    if channel is not None and found != channel:
        raise field.at("channel").error(f"is {found!r} in a {channel!r} campaign", "A campaign has one channel.")
    if found == "email":
        return _email(message, field)
    if found == "sms":
        return mapping(message, field, SMS)
    return _push(message, field, partial=partial)


def _email(message: Mapping[str, Any], field: Field) -> dict[str, Any]:
    if "render_options" in message:
        raise field.at("render_options").error("is given for e-mail", "Klaviyo has it for SMS only: leave it out.")
    if "image_id" in message:
        raise field.at("image_id").error("is given for e-mail", "An e-mail's images are in its template: leave it out.")
    return mapping(message, field, EMAIL)


def _push(message: Mapping[str, Any], field: Field, *, partial: bool) -> Any:
    kind = message.get("notification_type")
    if kind is None and "content" not in message:
        raise field.at("notification_type").error("is missing", "Give 'standard' with content, or 'silent' without.")
    if kind is not None and is_template(one_of("standard", "silent")(kind, field.at("notification_type"))):
        return message
    if kind == "silent":
        return mapping(message, field, SILENT_PUSH)
    cleaned = mapping(message, field, PUSH, required=() if partial else ("content",))
    content = cleaned.get("content")
    if isinstance(content, dict):
        if content.get("body") is None and not partial:
            raise field.at("content").at("body").error("is missing", "Klaviyo requires it: give some text.")
        if content.get("dynamic_image") and cleaned.get("image_id"):
            raise field.at("image_id").error("is given beside a dynamic_image", "Klaviyo takes one of the two.")
    return cleaned


def _mapping_of(readers: Mapping[str, Reader], required: tuple[str, ...] = ()) -> Reader:
    def reader(value: Any, field: Field) -> Any:
        return value if field.pending(value) else mapping(value, field, readers, required)

    return reader


def _buttons(value: Any, field: Field) -> Any:
    buttons = sequence(value, field, _button)
    if is_template(buttons) or any(is_template(button) for button in buttons):
        return buttons
    if len(buttons) > MOST_BUTTONS:
        raise field.error(f"holds {len(buttons)} buttons", f"Klaviyo takes {MOST_BUTTONS} at most: leave some out.")
    positions = [button["position"] for button in buttons if button.get("position") is not None]
    if not positions or any(is_template(position) for position in positions):
        return buttons
    if sorted(positions) != list(range(len(buttons))):
        raise field.error(
            f"has the positions {positions} for {len(buttons)} buttons",
            "Number them from 0 without gaps, or leave all positions out: the order of the list counts then.",
        )
    return buttons


def _button(value: Any, field: Field) -> Any:
    if field.pending(value):
        return value
    button = mapping(value, field, BUTTON, required=("label", "action_type"))
    action, url = button["action_type"], button.get("url")
    if action in ACTIONS_WITH_URL and url is None:
        raise field.at("url").error(f"is missing for {action!r}", "Say what the button opens.")
    if action in ACTIONS and action not in ACTIONS_WITH_URL and url is not None:
        raise field.at("url").error(f"is given for {action!r}", f"Only {' and '.join(ACTIONS_WITH_URL)} take one.")
    return button


def _on_open(value: Any, field: Field) -> Any:
    if field.pending(value):
        return value
    cleaned = mapping(value, field, ON_OPEN, required=("type",))
    kind = cleaned["type"]
    if is_template(kind):
        return cleaned
    allowed = ON_OPEN_LINKS[kind]
    given = [key for key in cleaned if key != "type" and cleaned[key] is not None]
    if wrong := [key for key in given if key not in allowed]:
        raise field.at(wrong[0]).error(f"is given for {kind!r}", f"It takes: {', '.join(allowed) or 'nothing more'}.")
    if allowed and not given:
        raise field.at(allowed[0]).error(f"is missing for {kind!r}", f"Give {' or '.join(allowed)}, or both.")
    return cleaned


def _badge(value: Any, field: Field) -> Any:
    if field.pending(value):
        return value
    cleaned = mapping(value, field, {"display": flag, "badge_options": _badge_options}, required=("display",))
    if cleaned["display"] is False and cleaned.get("badge_options") is not None:
        raise field.at("badge_options").error("is given for a badge that is not displayed", "Set display to True.")
    return cleaned


def _badge_options(value: Any, field: Field) -> Any:
    if field.pending(value):
        return value
    config = value.get("badge_config") if isinstance(value, Mapping) else None
    if config is None:
        raise field.at("badge_config").error("is missing", f"Give one of: {', '.join(BADGE_CONFIGS)}.")
    if is_template(one_of(*BADGE_CONFIGS)(config, field.at("badge_config"))):
        return value
    readers = BADGE_CONFIGS[config]
    return mapping(value, field, {"badge_config": text, **readers}, required=readers)


def _count(value: Any, field: Field) -> Any:
    """Klaviyo takes the number of a badge as a string, which may be a tag."""
    return value if isinstance(value, str) and is_template(value) else str(whole(value, field))


EMAIL: Mapping[str, Reader] = {
    "channel": text,
    "label": text,
    "content": _mapping_of(
        {
            "subject": filled,
            "preview_text": text,
            "from_email": address,
            "from_label": text,
            "reply_to_email": address,
            "cc_email": address,
            "bcc_email": address,
        }
    ),
}
SMS: Mapping[str, Reader] = {
    "channel": text,
    "content": _mapping_of({"body": filled}, required=("body",)),
    "render_options": _mapping_of(
        {"shorten_links": flag, "add_org_prefix": flag, "add_info_link": flag, "add_opt_out_language": flag}
    ),
    "image_id": identifier,
}
BUTTON: Mapping[str, Reader] = {
    "label": at_most(LONGEST_LABEL),
    "action_type": one_of(*ACTIONS),
    "position": whole,
    "url": at_most(LONGEST_URL),
}
ON_OPEN_LINKS: Mapping[str, tuple[str, ...]] = {
    "open_app": (),
    "deep_link": ("ios_deep_link", "android_deep_link"),
    "open_web_url": ("web_url",),
}
ON_OPEN: Mapping[str, Reader] = {
    "type": one_of(*ON_OPEN_LINKS),
    "ios_deep_link": filled,
    "android_deep_link": filled,
    "web_url": filled,
}
BADGE_CONFIGS: Mapping[str, Mapping[str, Reader]] = {
    "increment_one": {},
    "set_count": {"value": _count},
    "set_property": {"set_from_property": filled},
}
PUSH: Mapping[str, Reader] = {
    "channel": text,
    "notification_type": text,
    "content": _mapping_of(
        {
            "title": text,
            "body": at_most(LONGEST_PUSH_BODY),
            "dynamic_image": filled,
            "action_buttons": _buttons,
        }
    ),
    "kv_pairs": key_values,
    "options": _mapping_of({"on_open": _on_open, "badge": _badge, "play_sound": flag}),
    "image_id": identifier,
}
SILENT_PUSH: Mapping[str, Reader] = {"channel": text, "notification_type": text, "kv_pairs": key_values}


def email(
    *,
    subject: str,
    preview_text: str | None = None,
    from_email: str | None = None,
    from_label: str | None = None,
    reply_to_email: str | None = None,
    cc_email: str | None = None,
    bcc_email: str | None = None,
    label: str | None = None,
) -> dict[str, Any]:
    """An e-mail, as far as a campaign holds it: its body comes from the template that is assigned to the message.

    :param subject: the subject line; may have Klaviyo's tags.
    :param preview_text: what mailboxes show beside the subject.
    :param from_email: the sender's address; must be a verified sender of the account.
    :param from_label: the sender's name as recipients see it.
    :param reply_to_email: where replies go, if not to the sender.
    :param cc_email: an address in copy (CC) of each mail.
    :param bcc_email: an address in blind copy (BCC) of each mail.
    :param label: the message's name inside Klaviyo.
    """
    content = _given(
        subject=subject,
        preview_text=preview_text,
        from_email=from_email,
        from_label=from_label,
        reply_to_email=reply_to_email,
        cc_email=cc_email,
        bcc_email=bcc_email,
    )
    return _message(channel="email", label=label, content=content)


def sms(
    *,
    body: str,
    shorten_links: bool | str | None = None,
    add_org_prefix: bool | str | None = None,
    add_info_link: bool | str | None = None,
    add_opt_out_language: bool | str | None = None,
    image_id: str | None = None,
) -> dict[str, Any]:
    """A text message.

    :param body: the text; may have Klaviyo's tags.
    :param shorten_links: True if Klaviyo shortens the links in it, and so counts clicks. Klaviyo's default: True.
    :param add_org_prefix: name the sender in front. Klaviyo's default: True.
    :param add_info_link: add the link to the company's page. Klaviyo's default: True.
    :param add_opt_out_language: say at the end how to opt out. Klaviyo's default: False.
    :param image_id: an image uploaded to Klaviyo; makes it an MMS.
    """
    render_options = _given(
        shorten_links=shorten_links,
        add_org_prefix=add_org_prefix,
        add_info_link=add_info_link,
        add_opt_out_language=add_opt_out_language,
    )
    return _message(channel="sms", content={"body": body}, render_options=render_options or None, image_id=image_id)


def push(
    *,
    body: str,
    title: str | None = None,
    action_buttons: Sequence[Mapping[str, Any]] | str | None = None,
    kv_pairs: Mapping[str, Any] | str | None = None,
    on_open: Mapping[str, Any] | str | None = None,
    badge: Mapping[str, Any] | bool | str | None = None,
    play_sound: bool | str | None = None,
    dynamic_image: str | None = None,
    image_id: str | None = None,
) -> dict[str, Any]:
    """A push notification.

    :param title: the line above the body.
    :param body: at most 512 characters.
    :param action_buttons: at most three of :func:`action_button`.
    :param kv_pairs: data for the app.
    :param on_open: ``{"type": "open_app"}``, or ``{"type": "deep_link", "ios_deep_link": …, "android_deep_link": …}``
        with a link for each platform the account sends to, or ``{"type": "open_web_url", "web_url": …}``.
    :param badge: iOS only. True or False, or ``{"display": True, "badge_options": …}`` with one of
        ``{"badge_config": "increment_one"}``, ``{"badge_config": "set_count", "value": "3"}`` and
        ``{"badge_config": "set_property", "set_from_property": …}``.
    :param play_sound: iOS only. Klaviyo's default: False.
    :param dynamic_image: a Klaviyo tag that becomes the URL of an image. Not together with ``image_id``.
    :param image_id: an image uploaded to Klaviyo.
    """
    content = _given(title=title, body=body, dynamic_image=dynamic_image, action_buttons=action_buttons)
    shown = {"display": badge} if isinstance(badge, bool) else badge
    return _message(
        channel="mobile_push",
        notification_type="standard",
        content=content,
        kv_pairs=kv_pairs,
        options=_given(on_open=on_open, badge=shown, play_sound=play_sound) or None,
        image_id=image_id,
    )


def action_button(*, label: str, action_type: str, url: str | None = None) -> dict[str, Any]:
    """A button of a push notification. Buttons are shown in the order of the list that they are given in.

    :param label: at most 40 characters.
    :param action_type: ``open_app``, ``deep_link``, ``open_url`` or ``dismiss``.
    :param url: for ``deep_link`` and ``open_url``, which need it: at most 2048 characters.
    """
    return _given(label=label, action_type=action_type, url=url)


def silent_push(*, kv_pairs: Mapping[str, Any] | str) -> dict[str, Any]:
    """A push notification that the app handles and the recipient does not see.

    :param kv_pairs: data for the app.
    """
    return _message(channel="mobile_push", notification_type="silent", kv_pairs=kv_pairs)


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _message(**fields: Any) -> dict[str, Any]:
    message: dict[str, Any] = check_message(_given(**fields))
    return message
