"""Tag a campaign."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_klaviyo.api.errors import (
    KlaviyoAmbiguousWriteError,
    KlaviyoConflictError,
    KlaviyoValidationError,
)
from airflow_provider_klaviyo.api.text import nearest
from airflow_provider_klaviyo.campaigns.values import Field, Output, check_choice, check_id, filled
from airflow_provider_klaviyo.tasks import CONNECTION, KlaviyoCampaignOperator

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
        campaign_id: str | Output,
        tag: str | Output | None = None,
        tag_id: str | Output | None = None,
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
        self.check_rendered()
        self._check(rendered=True)
        self.show_link(context, self.campaign_id)
        tag_id = self.tag_id or self._tag_id(str(self.tag))
        changed = (self._put_on if self.action == "add" else self._take_off)(tag_id)
        what = "has" if self.action == "add" else "does not have"
        self.log.info(
            "Campaign %s %s tag %s%s.", self.campaign_id, what, tag_id, "" if changed else ", as it was already"
        )
        return self.campaign_id

    def _tag_id(self, name: str) -> str:
        """The id of the tag with a name.

        :raises KlaviyoValidationError: there is none, or more than one; the message has what to do.
        :raises KlaviyoAmbiguousWriteError: it is not known if it was made; the next try looks again.
        """
        found = self._find(name)
        if found is None and self.missing == "create":
            return self._create(name)
        if found is None:
            names = [str(tag.attributes.get("name")) for tag in self.hook.get_tags()]
            hint = nearest(name, names) or " Make it in Klaviyo, or set missing='create'."
            raise KlaviyoValidationError(f"There is no tag {name!r} in this account.{hint}", pointer="tag")
        return found

    def _find(self, name: str) -> str | None:
        found = self.hook.find_tags(name)
        if len(found) > 1:
            ids = ", ".join(tag.id for tag in found)
            raise KlaviyoValidationError(
                f"There are {len(found)} tags named {name!r} ({ids}); name one with tag_id.", pointer="tag"
            )
        return found[0].id if found else None

    def _create(self, name: str) -> str:
        """A new tag, or the one that somebody (or a call whose answer was lost) has just made."""
        try:
            return self.hook.create_tag(name).id
        except (KlaviyoAmbiguousWriteError, KlaviyoConflictError) as error:
            self.log.warning("%s Checking if tag %r is there.", error, name)
            if made := self._find(name):
                return made
            raise

    def _has(self, tag_id: str) -> bool:
        return tag_id in self.hook.get_campaign_tag_ids(self.campaign_id)

    def _put_on(self, tag_id: str) -> bool:
        """Put the tag on the campaign; True if it did not have it.

        :raises KlaviyoAmbiguousWriteError: it is not known if it was put there; the next try looks again.
        """
        if self._has(tag_id):
            return False
        try:
            self.hook.tag_campaigns(tag_id, [self.campaign_id])
        except KlaviyoAmbiguousWriteError as error:
            self.log.warning("%s Checking if campaign %s has the tag.", error, self.campaign_id)
            if not self._has(tag_id):
                raise
        return True

    def _take_off(self, tag_id: str) -> bool:
        """Take the tag off the campaign; True if it had it."""
        if not self._has(tag_id):
            return False
        self.hook.untag_campaigns(tag_id, [self.campaign_id])
        return True
