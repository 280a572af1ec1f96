"""What an audience is: fields and values, batches, jobs, a filled list. Pure: no file, no network, no Airflow."""
