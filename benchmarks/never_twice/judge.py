"""What the sandbox's ledger says about a run. The client's own word counts only as what is judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import requests

from airflow_provider_klaviyo import exceptions
from benchmarks.never_twice.airflow import Run

SPEAKING = (
    exceptions.KlaviyoAmbiguousWriteError,
    exceptions.KlaviyoRefusedError,
    exceptions.KlaviyoCampaignFailed,
    exceptions.KlaviyoRecipientCountError,
    exceptions.KlaviyoWaitTimeoutError,
)
"""Failures that say that a person has to look, and at what."""

MADE_TWICE = "made twice"
ACCEPTED_TWICE = "send accepted twice"
DELIVERED_TWICE = "delivered twice"
LOST = "success, but not sent"
SHARED = "two runs, one campaign"
MUTE = "sent, but failed without saying so"


@dataclass(frozen=True, slots=True)
class Ledger:
    """What Klaviyo did, by campaign.

    :param made: names of the campaigns made, one per campaign.
    :param accepted: campaign ids of the accepted send jobs.
    :param deliveries: rows of ``/sandbox/sends``.
    """

    made: list[str]
    accepted: list[str]
    deliveries: list[dict[str, Any]]

    @classmethod
    def read(cls, control: requests.Session, url: str) -> Ledger:
        journal = control.get(f"{url}/sandbox/requests").json()
        done = [entry for entry in journal if entry["committed"]]
        made = [entry["body"]["data"]["attributes"] for entry in done if entry["operation"] in _MAKING]
        accepted = [entry["body"]["data"]["id"] for entry in done if entry["operation"] == "send_campaign"]
        return cls(
            [attributes.get("new_name") or attributes["name"] for attributes in made],
            accepted,
            control.get(f"{url}/sandbox/sends").json(),
        )


_MAKING = ("create_campaign", "create_campaign_clone")


def violations(ledger: Ledger, runs: Sequence[Run]) -> list[str]:
    """What must never be, and is."""
    found = []
    intents = Counter(run.name for run in runs)
    if any(count > intents[name] for name, count in Counter(ledger.made).items()):
        found.append(MADE_TWICE)
    if any(count > 1 for count in Counter(ledger.accepted).values()):
        found.append(ACCEPTED_TWICE)
    reached = Counter((row["name"], address) for row in ledger.deliveries for address in row["addresses"])
    if any(count > intents[name] for (name, _), count in reached.items()):
        found.append(DELIVERED_TWICE)
    sent = Counter(row["campaign_id"] for row in ledger.deliveries)
    claimed = Counter(str(run.xcom("send")) for run in runs if run.succeeded)
    if any(not sent[campaign] for campaign in claimed):
        found.append(LOST)
    if any(count > 1 for count in claimed.values()):
        found.append(SHARED)
    for run in runs:
        campaign = run.xcom("create")
        if not run.succeeded and sent[campaign] and not _says(run.error, campaign):
            found.append(MUTE)
    return found


def _says(error: BaseException | None, campaign: str) -> bool:
    """Whether a failure names the campaign, so that a person can look at it."""
    return isinstance(error, SPEAKING) or campaign in str(error)
