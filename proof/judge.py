"""What the sandbox's ledger says about a run. The client's own word counts only as what is judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import requests

from airflow_provider_klaviyo import exceptions
from proof.airflow import Run
from proof.boundary import OBSERVER

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
ANOTHERS = "one campaign taken for another"
WRONG_PEOPLE = "sent to other people than the DAG said"
MUTE = "sent, but failed without saying so"
BLOCKED = "failed for good, and nothing had left this machine"


@dataclass(frozen=True, slots=True)
class Ledger:
    """What Klaviyo did, by campaign.

    :param made: names of the campaigns made, one per campaign.
    :param posted: names of the lists made.
    :param accepted: campaign ids of the accepted send jobs.
    :param deliveries: rows of ``/sandbox/sends``.
    :param audiences: the lists that each campaign is for.
    """

    made: list[str]
    posted: list[str]
    accepted: list[str]
    deliveries: list[dict[str, Any]]
    audiences: Mapping[str, list[str]]

    @classmethod
    def read(cls, control: requests.Session, url: str) -> Ledger:
        journal = control.get(f"{url}/sandbox/requests").json()
        done = [entry for entry in journal if entry["committed"]]
        made = [entry["body"]["data"]["attributes"] for entry in done if entry["operation"] in _MAKING]
        posted = [entry["body"]["data"]["attributes"] for entry in done if entry["operation"] == "create_list"]
        accepted = [entry["body"]["data"]["id"] for entry in done if entry["operation"] == "send_campaign"]
        query = {"filter": "equals(messages.channel,'email')"}
        campaigns = control.get(f"{url}/api/campaigns", params=query, headers=OBSERVER).json().get("data", [])
        return cls(
            [attributes.get("new_name") or attributes["name"] for attributes in made],
            [attributes["name"] for attributes in posted],
            accepted,
            control.get(f"{url}/sandbox/sends").json(),
            {campaign["id"]: campaign["attributes"]["audiences"]["included"] for campaign in campaigns},
        )


_MAKING = ("create_campaign", "create_campaign_clone")


def violations(ledger: Ledger, runs: Sequence[Run], intents: Counter[str]) -> list[str]:
    """What must never be, and is.

    :param runs: those that are part of the DAG run, or of two, in the end.
    :param intents: how many campaigns of each name the DAG ever wanted.
    """
    found = []
    if any(count > intents[name] for name, count in Counter(ledger.made).items()):
        found.append(MADE_TWICE)
    if any(count > 1 for count in Counter(ledger.accepted).values()):
        found.append(ACCEPTED_TWICE)
    reached = Counter((row["name"], address) for row in ledger.deliveries for address in row["addresses"])
    if any(count > intents[name] for (name, _), count in reached.items()):
        found.append(DELIVERED_TWICE)
    names = {row["campaign_id"]: row["name"] for row in ledger.deliveries}
    claims = [(run, name, campaign) for run in runs if run.succeeded for name, campaign in _claims(run)]
    if any(campaign not in names for _, _, campaign in claims):
        found.append(LOST)
    if any(count > 1 for count in Counter(campaign for _, _, campaign in claims).values()):
        found.append(SHARED)
    if any(names.get(campaign, name) != name for _, name, campaign in claims):
        found.append(ANOTHERS)
    if any(ledger.audiences[campaign] != [run.made_for] for run, _, campaign in claims if run.audience_may_change):
        found.append(WRONG_PEOPLE)
    for run in runs:
        campaigns = _listed(run.xcom("create"))
        sent = [campaign for campaign in campaigns if campaign in names]
        if not run.succeeded and sent and not _says(run.error, sent):
            found.append(MUTE)
    return found


def violations_of_posts(ledger: Ledger, run: Run) -> list[str]:
    """As :func:`violations`, for POSTs that are made again after each clear."""
    counts = Counter(ledger.posted)
    found = []
    if any(count > 1 + run.cleared for count in counts.values()):
        found.append(MADE_TWICE)
    if run.succeeded and any(not counts[name] for name in run.names):
        found.append(LOST)
    return found


def _claims(run: Run) -> Iterator[tuple[str, str]]:
    """What a run has sent by its own word: name and id of each campaign."""
    yield from zip(run.names, map(str, _listed(run.xcom("send"))), strict=True)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _says(error: BaseException | None, campaigns: Sequence[str]) -> bool:
    """True if a failure names a campaign, so that a person can look at it."""
    return isinstance(error, SPEAKING) or any(campaign in str(error) for campaign in campaigns)
