"""Klaviyo marketing campaigns as Airflow tasks. Kept empty: Airflow imports it in every process at discovery."""
