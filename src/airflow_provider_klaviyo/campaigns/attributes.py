"""A campaign's attributes besides its messages: who gets it, how, and with what tracking."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any

from airflow_provider_klaviyo.campaigns.strategies import check_strategy
from airflow_provider_klaviyo.campaigns.values import (
    Field,
    filled,
    flag,
    identifier,
    is_template,
    mapping,
    one_of,
    sequence,
    text,
)

ATTRIBUTES = ("audiences", "send_strategy", "send_options", "tracking_options")
"""The attributes that create, clone and update take under these names."""


def check_audiences(audiences: Any, *, partial: bool = False, rendered: bool = False) -> Any:
    """Judge ``{"included": [ids], "excluded": [ids]}``, and return it as it is to be sent.

    An update replaces a list as a whole; it does not add to it.

    :param partial: for an update: ``included`` may be left out.
    :param rendered: True if Airflow has rendered the values, so that Jinja in them is a mistake.
    :return: a dict; whatever was given, where it cannot be judged before it is rendered.
    :raises KlaviyoValidationError: nobody is included, an id cannot be one, is given twice, or is in both lists.
    """
    field = Field("/audiences", rendered=rendered)
    if field.pending(audiences):
        return audiences
    cleaned = mapping(audiences, field, {"included": _ids, "excluded": _ids}, required=() if partial else ("included",))
    if cleaned.get("included", True) in ([], None):
        raise field.at("included").error("is empty", "A campaign needs at least one list or segment: give its id.")
    both = sorted(_known(cleaned.get("included")) & _known(cleaned.get("excluded")))
    if both:
        raise field.at("excluded").error(f"holds {', '.join(both)}, also included", "Keep each id in one of the two.")
    return cleaned


def _ids(value: Any, field: Field) -> Any:
    ids = sequence(value, field, identifier)
    if isinstance(ids, list):
        seen: set[str] = set()
        for index, item in enumerate(ids):
            if is_template(item):
                continue
            if item in seen:
                raise field.at(index).error(f"is {item!r}, given twice", "Keep it once.")
            seen.add(item)
    return ids


def _known(ids: Any) -> set[str]:
    """The ids that are not still to be rendered."""
    return {item for item in ids if not is_template(item)} if isinstance(ids, list) else set()


DYNAMIC_VALUES = (
    "campaign_id",
    "campaign_name",
    "campaign_name_id",
    "campaign_name_send_day",
    "email_subject",
    "group_id",
    "group_name",
    "group_name_id",
    "link_alt_text",
    "message_type",
    "profile_external_id",
    "profile_id",
)
REQUIRED_PARAMS = ("utm_source", "utm_medium")


def tracking_options(
    *,
    add_tracking_params: bool | str | None = None,
    static_params: Mapping[str, str] | None = None,
    dynamic_params: Mapping[str, str] | None = None,
    is_tracking_clicks: bool | str | None = None,
    is_tracking_opens: bool | str | None = None,
) -> dict[str, Any]:
    """What is tracked. What is not given follows the account's defaults. Push campaigns take none of it.

    :param add_tracking_params: True if links get parameters. True without parameters: those of the account. Set to
        True when parameters are given and this is not.
    :param static_params: parameters with fixed values: ``{"utm_source": "klaviyo", "utm_medium": "email"}``.
    :param dynamic_params: parameters that Klaviyo fills in: ``{"utm_campaign": "campaign_name"}``. The values it
        knows are in :data:`DYNAMIC_VALUES`.
    :param is_tracking_clicks: e-mail only.
    :param is_tracking_opens: e-mail only.
    :raises KlaviyoValidationError: parameters without both ``utm_source`` and ``utm_medium``, an unknown dynamic value.
    """
    params = [{"type": "static", "name": name, "value": value} for name, value in (static_params or {}).items()]
    params += [{"type": "dynamic", "name": name, "value": value} for name, value in (dynamic_params or {}).items()]
    if params and add_tracking_params is None:
        add_tracking_params = True
    options = {
        "add_tracking_params": add_tracking_params,
        "custom_tracking_params": params or None,
        "is_tracking_clicks": is_tracking_clicks,
        "is_tracking_opens": is_tracking_opens,
    }
    cleaned: dict[str, Any] = check_tracking_options({k: v for k, v in options.items() if v is not None})
    return cleaned


def check_tracking_options(options: Any, channel: str | None = None, *, rendered: bool = False) -> Any:
    """Judge tracking options, and return them as they are to be sent.

    :param channel: the campaign's channel, where known.
    :param rendered: True if Airflow has rendered the values, so that Jinja in them is a mistake.
    :return: a dict; whatever was given, where it cannot be judged before it is rendered.
    :raises KlaviyoValidationError: Klaviyo would refuse them; ``pointer`` names the field.
    """
    field = Field("/tracking_options", rendered=rendered)
    if channel == "mobile_push":
        raise field.error("are given", "Klaviyo takes none for push: leave them out.")
    if field.pending(options):
        return options
    email_only = {"is_tracking_clicks", "is_tracking_opens"}
    if channel == "sms" and isinstance(options, Mapping) and (wrong := sorted(email_only & options.keys())):
        raise field.at(wrong[0]).error("is given for SMS", "Klaviyo has it for e-mail only: leave it out.")
    return mapping(
        options,
        field,
        {
            "add_tracking_params": flag,
            "custom_tracking_params": _params,
            "is_tracking_clicks": flag,
            "is_tracking_opens": flag,
        },
    )


def check_send_options(options: Any, *, rendered: bool = False) -> Any:
    """Judge ``{"use_smart_sending": bool}``, and return it as it is to be sent.

    :param rendered: True if Airflow has rendered the values, so that Jinja in them is a mistake.
    :return: a dict; whatever was given, where it cannot be judged before it is rendered.
    :raises KlaviyoValidationError: another field, or no boolean.
    """
    field = Field("/send_options", rendered=rendered)
    return options if field.pending(options) else mapping(options, field, {"use_smart_sending": flag})


def _params(value: Any, field: Field) -> Any:
    params = sequence(value, field, _param)
    if not params or is_template(params) or any(is_template(param) for param in params):
        return params
    names = [param["name"] for param in params]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise field.at(index).error(f"gives {name!r} again", "Give each parameter once.")
    missing = [name for name in REQUIRED_PARAMS if name not in names]
    if missing and not any(is_template(name) for name in names):
        raise field.error(f"has no {' and no '.join(missing)}", "Klaviyo wants both, or an empty list: add what lacks.")
    return params


def _param(value: Any, field: Field) -> Any:
    if field.pending(value):
        return value
    kind = value.get("type") if isinstance(value, Mapping) else None
    readers = {
        "type": one_of("static", "dynamic"),
        "name": filled,
        "value": one_of(*DYNAMIC_VALUES) if kind == "dynamic" else text,
    }
    return mapping(value, field, readers, required=readers)


def in_full(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The same attributes for a campaign that has some already: an audience list that is not given is to be empty."""
    audiences = attributes.get("audiences")
    if not isinstance(audiences, Mapping):
        return dict(attributes)
    return {**attributes, "audiences": {"excluded": [], **audiences}}


