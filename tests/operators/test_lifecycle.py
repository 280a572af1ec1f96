"""A campaign's whole life by the operators, in a worker and in the triggerer, over the sandbox."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_klaviyo.exceptions import (
    KlaviyoError,
    KlaviyoNotFoundError,
)
from tests.conftest import KEY
from tests.support.sandbox import (
    Klaviyo,
)
from tests.support.tasks import NAME, assign, cancel, clone, create, estimate, send

MODES = pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "deferrable"])


@MODES
@pytest.mark.parametrize("durable", [True, False], ids=["store", "no store"])
def test_a_campaigns_life_from_create_to_sent(klaviyo: Klaviyo, deferrable: bool, durable: bool) -> None:
    campaign_id = create(durable=durable).run()
    assert assign(campaign_id=campaign_id, durable=durable).run() == campaign_id
    assert estimate(campaign_id=campaign_id, minimum=5, maximum=20, deferrable=deferrable).run() == 11
    assert send(campaign_id=campaign_id, deferrable=deferrable, durable=durable).run() == campaign_id
    (row,) = klaviyo.sends()
    assert (row["campaign_id"], row["name"], row["recipients"]) == (campaign_id, NAME, 11)


# --- the secret -------------------------------------------------------------------------------------------------------


@MODES
def test_the_key_is_in_no_log_no_xcom_no_note_no_trigger_and_no_error(
    klaviyo: Klaviyo, deferrable: bool, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    made = create()
    campaign_id = made.run()
    tasks = [
        made,
        assign(campaign_id=campaign_id),
        estimate(campaign_id=campaign_id, deferrable=deferrable),
        send(campaign_id=campaign_id, deferrable=deferrable),
    ]
    klaviyo.fail("send_campaign", "status_after_commit", status=504)
    for task in tasks[1:]:
        task.run()
    with pytest.raises(KlaviyoError) as caught:
        assign(campaign_id=campaign_id, template_id="NoTmpl").run()
    kept = [task.ti.xcoms for task in tasks] + [task.store.notes for task in tasks if task.store]
    stored = [deferred.trigger.serialize() for task in tasks for deferred in task.deferrals]
    printed = capfd.readouterr()
    told = caplog.text + printed.out + printed.err + "".join(traceback.format_exception(caught.value))
    assert "is on its way" in told, "there was something to look through"
    assert KEY not in told + repr(kept) + repr(stored) + repr([task.make().__dict__ for task in tasks])


# --- others -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [clone, assign, estimate, send, cancel])
def test_an_unknown_campaign_is_named_by_its_id(klaviyo: Klaviyo, make: Callable[..., Any]) -> None:
    with pytest.raises(KlaviyoNotFoundError, match="NOPE"):
        make(campaign_id="NOPE").run()
