"""Operators of the campaign lifecycle, in its order."""

from __future__ import annotations

from airflow_provider_klaviyo.operators.campaigns.cancel import KlaviyoCancelCampaignSendOperator
from airflow_provider_klaviyo.operators.campaigns.clone import KlaviyoCloneCampaignOperator
from airflow_provider_klaviyo.operators.campaigns.create import KlaviyoCreateCampaignOperator
from airflow_provider_klaviyo.operators.campaigns.delete import KlaviyoDeleteCampaignOperator
from airflow_provider_klaviyo.operators.campaigns.estimate import KlaviyoEstimateRecipientsOperator
from airflow_provider_klaviyo.operators.campaigns.listing import KlaviyoListCampaignsOperator
from airflow_provider_klaviyo.operators.campaigns.messages import (
    KlaviyoAssignTemplateOperator,
    KlaviyoSetMessageImageOperator,
    KlaviyoUpdateCampaignMessageOperator,
)
from airflow_provider_klaviyo.operators.campaigns.send import KlaviyoSendCampaignOperator
from airflow_provider_klaviyo.operators.campaigns.tags import KlaviyoTagCampaignOperator
from airflow_provider_klaviyo.operators.campaigns.update import KlaviyoUpdateCampaignOperator

__all__ = [
    "KlaviyoAssignTemplateOperator",
    "KlaviyoCancelCampaignSendOperator",
    "KlaviyoCloneCampaignOperator",
    "KlaviyoCreateCampaignOperator",
    "KlaviyoDeleteCampaignOperator",
    "KlaviyoEstimateRecipientsOperator",
    "KlaviyoListCampaignsOperator",
    "KlaviyoSendCampaignOperator",
    "KlaviyoSetMessageImageOperator",
    "KlaviyoTagCampaignOperator",
    "KlaviyoUpdateCampaignMessageOperator",
    "KlaviyoUpdateCampaignOperator",
]
