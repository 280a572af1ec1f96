"""Send jobs and recipient estimations. Both are found by the id of their campaign."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_klaviyo.sandbox import lifecycle
from airflow_provider_klaviyo.sandbox.documents import document, targets
from airflow_provider_klaviyo.sandbox.model import Entity
from airflow_provider_klaviyo.sandbox.refusals import conflict, nothing_there
from airflow_provider_klaviyo.sandbox.served import Handler, Reply, ServedCall

NO_ESTIMATION = "No results or results were out of date. Schedule a new estimation."


def send_campaign(call: ServedCall) -> Reply:
    """A message without content is refused with 409 (a choice; that it cannot be scheduled is documented)."""
    campaign = call.store.get("campaign", call.data["id"])
    for message in targets(call.store, campaign, "campaign-messages"):
        _check_content(message)
    campaign = lifecycle.send(call.store, campaign, call.now, call.timing)
    _tell_send_times(call, campaign)
    return Reply(202, document(call, _send_job(campaign)))


def get_campaign_send_job(call: ServedCall) -> Reply:
    campaign = call.store.get("campaign", call.id)
    if "job" not in campaign.internal:
        raise nothing_there(f"A campaign send job with id '{call.id}' does not exist.")
    return Reply(200, document(call, _send_job(campaign)))


def cancel_campaign_send(call: ServedCall) -> Reply:
    call.check_ids_agree()
    campaign = call.store.get("campaign", call.id)
    if call.attributes["action"] == "cancel":
        lifecycle.cancel(call.store, campaign, call.now)
    else:
        lifecycle.revert(call.store, campaign, call.now, call.timing)
    return Reply(204)


def refresh_campaign_recipient_estimation(call: ServedCall) -> Reply:
    campaign = call.store.get("campaign", call.data["id"])
    campaign = lifecycle.estimate(call.store, campaign, call.now, call.timing)
    return Reply(202, document(call, _estimation_job(campaign)))


def get_campaign_recipient_estimation_job(call: ServedCall) -> Reply:
    campaign = call.store.get("campaign", call.id)
    if not campaign.internal.get("estimation"):
        raise nothing_there(NO_ESTIMATION)
    return Reply(200, document(call, _estimation_job(campaign)))


def get_campaign_recipient_estimation(call: ServedCall) -> Reply:
    campaign = call.store.get("campaign", call.id)
    estimation = campaign.internal.get("estimation") or {}
    if "count" not in estimation:
        raise nothing_there(NO_ESTIMATION)
    count = {"estimated_recipient_count": estimation["count"]}
    return Reply(200, document(call, Entity("campaign-recipient-estimation", campaign.id, count)))


def _check_content(message: Entity) -> None:
    definition = message.attributes["definition"]
    match definition:
        case {"channel": "email"} if message.relationships["template"] is None:
            raise conflict(f"Message {message.id} has no template. Assign one before sending.")
        case {"channel": "sms", "content": {"body": None | ""}}:
            raise conflict(f"Message {message.id} has no body. Set one before sending.")
        case _:
            return


def _tell_send_times(call: ServedCall, campaign: Entity) -> None:
    options: Mapping[str, Any] = campaign.attributes["send_strategy"].get("options") or {}
    times = [{"datetime": campaign.attributes["send_time"], "is_local": options.get("is_local", False)}]
    for message in targets(call.store, campaign, "campaign-messages"):
        call.store.put(message.having(send_times=times))


def _send_job(campaign: Entity) -> Entity:
    return Entity("campaign-send-job", campaign.id, {"status": campaign.internal["job"]})


def _estimation_job(campaign: Entity) -> Entity:
    status = {"status": campaign.internal["estimation"]["status"]}
    return Entity("campaign-recipient-estimation-job", campaign.id, status)


HANDLERS: Mapping[str, Handler] = {
    "send_campaign": send_campaign,
    "get_campaign_send_job": get_campaign_send_job,
    "cancel_campaign_send": cancel_campaign_send,
    "refresh_campaign_recipient_estimation": refresh_campaign_recipient_estimation,
    "get_campaign_recipient_estimation_job": get_campaign_recipient_estimation_job,
    "get_campaign_recipient_estimation": get_campaign_recipient_estimation,
}
