"""Airflow connections to Klaviyo clients."""
