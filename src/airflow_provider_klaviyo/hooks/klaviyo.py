"""Hooks: an Airflow connection in, Klaviyo's campaigns out.

:class:`KlaviyoHook` is for workers, :class:`KlaviyoAsyncHook` for the triggerer. Both have the same methods; each is
named once, in :mod:`airflow_provider_klaviyo.hooks.klaviyo`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import cached_property, wraps
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, cast, overload

from airflow_provider_klaviyo.api import (
    calls,
    campaigns,
    checks,
    consent,
    events,
    lists,
    operations,
    profiles,
    reports,
    tags,
    templates,
)
from airflow_provider_klaviyo.api.calls import Call
from airflow_provider_klaviyo.api.errors import KlaviyoAuthError, KlaviyoError
from airflow_provider_klaviyo.api.operations import check_campaigns, is_omnichannel
from airflow_provider_klaviyo.compat import BaseHook
from airflow_provider_klaviyo.hooks.connection import (
    client_settings,
    get_async_connection,
    get_connection,
    mask_extra,
    mask_extra_async,
)
from airflow_provider_klaviyo.hooks.extra import Safety, read_extra

if TYPE_CHECKING:
    from airflow_provider_klaviyo.api.aio import KlaviyoAsyncClient
    from airflow_provider_klaviyo.api.client import KlaviyoClient

P = ParamSpec("P")
T = TypeVar("T")


class Method(Generic[P, T]):
    """A call as a method: plain on :class:`KlaviyoHook`, to be awaited on :class:`KlaviyoAsyncHook`.

    Name, signature and documentation are the call's own.
    """

    def __init__(self, call: Callable[P, Call[T]]) -> None:
        self.call = call

    @overload
    def __get__(self, hook: None, owner: type) -> Callable[P, Call[T]]: ...
    @overload
    def __get__(self, hook: KlaviyoHook, owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, hook: KlaviyoAsyncHook, owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...

    def __get__(self, hook: KlaviyoHook | KlaviyoAsyncHook | None, owner: type) -> Callable[P, Any]:
        call = self.call
        if hook is None:
            return call

        @wraps(call)
        def method(*args: P.args, **kwargs: P.kwargs) -> T | Coroutine[Any, Any, T]:
            return hook.run(self.start(hook, *args, **kwargs))

        return method

    def start(self, hook: KlaviyoHook | KlaviyoAsyncHook, *args: P.args, **kwargs: P.kwargs) -> Call[T]:
        """The call as the hook is to carry it out."""
        return self.call(*args, **kwargs)


class CheckedMethod(Method[P, T]):
    """A call that names its operation freely: it is checked against what Klaviyo publishes before it is made.

    :param check: takes the API revision and the call's own arguments, and raises :class:`KlaviyoValidationError`.
    """

    def __init__(self, call: Callable[P, Call[T]], check: Callable[Concatenate[str, P], None]) -> None:
        super().__init__(call)
        self.check = check

    def start(self, hook: KlaviyoHook | KlaviyoAsyncHook, *args: P.args, **kwargs: P.kwargs) -> Call[T]:
        """The call, with its check as the first step."""
        self.check(_revision(hook), *args, **kwargs)
        return (yield from self.call(*args, **kwargs))


class CampaignMethod(Method[P, T]):
    """A call that reads or writes campaigns as they are up to a certain API revision: refused for others.

    :param omnichannel: returns the call of the same name for the revision whose omnichannel campaigns are read.
    """

    def __init__(
        self, call: Callable[P, Call[T]], omnichannel: Callable[[], Callable[P, Call[T]]] | None = None
    ) -> None:
        super().__init__(call)
        self.omnichannel = omnichannel

    def start(self, hook: KlaviyoHook | KlaviyoAsyncHook, *args: P.args, **kwargs: P.kwargs) -> Call[T]:
        """The call, with the check of the revision as its first step."""
        revision = _revision(hook)
        if self.omnichannel is not None and is_omnichannel(revision):
            return (yield from self.omnichannel()(*args, **kwargs))
        check_campaigns(revision)
        return (yield from self.call(*args, **kwargs))


def _list_of_omnichannel() -> Callable[..., Call[list[dict[str, Any]]]]:
    """Imported by the tasks that read these campaigns, and by no other."""
    from airflow_provider_klaviyo.campaigns import omnichannel

    return omnichannel.list_campaigns


def _revision(hook: KlaviyoHook | KlaviyoAsyncHook) -> str:
    """The revision in use, within a call: by then the hook has its client."""
    return cast("KlaviyoClient | KlaviyoAsyncClient", hook._client).settings.revision


class KlaviyoMethods:
    """What a hook can do: any published operation by its id, and the Campaigns API by name.

    The methods for campaigns raise ``KlaviyoValidationError`` for a revision whose campaigns are of another kind, but
    for ``list_campaigns``, which reads those of 2026-10-15.
    Parameters of these names mean the same in all methods:

    :param campaign_id: the campaign.
    :param campaign_ids: the campaigns.
    :param message_id: the campaign's message.
    :param template_id: the template.
    :param image_id: an image uploaded to Klaviyo.
    :param tag_id: the tag.
    :param list_id: the list.
    :param segment_id: the segment.
    :param profile_id: the profile.
    :param profile_ids: the profiles.
    :param job_id: the job.
    :param name: the name, to the letter.
    :param html: the template's HTML, with Klaviyo's tags.
    """

    call = CheckedMethod(calls.call, checks.check_call)
    paginate = CheckedMethod(calls.paginate, checks.check_pages)
    collect = CheckedMethod(calls.collect, checks.check_pages)

    get_account = Method(campaigns.get_account)
    get_campaign = CampaignMethod(campaigns.get_campaign)
    find_campaigns = CampaignMethod(campaigns.find_campaigns)
    list_campaigns = CampaignMethod(campaigns.list_campaigns, _list_of_omnichannel)
    create_campaign = CampaignMethod(campaigns.create_campaign)
    clone_campaign = CampaignMethod(campaigns.clone_campaign)
    update_campaign = CampaignMethod(campaigns.update_campaign)
    delete_campaign = CampaignMethod(campaigns.delete_campaign)
    get_campaign_tags = CampaignMethod(campaigns.get_campaign_tags)
    get_campaign_tag_ids = CampaignMethod(campaigns.get_campaign_tag_ids)
    get_messages = CampaignMethod(campaigns.get_messages)
    get_message_ids = CampaignMethod(campaigns.get_message_ids)
    get_message = CampaignMethod(campaigns.get_message)
    get_campaign_of_message = CampaignMethod(campaigns.get_campaign_of_message)
    get_campaign_id_of_message = CampaignMethod(campaigns.get_campaign_id_of_message)
    update_message = CampaignMethod(campaigns.update_message)
    set_image = CampaignMethod(campaigns.set_image)
    get_image_of_message = CampaignMethod(campaigns.get_image_of_message)
    get_image_id_of_message = CampaignMethod(campaigns.get_image_id_of_message)
    get_template_of_message = CampaignMethod(campaigns.get_template_of_message)
    get_template_id_of_message = CampaignMethod(campaigns.get_template_id_of_message)
    assign_template = CampaignMethod(campaigns.assign_template)
    start_estimation = CampaignMethod(campaigns.start_estimation)
    get_estimation_job = CampaignMethod(campaigns.get_estimation_job)
    get_estimation = CampaignMethod(campaigns.get_estimation)
    send_campaign = CampaignMethod(campaigns.send_campaign)
    get_send_job = CampaignMethod(campaigns.get_send_job)
    cancel_send = CampaignMethod(campaigns.cancel_send)

    get_tags = Method(tags.get_tags)
    find_tags = Method(tags.find_tags)
    create_tag = Method(tags.create_tag)
    tag_campaigns = Method(tags.tag_campaigns)
    untag_campaigns = Method(tags.untag_campaigns)

    get_list = Method(lists.get_list)
    find_lists = Method(lists.find_lists)
    create_list = Method(lists.create_list)
    find_segments = Method(lists.find_segments)
    create_segment = Method(lists.create_segment)
    add_profiles_to_list = Method(lists.add_profiles_to_list)
    remove_profiles_from_list = Method(lists.remove_profiles_from_list)
    members_by = Method(lists.members_by)
    subscribe = Method(consent.subscribe)
    unsubscribe = Method(consent.unsubscribe)
    suppress = Method(consent.suppress)
    unsuppress = Method(consent.unsuppress)
    get_suppress_job = Method(consent.get_suppress_job)
    get_unsuppress_job = Method(consent.get_unsuppress_job)
    create_event = Method(events.create_event)
    import_events = Method(events.import_events)
    get_profile = Method(profiles.get_profile)
    find_profile = Method(profiles.find_profile)

    get_metrics = Method(reports.get_metrics)
    get_campaign_figures = Method(reports.get_campaign_figures)

    get_template = Method(templates.get_template)
    find_templates = Method(templates.find_templates)
    create_template = Method(templates.create_template)
    update_template = Method(templates.update_template)
    render_template = Method(templates.render_template)


class KlaviyoHook(KlaviyoMethods, BaseHook):
    """Calls Klaviyo from a worker.

    The connection is read and the client made on the first call. Reads are repeated when they fail for a passing
    reason, a POST never blindly: see :mod:`airflow_provider_klaviyo.api.retry`.

    :param klaviyo_conn_id: connection of type ``klaviyo``: its password is the private key; for OAuth, its login and
        password are the app's client id and secret, and its extra has the refresh token.
    :param revision: Klaviyo API revision; default: the connection's, else 2026-04-15.
    """

    conn_name_attr = "klaviyo_conn_id"
    default_conn_name = "klaviyo_default"
    conn_type = "klaviyo"
    hook_name = "Klaviyo"

    def __init__(self, klaviyo_conn_id: str = default_conn_name, *, revision: str | None = None) -> None:
        super().__init__()
        self.klaviyo_conn_id = klaviyo_conn_id
        self.revision = revision

    @cached_property
    def _client(self) -> KlaviyoClient:
        from airflow_provider_klaviyo.api.client import KlaviyoClient

        connection = get_connection(self, self.klaviyo_conn_id)
        extra = read_extra(connection)
        mask_extra(connection)
        return KlaviyoClient(client_settings(connection, extra, revision=self.revision))

    def get_conn(self) -> KlaviyoClient:
        """The client, over a ``requests`` session of its own."""
        return self._client

    def run(self, call: Call[T]) -> T:
        """Carry out a call made of several requests.

        :param call: what a function of ``api.campaigns`` and its neighbours returns.
        """
        return self.get_conn().run(call)

    @property
    def base_url(self) -> str:
        """Scheme and host that the connection is for."""
        return self.get_conn().settings.base_url

    @property
    def api_revision(self) -> str:
        """The API revision that is asked for: the task's, else the connection's, else the default."""
        return self.get_conn().settings.revision

    def test_connection(self) -> tuple[bool, str]:
        """Say which account the connection belongs to: what ``airflow connections test`` and the UI's button show.

        It never raises: whatever is wrong with the connection is in the message.
        """
        try:
            return self._test_connection()
        except KlaviyoError as error:
            return False, str(error)
        except Exception as error:
            return False, f"{type(error).__name__}: {error}"

    def _test_connection(self) -> tuple[bool, str]:
        guard = self.get_conn().settings.guard
        try:
            account = self.get_account()
        except KlaviyoAuthError as error:
            if error.status != 403:
                raise
            is_test_account = None
            found = (
                "Klaviyo accepts the key, but it lacks the scope accounts:read, so the account cannot be named. "
                "Campaigns may still work; add accounts:read to be able to check which account you mail from."
            )
        else:
            about = account.attributes
            name = (about.get("contact_information") or {}).get("organization_name") or "unnamed"
            is_test_account = about.get("test_account") is True
            kind = "a test account" if is_test_account else "a live account: sends reach real people"
            found = f"Connected to Klaviyo account {name} ({account.id}), {kind}."
        switches = guard.describe(is_test_account) if isinstance(guard, Safety) else ""
        return True, f"{found} {switches}".strip()


class KlaviyoAsyncHook(KlaviyoMethods, BaseHook):
    """Calls Klaviyo from the triggerer's event loop. Use it as ``async with KlaviyoAsyncHook(…) as hook``.

    The connection is looked up once, on the first call, and all calls share one HTTP client.

    :param klaviyo_conn_id: as for :class:`KlaviyoHook`.
    :param revision: as for :class:`KlaviyoHook`.
    """

    def __init__(self, klaviyo_conn_id: str = KlaviyoHook.default_conn_name, *, revision: str | None = None) -> None:
        super().__init__()
        self.klaviyo_conn_id = klaviyo_conn_id
        self.revision = revision
        self._client: KlaviyoAsyncClient | None = None

    async def aget_conn(self) -> KlaviyoAsyncClient:
        """The client, made on first use."""
        if self._client is None:
            from airflow_provider_klaviyo.api.aio import KlaviyoAsyncClient

            connection = await get_async_connection(self, self.klaviyo_conn_id)
            extra = read_extra(connection)
            await mask_extra_async(connection)
            given = client_settings(connection, extra, revision=self.revision)
            self._client = await asyncio.to_thread(KlaviyoAsyncClient, given)
        return self._client

    async def run(self, call: Call[T]) -> T:
        """Carry out a call made of several requests.

        :param call: what a function of ``api.campaigns`` and its neighbours returns.
        """
        return await (await self.aget_conn()).run(call)

    async def __aenter__(self) -> KlaviyoAsyncHook:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None


@asynccontextmanager
async def opened(
    klaviyo_conn_id: str, revision: str | None, *, any_revision: bool = False
) -> AsyncIterator[KlaviyoAsyncHook]:
    """A hook that has looked its connection up, and is closed at the end of the block.

    What its first request would read from disk is read before, in a thread: every trigger of the triggerer would wait.

    :param any_revision: True if campaigns are not read or written, or the revision is checked later.
    :raises KlaviyoValidationError: the campaigns of the revision in use are of another kind.
    """
    await asyncio.to_thread(_warm_up)
    async with KlaviyoAsyncHook(klaviyo_conn_id, revision=revision) as hook:
        settings = (await hook.aget_conn()).settings
        if not any_revision:
            check_campaigns(settings.revision)
        yield hook


def _warm_up() -> None:
    from airflow_provider_klaviyo.api.message import user_agent

    operations.operations()
    user_agent()
