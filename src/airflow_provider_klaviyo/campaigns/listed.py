"""What a task that lists is given: a filter, and fields. Checked once they hold no Jinja any more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_klaviyo.api.checks import check_filter, facts
from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.api.filters import Filter, parse
from airflow_provider_klaviyo.campaigns.values import check_choice, is_template


def check_each(name: str, values: Any, allowed: Sequence[str], *, rendered: bool = True) -> None:
    """:raises KlaviyoValidationError: it is not a list, or one of it is not allowed."""
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise KlaviyoValidationError(f"{name} is {values!r}; give a list.", pointer=name)
    for value in values:
        if rendered or not is_template(value):
            check_choice(name, value, allowed)


def check_fields(
    operation: str, type_: str, fields: Any, revision: str | None, *, rendered: bool, besides: Sequence[str] = ()
) -> None:
    """Check the fields that a task asks for.

    :param type_: Klaviyo's word for what is listed.
    :param besides: what is taken besides those that are published.
    :raises KlaviyoValidationError: they are not a list, or Klaviyo does not have one of them.
    """
    known = facts(operation, revision)["query"][f"fields[{type_}]"]["schema"]["items"]["enum"]
    check_each("fields", fields or (), [*known, *besides], rendered=rendered)


def given_filter(
    operation: str | None,
    given: Filter | str | None,
    revision: str | None,
    *,
    example: str,
    instead: Mapping[str, str],
) -> Filter | None:
    """The filter that a task is given; ``None``: none.

    :param operation: what lists; ``None``: what it filters by is left to Klaviyo.
    :param given: made by the functions of ``api.filters``, or the same as text.
    :param example: the beginning of one, such as ``contains(name,``.
    :param instead: fields of it that the task itself filters by, and what to give instead.
    :raises KlaviyoValidationError: it has Jinja that is not rendered, one of these fields, or what Klaviyo does not
        filter by.
    """
    if given is None or given == "":
        return None
    if is_template(str(given)):
        raise KlaviyoValidationError(
            f"filter {given} holds Jinja, which is rendered only in a filter given as text: write "
            f"filter='{example}\"{{{{ … }}}}\")', say. A datetime then stands without quotes.",
            pointer="filter",
        )
    wanted = given if isinstance(given, Filter) else parse(given)
    for clause in wanted.clauses:
        if clause.field in instead:
            raise KlaviyoValidationError(f"filter holds {clause.field}; {instead[clause.field]}.", pointer="filter")
    if operation is not None:
        check_filter(operation, wanted, revision)
    return wanted
