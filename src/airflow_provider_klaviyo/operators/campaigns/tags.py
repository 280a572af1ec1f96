"""Tag a campaign."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.campaigns.values import Field, filled
from airflow_provider_klaviyo.hooks.arguments import check_choice, check_id
from airflow_provider_klaviyo.hooks.tasks import CONNECTION
from airflow_provider_klaviyo.operators.base import KlaviyoCampaignOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class KlaviyoTagCampaignOperator(KlaviyoCampaignOperator):
    """Put a tag on a campaign, or take it off. A campaign may be tagged in any status.

    *Retry, kill, lost answer, clear*: a campaign that is tagged as asked is left as it is, and a tag that an earlier
    try made is found by its name. *Rate limit*: 2 to 4 requests; 3/s and 60/min per account.

    :param campaign_id: the campaign. Templated.
    :param tag: the tag's name. Templated. Give this or ``tag_id``.
    :param tag_id: the tag. Templated.
    :param action: ``"add"`` or ``"remove"``.
    :param missing: what to do when there is no tag of that name: ``"error"``, or ``"create"`` it (in the account's
        default group; only to add it).
    :returns: the campaign's id.
    :raises KlaviyoValidationError: there is no tag of that name, or more than one.
    :raises KlaviyoNotFoundError: no such campaign, or no such tag id.
    """

    template_fields = ("campaign_id", "tag", "tag_id", *CONNECTION)

    def __init__(
        self,
        *,
        campaign_id: str,
        tag: str | None = None,
        tag_id: str | None = None,
        action: Literal["add", "remove"] = "add",
        missing: Literal["error", "create"] = "error",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.campaign_id = campaign_id
        self.tag = tag
        self.tag_id = tag_id
        self.action = action
        self.missing = missing
        if (tag is None) == (tag_id is None):
            raise KlaviyoValidationError(
                f"tag is {tag!r} and tag_id is {tag_id!r}; give exactly one of them.", pointer="tag"
            )
        check_choice("action", action, ("add", "remove"))
        check_choice("missing", missing, ("error", "create"))
        if missing == "create" and (action == "remove" or tag is None):
            raise KlaviyoValidationError(
                "missing is 'create'; that is for a tag to be added by its name. Leave it out.", pointer="missing"
            )
        self._check()

    def _check(self, *, rendered: bool = False) -> None:
        check_id("campaign_id", self.campaign_id, rendered=rendered)
        if self.tag_id is not None:
            check_id("tag_id", self.tag_id, rendered=rendered)
        else:
            filled(self.tag, Field("/tag", rendered=rendered))

    def execute(self, context: Context) -> str:
        from airflow_provider_klaviyo.resume.tag import tag, tag_of, untag

        self.check_rendered()
        self._check(rendered=True)
        self.show_link(context, self.campaign_id)
        tag_id = self.tag_id or tag_of(self.hook, str(self.tag), create=self.missing == "create")
        changed = (tag if self.action == "add" else untag)(self.hook, self.campaign_id, tag_id)
        what = "has" if self.action == "add" else "does not have"
        self.log.info(
            "Campaign %s %s tag %s%s.", self.campaign_id, what, tag_id, "" if changed else ", as it was already"
        )
        return self.campaign_id
