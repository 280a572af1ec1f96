"""A bare HTTP client of the sandbox, for its tests."""

from __future__ import annotations

from typing import Any

import httpx

REVISION = "2026-04-15"
STILL = 1e-9
"""A speed at which the sandbox's clock only moves when told."""


class Api:
    """A client that knows nothing but HTTP."""

    def __init__(self, url: str, key: str = "pk_test", revision: str = REVISION) -> None:
        self.url = url
        self.http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Klaviyo-API-Key {key}", "revision": revision},
            timeout=10,
        )

    def get(self, path: str, **params: Any) -> httpx.Response:
        return self.http.get(path, params=params)

    def query(self, path: str, params: dict[str, str]) -> httpx.Response:
        return self.http.get(path, params=params)

    def send(self, method: str, path: str, body: Any = None, params: dict[str, str] | None = None) -> httpx.Response:
        return self.http.request(method, path, json=body, params=params)

    def create(self, name: str = "Sale", template: str | None = "RipRmi", **attributes: Any) -> tuple[str, str]:
        """A draft email campaign, ready to be sent; its id and its message's."""
        answer = self.send("POST", "/api/campaigns", campaign(name, **attributes))
        assert answer.status_code == 201, answer.text
        data = answer.json()["data"]
        message_id = data["relationships"]["campaign-messages"]["data"][0]["id"]
        if template:
            assert self.assign(message_id, template).status_code == 200
        return data["id"], message_id

    def assign(self, message_id: str, template_id: str) -> httpx.Response:
        body = {
            "data": {
                "type": "campaign-message",
                "id": message_id,
                "relationships": {"template": {"data": {"type": "template", "id": template_id}}},
            }
        }
        return self.send("POST", "/api/campaign-message-assign-template", body)

    def start(self, campaign_id: str) -> httpx.Response:
        return self.send("POST", "/api/campaign-send-jobs", {"data": {"type": "campaign-send-job", "id": campaign_id}})

    def stop(self, campaign_id: str, action: str) -> httpx.Response:
        body = {"data": {"type": "campaign-send-job", "id": campaign_id, "attributes": {"action": action}}}
        return self.send("PATCH", f"/api/campaign-send-jobs/{campaign_id}", body)

    def estimate(self, campaign_id: str) -> httpx.Response:
        body = {"data": {"type": "campaign-recipient-estimation-job", "id": campaign_id}}
        return self.send("POST", "/api/campaign-recipient-estimation-jobs", body)

    def campaign(self, campaign_id: str) -> Any:
        """A campaign's attributes."""
        answer = self.get(f"/api/campaigns/{campaign_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]["attributes"]

    def status(self, campaign_id: str) -> str:
        return str(self.campaign(campaign_id)["status"])

    def advance(self, seconds: float) -> None:
        assert self.http.post("/sandbox/clock", json={"advance": seconds}).status_code == 200

    def fault(self, **rule: Any) -> None:
        answer = self.http.post("/sandbox/faults", json=rule)
        assert answer.status_code == 201, answer.text

    def fired(self) -> list[int]:
        return [rule["fired"] for rule in self.http.get("/sandbox/faults").json()]

    def sends(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.http.get("/sandbox/sends").json()
        return rows

    def requests(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.http.get("/sandbox/requests").json()
        return rows


def campaign(name: str = "Sale", **attributes: Any) -> dict[str, Any]:
    """The body that creates a campaign."""
    definition = {"channel": "email", "label": "Sale", "content": {"subject": "Sale", "preview_text": "Soon over"}}
    message = {"type": "campaign-message", "attributes": {"definition": definition}}
    given = {
        "name": name,
        "audiences": {"included": ["Y6nRLr"]},
        "campaign-messages": {"data": [message]},
        **attributes,
    }
    return {"data": {"type": "campaign", "attributes": given}}
