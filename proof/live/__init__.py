"""The same lifecycles in a real Airflow, whose processes are killed at random moments."""
