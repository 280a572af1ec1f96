"""What all tasks of this package share: a connection, a revision, and arguments that must come to something."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.api.revisions import check_campaigns
from airflow_provider_klaviyo.campaigns.values import Field, check_rendered, is_template
from airflow_provider_klaviyo.hooks.arguments import check_connection

if TYPE_CHECKING:
    from typing import Self

    import jinja2
    from airflow.sdk import Context

    from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook

CONNECTION: tuple[str, ...] = ("klaviyo_conn_id", "revision")
"""The template fields that every task has."""


class KlaviyoTask(BaseOperator):
    """Base of the operators and sensors.

    *What is rendered to nothing*: an argument, or a part of one, that is Jinja or another task's output and comes to
    ``None`` or to something empty is an error (``KlaviyoValidationError``), before Klaviyo is called; also where it
    comes by ``expand``, or by a mapped task group. It never counts as "not given". A ``None`` in the DAG file does.

    :param klaviyo_conn_id: connection of type ``klaviyo``. Templated.
    :param revision: Klaviyo API revision; default: the connection's. Templated.
    """

    template_fields = CONNECTION
    any_revision: ClassVar[bool] = False
    """True if revisions are taken whose campaigns are of another kind."""

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
            check_campaigns(self.known_revision)

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
            check_campaigns(hook.api_revision)
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
        """An argument as the DAG file has it: a mapped task is made anew of what ``expand`` was resolved to."""
        from airflow.sdk.definitions.mappedoperator import MappedOperator

        value = getattr(self, name)
        dag = self.get_dag()
        mapped = dag.task_dict.get(self.task_id) if dag else None
        if isinstance(mapped, MappedOperator) and name in self._named:
            from_partial = name in mapped.partial_kwargs and mapped.partial_kwargs[name] is value
            if not from_partial and (source := _source(mapped.expand_input, name, context)) is not None:
                return source
        return _as_given(value, context)


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
