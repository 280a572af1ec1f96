"""What all tasks of this package share: a connection, arguments that must come to something, a link, and waiting."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import cached_property, wraps
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec, TypeVar

from airflow.sdk import BaseOperator, BaseOperatorLink

from airflow_provider_klaviyo.api.errors import KlaviyoApiError, KlaviyoError, KlaviyoValidationError
from airflow_provider_klaviyo.api.operations import check_campaigns
from airflow_provider_klaviyo.campaigns.values import (
    Field,
    check_connection,
    check_rendered,
    is_template,
    positive,
)
from airflow_provider_klaviyo.compat import conf

if TYPE_CHECKING:
    from typing import Self

    import jinja2
    from airflow.sdk import Context
    from airflow.sdk.types import TaskInstanceKey
    from airflow.triggers.base import BaseTrigger

    from airflow_provider_klaviyo.campaigns.wait import ErrorFacts, WaitEvent
    from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
    from airflow_provider_klaviyo.triggers.base import KlaviyoWaitTrigger

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

JSON_RENDERERS = dict.fromkeys(("audiences", "messages", "send_strategy", "send_options", "tracking_options"), "json")
"""How Airflow shows rendered arguments."""

CAMPAIGN = "klaviyo_campaign"
"""Under this name the context has the name of the campaign, for :data:`CAMPAIGN_NAME`."""

CAMPAIGN_NAME = f"{{{{ {CAMPAIGN} | default('') }}}}"
"""``map_index_template`` of tasks that are shown by the name of their campaign."""

CONNECTION: tuple[str, ...] = ("klaviyo_conn_id", "revision")
"""The template fields that every task has."""


class KlaviyoTask(BaseOperator):
    """Base of the operators and sensors.

    *What is rendered to nothing*: an argument, or a part of one, that is Jinja or another task's output and comes to
    ``None`` or to something empty is an error (``KlaviyoValidationError``), before Klaviyo is called; also where it
    comes by ``expand``, or by a mapped task group. It never counts as "not given". A ``None`` in the DAG file does.

    *What no retry can help* ends the task at once, whatever its ``retries``: a wrong key, a missing scope, an argument
    that cannot be right.

    :param klaviyo_conn_id: connection of type ``klaviyo``. Templated.
    :param revision: Klaviyo API revision; default: the connection's. Templated.
    """

    template_fields = CONNECTION
    any_revision: ClassVar[bool] = False
    """True if revisions are taken whose campaigns are of another kind."""
    reads_omnichannel: ClassVar[bool] = False
    """True if the revision is taken whose omnichannel campaigns are read."""

    _named: frozenset[str] = frozenset()
    _lost: KlaviyoValidationError | None = None

    def __new__(cls, *_: Any, **kwargs: Any) -> Self:
        task = super().__new__(cls)
        object.__setattr__(task, "_named", frozenset(kwargs))
        return task

    def __init__(self, *, klaviyo_conn_id: str = "klaviyo_default", revision: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.klaviyo_conn_id = klaviyo_conn_id
        self.revision = revision
        check_connection(klaviyo_conn_id, revision)
        if self.known_revision and not self.any_revision:
            check_campaigns(self.known_revision, reads=self.reads_omnichannel)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "execute" in cls.__dict__:
            cls.execute = _ending_tries(cls.execute)  # type: ignore[method-assign]

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Airflow's way to go on after a deferral."""
        return _ending_tries(super().resume_execution)(next_method, next_kwargs, context)

    @property
    def known_revision(self) -> str | None:
        """The revision that was asked for, as far as it is known before rendering."""
        return None if is_template(self.revision) else self.revision

    @cached_property
    def hook(self) -> KlaviyoHook:
        """The hook, made when the task runs: no task gets to Klaviyo but through here.

        :raises KlaviyoValidationError: an argument was rendered to nothing, or the campaigns of the revision are of
            another kind.
        """
        from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook

        self.check_rendered()
        hook = KlaviyoHook(self.klaviyo_conn_id, revision=self.revision)
        if not self.any_revision:
            check_campaigns(hook.api_revision, reads=self.reads_omnichannel)
        return hook

    def check_rendered(self) -> None:
        """To be called before the arguments are used.

        :raises KlaviyoValidationError: one was rendered to nothing, or the connection or revision to what cannot be.
        """
        if self._lost is not None:
            raise self._lost
        check_connection(self.klaviyo_conn_id, self.revision, rendered=True)

    def _do_render_template_fields(
        self,
        parent: Any,
        template_fields: Iterable[str],
        context: Context,
        jinja_env: jinja2.Environment,
        seen_oids: set[int],
    ) -> None:
        """Airflow's rendering, of mapped tasks too. What it loses is kept for :meth:`check_rendered`: when Airflow
        renders for its UI, nothing is to be raised."""
        given = {name: self._given(name, context) for name in template_fields} if parent is self else {}
        super()._do_render_template_fields(parent, template_fields, context, jinja_env, seen_oids)
        for name, before in given.items():
            pointer = f"/{name}" if name in self.template_fields_renderers else name
            try:
                check_rendered(before, getattr(self, name), Field(pointer))
            except KlaviyoValidationError as error:
                self._lost = self._lost or error

    def _given(self, name: str, context: Context) -> Any:
        """An argument as the DAG file has it: a mapped task is made again of what ``expand`` was resolved to."""
        from airflow.sdk.definitions.mappedoperator import MappedOperator

        value = getattr(self, name)
        dag = self.get_dag()
        mapped = dag.task_dict.get(self.task_id) if dag else None
        if isinstance(mapped, MappedOperator) and name in self._named:
            from_partial = name in mapped.partial_kwargs and mapped.partial_kwargs[name] is value
            if not from_partial and (source := _source(mapped.expand_input, name, context)) is not None:
                return source
        return _as_given(value, context)


