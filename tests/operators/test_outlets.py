from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import Asset, AssetAlias
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_klaviyo.operators.campaigns import KlaviyoSendCampaignOperator
from tests.support.context import Task
from tests.support.tasks import assign, create, estimate

SENT = Asset("sale_sent")
ANY = AssetAlias("any_campaign")


class WithOutlets(Task):
    """A task whose asset events are kept: as Airflow does, until the task has ended."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.events = OutletEventAccessors()

    def context(self, operator: Any = None) -> Any:
        return {**super().context(operator), "outlet_events": self.events}


def sending(campaign_id: str, **arguments: Any) -> WithOutlets:
    given = {"task_id": "send", "campaign_id": campaign_id, "poll_interval": 0.02, **arguments}
    return WithOutlets(lambda: KlaviyoSendCampaignOperator(**given))


@pytest.fixture
def ready(klaviyo: Any) -> str:
    made = create(name="Sale").run()
    assign(campaign_id=made).run()
    estimate(campaign_id=made).run()
    return str(made)


@pytest.mark.parametrize("deferrable", [False, True])
def test_the_asset_event_of_a_send_has_the_campaign(klaviyo, ready, deferrable):
    task = sending(ready, outlets=[SENT], deferrable=deferrable)
    task.run()
    extra = task.events[SENT].extra
    assert {name: extra[name] for name in ("campaign_id", "name", "status", "channel")} == {
        "campaign_id": ready, "name": "Sale", "status": "Sent", "channel": "email",
    }  # fmt: skip
    assert extra["send_time"]
    assert extra["recipients"] > 0


def test_a_send_that_is_not_waited_for_has_it_too(klaviyo, ready):
    task = sending(ready, outlets=[SENT], wait_until=None)
    task.run()
    assert task.events[SENT].extra["campaign_id"] == ready


def test_an_alias_gets_the_campaigns_own_asset(klaviyo, ready):
    task = sending(ready, outlets=[ANY])
    task.run()
    (event,) = task.events[ANY].asset_alias_events
    assert event.dest_asset_key.uri == f"klaviyo://Sandb0/campaign/{ready}"
    assert event.extra["name"] == "Sale"


def test_a_task_without_outlets_reads_only_how_many_it_was_sent_to(klaviyo, ready):
    before = klaviyo.counted()
    sending(ready).run()
    assert klaviyo.counted()["get_campaign_recipient_estimation"] == before["get_campaign_recipient_estimation"] + 1
    assert klaviyo.counted()["get_messages_for_campaign"] == before["get_messages_for_campaign"] + 1


def test_a_task_that_does_not_wait_does_not_read_how_many_it_was_sent_to(klaviyo, ready):
    before = klaviyo.counted()
    sending(ready, wait_until=None).run()
    assert klaviyo.counted()["get_campaign_recipient_estimation"] == before["get_campaign_recipient_estimation"]


def test_what_cannot_be_read_does_not_fail_a_send_that_was_made(klaviyo, ready):
    klaviyo.fail("get_messages_for_campaign", "status_before_commit", status=401, times=9, skip=1)
    task = sending(ready, outlets=[SENT])
    assert task.run() == ready
    assert sum(klaviyo.fired()) > 0
    assert task.events[SENT].extra["campaign_id"] == ready
    assert len(klaviyo.sends(ready)) == 1


def test_a_campaign_whose_account_is_not_known_is_sent_and_is_not_an_asset_of_an_alias(klaviyo, ready, capsys):
    klaviyo.fail("get_accounts", "status_before_commit", status=403, times=9)
    task = sending(ready, outlets=[ANY])
    assert task.run() == ready
    assert sum(klaviyo.fired()) > 0
    assert task.events[ANY].asset_alias_events == []
    assert f"Campaign {ready} is not an asset of this alias" in capsys.readouterr().out
    assert len(klaviyo.sends(ready)) == 1
