"""What both ways of importing profiles share; a subclass only has the rows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.audiences.bounds import at_most
from airflow_provider_klaviyo.audiences.fields import Columns, Unmapped, check_columns
from airflow_provider_klaviyo.audiences.modes import MAX_REMOVED, Mode, check_mode
from airflow_provider_klaviyo.campaigns.values import Field, Output, check_choice, identifier, is_template
from airflow_provider_klaviyo.tasks import CONNECTION, KlaviyoWaitingTask, error_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_klaviyo.audiences.jobs import JobsEvent
    from airflow_provider_klaviyo.audiences.profiles import Nulls
    from airflow_provider_klaviyo.imports.comparing import Comparison
    from airflow_provider_klaviyo.imports.files import Row
    from airflow_provider_klaviyo.imports.posted import Posted
    from airflow_provider_klaviyo.imports.posting import Posting
    from airflow_provider_klaviyo.imports.rejected_file import RejectedRows
    from airflow_provider_klaviyo.imports.spool import Spool
    from airflow_provider_klaviyo.imports.state import StateFile

EXAMPLES = 3
"""Profiles that a dry run shows."""

RENDERED = (
    "list_ids",
    "columns",
    "state_path",
    "max_removed",
    "default_region",
    "timezone",
    "rejected_path",
    "max_rejected",
)


class KlaviyoImportTask(KlaviyoWaitingTask):
    """Base of the operators that import profiles.

    All rows are read, judged and gathered in a temporary file of the worker before the first one is sent: if the query
    or the file fails half-way, or a column is not known, Klaviyo is as it was. Then they are posted in jobs of up to
    10,000 profiles and 5 MB, paced by the account's budget, and the task waits until Klaviyo has carried them out,
    which may take hours. Of several rows with the same key (their first of id, email, phone_number, external_id), the
    last one is imported.

    A row that is refused, by a check here or by Klaviyo, is left out, counted, and written to ``rejected_path``. All
    others are imported.

    ``mode="changed"`` imports only rows that differ from what the last run imported, by the file ``state_path``.
    ``mode="mirror"`` makes the list what the rows are: it imports them, and takes off the list each member that none of
    them is of. It removes nobody if there are no rows, if more than ``max_removed`` would go (then nothing is imported
    either), or if more rows were rejected than ``max_rejected`` allows. A member whose row was rejected stays. Nobody
    is unsubscribed. Before it reads the list, it waits for earlier import jobs that put profiles on it.

    A profile that joins a list has not consented to anything: see ``KlaviyoSubscribeProfilesOperator``.

    *Retry, kill*: from Airflow 3.3 on, each job is noted (task state store, keys ``klaviyo_import_jobs`` and
    ``klaviyo_import``). Once all are posted, a retry only waits on. Before that it reads the rows again, and posts the
    batches that are not noted. Without notes it imports again. *Clear*: imports again, but for what
    ``state_path`` has. Twice leaves the same profiles as once. *Lost answer*: the batch is posted again.
    *Rate limit*: 1 request for each batch and each list; 1 for each look at a job; 1 for each 100 rows that a job
    refuses; with ``mode="mirror"`` 1 for each 100 members of the list, and for each 1,000 that are taken off.

    :param list_ids: a list, or several, that the profiles join. Templated.
    :param columns: fields by column, such as ``{"mail": "email", "plan": "properties.plan"}``; a column that is not
        named goes into the field of its own name. Templated.
    :param unmapped: what becomes of a column that is neither: ``"refuse"`` (the task fails before anything is sent),
        ``"ignore"``, or ``"properties"`` (a custom property of the column's name).
    :param mode: ``"upsert"``: import all rows. ``"changed"``: those that have changed. ``"mirror"``: make the list of
        ``list_ids`` what the rows are.
    :param state_path: file, as ``ObjectStoragePath`` takes it, in which a run leaves for the next what it has imported;
        has digests only. For ``"changed"``; may be given for ``"mirror"``, which then imports only rows that have
        changed or are not on the list. Templated.
    :param max_removed: members that ``"mirror"`` may take off the list, as a number or a share. Templated.
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
    :returns: ``{"rows", "duplicates", "accepted", "rejected", "unchanged", "added", "removed", "rejected_path"}``:
        ``accepted`` counts profiles that Klaviyo has imported, ``unchanged`` those left out by the state, ``added``
        those posted that were not on the list, ``removed`` members taken off; what has no meaning is absent. A dry run:
        ``accepted`` would be posted, and there are ``dry_run`` and ``examples``.
    :raises KlaviyoValidationError: an argument, a column, a list or the file is wrong; nothing was imported.
    :raises KlaviyoRefusedError: mirroring would remove too many, or there are no rows; nothing was imported.
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
        list_ids: str | Sequence[str] | Output | None = None,
        columns: dict[str, str] | Output | None = None,
        unmapped: Unmapped = "refuse",
        mode: Mode = "upsert",
        state_path: str | Output | None = None,
        max_removed: float | str | Output = MAX_REMOVED,
        nulls: Nulls = "omit",
        default_region: str | Output | None = None,
        timezone: str | Output | None = None,
        rejected_path: str | Output | None = None,
        max_rejected: float | str | Output = 0,
        dry_run: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.list_ids = list_ids
        self.columns = columns
        self.unmapped = unmapped
        self.mode = mode
        self.state_path = state_path
        self.max_removed = max_removed
        self.nulls = nulls
        self.default_region = default_region
        self.timezone = timezone
        self.rejected_path = rejected_path
        self.max_rejected = max_rejected
        self.is_dry_run = dry_run
        check_choice("nulls", nulls, ("omit", "clear"))
        self._check_mode(list_ids)
        self._lists()
        if not is_template(columns):
            check_columns(
                {name: to for name, to in columns.items() if not is_template(to)} if columns else None, unmapped
            )
        if not is_template(max_rejected):
            at_most("max_rejected", max_rejected, 0)
        if timezone is not None and not is_template(timezone):
            from airflow_provider_klaviyo.audiences.profiles import zone

            zone(timezone)

    @abstractmethod
    def rows(self, columns: Columns) -> Iterator[Row]:
        """The rows, read as they are needed.

        :param columns: judges the columns of a table before its first row.
        """

    def execute(self, context: Context) -> Any:
        from airflow_provider_klaviyo.api.imports import jobs_that_join
        from airflow_provider_klaviyo.audiences.profiles import Profiles
        from airflow_provider_klaviyo.imports.gathering import Gathering
        from airflow_provider_klaviyo.imports.posted import note, posted_before
        from airflow_provider_klaviyo.imports.posting import Posting
        from airflow_provider_klaviyo.imports.rejected_file import RejectedRows
        from airflow_provider_klaviyo.imports.spool import Spool
        from airflow_provider_klaviyo.never_twice.notes import TaskState

        self.check_rendered()
        list_ids = self._lists(rendered=True)
        self._check_mode(list_ids, rendered=True)
        at_most("max_rejected", self.max_rejected, 0)
        columns = Columns(self.columns, self.unmapped)
        profiles = Profiles(columns, nulls=self.nulls, default_region=self.default_region, timezone=self.timezone)
        state = TaskState(context)
        if (posted := posted_before(state)) is not None:
            self.log.info("All batches were posted by an earlier try: waiting for their %d jobs.", len(posted["jobs"]))
            return self._wait(context, posted)
        self._check_lists(list_ids)
        if self.mode == "mirror" and not self.is_dry_run and (others := self.hook.run(jobs_that_join(list_ids[0]))):
            self.log.info("Waiting for %d earlier import jobs, which put profiles on this list.", len(others))
            return self._wait_for(context, others, None)
        rejected = RejectedRows(self.rejected_path, self.log.warning)
        if not self.is_dry_run:
            self._check_file(rejected)
        with Spool() as spool:
            gathering = Gathering(self.log, columns, profiles, spool, rejected, with_keys=self.mode == "mirror")
            rows = gathering.read(self.rows(columns))
            comparison = self._comparison(list_ids, spool)
            comparison.make(self.max_removed)
            if self.is_dry_run:
                return self._dry_result(rows, spool, rejected, comparison)
            posted = self._post(Posting(self.hook, state, list_ids, rejected), rows, spool, comparison)
        note(state, posted)
        return self._wait(context, posted)

    def _check_mode(self, list_ids: Any, *, rendered: bool = False) -> None:
        check_mode(self.mode, list_ids, self.state_path, self.max_removed, rendered=rendered)
        if self.state_path is not None and self.state_path == self.rejected_path:
            raise KlaviyoValidationError(
                f"state_path and rejected_path are both {self.state_path!r}; give each a file of its own.",
                pointer="state_path",
            )

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

    def _comparison(self, list_ids: list[str], spool: Spool) -> Comparison:
        """What the rows are compared with."""
        from airflow_provider_klaviyo.imports.comparing import Comparison
        from airflow_provider_klaviyo.imports.mirror import Mirror
        from airflow_provider_klaviyo.imports.state import Place

        state = self._state_file()
        account = self.hook.get_account().id if state else ""
        mirror = Mirror(self.hook, list_ids[0], spool) if self.mode == "mirror" else None
        return Comparison(spool, state, Place(account, sorted(list_ids)), mirror)

    def _state_file(self) -> StateFile | None:
        from airflow_provider_klaviyo.imports.state import StateFile

        return None if self.state_path is None else StateFile(self.state_path, self.log.info)

    def _post(self, posting: Posting, rows: int, spool: Spool, comparison: Comparison) -> Posted:
        """Post what is due, and change the list as the mode has it."""
        from airflow_provider_klaviyo.imports.clearing import clear_standard_fields
        from airflow_provider_klaviyo.imports.posted import Posted

        rejected = posting.rejected
        comparison.before_posting()
        try:
            jobs = posting.post_all(spool)
            clear_standard_fields(self.hook, spool)
        finally:
            rejected.write()
        is_well = rejected.count <= at_most("max_rejected", self.max_rejected, rows)
        if self.mode == "mirror" and not is_well:
            self.log.warning("More rows were rejected than max_rejected allows: nobody is taken off the list.")
        comparison.after_posting(posting.refused, may_remove=is_well)
        return Posted(
            rows=rows,
            duplicates=spool.added - len(spool),
            rejected=rejected.count,
            jobs=jobs,
            run=comparison.run,
            **comparison.counts(),
        )

    def _wait(self, context: Context, posted: Posted) -> Any:
        return self._wait_for(context, posted["jobs"], posted) if posted["jobs"] else self._finish(posted)

    def _wait_for(self, context: Context, job_ids: list[str], posted: Posted | None) -> Any:
        """Wait until jobs are over, here or in the triggerer; then finish, or begin if nothing was posted yet."""
        from airflow_provider_klaviyo.triggers.jobs import KlaviyoJobsTrigger

        trigger = KlaviyoJobsTrigger(
            job_ids=job_ids,
            deadline=self.deadline(context),
            poll_interval=self.poll_interval,
            klaviyo_conn_id=self.klaviyo_conn_id,
            revision=self.revision,
        )
        if self.deferrable:
            self.defer_to(trigger, trigger.deadline, posted=dict(posted) if posted else None)
        return self._go_on(context, trigger.wait_here(self.hook), posted)

    def execute_complete(self, context: Context, event: Any, posted: Posted | None) -> Any:
        """Go on after the triggerer's wait.

        :raises KlaviyoError: of the type that ended the wait.
        """
        from airflow_provider_klaviyo.audiences.jobs import parse

        return self._go_on(context, parse(event), posted)

    def _go_on(self, context: Context, event: JobsEvent, posted: Posted | None) -> Any:
        from airflow_provider_klaviyo.exceptions import KlaviyoImportTimeoutError

        if event["outcome"] == "error":
            raise error_of(event["error"])
        if event["outcome"] == "timeout":
            raise KlaviyoImportTimeoutError(tuple(event["pending"]))
        return self._finish(posted) if posted else self.execute(context)

    def _finish(self, posted: Posted) -> dict[str, Any]:
        """Read the jobs' results, and judge them."""
        from airflow_provider_klaviyo.exceptions import KlaviyoRejectedRowsError
        from airflow_provider_klaviyo.imports.posted import COMPARED, told
        from airflow_provider_klaviyo.imports.rejected_file import RejectedRows
        from airflow_provider_klaviyo.imports.results import read_results

        self.check_rendered()
        rejected = RejectedRows(self.rejected_path, self.log.warning)
        results = read_results(self.hook, posted["jobs"], rejected)
        if (state := self._state_file()) and results.is_named:
            state.confirm(posted.get("run", ""), results.refused)
        count = posted["rejected"] + rejected.count
        result: dict[str, Any] = {
            "rows": posted["rows"],
            "duplicates": posted["duplicates"],
            "accepted": results.accepted,
            "rejected": count,
            **{name: posted[name] for name in COMPARED if name in posted},
        }
        if self.rejected_path is not None:
            result["rejected_path"] = self.rejected_path
        self.log.info("Imported %s.", told(result))
        allowed = at_most("max_rejected", self.max_rejected, posted["rows"])
        if count > allowed:
            raise KlaviyoRejectedRowsError(count, allowed, posted["rows"], self.rejected_path)
        return result

    def _dry_result(self, rows: int, spool: Spool, rejected: RejectedRows, comparison: Comparison) -> dict[str, Any]:
        """What would be imported, with examples."""
        import msgspec

        from airflow_provider_klaviyo.imports.posted import told

        _, first = next(spool.profiles(), ((), ()))
        examples = [msgspec.json.decode(content) for content in first[:EXAMPLES]]
        for example in examples:
            self.log.info("Would be imported: %s", example)
        result = {
            "rows": rows,
            "duplicates": spool.added - len(spool),
            "accepted": spool.due,
            "rejected": rejected.count,
            **comparison.counts(),
            "dry_run": True,
            "examples": examples,
        }
        self.log.info("Dry run, nothing was written: would import %s.", told(result))
        return result
