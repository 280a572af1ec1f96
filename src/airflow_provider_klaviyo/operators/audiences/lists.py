"""Lists: make one, put profiles on it, take them off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_klaviyo.api.lists import PER_CALL
from airflow_provider_klaviyo.campaigns.values import Field, Output, check_choice, check_id, filled, identifier
from airflow_provider_klaviyo.never_twice.repeat import repeat
from airflow_provider_klaviyo.operators.audiences.batches import batches, each, rows_named
from airflow_provider_klaviyo.operators.audiences.rows import once, rows_of
from airflow_provider_klaviyo.operators.named import find_or_create
from airflow_provider_klaviyo.tasks import CONNECTION, KlaviyoTask

if TYPE_CHECKING:
    from airflow.sdk import Context


class KlaviyoCreateListOperator(KlaviyoTask):
    """Make a list, or adopt the one of that name.

    *Retry, kill, lost answer, clear*: the list that an earlier try made is found by its name. It can be made twice only
    if two tasks make the same name at the same time. *Rate limit*: 1 or 2 requests; lists are made at 10/s, 150/min and
    150/day per account.

    :param name: the list's name. Templated.
    :param opt_in_process: ``"single_opt_in"``, or ``"double_opt_in"``: who subscribes is asked to confirm. Default: the
        account's. Of a list that is there already it is left as it is; the log warns where it differs.
    :returns: the list's id.
    :raises KlaviyoValidationError: there are several lists of that name; the message names them.
    :raises KlaviyoAmbiguousWriteError: Klaviyo did not answer, and the list does not show. The next try looks again.
    """

    template_fields = ("name", *CONNECTION)
    ui_color = "#f6f1eb"
    any_revision = True

    def __init__(
        self,
        *,
        name: str | Output,
        opt_in_process: Literal["single_opt_in", "double_opt_in"] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.opt_in_process = opt_in_process
        filled(name, Field("/name"))
        check_choice("opt_in_process", opt_in_process, (None, "single_opt_in", "double_opt_in"))

    def execute(self, context: Context) -> str:
        self.check_rendered()
        name = filled(self.name, Field("/name", rendered=True))
        wanted = self.opt_in_process
        found, was_there = find_or_create(
            self.log,
            "list",
            name,
            find=self.hook.find_lists,
            create=lambda: self.hook.create_list(name, opt_in_process=wanted),
        )
        there = found.attributes.get("opt_in_process")
        if was_there and wanted is not None and there != wanted:
            self.log.warning(
                "List %s is %r, not %r; it was left as it is. Change it in Klaviyo, or use another name.",
                found.id,
                there,
                wanted,
            )
        return found.id


class _MembersOperator(KlaviyoTask):
    """Base of the two operators that change who is on a list."""

    template_fields = ("list_id", "profile_ids", *CONNECTION)
    ui_color = "#f6f1eb"
    any_revision = True

    def __init__(self, *, list_id: str | Output, profile_ids: Sequence[str] | Output, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.list_id = list_id
        self.profile_ids = profile_ids
        self._checked()

    def _checked(self, *, rendered: bool = False) -> list[tuple[int, str]]:
        """The profiles, each once, with their numbers."""
        check_id("list_id", self.list_id, rendered=rendered)
        return once(rows_of(self.profile_ids, Field("/profile_ids", rendered=rendered), identifier))

    def _change(self, write: Callable[[str, list[str]], None], what: str) -> str:
        for batch in each(self.log, batches(self._checked(rendered=True), PER_CALL), what=what):
            with rows_named(batch[0][0], batch[-1][0]):
                repeat(self.log, write, self.list_id, [profile_id for _, profile_id in batch])
        return self.list_id


class KlaviyoAddProfilesToListOperator(_MembersOperator):
    """Put profiles on a list, by their ids. Being on a list is not consent: nobody is subscribed.

    *Retry, kill, lost answer, clear*: puts them on the list again, which leaves the same list. *Rate limit*: 1 request
    for each 1,000 profiles; 10/s and 150/min per account.

    :param list_id: the list. Templated.
    :param profile_ids: the profiles; an empty list is an error. Templated.
    :returns: the list's id.
    :raises KlaviyoNotFoundError: no such list.
    :raises KlaviyoValidationError: no such profile. Klaviyo refuses all of one request then; the log has how many
        profiles were added before.
    """

    def execute(self, context: Context) -> str:
        self.check_rendered()
        return self._change(
            self.hook.add_profiles_to_list,
            f"profiles added to list {self.list_id}",
        )


class KlaviyoRemoveProfilesFromListOperator(_MembersOperator):
    """Take profiles off a list, by their ids. Nobody is unsubscribed.

    *Retry, kill, lost answer, clear*: takes them off again, which leaves the same list. *Rate limit*: 1 request for
    each 1,000 profiles; 10/s and 150/min per account.

    :param list_id: the list. Templated.
    :param profile_ids: the profiles; an empty list is an error. Templated.
    :returns: the list's id.
    :raises KlaviyoNotFoundError: no such list.
    :raises KlaviyoValidationError: no such profile. Klaviyo refuses all of one request then; the log has how many
        profiles were removed before.
    """

    def execute(self, context: Context) -> str:
        self.check_rendered()
        return self._change(
            self.hook.remove_profiles_from_list,
            f"profiles removed from list {self.list_id}",
        )
