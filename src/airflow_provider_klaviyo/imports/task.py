"""What both ways of importing profiles share; a subclass only has the rows."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.audiences.fields import Columns, Unmapped, check_columns
from airflow_provider_klaviyo.audiences.rejected import Rejection, RowError, most_rejected
from airflow_provider_klaviyo.campaigns.values import Field, check_choice, identifier, is_template
from airflow_provider_klaviyo.imports.progress import Progress
from airflow_provider_klaviyo.tasks import CONNECTION, KlaviyoWaitingTask, error_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_klaviyo.audiences.jobs import JobsEvent
    from airflow_provider_klaviyo.audiences.profiles import Nulls, Profiles
    from airflow_provider_klaviyo.imports.files import Row
    from airflow_provider_klaviyo.imports.rejected_file import RejectedRows
    from airflow_provider_klaviyo.imports.spool import Spool
    from airflow_provider_klaviyo.never_twice.notes import TaskState

EXAMPLES = 3
"""Profiles that a dry run shows."""

RENDERED = ("list_ids", "columns", "default_region", "timezone", "rejected_path", "max_rejected")


class Posted(TypedDict):
    """What is known of an import when all of its batches are posted, in plain values."""

    rows: int
    duplicates: int
    rejected: int
    jobs: list[str]


class KlaviyoImportTask(KlaviyoWaitingTask):
    """Base of the operators that import profiles.

    All rows are read, judged and gathered in a temporary file of the worker before the first one is sent: if the query
    or the file fails half-way, or a column is not known, Klaviyo is as it was. Then they are posted in jobs of up to
    10,000 profiles and 5 MB, paced by the account's budget, and the task waits until Klaviyo has carried them out,
    which may take hours. Of several rows with the same key (their first of id, email, phone_number, external_id), the
    last one is imported.

    A row that is refused, by a check here or by Klaviyo, is left out, counted, and written to ``rejected_path``. All
    others are imported.

    A profile that joins a list has not consented to anything: see ``KlaviyoSubscribeProfilesOperator``.

    *Retry, kill*: from Airflow 3.3 on, each job is noted (task state store, keys ``klaviyo_import_jobs`` and
    ``klaviyo_import``). Once all are posted, a retry only waits on. Before that it reads the rows again, and posts the
    batches that are not noted. Without notes it imports again. *Clear*: imports again. Twice leaves the same profiles
    as once. *Lost answer*: the batch is posted again.
    *Rate limit*: 1 request for each batch and each list; 1 for each look at a job; 1 for each 100 rows that a job
    refuses.

    :param list_ids: a list, or several, that the profiles join. Templated.
    :param columns: fields by column, such as ``{"mail": "email", "plan": "properties.plan"}``; a column that is not
        named goes into the field of its own name. Templated.
    :param unmapped: what becomes of a column that is neither: ``"refuse"`` (the task fails before anything is sent),
        ``"ignore"``, or ``"properties"`` (a custom property of the column's name).
    :param nulls: ``"omit"``: what is ``None`` or empty leaves the field as it is. ``"clear"``: it clears the field:
        custom properties along with the import, standard fields one profile at a time (750 a minute).
    :param default_region: country of phone numbers without one, such as ``"GB"`` (package extra ``[phone]``);
        ``None``: they have to be E.164. Templated.
    :param timezone: zone of datetimes without one, such as ``"UTC"``; ``None``: they are refused. Templated.
    :param rejected_path: file of the rejected rows, as ``ObjectStoragePath`` takes it: JSON Lines with ``row``,
        ``key``, ``field``, ``reason``, ``job``. Written anew by each run. Templated.
    :param max_rejected: rows that may be rejected, as a number or a share (``0.01``, ``"1%"``). Templated.
    :param dry_run: read and judge the rows, log and return what would be imported with some examples, write nothing.
    :param deferrable: wait in the triggerer; default: ``[operators] default_deferrable``.
    :param poll_interval: seconds between looks; default 15.
    :param timeout: seconds after which the wait ends with ``KlaviyoImportTimeoutError``; default 24 hours.
    :returns: ``{"rows", "duplicates", "accepted", "rejected", "rejected_path"}``: ``accepted`` counts profiles that
        Klaviyo has imported; the path is absent if there is none. A dry run: ``accepted`` would be posted, and there
        are ``dry_run`` and ``examples``.
    :raises KlaviyoValidationError: an argument, a column, a list or the file is wrong; nothing was imported.
    :raises KlaviyoRejectedRowsError: more rows were rejected than ``max_rejected``; the others were imported.
    """

    template_fields = (*RENDERED, *CONNECTION)
    template_fields_renderers = {"columns": "json"}  # noqa: RUF012 - as Airflow has it
    ui_color = "#f6f1eb"
    any_revision = True
    default_poll_interval = 15.0
    default_timeout = 24 * 3600.0

    def __init__(
        self,
        *,
        list_ids: str | Sequence[str] | None = None,
        columns: dict[str, str] | None = None,
        unmapped: Unmapped = "refuse",
        nulls: Nulls = "omit",
        default_region: str | None = None,
        timezone: str | None = None,
        rejected_path: str | None = None,
        max_rejected: float | str = 0,
        dry_run: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.list_ids = list_ids
        self.columns = columns
        self.unmapped = unmapped
        self.nulls = nulls
        self.default_region = default_region
        self.timezone = timezone
        self.rejected_path = rejected_path
        self.max_rejected = max_rejected
        self.is_dry_run = dry_run
        check_choice("nulls", nulls, ("omit", "clear"))
        self._lists()
        if not is_template(columns):
            check_columns(
                {name: to for name, to in columns.items() if not is_template(to)} if columns else None, unmapped
            )
        if not is_template(max_rejected):
            most_rejected(max_rejected, 0)
        if timezone is not None and not is_template(timezone):
            from airflow_provider_klaviyo.audiences.profiles import zone

            zone(timezone)

    @abstractmethod
    def rows(self, columns: Columns) -> Iterator[Row]:
        """The rows, read as they are needed.

        :param columns: judges the columns of a table before its first row.
        """

    def execute(self, context: Context) -> Any:
        from airflow_provider_klaviyo.audiences.profiles import Profiles
        from airflow_provider_klaviyo.imports.rejected_file import RejectedRows
        from airflow_provider_klaviyo.imports.spool import Spool
        from airflow_provider_klaviyo.never_twice.notes import ImportJobNote, TaskState

        self.check_rendered()
        list_ids = self._lists(rendered=True)
        most_rejected(self.max_rejected, 0)
        columns = Columns(self.columns, self.unmapped)
        profiles = Profiles(columns, nulls=self.nulls, default_region=self.default_region, timezone=self.timezone)
        state = TaskState(context)
        if (posted := self._posted_before(state)) is not None:
            self.log.info("All batches were posted by an earlier try: waiting for their %d jobs.", len(posted["jobs"]))
            return self._wait(context, posted)
        if any(note.generation != state.generation for note in state.all(ImportJobNote)):
            state.forget(ImportJobNote)
        self._check_lists(list_ids)
        rejected = RejectedRows(self.rejected_path, self.log.warning)
        if not self.is_dry_run:
            self._check_file(rejected)
        with Spool() as spool:
            rows = self._gather(columns, profiles, spool, rejected)
            if self.is_dry_run:
                return self._dry_result(rows, spool, rejected)
            posted = self._post(state, list_ids, rows, spool, rejected)
        return self._wait(context, posted)

    def _lists(self, *, rendered: bool = False) -> list[str]:
        given = self.list_ids
        if given is None or (is_template(given) and not rendered):
            return []
        ids = [given] if isinstance(given, str) else given
        if not isinstance(ids, list | tuple):
            raise KlaviyoValidationError(
                f"list_ids is {given!r}; give the id of a list, or several.", pointer="list_ids"
            )
        found = [identifier(one, Field("list_ids", rendered=rendered)) for one in ids]
        return list(dict.fromkeys(found)) if rendered else found

    def _check_lists(self, list_ids: Sequence[str]) -> None:
        """:raises KlaviyoValidationError: one is not there."""
        from airflow_provider_klaviyo.api.imports import names_of_lists

        known = self.hook.run(names_of_lists(list_ids))
        if gone := [list_id for list_id in list_ids if list_id not in known]:
            raise KlaviyoValidationError(
                f"list_ids names {', '.join(map(repr, gone))}, and there is no such list in this account. Nothing was "
                f"imported. Check the id, and the account of connection {self.klaviyo_conn_id!r}.",
                pointer="list_ids",
            )
        if known:
            names = ", ".join(f"{name!r} ({list_id})" for list_id, name in known.items())
            self.log.info("The profiles join %s.", names)

    def _check_file(self, rejected: RejectedRows) -> None:
        """Begin the file of rejected rows.

        :raises KlaviyoValidationError: it cannot be written.
        """
        try:
            rejected.write()
        except OSError as error:
            raise KlaviyoValidationError(
                f"rejected_path is {self.rejected_path!r}, which cannot be written: {error}. Nothing was imported.",
                pointer="rejected_path",
            ) from error

    def _gather(self, columns: Columns, profiles: Profiles, spool: Spool, rejected: RejectedRows) -> int:
        """Read all rows into the spool; how many there were."""
        progress = Progress(self.log.info, "Read {} rows")
        number = 0
        try:
            for number, row in enumerate(self.rows(columns), start=1):
                try:
                    if isinstance(row, RowError):
                        raise row
                    spool.add(number, profiles.read(row))
                except RowError as error:
                    key = _key(row, columns) if isinstance(row, Mapping) else {}
                    rejected.add(Rejection(error.reason, error.field, number, key))
                if not number % 1_000:
                    progress.at(number, rejected.count)
        except Exception:
            self.log.error("Reading the rows failed after row %s. Nothing was sent to Klaviyo.", f"{number:,}")
            raise
        progress.end(number, rejected.count)
        if not number:
            self.log.warning("There are no rows: nothing is imported.")
        return number

    def _post(
        self, state: TaskState, list_ids: Sequence[str], rows: int, spool: Spool, rejected: RejectedRows
    ) -> Posted:
        from airflow_provider_klaviyo.audiences.batches import batches
        from airflow_provider_klaviyo.imports.posting import Posting
        from airflow_provider_klaviyo.never_twice.notes import ImportJobNote, ImportNote

        total = len(spool)
        duplicates = spool.added - total
        if duplicates:
            self.log.info("%s rows have the key of a later row, which is imported in their place.", f"{duplicates:,}")
        posting = Posting(self.hook, state, list_ids, rejected)
        progress = Progress(self.log.info, "Posted {} profiles", total)
        jobs: list[str] = []
        done = 0
        try:
            for batch in batches(spool.profiles(), list_ids):
                jobs += posting.post(batch)
                done += len(batch)
                progress.at(done, rejected.count)
            progress.end(done, rejected.count)
            self._clear_fields(spool)
        finally:
            rejected.write()
        posted = Posted(rows=rows, duplicates=duplicates, rejected=rejected.count, jobs=jobs)
        state.put(
            ImportNote(at=time.time(), jobs=tuple(jobs), rows=rows, duplicates=duplicates, rejected=rejected.count)
        )
        state.forget(ImportJobNote)
        return posted

    def _clear_fields(self, spool: Spool) -> None:
        """Clear standard fields one profile at a time."""
        from airflow_provider_klaviyo.never_twice.repeat import repeat

        count = spool.count_clears()
        if not count:
            return
        self.log.info(
            "%s profiles have standard fields to be cleared, which Klaviyo does one profile at a time, 750 a minute.",
            f"{count:,}",
        )
        progress = Progress(self.log.info, "Cleared fields of {} profiles", count)
        for done, (identifiers, fields) in enumerate(spool.clears(), start=1):
            repeat(self.log, self._clear, identifiers, fields)
            progress.at(done)
        progress.end(count)

    def _clear(self, identifiers: dict[str, str], fields: list[str]) -> None:
        from airflow_provider_klaviyo.api.imports import clear_fields

        self.hook.run(clear_fields(identifiers, fields))

    def _posted_before(self, state: TaskState) -> Posted | None:
        """What an earlier try of this generation has posted, if that was all; ``None``: it was not."""
        from airflow_provider_klaviyo.never_twice.notes import ImportNote

        note = state.find(ImportNote, lambda one: one.generation == state.generation)
        if note is None:
            return None
        return Posted(
            rows=note.rows or 0, duplicates=note.duplicates or 0, rejected=note.rejected or 0, jobs=list(note.jobs)
        )

    def _wait(self, context: Context, posted: Posted) -> Any:
        from airflow_provider_klaviyo.triggers.jobs import KlaviyoImportJobsTrigger

        if not posted["jobs"]:
            return self._finish(posted)
        trigger = KlaviyoImportJobsTrigger(
            job_ids=posted["jobs"],
            deadline=self.deadline(context),
            poll_interval=self.poll_interval,
            klaviyo_conn_id=self.klaviyo_conn_id,
            revision=self.revision,
        )
        if self.deferrable:
            self.defer_to(trigger, trigger.deadline, posted=dict(posted))
        return self._end(trigger.wait_here(self.hook), posted)

    def execute_complete(self, context: Context, event: Any, posted: Posted) -> Any:
        """Go on after the triggerer's wait.

        :raises KlaviyoError: of the type that ended the wait.
        """
        from airflow_provider_klaviyo.audiences.jobs import parse

        return self._end(parse(event), posted)

    def _end(self, event: JobsEvent, posted: Posted) -> dict[str, Any]:
        from airflow_provider_klaviyo.exceptions import KlaviyoImportTimeoutError

        if event["outcome"] == "error":
            raise error_of(event["error"])
        if event["outcome"] == "timeout":
            raise KlaviyoImportTimeoutError(tuple(event["pending"]))
        return self._finish(posted)

    def _finish(self, posted: Posted) -> dict[str, Any]:
        """Read the jobs' results, and judge them."""
        from airflow_provider_klaviyo.exceptions import KlaviyoRejectedRowsError
        from airflow_provider_klaviyo.imports.rejected_file import RejectedRows
        from airflow_provider_klaviyo.imports.results import read_results

        self.check_rendered()
        rejected = RejectedRows(self.rejected_path, self.log.warning)
        accepted = read_results(self.hook, posted["jobs"], rejected)
        count = posted["rejected"] + rejected.count
        result: dict[str, Any] = {
            "rows": posted["rows"],
            "duplicates": posted["duplicates"],
            "accepted": accepted,
            "rejected": count,
        }
        if self.rejected_path is not None:
            result["rejected_path"] = self.rejected_path
        self.log.info("Imported %s of %s rows; %s were rejected.", f"{accepted:,}", f"{posted['rows']:,}", f"{count:,}")
        allowed = most_rejected(self.max_rejected, posted["rows"])
        if count > allowed:
            raise KlaviyoRejectedRowsError(count, allowed, posted["rows"], self.rejected_path)
        return result

    def _dry_result(self, rows: int, spool: Spool, rejected: RejectedRows) -> dict[str, Any]:
        import msgspec

        examples = [
            msgspec.json.decode(content) for _, (_, content) in zip(range(EXAMPLES), spool.profiles(), strict=False)
        ]
        for example in examples:
            self.log.info("Would be imported: %s", example)
        accepted = len(spool)
        self.log.info(
            "Dry run: %s of %s rows would be posted, %s rejected. Nothing was written.",
            f"{accepted:,}",
            f"{rows:,}",
            f"{rejected.count:,}",
        )
        return {
            "rows": rows,
            "duplicates": spool.added - accepted,
            "accepted": accepted,
            "rejected": rejected.count,
            "dry_run": True,
            "examples": examples,
        }


def _key(row: Mapping[str, Any], columns: Columns) -> dict[str, Any]:
    """What a rejected row may be recognised by: its identifiers, as they came."""
    from airflow_provider_klaviyo.audiences.fields import IDENTIFIERS

    targets = {name: columns.target(name) for name in row}
    return {
        target[0]: str(row[name])[:300]
        for name, target in targets.items()
        if target and target[0] in IDENTIFIERS and row[name] not in (None, "")
    }
