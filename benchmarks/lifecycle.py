"""What one campaign's life costs: create, assign a template, estimate, send, wait until it is sent."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from airflow_provider_klaviyo.sandbox.served import Timing
from benchmarks.report import Goal, Say, Section, table
from benchmarks.sandbox import KEY, connection, sandbox

LIST, TEMPLATE = "Y6nRLr", "RipRmi"
ESTIMATE_POLL, SEND_POLL = 2.0, 5.0
QUICK_POLL, QUICK_SPEED = 0.1, 20.0
ABOUT = """\
Calls and seconds of one lifecycle: create → assign template → estimate → send → wait until sent, the estimation
looked at every {estimate:g} s and the send every {send:g} s, as in `example_dags/klaviyo_campaign_lifecycle.py`. Ours
are the operators with `deferrable=True`, each run from its start through its trigger to its end, without a scheduler
between. The SDK (klaviyo-api {sdk}) is the shortest script that does the same and checks nothing: it neither looks
before it leaps, nor afterwards. The sandbox itself takes {own:g} s from the two jobs' starts to their ends; *beyond*
is what is spent on top of that.
"""


def ours(base: dict[str, Any], estimate_poll: float, send_poll: float) -> None:
    os.environ["AIRFLOW_CONN_KLAVIYO_DEFAULT"] = json.dumps(base)
    from airflow_provider_klaviyo.campaigns import email
    from airflow_provider_klaviyo.operators.campaigns import (
        KlaviyoAssignTemplateOperator,
        KlaviyoCreateCampaignOperator,
        KlaviyoEstimateRecipientsOperator,
        KlaviyoSendCampaignOperator,
    )
    from tests.support.context import Task

    def run(operator: Any, **arguments: Any) -> Any:
        return Task(lambda: operator(task_id="task", **arguments)).run()

    waiting = {"deferrable": True}
    made = run(
        KlaviyoCreateCampaignOperator,
        name="Benchmark",
        audiences={"included": [LIST]},
        messages=[email(subject="Hello")],
    )
    run(KlaviyoAssignTemplateOperator, campaign_id=made, template_id=TEMPLATE)
    run(KlaviyoEstimateRecipientsOperator, campaign_id=made, minimum=1, poll_interval=estimate_poll, **waiting)
    run(KlaviyoSendCampaignOperator, campaign_id=made, wait_until="sent", poll_interval=send_poll, **waiting)


def sdk(base: dict[str, Any], estimate_poll: float, send_poll: float) -> None:
    from klaviyo_api import KlaviyoAPI

    campaigns = KlaviyoAPI(KEY, test_host=base["host"]).Campaigns
    definition = {"channel": "email", "content": {"subject": "Hello"}}
    attributes = {
        "name": "Benchmark",
        "audiences": {"included": [LIST]},
        "campaign-messages": {"data": [{"type": "campaign-message", "attributes": {"definition": definition}}]},
    }
    made = campaigns.create_campaign({"data": {"type": "campaign", "attributes": attributes}}).data
    template = {"template": {"data": {"type": "template", "id": TEMPLATE}}}
    message = made.relationships.campaign_messages.data[0].id
    campaigns.assign_template_to_campaign_message(
        {"data": {"type": "campaign-message", "id": message, "relationships": template}}
    )
    campaigns.refresh_campaign_recipient_estimation(
        {"data": {"type": "campaign-recipient-estimation-job", "id": made.id}}
    )
    while campaigns.get_campaign_recipient_estimation_job(made.id).data.attributes.status != "complete":
        time.sleep(estimate_poll)
    assert campaigns.get_campaign_recipient_estimation(made.id).data.attributes.estimated_recipient_count
    campaigns.send_campaign({"data": {"type": "campaign-send-job", "id": made.id}})
    while campaigns.get_campaign(made.id).data.attributes.status != "Sent":
        time.sleep(send_poll)


def measure(way: Callable[..., None], polls: tuple[float, float], speed: float) -> tuple[Counter[str], float]:
    """Calls by operation, and seconds, of the second life: the first, a quick one, loads what is needed."""
    live(way, (QUICK_POLL, QUICK_POLL), QUICK_SPEED)
    return live(way, polls, speed)


def live(way: Callable[..., None], polls: tuple[float, float], speed: float) -> tuple[Counter[str], float]:
    with sandbox(limits=False, speed=speed) as http:
        began = time.monotonic()
        way(connection(http), *polls)
        seconds = time.monotonic() - began
        calls = Counter(row["operation"] for row in http.get("/sandbox/requests").json())
        assert len(http.get("/sandbox/sends").json()) == 1
    return calls, seconds


def section(quick: bool, say: Say) -> Section:
    timing = Timing()
    speed = QUICK_SPEED if quick else 1.0
    own = (timing.estimating + timing.queued + timing.adding + timing.sending) / speed
    polls = (QUICK_POLL, QUICK_POLL) if quick else (ESTIMATE_POLL, SEND_POLL)
    rows, beyond = [], {}
    for name, way in (("ours", ours), ("SDK", sdk)):
        calls, seconds = measure(way, polls, speed)
        beyond[name] = seconds - own
        listed = ", ".join(f"{operation} {times}" for operation, times in sorted(calls.items()))
        rows.append([name, str(calls.total()), f"{seconds:.2f}", f"{seconds - own:.2f}", listed])
        say(f"{name}: {calls.total()} calls, {seconds:.2f} s")
    longest = sum(polls)
    goal = Goal(
        f"beyond the sandbox's own time at most the two polling intervals, {longest:g} s",
        f"{beyond['ours']:.2f} s",
        beyond["ours"] <= longest,
    )
    about = ABOUT.format(estimate=polls[0], send=polls[1], sdk=version("klaviyo-api"), own=own)
    return Section(about, table(["way", "calls", "seconds", "beyond, s", "which"], rows), [goal])
