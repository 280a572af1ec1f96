"""Operators of audiences: profiles, lists, segments, consent, suppressions and events."""

from __future__ import annotations

from airflow_provider_klaviyo.operators.audiences.events import KlaviyoImportEventsOperator
from airflow_provider_klaviyo.operators.audiences.lists import (
    KlaviyoAddProfilesToListOperator,
    KlaviyoCreateListOperator,
    KlaviyoRemoveProfilesFromListOperator,
)
from airflow_provider_klaviyo.operators.audiences.profiles import KlaviyoImportProfilesOperator
from airflow_provider_klaviyo.operators.audiences.segments import KlaviyoCreateSegmentOperator
from airflow_provider_klaviyo.operators.audiences.subscribe import KlaviyoSubscribeProfilesOperator
from airflow_provider_klaviyo.operators.audiences.suppressions import (
    KlaviyoSuppressProfilesOperator,
    KlaviyoUnsuppressProfilesOperator,
)
from airflow_provider_klaviyo.operators.audiences.unsubscribe import KlaviyoUnsubscribeProfilesOperator

__all__ = [
    "KlaviyoAddProfilesToListOperator",
    "KlaviyoCreateListOperator",
    "KlaviyoCreateSegmentOperator",
    "KlaviyoImportEventsOperator",
    "KlaviyoImportProfilesOperator",
    "KlaviyoRemoveProfilesFromListOperator",
    "KlaviyoSubscribeProfilesOperator",
    "KlaviyoSuppressProfilesOperator",
    "KlaviyoUnsubscribeProfilesOperator",
    "KlaviyoUnsuppressProfilesOperator",
]
