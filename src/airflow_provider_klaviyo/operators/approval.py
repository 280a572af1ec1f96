"""A person looks at a campaign before it goes out. Needs Airflow 3.1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from inspect import signature
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_klaviyo.campaigns.status import CampaignStatus
from airflow_provider_klaviyo.campaigns.values import Field, Output, check_choice, check_id, filled, positive, sequence
from airflow_provider_klaviyo.tasks import CONNECTION, KlaviyoCampaignOperator

try:
    from airflow.providers.standard.operators.hitl import HITLOperator
except Exception as error:
    raise ImportError(
        "KlaviyoApproveCampaignOperator needs Airflow 3.1 or later and its package apache-airflow-providers-standard; "
        "this Airflow cannot ask people. Upgrade it, or take this operator out of the DAG."
    ) from error

if TYPE_CHECKING:
    from airflow.sdk import Context

IfRejected = Literal["refuse", "skip"]

APPROVE, REJECT = "Approve", "Reject"

TIMEOUT = "response_timeout" if "response_timeout" in signature(HITLOperator).parameters else "execution_timeout"
"""The argument for how long Airflow waits for an answer: the standard provider of Airflow 3.1 has no other."""

ANSWER = "klaviyo_approval"
"""Key of the XCom with the answer."""


class KlaviyoApproveCampaignOperator(KlaviyoCampaignOperator, HITLOperator):
    """Show a campaign to a person in Airflow, and wait for a yes, without a worker slot.

    The page under *Required actions* has the channel, subject, sender, the audiences by name, when it is to be sent,
    the recipients as last counted, the last campaign to the same audience, the message as text, and links to Klaviyo
    and to this run. Who answered what, and when, is in the XCom ``klaviyo_approval``: ``{"answer", "by", "at"}``.

    What is approved is what was shown: a draft that was changed while the question was open is refused, and the send of
    this run compares with it, too (``if_edited``).

    *Retry, kill, clear*: asks again. A campaign that has left the drafts is not asked about: if this run sent it is for
    ``KlaviyoSendCampaignOperator`` to see. *Rate limit*: some 8 requests, and 1 for each list and segment.

    :param campaign_id: the campaign. Templated.
    :param body: what the page has before all else, as Markdown. Templated.
    :param approvers: ids of the Airflow users who may answer; ``None``: everybody who may edit the task. Templated.
    :param if_rejected: after a no: ``"refuse"`` (fail), or ``"skip"`` this task and those after it. Nothing is sent.
    :param run_note: True: put the link to the campaign, the answer and who gave it into the run's note, on Airflow 3.4
        and later. It takes the place of what a person wrote there, as Airflow lets no task read it; so nothing is
        written by a mapped task, and in a run of which something was cleared.
    :param timeout: seconds after which the task fails without an answer; default 86,400 (a day). Nothing is sent.
    :param notifiers: Airflow's notifiers that are called when the question is asked.
    :returns: the campaign's id.
    :raises KlaviyoRefusedError: it was rejected, nobody answered in time, or it was changed meanwhile; nothing was
        sent.
    :raises AirflowSkipException: it was rejected, and ``if_rejected="skip"``.
    """

    template_fields = ("campaign_id", "body", "approvers", *CONNECTION)

    def __init__(
        self,
        *,
        campaign_id: str | Output,
        body: str | Output | None = None,
        approvers: str | Sequence[str] | Output | None = None,
        if_rejected: IfRejected = "refuse",
        run_note: bool = False,
        timeout: float = 86_400.0,
        **kwargs: Any,
    ) -> None:
        patience = timedelta(seconds=positive("timeout", timeout))
        super().__init__(
            subject="Send this campaign?", options=[APPROVE, REJECT], body=body, **{**kwargs, TIMEOUT: patience}
        )
        self.response_timeout = patience
        self.campaign_id = campaign_id
        self.approvers = approvers
        self.if_rejected = if_rejected
        self.run_note = run_note
        check_id("campaign_id", campaign_id)
        check_choice("if_rejected", if_rejected, ("refuse", "skip"))
        check_choice("run_note", run_note, (True, False))
        if body is not None:
            filled(body, Field("body"))
        self._users()

    def _users(self, *, rendered: bool = False) -> list[str]:
        """The ids of those who may answer; none: everybody."""
        if self.approvers is None:
            return []
        given = [self.approvers] if isinstance(self.approvers, str) else self.approvers
        found = sequence(given, Field("approvers", rendered=rendered), filled)
        return [str(one) for one in found] if isinstance(found, list | tuple) else []

    def execute(self, context: Context) -> str:
        from airflow_provider_klaviyo.api.errors import KlaviyoApiError
        from airflow_provider_klaviyo.drafts.edits import Draft, keep, of_draft
        from airflow_provider_klaviyo.drafts.preview import preview

        self.check_rendered()
        check_id("campaign_id", self.campaign_id, rendered=True)
        users = self._users(rendered=True)
        self.show_link(context, self.campaign_id)
        campaign = self.hook.get_campaign(self.campaign_id)
        status = campaign.attributes.get("status")
        if status != CampaignStatus.DRAFT:
            self.log.warning("Campaign %s is %r: there is nothing to approve any more.", self.campaign_id, status)
            return self.campaign_id
        draft = Draft.read(self.hook, campaign)
        if not draft.messages:
            raise KlaviyoApiError(f"Campaign {self.campaign_id} has no message in Klaviyo's answer.")
        keep(context, self.campaign_id, of_draft(self.hook, draft))
        links = {"This campaign in Klaviyo": self.campaign_url, "This task": getattr(context["ti"], "log_url", "")}
        parts = [str(self.body)] if self.body else []
        self.body = "\n\n".join([*parts, preview(self.hook, draft, links)])
        self.subject = f"Send {campaign.name!r}?"
        self.assigned_users = [{"id": user, "name": user} for user in users] or None
        super().execute(context)
        return self.campaign_id

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> str:
        """Go on after the answer, or without one.

        :raises KlaviyoRefusedError: not to be sent.
        """
        from airflow_provider_klaviyo.exceptions import KlaviyoError, KlaviyoRefusedError, RefusalReason, skip

        self.check_rendered()
        self.show_link(context, self.campaign_id)
        if "error" in event and event.get("error_type") != "timeout":
            raise KlaviyoError(f"Asking about campaign {self.campaign_id} failed: {event['error']}")
        chosen = event.get("chosen_options") or []
        answer = "none" if "error" in event else str(chosen[0]) if chosen else REJECT
        by, at = _user(event.get("responded_by_user")), event.get("responded_at")
        facts = {"answer": answer, "by": by, "at": at.isoformat() if isinstance(at, datetime) else at}
        context["ti"].xcom_push(key=ANSWER, value=facts)
        if self.run_note:
            from airflow_provider_klaviyo.operators.run_note import note_run

            note_run(self, context, answer if by is None else f"{answer} by {by}, {facts['at']}")
        if answer == APPROVE:
            self._check_unchanged(context)
            self.log.info("Campaign %s was approved by %s.", self.campaign_id, by)
            return self.campaign_id
        what = (
            f"Nobody answered within {self.response_timeout} if campaign {self.campaign_id} may be sent"
            if answer == "none"
            else f"Campaign {self.campaign_id} was rejected by {by}"
        )
        if answer != "none" and self.if_rejected == "skip":
            skip(f"{what}: it is not sent, as if_rejected='skip' asks. It is still a draft.")
        raise KlaviyoRefusedError(
            f"{what}: it was not sent, and is still a draft. Clear this task to ask again.",
            reason=RefusalReason.NOT_APPROVED,
            campaign_id=self.campaign_id,
        )

    def _check_unchanged(self, context: Context) -> None:
        """:raises KlaviyoRefusedError: the draft is not as it was shown."""
        from airflow_provider_klaviyo.drafts.edits import Draft, Written
        from airflow_provider_klaviyo.exceptions import KlaviyoRefusedError, RefusalReason

        shown = Written.pull(context, self.campaign_id, [self.task_id])
        draft = Draft.read(self.hook, self.hook.get_campaign(self.campaign_id))
        if edits := shown.differing(self.hook, draft):
            raise KlaviyoRefusedError(
                f"Campaign {self.campaign_id} was changed while it was open for approval: {', '.join(edits)}. What was "
                f"approved is not what is there, so it was not sent. Clear this task to ask again.",
                reason=RefusalReason.EDITED,
                campaign_id=self.campaign_id,
            )


def _user(given: Any) -> str | None:
    """The name of an Airflow user, as one of its versions has it."""
    if isinstance(given, Mapping):
        return given.get("name") or given.get("id")
    return getattr(given, "name", None) or (str(given) if given else None)
