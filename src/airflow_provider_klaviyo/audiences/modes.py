"""What an import makes of what is in Klaviyo already."""

from __future__ import annotations

from typing import Any, Literal, get_args

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.audiences.bounds import at_most
from airflow_provider_klaviyo.campaigns.values import check_choice, is_template

Mode = Literal["upsert", "changed", "mirror"]
"""Import all rows; those that have changed since the last run; or those, and take all others off the list."""

MAX_REMOVED = "20%"
"""Members that ``mirror`` may take off the list, unless the DAG says otherwise."""


def check_mode(mode: Any, list_ids: Any, state_path: Any, max_removed: Any, *, rendered: bool = False) -> None:
    """Judge the mode, and what it needs.

    :param list_ids: the lists that the profiles join, or what renders to them.
    :param rendered: False in the constructor: templates are not judged then.
    :raises KlaviyoValidationError: something is missing, or is given and of no use.
    """
    check_choice("mode", mode, get_args(Mode))
    if mode == "changed" and state_path is None:
        raise KlaviyoValidationError(
            "mode='changed' needs state_path: the file where it keeps what was imported, such as "
            "'s3://marketing/state/customers'.",
            pointer="state_path",
        )
    if mode == "upsert" and state_path is not None:
        raise KlaviyoValidationError(
            "state_path is of use with mode='changed' or mode='mirror' only; set one of them, or leave it out.",
            pointer="state_path",
        )
    is_path = isinstance(state_path, str) and bool(state_path.strip())
    if state_path is not None and not is_path and (rendered or not is_template(state_path)):
        raise KlaviyoValidationError(f"state_path is {state_path!r}; give the path of a file.", pointer="state_path")
    if rendered or not is_template(max_removed):
        at_most("max_removed", max_removed, 0)
    if mode == "mirror" and (rendered or not is_template(list_ids)):
        count = len(list_ids) if isinstance(list_ids, list | tuple) else int(list_ids is not None)
        if count != 1:
            raise KlaviyoValidationError(
                f"mode='mirror' makes one list what the rows are, and list_ids names {count or 'none'}. Mirror each "
                f"list by a task of its own.",
                pointer="list_ids",
            )