def check_attributes(
    attributes: Mapping[str, Any],
    *,
    revision: str | None,
    channel: str | None = None,
    now: datetime | None,
    required: Collection[str] = (),
    partial: bool = False,
) -> dict[str, Any]:
    """Judge attributes, and return those that were given as they are to be sent.

    :param attributes: ``name``, ``audiences``, ``send_strategy``, ``send_options`` and ``tracking_options``; ``None``
        was not given.
    :param revision: the API revision of the call, where known.
    :param channel: the campaign's channel, where known.
    :param now: the current time, once the attributes are rendered; until then Jinja is left alone.
    :param required: those that must be given.
    :param partial: for an update: ``included`` may be left out.
    :raises KlaviyoValidationError: Klaviyo would refuse one; the message names it and says what is allowed.
    """
    rendered = now is not None
    readers: dict[str, Callable[[Any], Any]] = {
        "name": lambda value: filled(value, Field("/name", rendered=rendered)),
        "audiences": lambda value: check_audiences(value, partial=partial, rendered=rendered),
        "send_strategy": lambda value: check_strategy(value, revision=revision, channel=channel, now=now),
        "send_options": lambda value: check_send_options(value, rendered=rendered),
        "tracking_options": lambda value: check_tracking_options(value, channel, rendered=rendered),
    }
    return {name: readers[name](value) for name, value in attributes.items() if value is not None or name in required}