def _ending_tries(run: Callable[P, R]) -> Callable[P, R]:
    """The same; an error is in the log before Airflow's traceback, and ends the task's tries if no retry can help.

    Airflow's log view shows the end of a log first. So that the reason is there, the traceback is without the frames of
    this package, which the log has at level ``DEBUG``.
    """

    @wraps(run)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return run(*args, **kwargs)
        except KlaviyoError as error:
            from airflow_provider_klaviyo.exceptions import without_tries

            without_tries(error)
            if not error.is_logged:  # execute may have called that of its base
                error.is_logged = True
                log.debug("The error was raised here:", exc_info=error)
                log.error("%s", error)
            raise error.with_traceback(None) from error.__cause__

    return wrapper


def _source(expand_input: Any, name: str, context: Context) -> Any:
    """The other task's output that an expanded argument came from; ``None``: the DAG file gives its value."""
    given = expand_input.value
    if isinstance(given, Mapping):
        given = given.get(name)
    elif isinstance(given, Sequence):
        given = given[context["ti"].map_index or 0]
    return given if is_template(given) else None


def _as_given(value: Any, context: Context) -> Any:
    """The same; in place of an argument of a mapped task group that the DAG file gives as a literal: ``None``."""
    if isinstance(value, Mapping):
        return {key: _as_given(item, context) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_given(item, context) for item in value]
    if is_template(value) and hasattr(value, "_input") and _source(value._input, value._key, context) is None:
        return None
    return value


class KlaviyoCampaignLink(BaseOperatorLink):
    """Opens the campaign in Klaviyo's web app (or on the sandbox's page).

    The operator pushes it as soon as the campaign's id is known, so that it is there while the task still waits.
    """

    @property
    def name(self) -> str:
        return "Klaviyo campaign"

    @property
    def xcom_key(self) -> str:
        return "klaviyo_campaign_link"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """The link as the running operator knows it; Airflow asks in the worker and keeps the answer."""
        link: Any = getattr(operator, "campaign_url", None)
        return link or ""


def campaign_url(base_url: str, campaign_id: str) -> str:
    """Where a person looks at a campaign."""
    if base_url.endswith(".klaviyo.com"):
        return f"https://www.klaviyo.com/campaign/{campaign_id}/wizard"
    return f"{base_url}/#{campaign_id}"


class KlaviyoCampaignOperator(KlaviyoTask):
    """Base of the operators that have a campaign as their subject.

    :param klaviyo_conn_id: connection of type ``klaviyo``. Templated.
    :param revision: Klaviyo API revision; default: the connection's. Templated.
    """

    ui_color = "#f6f1eb"
    operator_extra_links = (KlaviyoCampaignLink(),)

    def writers(self) -> list[str]:
        """Ids of the tasks before this one that may have noted what they wrote of a campaign: those of this package."""

        def is_ours(task: Any) -> bool:
            return issubclass(getattr(task, "operator_class", type(task)), KlaviyoCampaignOperator)

        return sorted(task.task_id for task in self.get_flat_relatives(upstream=True) if is_ours(task))

    def show_link(self, context: Context, campaign_id: str) -> None:
        """Push the link to the campaign now, not only when the task ends."""
        self.campaign_url = campaign_url(self.hook.base_url, campaign_id)
        context["ti"].xcom_push(key=KlaviyoCampaignLink().xcom_key, value=self.campaign_url)
        if self.map_index_template == CAMPAIGN_NAME:
            context[CAMPAIGN] = self._name_of(campaign_id)  # type: ignore[literal-required]

    def _name_of(self, campaign_id: str) -> str:
        try:
            return self.hook.get_campaign(campaign_id).name
        except KlaviyoError as error:
            self.log.info(
                "The name of campaign %s, by which this task is shown, could not be read: %s", campaign_id, error
            )
            return campaign_id


