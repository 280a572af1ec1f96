"""Klaviyo over HTTP. Nothing below this package imports Airflow."""
