"""How a campaign is sent and tracked: Klaviyo's ``send_options`` and ``tracking_options``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_klaviyo.campaigns.values import Field, filled, flag, is_template, one_of, record, sequence, text

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

    :param add_tracking_params: whether links get parameters. True without parameters: those of the account. Set to
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
    :param rendered: whether Airflow has rendered the values, so that Jinja in them is a mistake.
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
    return record(
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

    :param rendered: whether Airflow has rendered the values, so that Jinja in them is a mistake.
    :return: a dict; whatever was given, where it cannot be judged before it is rendered.
    :raises KlaviyoValidationError: another field, or no boolean.
    """
    field = Field("/send_options", rendered=rendered)
    return options if field.pending(options) else record(options, field, {"use_smart_sending": flag})


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
    return record(value, field, readers, required=readers)
