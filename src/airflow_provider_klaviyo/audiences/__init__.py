"""What an audience is: a list or a segment. Pure: no network, no Airflow."""
