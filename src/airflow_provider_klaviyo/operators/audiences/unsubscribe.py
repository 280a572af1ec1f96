"""Unsubscribe profiles from marketing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.campaigns.values import Output, check_choice
from airflow_provider_klaviyo.operators.audiences.consent import ConsentOperator, Numbered

if TYPE_CHECKING:
    from airflow.sdk import Context

NAMED = 5
"""Rows that a refusal names at most."""


class KlaviyoUnsubscribeProfilesOperator(ConsentOperator):
    """Unsubscribe profiles from marketing: from a list, or from everything.

    **Klaviyo unsubscribes from everything whoever is not on the list named, and all of them where no list is named.**
    So who is on the list is read before the first request, and a profile that is not on it is refused, unless
    ``unsubscribe_globally``. A row with two addresses is on the list if both are. Whoever leaves the list between that
    look and the request is unsubscribed from everything. Klaviyo does its part in the minutes that follow, and has no
    job to wait for.

    *Retry, kill, lost answer*: with a list, each request is posted at most once, since a second one would find nobody
    on the list any more. It is noted (Airflow 3.3 and later: task state store, key ``klaviyo_post``); a retry makes
    those that were not made, and refuses when it is not known of one (``KlaviyoRefusedError``), or when the rows are
    others than before. Below Airflow 3.3 no retry posts. Without a list, what is not answered is repeated.
    *Clear*: does it again; those who have left the list by then are refused, or skipped with ``not_on_list="skip"``.
    *Rate limit*: 1 request for each 100 profiles, and with a list 2 or 4 more to see who is on it; 75/s and 750/min per
    account.

    :param profiles: rows with ``email`` and ``phone_number`` (E.164), either or both; and, if they are the row's own,
        ``channels``. The same row twice counts once. Templated.
    :param channels: what all rows are unsubscribed from that do not say themselves: ``email``, ``sms``, ``whatsapp``.
    :param list_id: the list that they leave. Templated.
    :param not_on_list: ``"refuse"`` if somebody is not on the list, or ``"skip"`` those.
    :param unsubscribe_globally: True if those who are not on the list, or all where no list is given, are to be
        unsubscribed from everything.
    :returns: ``{"accepted": int, "skipped": int}``: rows that Klaviyo has taken, and those that this try skipped.
    :raises KlaviyoRefusedError: somebody is not on the list, by row number; nothing was posted. Or an earlier try may
        have made a request.
    :raises KlaviyoValidationError: a row that cannot be right, by its number and field; nothing was posted. Or Klaviyo
        refused a request; the log has how many rows were accepted before.
    :raises KlaviyoAmbiguousWriteError: a request was not answered.
    """

    allowed_channels = ("email", "sms", "whatsapp")
    operation = "bulk_unsubscribe_profiles"
    remedy = (
        "Look in Klaviyo who is still on the list; to unsubscribe those, clear this task, with not_on_list='skip' for "
        "the others."
    )
    per_request = 100

    def __init__(
        self,
        *,
        profiles: Sequence[Mapping[str, Any]] | Output,
        channels: Sequence[Literal["email", "sms", "whatsapp"]] = (),
        list_id: str | Output | None = None,
        not_on_list: Literal["refuse", "skip"] = "refuse",
        unsubscribe_globally: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(profiles=profiles, channels=channels, list_id=list_id, **kwargs)
        self.not_on_list = not_on_list
        self.unsubscribe_globally = unsubscribe_globally
        check_choice("not_on_list", not_on_list, ("refuse", "skip"))
        check_choice("unsubscribe_globally", unsubscribe_globally, (True, False))
        if list_id is None and not unsubscribe_globally:
            raise KlaviyoValidationError(
                "list_id is not given: Klaviyo would unsubscribe all profiles from everything. Name the list that they "
                "are to leave, or set unsubscribe_globally=True if that is meant.",
                pointer="list_id",
            )
        if unsubscribe_globally and not_on_list == "skip":
            raise KlaviyoValidationError(
                "not_on_list is 'skip' and unsubscribe_globally is True; give one of them.", pointer="not_on_list"
            )
        self.rows()

    def execute(self, context: Context) -> dict[str, int]:
        from airflow_provider_klaviyo.api.consent import unsubscribe

        self.check_rendered()
        requests = self.requests()
        total, skipped = sum(map(len, requests.values())), 0
        if self.list_id is not None:
            requests = self.not_posted(context, requests)
            if not self.unsubscribe_globally:
                requests, skipped = self._on_list(self.list_id, requests)
        self.post(
            context,
            requests,
            lambda rows: unsubscribe(rows, list_id=self.list_id),
            only_once=self.list_id is not None,
            what="rows to unsubscribe are accepted",
        )
        return {"accepted": total - skipped, "skipped": skipped}

    def _on_list(self, list_id: str, requests: Mapping[str, list[Numbered]]) -> tuple[dict[str, list[Numbered]], int]:
        """The requests without rows that are not on the list, and how many rows those are.

        :raises KlaviyoRefusedError: there are some, and they are not to be skipped.
        """
        from airflow_provider_klaviyo.exceptions import KlaviyoRefusedError, RefusalReason

        kept: dict[str, list[Numbered]] = {}
        strangers: list[int] = []
        for content, part in requests.items():
            here = self._members(list_id, part)
            strangers += [number for number, _ in part if number not in here]
            if here:
                kept[content] = list(here.items())
        if strangers and self.not_on_list == "refuse":
            rows = ", ".join(map(str, strangers[:NAMED])) + (", …" if len(strangers) > NAMED else "")
            total = sum(map(len, requests.values()))
            raise KlaviyoRefusedError(
                f"{len(strangers):,} of {total:,} profiles are not on list {list_id}, or not by each of their "
                f"addresses: numbers {rows} of 'profiles', from 0. Klaviyo would unsubscribe them from everything. "
                f"Nothing was posted. Leave them out, or set not_on_list='skip'; if it is meant, set "
                f"unsubscribe_globally=True.",
                reason=RefusalReason.UNSUBSCRIBES_GLOBALLY,
            )
        if strangers:
            self.log.info("%s profiles are not on list %s and are skipped.", f"{len(strangers):,}", list_id)
        return kept, len(strangers)

    def _members(self, list_id: str, part: list[Numbered]) -> dict[int, dict[str, Any]]:
        """The rows of which each address is on the list, by number, with the addresses as Klaviyo writes them."""
        here = dict(part)
        names: tuple[Literal["email"], Literal["phone_number"]] = ("email", "phone_number")
        for name in names:
            asked = [row[name] for row in here.values() if row.get(name)]
            members = self.hook.members_by(list_id, name, asked) if asked else {}
            for number, row in list(here.items()):
                if row.get(name) and row[name].lower() not in members:
                    del here[number]
                elif row.get(name):
                    here[number] = {**row, name: members[row[name].lower()]}
        return here
