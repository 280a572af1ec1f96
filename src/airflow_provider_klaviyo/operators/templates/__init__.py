"""Operators for email templates."""

from airflow_provider_klaviyo.operators.templates.render import KlaviyoRenderTemplateOperator
from airflow_provider_klaviyo.operators.templates.upsert import KlaviyoUpsertTemplateOperator

__all__ = ["KlaviyoRenderTemplateOperator", "KlaviyoUpsertTemplateOperator"]
