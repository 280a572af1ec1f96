"""Subscribe profiles to marketing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_klaviyo.campaigns.values import Field, Output, Reader, check_choice, filled, identifier
from airflow_provider_klaviyo.operators.audiences.consent import ConsentOperator, Numbered
from airflow_provider_klaviyo.operators.audiences.rows import past
from airflow_provider_klaviyo.tasks import CONNECTION

if TYPE_CHECKING:
    from airflow.sdk import Context


class KlaviyoSubscribeProfilesOperator(ConsentOperator):
    """Subscribe profiles to marketing, on the channels that they have consented to.

    Klaviyo subscribes them in the minutes that follow, and has no job to wait for. It lifts suppressions of people who
    had unsubscribed. On a list with double opt-in, and without a list where the account's default is that, it first
    mails each of them to confirm, unless ``historical_import``.

    *Retry, kill, lost answer*: what may mail people is posted at most once. Each request is noted (Airflow 3.3 and
    later: task state store, key ``klaviyo_post``); a retry makes those that were not made, and refuses when it is not
    known of one (``KlaviyoRefusedError``), or when the rows are others than before. Below Airflow 3.3 no retry posts.
    A historical import, and a list with single opt-in, mail nobody: what is not answered is repeated. *Clear*:
    subscribes all of them again. *Rate limit*: 1 request, and 1 for each 1,000 profiles; 75/s and 750/min per account.

    :param profiles: rows with ``email`` and ``phone_number`` (E.164), either or both, or the ``id`` of a profile; and,
        if they are the row's own, ``channels`` and ``consented_at``. The same row twice counts once. Templated.
    :param channels: what all rows consent to that do not say themselves: ``email``, ``sms``, ``whatsapp``, ``push``.
    :param list_id: the list that they join. Templated.
    :param historical_import: consent was given earlier: nobody is asked to confirm, and no flow of the list begins.
    :param consented_at: when it was given, for all rows that do not say themselves: an aware datetime in the past, or
        the same in ISO 8601. For a historical import each row needs one; otherwise none may have one. Templated.
    :param custom_source: where consent came from, as Klaviyo is to show it. Templated.
    :returns: ``{"accepted": int}``: rows that Klaviyo has taken.
    :raises KlaviyoValidationError: a row that cannot be right, by its number and field; nothing was posted. Or Klaviyo
        refused a request; the log has how many rows were accepted before.
    :raises KlaviyoRefusedError: an earlier try may have made a request that may mail people.
    :raises KlaviyoAmbiguousWriteError: a request was not answered.
    """

    template_fields = ("profiles", "list_id", "consented_at", "custom_source", *CONNECTION)
    allowed_channels = ("email", "sms", "whatsapp", "push")
    operation = "bulk_subscribe_profiles"
    remedy = (
        "Look in Klaviyo who is subscribed or was asked to confirm; clear this task to subscribe all of its rows again."
    )
    per_request = 1_000

    def __init__(
        self,
        *,
        profiles: Sequence[Mapping[str, Any]] | Output,
        channels: Sequence[Literal["email", "sms", "whatsapp", "push"]] = (),
        list_id: str | Output | None = None,
        historical_import: bool = False,
        consented_at: datetime | str | Output | None = None,
        custom_source: str | Output | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(profiles=profiles, channels=channels, list_id=list_id, **kwargs)
        self.historical_import = historical_import
        self.consented_at = consented_at
        self.custom_source = custom_source
        check_choice("historical_import", historical_import, (True, False))
        self.rows()

    def readers(self) -> dict[str, Reader]:
        return {**super().readers(), "id": identifier, "consented_at": past}

    def rows(self, *, rendered: bool = False) -> list[Numbered]:
        if self.custom_source is not None:
            filled(self.custom_source, Field("/custom_source", rendered=rendered))
        self._consented_at(rendered=rendered)
        return super().rows(rendered=rendered)

    def _consented_at(self, *, rendered: bool) -> Any:
        field = Field("/consented_at", rendered=rendered)
        if self.consented_at is not None and not self.historical_import:
            raise field.error("is given without historical_import", "Give both or neither.")
        return self.consented_at and past(self.consented_at, field)

    def row(self, value: Any, field: Field, readers: Mapping[str, Reader]) -> Any:
        row = super().row(value, field, readers)
        if not isinstance(row, dict):
            return row
        at = field.at("consented_at")
        if not self.historical_import and "consented_at" in row:
            raise at.error("is given without historical_import", "Give both or neither.")
        if self.historical_import:
            row.setdefault("consented_at", self._consented_at(rendered=field.rendered))
            if not row["consented_at"]:
                raise at.error(
                    "is missing", "A historical import needs when consent was given: in the row, or on the operator."
                )
        return row

    def execute(self, context: Context) -> dict[str, int]:
        from airflow_provider_klaviyo.api.consent import subscribe

        self.check_rendered()
        requests = self.requests()
        accepted = sum(map(len, requests.values()))
        only_once = not self.historical_import and not self._is_single_opt_in()
        if only_once:
            requests = self.not_posted(context, requests)
        self.post(
            context,
            requests,
            lambda rows: subscribe(
                rows,
                list_id=self.list_id,
                historical_import=self.historical_import,
                custom_source=self.custom_source,
            ),
            only_once=only_once,
            what="rows to subscribe are accepted",
        )
        return {"accepted": accepted}

    def _is_single_opt_in(self) -> bool:
        """True if Klaviyo mails nobody to confirm, as far as is known: an account's default cannot be read."""
        if self.list_id is None:
            return False
        return bool(self.hook.get_list(self.list_id).attributes.get("opt_in_process") == "single_opt_in")
