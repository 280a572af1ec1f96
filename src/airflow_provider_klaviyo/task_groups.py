"""A whole campaign in one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import TaskGroup

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.operators.campaigns import (
    KlaviyoAssignTemplateOperator,
    KlaviyoCloneCampaignOperator,
    KlaviyoCreateCampaignOperator,
    KlaviyoEstimateRecipientsOperator,
    KlaviyoSendCampaignOperator,
)
from airflow_provider_klaviyo.tasks import CAMPAIGN_NAME

if TYPE_CHECKING:
    from airflow_provider_klaviyo.campaigns.once import IfExists
    from airflow_provider_klaviyo.operators.campaigns.send import IfEdited, IfRecent, InBackfill, WaitUntil


def klaviyo_campaign(
    *,
    group_id: str = "campaign",
    name: str,
    audiences: Mapping[str, Any] | None = None,
    messages: Sequence[Mapping[str, Any]] | None = None,
    clone_of: str | None = None,
    template_id: str | None = None,
    send_strategy: Mapping[str, Any] | None = None,
    send_options: Mapping[str, Any] | None = None,
    tracking_options: Mapping[str, Any] | None = None,
    if_exists: IfExists = "make",
    minimum: int | str | None = 1,
    maximum: int | str | None = None,
    compare_with: str | None = None,
    last_sends: int = 5,
    approve: bool = False,
    approvers: str | Sequence[str] | None = None,
    wait_until: WaitUntil | None = "sent",
    in_backfill: InBackfill = "refuse",
    if_edited: IfEdited = "warn",
    not_within: timedelta | None = None,
    if_recent: IfRecent = "refuse",
    run_note: bool = False,
    report: Mapping[str, Any] | None = None,
    deferrable: bool | None = None,
    klaviyo_conn_id: str = "klaviyo_default",
    revision: str | None = None,
    default_args: Mapping[str, Any] | None = None,
) -> TaskGroup:
    """A task group that makes a campaign, checks it, and sends it once.

    Its tasks are ``create`` (or ``clone``), ``assign`` if there is a ``template_id``, ``estimate``, ``approve`` if that
    is asked for, ``send``, and ``report`` if that is asked for, one after the other. Each is the operator of that name,
    with all that it guarantees about retries, kills and clears. What the arguments mean is said there; all that is
    templated there is so here.

    It may be called in a ``@task_group`` function that is expanded: then each task is shown by the campaign's name,
    which costs 1 request more a task.

    :param group_id: the group's id, which the ids of its tasks begin with.
    :param name: the campaign's name: one for each run.
    :param messages: one message, for a new campaign, with ``audiences``. Give this or ``clone_of``.
    :param clone_of: id of the campaign that is cloned; what else is given takes the place of what it has.
    :param template_id: the template that its email message gets.
    :param approve: True if a person has to say yes in Airflow (3.1 and later).
    :param report: arguments of the report on the campaign: ``conversion_metric``, ``report_after``, ``table`` and
        others. Of many campaigns, one report after the group costs less: Klaviyo takes 225 a day.
    :param default_args: of all tasks in the group, such as ``{"retries": 2}``.
    :returns: the group, for ``upstream >> group``. ``group.children[f"{group_id}.send"]`` is the task that returns the
        campaign's id.
    :raises KlaviyoValidationError: an argument that cannot be right.
    """
    if (messages is None) == (clone_of is None):
        raise KlaviyoValidationError(
            "Give messages for a new campaign, or clone_of for one that is cloned; and one of them only.",
            pointer="messages",
        )
    with TaskGroup(group_id, default_args=dict(default_args or {})) as group:  # type: ignore[arg-type]
        shared: dict[str, Any] = {"klaviyo_conn_id": klaviyo_conn_id, "revision": revision}
        if any(group.iter_mapped_task_groups()):
            shared["map_index_template"] = CAMPAIGN_NAME
        given: dict[str, Any] = {
            "audiences": audiences,
            "send_strategy": send_strategy,
            "send_options": send_options,
            "tracking_options": tracking_options,
            "if_exists": if_exists,
        }
        made: Any
        if clone_of is not None:
            made = KlaviyoCloneCampaignOperator(task_id="clone", campaign_id=clone_of, new_name=name, **given, **shared)
        else:
            made = KlaviyoCreateCampaignOperator(
                task_id="create", name=name, messages=messages or (), **given, **shared
            )
        last = made
        shared["campaign_id"] = made.output
        if template_id is not None:
            last >>= KlaviyoAssignTemplateOperator(task_id="assign", template_id=template_id, **shared)
        last >>= KlaviyoEstimateRecipientsOperator(
            task_id="estimate",
            minimum=minimum,
            maximum=maximum,
            compare_with=compare_with,
            last_sends=last_sends,
            deferrable=deferrable,
            **shared,
        )
        if approve:
            from airflow_provider_klaviyo.operators.approval import KlaviyoApproveCampaignOperator

            last >>= KlaviyoApproveCampaignOperator(task_id="approve", approvers=approvers, run_note=run_note, **shared)
        last >>= KlaviyoSendCampaignOperator(
            task_id="send",
            wait_until=wait_until,
            in_backfill=in_backfill,
            if_edited=if_edited,
            not_within=not_within,
            if_recent=if_recent,
            run_note=run_note,
            deferrable=deferrable,
            **shared,
        )
        if report is not None:
            from airflow_provider_klaviyo.operators.reports import KlaviyoCampaignReportOperator

            shared["campaign_ids"] = shared.pop("campaign_id")
            last >>= KlaviyoCampaignReportOperator(**{"task_id": "report", **shared, **report})
    return group
