"""A Klaviyo list has exactly the people that a warehouse table has, before anything is sent to it.

The story: an analytics engineer's model writes who is to hear from us. Whenever it is refreshed, rows that are new or
have changed become profiles, whoever is new in the table joins the list, and whoever is not in it any more leaves it.
A refresh that lost its rows is refused: if more than a fifth of the list would leave, nothing is changed. The next
task ends when the list has as many members as it should and no more arrive: then a campaign to it goes to everybody.
Rows that Klaviyo cannot take are in a file, with the reason; more of them than one in a hundred fail the run.
"""

from __future__ import annotations

import pendulum
from airflow.sdk import Asset, Param, dag

from airflow_provider_klaviyo.operators.audiences import KlaviyoCreateListOperator
from airflow_provider_klaviyo.sensors.audiences import KlaviyoAudienceReadySensor
from airflow_provider_klaviyo.transfers.sql_to_klaviyo import SqlToKlaviyoProfilesOperator

CUSTOMERS = Asset("warehouse_newsletter_customers", uri="file:///warehouse/marts/newsletter_customers")


@dag(
    schedule=CUSTOMERS,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": pendulum.duration(minutes=2)},
    params={
        "list_name": Param("Newsletter customers", type="string", description="List that is what the table is"),
        "minimum": Param(1, type="integer", description="Members that the list has at least when all have joined"),
        "state_path": Param(
            "file:///tmp/klaviyo_customers.state", type="string", description="File of what was imported"
        ),
        "rejected_path": Param(
            "file:///tmp/klaviyo_rejected.jsonl", type="string", description="File of rejected rows"
        ),
    },
    tags=["klaviyo", "example"],
    doc_md=__doc__,
)
def klaviyo_audience_from_warehouse() -> None:
    # [START audience]
    customers = KlaviyoCreateListOperator(task_id="customers", name="{{ params.list_name }}")
    load = SqlToKlaviyoProfilesOperator(
        task_id="load",
        sql_conn_id="warehouse",
        sql="SELECT email, first_name, country, orders FROM newsletter_customers ORDER BY email",
        columns={"country": "location.country", "orders": "properties.orders"},
        list_ids=customers.output,
        mode="mirror",
        state_path="{{ params.state_path }}",
        max_removed="20%",
        rejected_path="{{ params.rejected_path }}",
        max_rejected="1%",
        deferrable=True,
        poll_interval=5,
    )
    ready = KlaviyoAudienceReadySensor(
        task_id="ready",
        list_id=customers.output,
        minimum="{{ params.minimum }}",
        settled=pendulum.duration(seconds=10),
        deferrable=True,
        poke_interval=5,
    )
    load >> ready
    # [END audience]


klaviyo_audience_from_warehouse()
