"""The ledger of deliveries, as ``GET /sandbox/sends`` tells it."""

from __future__ import annotations

from typing import Any

from airflow_provider_klaviyo.sandbox.store import Store


def rows(store: Store) -> list[dict[str, Any]]:
    """One row per delivery of a campaign, oldest first, with how many it has reached and who they are."""
    return [
        {
            **{key: delivery[key] for key in ("campaign_id", "name", "channel", "at")},
            "recipients": delivery["sent"],
            "addresses": delivery["audience"][: delivery["sent"]],
        }
        for delivery in store.sends
    ]
