"""Operators for audiences: profiles, lists, segments and consent."""

from airflow_provider_klaviyo.operators.audiences.profiles import KlaviyoImportProfilesOperator

__all__ = ["KlaviyoImportProfilesOperator"]
