"""The methods that both hooks have, each named once."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, cast, overload

from airflow_provider_klaviyo.api import calls, campaigns, checks, tags
from airflow_provider_klaviyo.api.calls import Call
from airflow_provider_klaviyo.api.revisions import check_campaigns

if TYPE_CHECKING:
    from airflow_provider_klaviyo.api.aio import KlaviyoAsyncClient
    from airflow_provider_klaviyo.api.client import KlaviyoClient
    from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoAsyncHook, KlaviyoHook

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
    """A call that reads or writes campaigns as they are up to a certain API revision: refused for others."""

    def start(self, hook: KlaviyoHook | KlaviyoAsyncHook, *args: P.args, **kwargs: P.kwargs) -> Call[T]:
        """The call, with the check of the revision as its first step."""
        check_campaigns(_revision(hook))
        return (yield from self.call(*args, **kwargs))


def _revision(hook: KlaviyoHook | KlaviyoAsyncHook) -> str:
    """The revision in use, within a call: by then the hook has its client."""
    return cast("KlaviyoClient | KlaviyoAsyncClient", hook._client).settings.revision


class KlaviyoMethods:
    """What a hook can do: any published operation by its id, and the Campaigns API by name.

    The methods for campaigns raise ``KlaviyoValidationError`` for a revision whose campaigns are of another kind.
    """

    call = CheckedMethod(calls.call, checks.check_call)
    paginate = CheckedMethod(calls.paginate, checks.check_pages)
    collect = CheckedMethod(calls.collect, checks.check_pages)

    get_account = Method(campaigns.get_account)
    get_campaign = CampaignMethod(campaigns.get_campaign)
    find_campaigns = CampaignMethod(campaigns.find_campaigns)
    list_campaigns = CampaignMethod(campaigns.list_campaigns)
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
