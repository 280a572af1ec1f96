"""What holds of a campaign whatever is done to it, in whatever order."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_klaviyo.sandbox import lifecycle
from airflow_provider_klaviyo.sandbox.clock import Clock
from airflow_provider_klaviyo.sandbox.seed import seeded
from airflow_provider_klaviyo.sandbox.served import HTTPRequest, HTTPResponse
from airflow_provider_klaviyo.sandbox.service import Klaviyo
from airflow_provider_klaviyo.sandbox.store import Store
from tests.sandbox.sandbox_api import REVISION, STILL, campaign

HEADERS = {"authorization": "Klaviyo-API-Key pk_test", "revision": REVISION, "content-type": "application/json"}
VIP = 11

ACTIONS = st.lists(
    st.one_of(
        st.sampled_from(["send", "cancel", "revert", "clone", "estimate"]),
        st.floats(min_value=0, max_value=4000),
    ),
    max_size=12,
)
STRATEGIES = st.sampled_from(
    [
        {"method": "immediate"},
        {"method": "static", "datetime": "2020-01-01T00:00:00Z"},
        {"method": "static", "datetime": "2030-01-01T00:00:00Z"},
        {"method": "throttled", "datetime": "2020-01-01T00:00:00Z", "throttle_percentage": 33},
    ]
)


class Account:
    """A sandbox without a socket, and one campaign in it."""

    def __init__(self, strategy: dict[str, Any]) -> None:
        self.klaviyo = Klaviyo(seeded, clock=Clock(STILL), limits=False, strict=True)
        made = self.call("POST", "/api/campaigns", campaign(send_strategy=strategy))
        self.id = made.body["data"]["id"]
        message = made.body["data"]["relationships"]["campaign-messages"]["data"][0]
        template = {"template": {"data": {"type": "template", "id": "RipRmi"}}}
        assigned = {"data": {**message, "relationships": template}}
        assert self.call("POST", "/api/campaign-message-assign-template", assigned).status == 200

    def call(self, method: str, path: str, body: Any = None) -> HTTPResponse:
        content = json.dumps(body).encode() if body else b""
        answer = self.klaviyo.answer(HTTPRequest(method, path, headers=HEADERS, content=content))
        assert answer.status != 500, answer.body
        return answer

    def act(self, action: str) -> HTTPResponse:
        match action:
            case "send":
                return self.call("POST", "/api/campaign-send-jobs", {"data": self.job("campaign-send-job")})
            case "estimate":
                data = self.job("campaign-recipient-estimation-job")
                return self.call("POST", "/api/campaign-recipient-estimation-jobs", {"data": data})
            case "clone":
                return self.call("POST", "/api/campaign-clone", {"data": {**self.job("campaign"), "attributes": {}}})
            case _:
                data = {**self.job("campaign-send-job"), "attributes": {"action": action}}
                return self.call("PATCH", f"/api/campaign-send-jobs/{self.id}", {"data": data})

    def job(self, kind: str) -> dict[str, str]:
        return {"type": kind, "id": self.id}

    def status(self) -> str:
        return str(self.call("GET", f"/api/campaigns/{self.id}").body["data"]["attributes"]["status"])

    def sends(self) -> list[dict[str, Any]]:
        self.klaviyo.catch_up()
        return lifecycle.deliveries(self.klaviyo.store)


@given(strategy=STRATEGIES, actions=ACTIONS)
@settings(max_examples=150, deadline=None)
def test_nothing_is_sent_that_was_not_accepted_and_nothing_after_a_cancellation(strategy, actions):
    account = Account(strategy)
    accepted = 0
    cancelled_with: list[dict[str, Any]] | None = None
    for action in actions:
        if isinstance(action, float):
            account.klaviyo.clock.advance(action)
        else:
            answer = account.act(action)
            accepted += action == "send" and answer.committed
            if action == "cancel" and answer.committed:
                cancelled_with = account.sends()
        rows = account.sends()
        assert len(rows) <= accepted
        assert all(0 < row["recipients"] == len(row["addresses"]) <= VIP for row in rows)
        if cancelled_with is not None:
            assert account.status() == "Cancelled"
            assert rows == cancelled_with


@given(strategy=STRATEGIES, actions=ACTIONS)
@settings(max_examples=60, deadline=None)
def test_every_accepted_send_is_delivered_unless_it_is_taken_back(strategy, actions):
    account = Account(strategy)
    accepted = 0
    for action in actions:
        if isinstance(action, float):
            account.klaviyo.clock.advance(action)
        elif action not in ("cancel", "revert"):
            accepted += action == "send" and account.act(action).committed
    account.klaviyo.clock.advance(20 * 365 * 86400)
    assert [row["recipients"] for row in account.sends()] == [VIP] * accepted
    assert account.status() == ("Sent" if accepted else "Draft")


@given(strategy=STRATEGIES, actions=ACTIONS)
@settings(max_examples=40, deadline=None)
def test_a_state_that_was_saved_goes_on_as_if_it_had_not_been(strategy, actions):
    account = Account(strategy)
    for action in actions:
        if isinstance(action, float):
            account.klaviyo.clock.advance(action)
        else:
            account.act(action)
    account.klaviyo.catch_up()
    saved = json.loads(json.dumps(account.klaviyo.store.to_json()))
    account.klaviyo.clock.advance(5000)
    expected = (account.status(), account.sends())
    account.klaviyo.store = Store.from_json(saved)
    assert (account.status(), account.sends()) == expected
