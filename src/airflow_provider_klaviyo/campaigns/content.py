"""What a campaign says: one function per kind of message.

Each returns a plain dict that a DAG hands to an operator as an item of ``messages``. Any argument may be Jinja. What is
not given is left out, so that the account's defaults apply. Klaviyo's own tags look like Jinja: keep Airflow from
rendering them with ``{% raw %}Hello {{ first_name }}{% endraw %}``.

All raise :class:`~airflow_provider_klaviyo.api.errors.KlaviyoValidationError` for what Klaviyo would refuse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_klaviyo.campaigns.messages import check_message


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
    """An e-mail, as far as a campaign says it: its body comes from the template that is assigned to the message.

    :param from_email: must be a verified sender of the account.
    :param from_label: the sender's name as recipients see it.
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

    :param shorten_links: Klaviyo's default: True.
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
