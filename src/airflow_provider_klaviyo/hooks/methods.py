"""The methods that both hooks have, each named once."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, cast, overload

from airflow_provider_klaviyo.api import calls, campaigns, checks, tags
from airflow_provider_klaviyo.api.calls import Call

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
        """The call, with its check as the first step: by then the hook has its client, and so its revision."""
        client = cast("KlaviyoClient | KlaviyoAsyncClient", hook._client)
        self.check(client.settings.revision, *args, **kwargs)
        return (yield from self.call(*args, **kwargs))


class KlaviyoMethods:
    """What a hook can do: any published operation by its id, and the Campaigns API by name."""

    call = CheckedMethod(calls.call, checks.check_call)
    paginate = CheckedMethod(calls.paginate, checks.check_pages)
    collect = CheckedMethod(calls.collect, checks.check_pages)

    get_account = Method(campaigns.get_account)
    get_campaign = Method(campaigns.get_campaign)
    find_campaigns = Method(campaigns.find_campaigns)
    list_campaigns = Method(campaigns.list_campaigns)
    create_campaign = Method(campaigns.create_campaign)
    clone_campaign = Method(campaigns.clone_campaign)
    update_campaign = Method(campaigns.update_campaign)
    delete_campaign = Method(campaigns.delete_campaign)
    get_campaign_tags = Method(campaigns.get_campaign_tags)
    get_campaign_tag_ids = Method(campaigns.get_campaign_tag_ids)
    get_messages = Method(campaigns.get_messages)
    get_message_ids = Method(campaigns.get_message_ids)
    get_message = Method(campaigns.get_message)
    get_campaign_of_message = Method(campaigns.get_campaign_of_message)
    get_campaign_id_of_message = Method(campaigns.get_campaign_id_of_message)
    update_message = Method(campaigns.update_message)
    set_image = Method(campaigns.set_image)
    get_image_of_message = Method(campaigns.get_image_of_message)
    get_image_id_of_message = Method(campaigns.get_image_id_of_message)
    get_template_of_message = Method(campaigns.get_template_of_message)
    get_template_id_of_message = Method(campaigns.get_template_id_of_message)
    assign_template = Method(campaigns.assign_template)
    start_estimation = Method(campaigns.start_estimation)
    get_estimation_job = Method(campaigns.get_estimation_job)
    get_estimation = Method(campaigns.get_estimation)
    send_campaign = Method(campaigns.send_campaign)
    get_send_job = Method(campaigns.get_send_job)
    cancel_send = Method(campaigns.cancel_send)

    get_tags = Method(tags.get_tags)
    find_tags = Method(tags.find_tags)
    create_tag = Method(tags.create_tag)
    tag_campaigns = Method(tags.tag_campaigns)
    untag_campaigns = Method(tags.untag_campaigns)
