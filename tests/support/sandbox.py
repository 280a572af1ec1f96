"""The sandbox as tests see it: what it was asked, what it sent, and what it is made to do wrong."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import httpx

from harness.rest import HUNG

LIST, OTHER_LIST, NOBODY = "Y6nRLr", "WEmgye", "NoOne0"
TEMPLATE = "RipRmi"
DRAFT_EMAIL = "01H5QQV9F57XJHJDMD86RX4QM5"
DRAFT_SMS = "01H5QN6TP7DTSJXBHSTW44E9PD"
DRAFT_PAST_STATIC = "01HP76BB2M2R3MSXY1HPGN0ZBS"
SENT = "01GMRWDSA0ARTAKE1SFX8JGXAY"
AT_REST = ("Draft", "Sent", "Cancelled", "Cancelled: No Recipients", "Scheduled")


class Klaviyo:
    """Looks behind the sandbox's API, and at its controls."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.Client(
            base_url=url,
            headers={"Authorization": "Klaviyo-API-Key pk_observer", "revision": "2026-04-15"},
            timeout=HUNG,
            trust_env=False,
        )

    def close(self) -> None:
        self._http.close()

    def reset(self) -> None:
        self._http.post("/sandbox/reset").raise_for_status()

    def sends(self, campaign_id: str | None = None) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self._http.get("/sandbox/sends").json()
        return [row for row in rows if campaign_id in (None, row["campaign_id"])]

    def requests(self, operation: str | None = None) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self._http.get("/sandbox/requests").json()
        return [row for row in rows if operation in (None, row["operation"])]

    def counted(self) -> Counter[str]:
        """How often each operation was called."""
        return Counter(row["operation"] for row in self.requests())

    def fail(self, operation: str, fault: str, **settings: Any) -> None:
        """Add a fault."""
        rule = {"operation": operation, "fault": fault, **settings}
        answer = self._http.post("/sandbox/faults", json=rule)
        assert answer.status_code == 201, answer.text

    def settings(self, **settings: Any) -> None:
        """Switch what varies at Klaviyo."""
        self._http.post("/sandbox/settings", json=settings).raise_for_status()

    def fired(self) -> list[int]:
        """How often each fault has fired."""
        return [rule["fired"] for rule in self._http.get("/sandbox/faults").json()]

    def mend(self) -> None:
        """Remove all faults."""
        self._http.delete("/sandbox/faults").raise_for_status()

    def wait_for_late_writes(self) -> None:
        """Until every request that a fault delays has been carried out, whether or not its sender still waits."""
        until = time.monotonic() + HUNG
        while any(row["fault"] == "delay" and row["status"] is None for row in self.requests()):
            assert time.monotonic() < until
            time.sleep(0.02)

    def wait_for_sends(self) -> None:
        """Until nothing is on its way any more, so that whatever was accepted shows among the sends."""
        until = time.monotonic() + HUNG
        while any(self.status(campaign_id) not in AT_REST for campaign_id in self.all_ids()):
            assert time.monotonic() < until
            time.sleep(0.02)

    def advance(self, seconds: float) -> None:
        self._http.post("/sandbox/clock", json={"advance": seconds}).raise_for_status()

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """What the API answers, by the observer's own key."""
        answer = self._http.get(path, params=query)
        answer.raise_for_status()
        body: dict[str, Any] = answer.json()
        return body

    def post(self, path: str, kind: str, campaign_id: str, **attributes: Any) -> dict[str, Any]:
        """Somebody else writes."""
        data = (
            {"type": kind, "id": campaign_id, "attributes": attributes}
            if attributes
            else {"type": kind, "id": campaign_id}
        )
        answer = self._http.post(path, json={"data": data})
        answer.raise_for_status()
        body: dict[str, Any] = answer.json()
        return body

    def send(self, campaign_id: str) -> None:
        """Somebody else sends a campaign."""
        self.post("/api/campaign-send-jobs", "campaign-send-job", campaign_id)

    def stop(self, campaign_id: str, action: str) -> None:
        """Somebody else cancels or reverts a send."""
        body = {"data": {"type": "campaign-send-job", "id": campaign_id, "attributes": {"action": action}}}
        self._http.patch(f"/api/campaign-send-jobs/{campaign_id}", json=body).raise_for_status()

    def change(self, campaign_id: str, **attributes: Any) -> None:
        """Somebody else changes a draft."""
        body = {"data": {"type": "campaign", "id": campaign_id, "attributes": attributes}}
        answer = self._http.patch(f"/api/campaigns/{campaign_id}", json=body)
        assert answer.status_code == 200, answer.text

    def delete(self, campaign_id: str) -> None:
        """Somebody else deletes a draft."""
        self._http.delete(f"/api/campaigns/{campaign_id}").raise_for_status()

    def campaign(self, campaign_id: str) -> dict[str, Any]:
        """A campaign's attributes."""
        attributes: dict[str, Any] = self.get(f"/api/campaigns/{campaign_id}")["data"]["attributes"]
        return attributes

    def status(self, campaign_id: str) -> str:
        return str(self.campaign(campaign_id)["status"])

    def message(self, campaign_id: str) -> dict[str, Any]:
        """A campaign's one message, with its relationships."""
        path = f"/api/campaigns/{campaign_id}/campaign-messages"
        messages: list[dict[str, Any]] = self.get(path, include="template")["data"]
        assert len(messages) == 1
        return messages[0]

    def template_of(self, campaign_id: str) -> str | None:
        data = self.message(campaign_id)["relationships"]["template"]["data"]
        return data["id"] if data else None

    def named(self, name: str, channel: str = "email") -> list[str]:
        """Ids of the campaigns of exactly this name."""
        found = self.get("/api/campaigns", filter=f"equals(messages.channel,'{channel}')")["data"]
        return [item["id"] for item in found if item["attributes"]["name"] == name]

    def all_ids(self) -> set[str]:
        """Ids of all campaigns of all channels."""
        return {
            item["id"]
            for channel in ("email", "sms", "mobile_push")
            for item in self.get("/api/campaigns", filter=f"equals(messages.channel,'{channel}')")["data"]
        }
