"""The table of ``docs/coming-from-the-sdk.md``: each row happens to both of its DAGs."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Protocol

import pytest

from tests.docs.pages import DOCS, blocks
from tests.support.context import Task
from tests.support.sandbox import Klaviyo

PAGE = DOCS / "coming-from-the-sdk.md"
ROWS = re.findall(
    r"^\| ([^|]+) \| (\d) made, (\d) sent \| (\d) made, (\d) sent \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
)
LOST = {"fault": "status_after_commit", "status": 504, "times": 1}


def names(number: int) -> dict[str, Any]:
    """What a block of the page defines, as an import of its file does."""
    found: dict[str, Any] = {"__name__": "example"}
    exec(compile(blocks(PAGE, "python")[number].code, str(PAGE), "exec"), found)
    return found


class Way(Protocol):
    """One run of a DAG: each call of a method is a try of that task."""

    def create(self) -> str: ...

    def send(self, campaign_id: str) -> str: ...

    def clear(self) -> None: ...


class WithSdk:
    def __init__(self) -> None:
        self.names = names(0)
        self.names["sleep"] = lambda _: None

    def create(self) -> str:
        campaign_id: str = self.names["create"]("manual__1")
        return campaign_id

    def send(self, campaign_id: str) -> str:
        sent: str = self.names["send"](campaign_id)
        return sent

    def clear(self) -> None:
        pass


class WithThisPackage:
    def __init__(self) -> None:
        self.campaign_id = ""
        self.tasks = {"create": Task(lambda: names(1)["create"]), "send": Task(self._sending)}

    def _sending(self) -> Any:
        [operator] = names(1)["create"].downstream_list
        operator.campaign_id, operator.poll_interval = self.campaign_id, 0.02
        return operator

    def create(self) -> str:
        campaign_id: str = self.tasks["create"].run()
        return campaign_id

    def send(self, campaign_id: str) -> str:
        self.campaign_id = campaign_id
        sent: str = self.tasks["send"].run()
        return sent

    def clear(self) -> None:
        for task in self.tasks.values():
            task.clear()


def nothing(way: Way, klaviyo: Klaviyo) -> None:
    way.send(way.create())


def lost_create(way: Way, klaviyo: Klaviyo) -> None:
    klaviyo.fail("create_campaign", **LOST)
    way.send(way.create())


def killed_after_create(way: Way, klaviyo: Klaviyo) -> None:
    way.create()
    way.send(way.create())


def lost_send(way: Way, klaviyo: Klaviyo) -> None:
    klaviyo.fail("send_campaign", **LOST)
    way.send(way.create())


def killed_while_waiting(way: Way, klaviyo: Klaviyo) -> None:
    campaign_id = way.create()
    way.send(campaign_id)
    way.send(campaign_id)


def cleared(way: Way, klaviyo: Klaviyo) -> None:
    way.send(way.create())
    way.clear()
    way.send(way.create())


HAPPENS: dict[str, Callable[[Way, Klaviyo], None]] = {
    "nothing": nothing,
    "the create is carried out, its answer is a 504": lost_create,
    "the worker dies after the create; Airflow tries again": killed_after_create,
    "the send is carried out, its answer is a 504": lost_send,
    "the worker dies while it waits for the send; Airflow tries again": killed_while_waiting,
    "somebody clears the run after it was sent": cleared,
}


def test_each_row_is_run() -> None:
    assert [row[0] for row in ROWS] == list(HAPPENS)


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
@pytest.mark.parametrize("made_with", ["SDK", "this package"])
def test_as_many_are_made_and_sent_as_the_table_has_it(
    row: Any, made_with: str, klaviyo: Klaviyo, connect: Any
) -> None:
    connect(klaviyo.url, password="pk_of_the_reader")
    what, *numbers = row
    way: Way = WithSdk() if made_with == "SDK" else WithThisPackage()
    before = klaviyo.all_ids()
    HAPPENS[what](way, klaviyo)
    klaviyo.wait_for_sends()
    found = len(klaviyo.all_ids() - before), len(klaviyo.sends())
    assert found == tuple(map(int, numbers[:2] if made_with == "SDK" else numbers[2:]))
