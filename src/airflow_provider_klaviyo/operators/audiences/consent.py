"""What subscribing and unsubscribing share: rows of profiles with their channels, and requests posted once or again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_klaviyo.campaigns.values import (
    Field,
    Output,
    Reader,
    check_id,
    mapping,
    one_of,
    sequence,
)
from airflow_provider_klaviyo.never_twice.repeat import repeat
from airflow_provider_klaviyo.operators.audiences.batches import batches, each, rows_named
from airflow_provider_klaviyo.operators.audiences.rows import email, once, phone_number, rows_of
from airflow_provider_klaviyo.tasks import CONNECTION, KlaviyoTask

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_klaviyo.api.calls import Call

Numbered = tuple[int, dict[str, Any]]
"""A row, with its number in ``profiles``, from 0."""

NEEDED: Mapping[str, str] = {"email": "email", "sms": "phone_number", "whatsapp": "phone_number"}
"""The address that consent to a channel is for."""


class ConsentOperator(KlaviyoTask):
    """Base of the operators that change consent to marketing, by channel.

    :param profiles: rows, such as ``{"email": "ada@example.com"}``.
    :param channels: of all rows that do not say themselves.
    :param list_id: the list.
    """

    template_fields = ("profiles", "list_id", *CONNECTION)
    template_fields_renderers: ClassVar[dict[str, str]] = {"profiles": "json"}
    ui_color = "#f6f1eb"
    any_revision = True
    allowed_channels: ClassVar[tuple[str, ...]]
    operation: ClassVar[str]
    remedy: ClassVar[str]
    per_request: ClassVar[int]

    def __init__(
        self,
        *,
        profiles: Sequence[Mapping[str, Any]] | Output,
        channels: Sequence[str] = (),
        list_id: str | Output | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.profiles = profiles
        self.channels = channels
        self.list_id = list_id

    def readers(self) -> dict[str, Reader]:
        """What a row may hold, and how it is read."""
        return {"email": email, "phone_number": phone_number, "channels": self._channels}

    def _channels(self, value: Any, field: Field) -> Any:
        return sequence(value, field, one_of(*self.allowed_channels))

    def rows(self, *, rendered: bool = False) -> list[Numbered]:
        """The rows, each once."""
        self._channels(self.channels, Field("/channels"))
        if self.list_id is not None:
            check_id("list_id", self.list_id, rendered=rendered)
        readers = self.readers()
        rows = rows_of(
            self.profiles, Field("/profiles", rendered=rendered), lambda value, field: self.row(value, field, readers)
        )
        return once(rows, _key)

    def row(self, value: Any, field: Field, readers: Mapping[str, Reader]) -> Any:
        """One row, read and checked; ``channels`` are there then."""
        if field.pending(value):
            return value
        if not isinstance(value, Mapping):
            raise field.error(f"is of type {type(value).__name__}", f"Give a dict with some of: {', '.join(readers)}.")
        row = {name: given for name, given in mapping(value, field, readers).items() if given is not None}
        names = [name for name in ("email", "phone_number", "id") if name in readers]
        if not any(row.get(name) for name in names):
            raise field.error(f"has none of: {', '.join(names)}", "Give the row one of them.")
        row.setdefault("channels", list(self.channels))
        if not row["channels"]:
            raise field.at("channels").error(
                "is missing", f"Say which of {', '.join(self.allowed_channels)}: in the row, or on the operator."
            )
        for channel in row["channels"]:
            needed = NEEDED.get(channel)
            if needed and not row.get(needed) and not row.get("id"):
                raise field.at(needed).error("is missing", f"Consent to {channel} is for one: give it.")
        return row

    def requests(self) -> dict[str, list[Numbered]]:
        """The rows of each request, by a digest of them and the list."""
        from airflow_provider_klaviyo.never_twice.notes import digest

        rows = self.rows(rendered=True)
        return {digest([self.list_id, part]): part for part in batches(rows, self.per_request)}

    def not_posted(self, context: Context, requests: Mapping[str, list[Numbered]]) -> dict[str, list[Numbered]]:
        """The requests without those that an earlier try of the task has made.

        :raises KlaviyoRefusedError: it is not known of one, or the rows are others than before.
        """
        from airflow_provider_klaviyo.never_twice.notes import TaskState
        from airflow_provider_klaviyo.never_twice.post import posted_before

        posted = posted_before(TaskState(context), self.operation, requests, remedy=self.remedy)
        if posted:
            self.log.info("An earlier try has made %d of the requests; they are not made again.", len(posted))
        return {content: part for content, part in requests.items() if content not in posted}

    def post(
        self,
        context: Context,
        requests: Mapping[str, list[Numbered]],
        call: Callable[[list[dict[str, Any]]], Call[None]],
        *,
        only_once: bool,
        what: str,
    ) -> None:
        """Make the requests.

        :param only_once: True if this task makes each at most once, False if what is not answered is made again.
        :param what: for the log, as in ``1,000 <what>.``
        """
        from airflow_provider_klaviyo.never_twice.notes import TaskState
        from airflow_provider_klaviyo.never_twice.post import post_once

        def post(rows: list[dict[str, Any]]) -> None:
            self.hook.run(call(rows))

        state, contents = TaskState(context), iter(requests)
        for part in each(self.log, list(requests.values()), what=what):
            rows, content = [row for _, row in part], next(contents)
            with rows_named(part[0][0], part[-1][0]):
                if only_once:
                    post_once(
                        self.hook,
                        state,
                        call(rows),
                        operation=self.operation,
                        content=content,
                        is_one_of_several=True,
                        remedy=self.remedy,
                    )
                else:
                    repeat(self.log, post, rows)


def _key(row: Any) -> str:
    """What makes two rows the same: all that is in them, whatever the case of the address."""
    if isinstance(row, Mapping) and row.get("email"):
        row = {**row, "email": row["email"].lower()}
    return json.dumps(row, sort_keys=True, default=str)