class KlaviyoWaitingTask(KlaviyoTask):
    """Base of the operators that wait for Klaviyo.

    :param deferrable: wait in the triggerer, without a worker slot; default: ``[operators] default_deferrable``.
    :param poll_interval: seconds between looks.
    :param timeout: seconds from the start of the try after which the wait ends with ``KlaviyoWaitTimeoutError``. A
        restart of the triggerer does not extend it.
    """

    default_poll_interval: ClassVar[float]
    default_timeout: ClassVar[float]

    def __init__(
        self,
        *,
        deferrable: bool | None = None,
        poll_interval: float | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.deferrable = is_deferrable(deferrable)
        self.poll_interval = positive(
            "poll_interval", self.default_poll_interval if poll_interval is None else poll_interval
        )
        self.timeout = positive("timeout", self.default_timeout if timeout is None else timeout)

    def began(self, context: Context) -> float:
        """When this try began, seconds since the epoch."""
        started = context["ti"].start_date
        return started.timestamp() if started else time.time()

    def deadline(self, context: Context) -> float:
        """When this try gives up waiting, seconds since the epoch."""
        return self.began(context) + self.timeout

    def defer_to(self, trigger: BaseTrigger, deadline: float, **kwargs: Any) -> None:
        """Go on in ``execute_complete`` when the trigger has fired; Airflow ends the wait a while after its deadline.

        :param kwargs: what ``execute_complete`` gets besides the event.
        """
        left = max(0.0, deadline - time.time())
        self.defer(
            trigger=trigger,
            method_name="execute_complete",
            kwargs=kwargs,
            timeout=timedelta(seconds=left + 2 * self.poll_interval + 60),
        )


class KlaviyoWaitingOperator(KlaviyoWaitingTask, KlaviyoCampaignOperator):
    """Base of the operators that wait for what becomes of a campaign."""

    def wait_for(self, context: Context, trigger: KlaviyoWaitTrigger, **kwargs: Any) -> Any:
        """Wait here, or in the triggerer; either way the task ends in :meth:`finish`, which gets ``kwargs``, too."""
        if self.deferrable:
            self.defer_to(trigger, trigger.deadline, **kwargs)
        return self.finish(context, raise_or_return(trigger.wait_here(self.hook)), **kwargs)

    def execute_complete(self, context: Context, event: Any, **kwargs: Any) -> Any:
        """Go on after the triggerer's wait.

        :raises KlaviyoError: of the type that ended the wait.
        """
        from airflow_provider_klaviyo.campaigns.wait import parse

        ended = parse(event)
        self.show_link(context, ended["campaign_id"])
        return self.finish(context, raise_or_return(ended), **kwargs)

    def finish(self, context: Context, event: WaitEvent) -> Any:
        """What the task returns after a wait that ended well."""
        self.log.info("Campaign %s: %s.", event["campaign_id"], event["status"])
        return event["campaign_id"]


def raise_or_return(event: WaitEvent) -> WaitEvent:
    """Return the event of a wait that ended well.

    :raises KlaviyoCampaignFailed: Klaviyo ended the campaign or job another way.
    :raises KlaviyoWaitTimeoutError: the deadline came first.
    :raises KlaviyoApiError: of the type that ended the wait.
    """
    from airflow_provider_klaviyo import exceptions

    outcome = event["outcome"]
    if outcome == "failed":
        raise exceptions.KlaviyoCampaignFailed(event["campaign_id"], event["status"], event.get("reason", ""))
    if outcome == "timeout":
        raise exceptions.KlaviyoWaitTimeoutError(event["campaign_id"], event["status"])
    if outcome == "error":
        raise error_of(event["error"])
    return event


def error_of(facts: ErrorFacts) -> KlaviyoError:
    """The error that a trigger's event has in plain values, of its own type again."""
    from airflow_provider_klaviyo import exceptions

    reasons = {reason.value: reason for reason in exceptions.RefusalReason}
    if facts["kind"] == exceptions.KlaviyoRefusedError.__name__ and (reason := reasons.get(facts.get("reason", ""))):
        return exceptions.KlaviyoRefusedError(facts["message"], reason=reason, campaign_id=facts.get("campaign_id"))
    if facts["kind"] == exceptions.KlaviyoConnectionMissingError.__name__:
        return exceptions.KlaviyoConnectionMissingError(facts.get("connection", ""))
    named = getattr(exceptions, facts["kind"], None)
    kind = named if isinstance(named, type) and issubclass(named, KlaviyoApiError) else KlaviyoApiError
    return kind(
        facts["message"],
        status=facts["status"],
        code=facts["code"],
        pointer=facts["pointer"],
        request_id=facts["request_id"],
        call=facts.get("call"),
        connection=facts.get("connection"),
        advice=facts.get("advice", ""),
        errors=facts.get("errors", ()),
    )


def is_deferrable(deferrable: bool | None) -> bool:
    """What was asked for, else Airflow's ``[operators] default_deferrable``."""
    if deferrable is not None:
        return deferrable
    return bool(conf.getboolean("operators", "default_deferrable", fallback=False))


def in_seconds(value: float | timedelta) -> float:
    """Airflow keeps its intervals as seconds or as a ``timedelta``, depending on its version."""
    return value.total_seconds() if isinstance(value, timedelta) else float(value)
