"""``KlaviyoSandbox``: a sandbox as a test of one's own sees it. The pytest fixture ``klaviyo_sandbox`` is one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from airflow_provider_klaviyo.campaigns.status import CampaignStatus
from airflow_provider_klaviyo.sandbox.controls import Controls
from airflow_provider_klaviyo.sandbox.replay import Replayed, read, replay

BEFORE_DELIVERY = (CampaignStatus.QUEUED_WITHOUT_RECIPIENTS, CampaignStatus.ADDING_RECIPIENTS)
"""The statuses of a campaign whose send was accepted, and that has reached nobody yet."""


class Fault:
    """A failure that was asked for; :meth:`KlaviyoSandbox.fail` returns it.

    :param controls: the sandbox's.
    :param number: its place among the sandbox's faults.
    """

    def __init__(self, controls: Controls, number: int) -> None:
        self._controls = controls
        self._number = number

    @property
    def fired(self) -> int:
        """How many calls it has hit so far."""
        return int(self._controls.get("/sandbox/faults")[self._number]["fired"])


class KlaviyoSandbox:
    """Looks behind the sandbox's API, moves its clock, and has it fail.

    :param url: where it is.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._controls = Controls(url)

    @property
    def sends(self) -> list[dict[str, Any]]:
        """What has reached people, oldest first: a row with ``campaign_id``, ``name``, ``channel``, ``at``,
        ``recipients`` and ``addresses`` for each delivery of a campaign. A double send is two rows."""
        rows: list[dict[str, Any]] = self._controls.get("/sandbox/sends")
        return rows

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The requests to the API, oldest first: ``operation``, ``method``, ``path``, ``query``, ``body``, ``status``,
        ``answer``, ``committed``, ``fault`` and more."""
        rows: list[dict[str, Any]] = self._controls.get("/sandbox/requests")
        return rows

    @property
    def campaigns(self) -> list[dict[str, Any]]:
        """The account's campaigns, oldest first: ``id``, ``channel``, ``messages`` (their definitions), and Klaviyo's
        attributes, such as ``name``, ``status``, ``audiences`` and ``send_time``."""
        rows: list[dict[str, Any]] = self._controls.get("/sandbox/campaigns")
        return rows

    def history(self, campaign: str) -> list[dict[str, str]]:
        """What has happened to a campaign, oldest first: rows with ``at`` (sandbox time), ``what`` and ``detail``.

        :param campaign: its id, also of one that was deleted, or its name; of campaigns of a name, the newest.
        :raises ControlError: there is none.
        """
        ids = [row["id"] for row in self.campaigns if row["name"] == campaign]
        query = urlencode({"campaign": ids[-1] if ids else campaign})
        rows: list[dict[str, str]] = self._controls.get(f"/sandbox/history?{query}")
        return rows

    def fail(self, operation: str = "*", fault: str | None = None, **settings: Any) -> Fault:
        """Have coming calls fail.

        :param operation: an operation's id or alias, or ``*`` for all.
        :param fault: what happens, such as ``drop_after_commit``; ``docs/sandbox.md`` has the list. Without one, a
            ``status`` is answered and nothing is written, and else the connection is cut before the write.
        :param settings: what the fault takes besides: ``times`` (1), ``skip``, ``status``, ``retry_after``, …
        :return: the fault, with how often it has ``fired``: a test in which it never does shows nothing.
        :raises ControlError: it is not understood.
        """
        kind = fault or ("status_before_commit" if "status" in settings else "drop_before_commit")
        self._controls.call("POST", "/sandbox/faults", {"operation": operation, "fault": kind, **settings})
        return Fault(self._controls, len(self._controls.get("/sandbox/faults")) - 1)

    def advance(self, time: float | timedelta) -> None:
        """Move the sandbox's clock forward; all that is due by then happens.

        :param time: how far: seconds, or a ``timedelta``.
        """
        seconds = time.total_seconds() if isinstance(time, timedelta) else time
        self._controls.call("POST", "/sandbox/clock", {"advance": seconds})

    def reset(self) -> None:
        """Begin anew: a fresh account, no faults, no requests, the real time."""
        self._controls.call("POST", "/sandbox/reset")

    def replay(self, file: str | Path) -> list[Replayed]:
        """Begin anew, and send a saved request log again, so that a lifecycle that failed is there to be looked at.

        :param file: what ``klaviyo-sandbox requests --json`` printed.
        :return: each request, with its status in the log (``was``), its status ``now``, and ``is_same``.
        :raises ValueError: it is not a request log.
        """
        return replay(read(Path(file).read_text(encoding="utf-8")), self._controls)

    def assert_sent_once(self, name: str) -> dict[str, Any]:
        """Fail unless exactly one delivery was made of the campaigns of a name.

        A send that was accepted and is not scheduled for later counts: the clock goes forward until it is out.

        :param name: the campaign's name; ``*`` stands for any text, as in ``Weekly sale *``.
        :return: the delivery, a row of :attr:`sends`.
        :raises AssertionError: there is none, or more than one; the message says what was sent instead.
        """
        __tracebackhide__ = True
        while any(campaign["status"] in BEFORE_DELIVERY for campaign in self.campaigns):
            self.advance(10)
        sends = self.sends
        found = [row for row in sends if _is_named(row, name)]
        if len(found) == 1:
            return found[0]
        if found:
            raise AssertionError(f"{name!r} was sent {len(found)} times:{_lines(map(_delivery, found))}")
        drafts = [f"{row['name']!r} is {row['status']!r}" for row in self.campaigns if _is_named(row, name)]
        instead = f"Sent was:{_lines(map(_delivery, sends))}" if sends else "Nothing was sent."
        there = f" Campaigns of this name:{_lines(drafts)}\n" if drafts else " There is no campaign of this name. "
        raise AssertionError(f"{name!r} was not sent.{there}{instead}")


def _is_named(row: Mapping[str, Any], name: str) -> bool:
    pattern = ".*".join(map(re.escape, name.split("*")))
    return re.fullmatch(pattern, row["name"], re.DOTALL) is not None


def _delivery(row: Mapping[str, Any]) -> str:
    return f"{row['name']!r} ({row['channel']}, {row['campaign_id']}) to {row['recipients']} at {row['at']}"


def _lines(texts: Iterable[str]) -> str:
    return "".join(f"\n  {text}" for text in texts)
