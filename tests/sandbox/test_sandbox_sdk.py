"""Klaviyo's own Python SDK takes every answer of the sandbox, and its retries show as what they are: double sends."""

from __future__ import annotations

from typing import Any

import pytest
from klaviyo_api import KlaviyoAPI
from openapi_client.exceptions import ApiException

EMAIL, SMS_MESSAGE = "01H5QQV9F57XJHJDMD86RX4QM5", "RNCyHC"
DEFINITION = {"channel": "email", "label": "Sale", "content": {"subject": "Sale", "preview_text": "Soon over"}}


@pytest.fixture
def sdk(api) -> KlaviyoAPI:
    return KlaviyoAPI("pk_test", max_delay=1, max_retries=3, test_host=api.url)


def test_the_sdk_takes_a_campaign_from_creation_to_report_of_its_delivery(sdk, api):
    message = {"type": "campaign-message", "attributes": {"definition": DEFINITION}}
    attributes = {
        "name": "SDK",
        "audiences": {"included": ["Y6nRLr"], "excluded": []},
        "send_strategy": {"method": "immediate"},
        "campaign-messages": {"data": [message]},
    }
    made = sdk.Campaigns.create_campaign({"data": {"type": "campaign", "attributes": attributes}}).data
    message_id = made.relationships.campaign_messages.data[0].id
    template = {"template": {"data": {"type": "template", "id": "RipRmi"}}}
    sdk.Campaigns.assign_template_to_campaign_message(
        {"data": {"type": "campaign-message", "id": message_id, "relationships": template}}
    )
    change = {"definition": {**DEFINITION, "content": {"subject": "Now"}}}
    body = {"data": {"type": "campaign-message", "id": message_id, "attributes": change}}
    sdk.Campaigns.update_campaign_message(message_id, body)
    sdk.Campaigns.update_campaign(
        made.id, {"data": {"type": "campaign", "id": made.id, "attributes": {"name": "SDK 2"}}}
    )
    job = {"data": {"type": "campaign-recipient-estimation-job", "id": made.id}}
    assert sdk.Campaigns.refresh_campaign_recipient_estimation(job).data.attributes.status == "processing"
    api.advance(5)
    assert sdk.Campaigns.get_campaign_recipient_estimation_job(made.id).data.attributes.status == "complete"
    count = sdk.Campaigns.get_campaign_recipient_estimation(made.id).data.attributes.estimated_recipient_count
    job = {"data": {"type": "campaign-send-job", "id": made.id}}
    assert sdk.Campaigns.send_campaign(job).data.attributes.status == "queued"
    api.advance(10)
    assert sdk.Campaigns.get_campaign_send_job(made.id).data.attributes.status == "complete"
    assert sdk.Campaigns.get_campaign(made.id).data.attributes.status == "Sent"
    assert [(row["name"], row["recipients"]) for row in api.sends()] == [("SDK 2", count)]


def test_the_sdk_takes_every_read(sdk, api):
    campaigns = sdk.Campaigns
    listed = campaigns.get_campaigns("equals(messages.channel,'email')", include=["campaign-messages", "tags"])
    assert len(listed.data) == 3
    message_id = campaigns.get_campaign(EMAIL, include=["campaign-messages", "tags"]).included[0]["id"]
    campaigns.get_campaign_message(message_id, include=["campaign", "template", "image"])
    campaigns.get_messages_for_campaign(EMAIL)
    campaigns.get_message_ids_for_campaign(EMAIL)
    campaigns.get_tags_for_campaign(EMAIL)
    campaigns.get_tag_ids_for_campaign(EMAIL)
    campaigns.get_campaign_for_campaign_message(message_id)
    campaigns.get_campaign_id_for_campaign_message(message_id)
    campaigns.get_template_for_campaign_message(message_id)
    campaigns.get_template_id_for_campaign_message(message_id)
    campaigns.update_image_for_campaign_message(SMS_MESSAGE, {"data": {"type": "image", "id": "12345"}})
    campaigns.get_image_for_campaign_message(SMS_MESSAGE)
    campaigns.get_image_id_for_campaign_message(SMS_MESSAGE)
    assert sdk.Lists.get_list("YzykDM", additional_fields_list=["profile_count"]).data.attributes.profile_count == 40
    assert sdk.Segments.get_segments().data
    assert sdk.Templates.get_templates().data
    assert sdk.Profiles.get_profiles(additional_fields_profile=["subscriptions"]).data
    assert sdk.Tags.get_tags(include=["tag-group"]).data
    assert sdk.Images.get_images().data
    assert sdk.Accounts.get_accounts().data[0].attributes.test_account is True


def test_the_sdk_clones_cancels_reverts_and_deletes(sdk, api):
    clone = sdk.Campaigns.create_campaign_clone({"data": {"type": "campaign", "id": EMAIL, "attributes": {}}}).data
    sdk.Campaigns.delete_campaign(clone.id)
    sdk.Campaigns.send_campaign({"data": {"type": "campaign-send-job", "id": EMAIL}})
    body: dict[str, Any] = {"data": {"type": "campaign-send-job", "id": EMAIL, "attributes": {"action": "cancel"}}}
    sdk.Campaigns.cancel_campaign_send(EMAIL, body)
    assert sdk.Campaigns.get_campaign(EMAIL).data.attributes.status == "Cancelled"
    with pytest.raises(ApiException) as refused:
        sdk.Campaigns.send_campaign({"data": {"type": "campaign-send-job", "id": EMAIL}})
    assert refused.value.status == 409


def test_a_gateway_that_fails_after_the_commit_makes_the_sdk_send_three_times(sdk, api):
    api.fault(operation="send_campaign", fault="status_after_commit", status=504, times=2)
    sdk.Campaigns.send_campaign({"data": {"type": "campaign-send-job", "id": EMAIL}})
    assert api.fired() == [2]
    api.advance(10)
    assert len(api.sends()) == 3
