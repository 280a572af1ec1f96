"""A newsletter whose HTML is a file beside this one: write the template → check the mail → create → assign → send.

The story: a team keeps its newsletter in Git, with Klaviyo's tags in it. Each run puts the week's products into it and
writes it to Klaviyo. What Klaviyo makes of it is checked before a campaign is made: a mail without products, without an
unsubscribe link, or with "Hi ," in it stops the run, and nobody gets it. A run that changes nothing in the file writes
no template.
"""

from __future__ import annotations

import pendulum
from airflow.sdk import Param, dag

from airflow_provider_klaviyo.campaigns import email
from airflow_provider_klaviyo.operators.campaigns import (
    KlaviyoAssignTemplateOperator,
    KlaviyoCreateCampaignOperator,
    KlaviyoSendCampaignOperator,
)
from airflow_provider_klaviyo.operators.templates import KlaviyoRenderTemplateOperator, KlaviyoUpsertTemplateOperator


@dag(
    schedule="0 9 * * 4",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    default_args={"retries": 2, "retry_delay": pendulum.duration(minutes=2)},
    params={
        "headline": Param("New this week", type="string", description="Headline and subject"),
        "products": Param(["Floor lamp", "Desk", "Chair"], type="array", description="Products of the week"),
        "list_id": Param("Y6nRLr", type="string", description="List or segment that gets the newsletter"),
        "preview_path": Param("file:///tmp/klaviyo_newsletter.html", type="string", description="The mail, to look at"),
    },
    tags=["klaviyo", "example"],
    doc_md=__doc__,
)
def klaviyo_newsletter_from_file() -> None:
    # [START newsletter]
    write = KlaviyoUpsertTemplateOperator(
        task_id="write_template", name="Newsletter", html="klaviyo_newsletter_from_file.html"
    )
    check = KlaviyoRenderTemplateOperator(
        task_id="check_mail",
        template_id=write.output,
        context={"first_name": "Ada", "person": {"plan": "gold"}},
        expect=["Hello Ada", "{{ params.headline }}", r're:(?s)(class="product".*){3}'],
        forbid=["TODO"],
        path="{{ params.preview_path }}",
    )
    create = KlaviyoCreateCampaignOperator(
        task_id="create",
        name="Newsletter {{ run_id }}",
        audiences={"included": ["{{ params.list_id }}"]},
        messages=[email(subject="{{ params.headline }}", from_email="shop@example.com", from_label="The Example Shop")],
    )
    assign = KlaviyoAssignTemplateOperator(
        task_id="assign_template", campaign_id=create.output, template_id=write.output
    )
    send = KlaviyoSendCampaignOperator(
        task_id="send", campaign_id=create.output, wait_until="sent", deferrable=True, poll_interval=5
    )
    check >> create
    assign >> send
    # [END newsletter]


klaviyo_newsletter_from_file()
