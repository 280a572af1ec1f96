"""What a trigger's event means to the task that waited: a value, or the exception it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType
from typing import Any, cast

from airflow_provider_klaviyo import exceptions
from airflow_provider_klaviyo.api.errors import KlaviyoApiError
from airflow_provider_klaviyo.campaigns.wait import WaitEvent
from airflow_provider_klaviyo.exceptions import KlaviyoCampaignFailed, KlaviyoError, KlaviyoWaitTimeoutError

_OUTCOMES = ("done", "failed", "timeout", "error")
_ERROR_FACTS: Mapping[str, tuple[type, ...]] = {
    "kind": (str,),
    "message": (str,),
    "status": (int, NoneType),
    "code": (str, NoneType),
    "pointer": (str, NoneType),
    "request_id": (str, NoneType),
}


def parse(event: Any) -> WaitEvent:
    """Check an event that came through Airflow's database.

    :raises KlaviyoError: it is none of ours: nothing is concluded from it.
    """
    if (
        not isinstance(event, Mapping)
        or event.get("outcome") not in _OUTCOMES
        or not isinstance(event.get("campaign_id"), str)
        or not isinstance(event.get("status"), str)
        or not isinstance(event.get("reason", ""), str)
        or not isinstance(event.get("count", 0), int)
        or (event["outcome"] == "error" and not _is_error(event.get("error")))
    ):
        raise KlaviyoError(f"The trigger's event is not one of this package's: {event!r}. Run the task again.")
    return cast("WaitEvent", dict(event))


def settle(event: WaitEvent) -> WaitEvent:
    """Return the event of a wait that ended well.

    :raises KlaviyoCampaignFailed: Klaviyo ended the campaign or job another way.
    :raises KlaviyoWaitTimeoutError: the deadline came first.
    :raises KlaviyoApiError: of the type that ended the wait.
    """
    outcome = event["outcome"]
    if outcome == "failed":
        raise KlaviyoCampaignFailed(event["campaign_id"], event["status"], event.get("reason", ""))
    if outcome == "timeout":
        last = f"last seen as {event['status']!r}" if event["status"] else "never seen"
        raise KlaviyoWaitTimeoutError(
            f"Klaviyo campaign {event['campaign_id']} was not done in time ({last}). Klaviyo goes on with it; "
            f"run the task again to wait on, or raise 'timeout'."
        )
    if outcome == "error":
        facts = event["error"]
        named = getattr(exceptions, facts["kind"], None)
        kind = named if isinstance(named, type) and issubclass(named, KlaviyoApiError) else KlaviyoApiError
        raise kind(
            facts["message"],
            status=facts["status"],
            code=facts["code"],
            pointer=facts["pointer"],
            request_id=facts["request_id"],
            errors=facts.get("errors", ()),
        )
    return event


def _is_error(facts: Any) -> bool:
    return (
        isinstance(facts, Mapping)
        and all(name in facts and isinstance(facts[name], kinds) for name, kinds in _ERROR_FACTS.items())
        and isinstance(facts.get("errors", []), list)
        and all(isinstance(error, Mapping) for error in facts.get("errors", []))
    )
