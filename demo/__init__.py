"""A campaign's whole life in a real Airflow, to be watched."""
