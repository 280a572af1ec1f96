"""Who gets a campaign: ids of lists and segments."""

from __future__ import annotations

from typing import Any

from airflow_provider_klaviyo.campaigns.values import Field, identifier, is_template, record, sequence


def check_audiences(audiences: Any, *, partial: bool = False, rendered: bool = False) -> Any:
    """Judge ``{"included": [ids], "excluded": [ids]}``, and return it as it is to be sent.

    An update replaces a list as a whole; it does not add to it.

    :param partial: for an update: ``included`` may be left out.
    :param rendered: whether Airflow has rendered the values, so that Jinja in them is a mistake.
    :return: a dict; whatever was given, where it cannot be judged before it is rendered.
    :raises KlaviyoValidationError: nobody is included, an id is no id, is given twice, or is in both lists.
    """
    field = Field("/audiences", rendered=rendered)
    if field.pending(audiences):
        return audiences
    cleaned = record(audiences, field, {"included": _ids, "excluded": _ids}, required=() if partial else ("included",))
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
