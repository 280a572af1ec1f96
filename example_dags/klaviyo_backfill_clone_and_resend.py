"""Resend the campaigns of past days to people who were missed: clone that day's campaign, new audience, send.

The story: somebody on call has to make good for the days on which a segment was empty::

    airflow backfill create --dag-id klaviyo_backfill_clone_and_resend --from-date 2026-11-01 --to-date 2026-11-03

Each date is one run, and each run one clone with the date in its name. Running a date again adopts its clone and sends
nothing twice. A send in a backfill is refused unless the DAG says ``in_backfill="send"``, as this one does. The
schedule only says which dates there are: the DAG starts out paused, and is run by backfills.
"""

from __future__ import annotations

import pendulum
from airflow.sdk import Param, dag, task

from airflow_provider_klaviyo.campaigns import immediate
from airflow_provider_klaviyo.operators.campaigns import (
    KlaviyoCloneCampaignOperator,
    KlaviyoEstimateRecipientsOperator,
    KlaviyoSendCampaignOperator,
)


@dag(
    schedule="@daily",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=True,
    params={
        "name_prefix": Param("Daily deals", type="string", description="Campaigns are named '<prefix> <date>'"),
        "missed_id": Param("YzykDM", type="string", description="List or segment of the people who were missed"),
    },
    tags=["klaviyo", "example"],
    doc_md=__doc__,
)
def klaviyo_backfill_clone_and_resend() -> None:
    # [START backfill]
    @task
    def campaign_of_the_day(name_prefix: str, ds: str | None = None) -> str:
        """The id of the campaign that was sent on this date."""
        from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook

        name = f"{name_prefix} {ds}"
        found = KlaviyoHook().find_campaigns(channel="email", name=name)
        if len(found) != 1:
            raise LookupError(f"{len(found)} campaigns are named {name!r}; exactly one is needed to clone it.")
        return found[0].id

    clone = KlaviyoCloneCampaignOperator(
        task_id="clone",
        campaign_id=campaign_of_the_day("{{ params.name_prefix }}"),
        new_name="{{ params.name_prefix }} {{ ds }} (resent)",
        audiences={"included": ["{{ params.missed_id }}"]},
        send_strategy=immediate(),
    )
    estimate = KlaviyoEstimateRecipientsOperator(
        task_id="estimate", campaign_id=clone.output, deferrable=True, poll_interval=2
    )
    send = KlaviyoSendCampaignOperator(
        task_id="send", campaign_id=clone.output, in_backfill="send", deferrable=True, poll_interval=5
    )
    estimate >> send
    # [END backfill]


klaviyo_backfill_clone_and_resend()
