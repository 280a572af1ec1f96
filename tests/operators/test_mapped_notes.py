"""Mapped tasks whose list changed before a clear: each note is used for the campaign that it is about."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from airflow.sdk import BaseOperator

from airflow_provider_klaviyo.exceptions import KlaviyoError
from tests.support.brands import FORGETS, Make, assign, clone, create, makers, named, send
from tests.support.context import Task, XComs, dag_run
from tests.support.sandbox import LIST, OTHER_LIST, Klaviyo

CHANGES = ("XAB", "ABX", "AXB", "BA", "BXA", "B", "A", "XY", "AB")
"""What becomes of the list AB."""


class Mapped:
    """A run that makes, fills and sends a campaign for each item of a list, in mapped tasks."""

    def __init__(self, make: Make, *, durable: bool = True) -> None:
        self.run_of_dag = dag_run()
        self.brands: Sequence[str] = ""
        self.ids: dict[int, str] = {}
        self.tasks: dict[tuple[str, int], Task] = {}
        self.xcoms: XComs = {}
        self._durable = durable
        self._makes: dict[str, Callable[[int], BaseOperator]] = {
            "make": lambda index: make(self.brands[index]),
            "assign": lambda index: assign(self.ids[index]),
            "send": lambda index: send(self.ids[index]),
        }

    def task(self, name: str, index: int) -> Task:
        if (name, index) not in self.tasks:
            self.tasks[name, index] = Task(
                lambda: self._makes[name](index),
                run=self.run_of_dag,
                xcoms=self.xcoms,
                map_index=index,
                durable=self._durable,
            )
        return self.tasks[name, index]

    def run(self, brands: Sequence[str]) -> None:
        """Run the DAG to its end for this list."""
        self.brands = brands
        for index in range(len(brands)):
            self.ids[index] = self.task("make", index).run()
        for index in range(len(brands)):
            self.task("assign", index).run()
        for index in range(len(brands)):
            assert self.task("send", index).run() == self.ids[index]

    def clear(self, *, forgets: bool) -> None:
        for task in self.tasks.values():
            task.clear(forgets=forgets)


@FORGETS
@pytest.mark.parametrize(
    ("make", "changed"),
    [*((create, change) for change in CHANGES), (clone, "XAB"), (clone, "BA")],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_list_that_changed_before_a_clear_mails_each_once(
    klaviyo: Klaviyo, make: Make, changed: str, forgets: bool
) -> None:
    run = Mapped(make)
    run.run("AB")
    run.clear(forgets=forgets)
    run.run(changed)
    sent = [row["name"] for row in klaviyo.sends()]
    assert sorted(sent) == sorted(named(brand) for brand in {*"AB", *changed})
    for index, brand in enumerate(changed):
        assert klaviyo.campaign(run.ids[index])["name"] == named(brand)
        assert klaviyo.named(named(brand)) == [run.ids[index]]


@pytest.mark.parametrize("changed", CHANGES)
def test_a_list_that_changed_before_a_clear_mails_each_once_below_airflow_3_3(klaviyo: Klaviyo, changed: str) -> None:
    run = Mapped(create, durable=False)
    run.run("AB")
    run.clear(forgets=False)
    run.run(changed)
    assert sorted(row["name"] for row in klaviyo.sends()) == sorted(named(brand) for brand in {*"AB", *changed})


@makers
@FORGETS
@pytest.mark.parametrize("changed", ["XAB", "BA", "B"])
def test_drafts_of_a_list_that_changed_are_each_ones_own(
    klaviyo: Klaviyo, make: Make, changed: str, forgets: bool
) -> None:
    """Nothing was sent yet: what index 0 has made is not renamed into what it is to make now."""
    run = Mapped(make)
    run.brands = "AB"
    made = {brand: run.task("make", index).run() for index, brand in enumerate("AB")}
    run.clear(forgets=forgets)
    run.brands = changed
    again = {brand: run.task("make", index).run() for index, brand in enumerate(changed)}
    assert {brand: again[brand] for brand in changed if brand in made} == {
        brand: made[brand] for brand in changed if brand in made
    }
    for brand, campaign_id in (made | again).items():
        assert klaviyo.named(named(brand)) == [campaign_id]


@FORGETS
def test_each_brands_audience_stays_its_own_in_a_list_that_changed(klaviyo: Klaviyo, forgets: bool) -> None:
    audiences = {"A": [LIST], "B": [OTHER_LIST], "X": ["UTd5ui"]}
    run = Mapped(lambda brand: create(brand, audiences={"included": audiences[brand]}))
    run.run("AB")
    run.clear(forgets=forgets)
    run.run("XAB")
    for index, brand in enumerate("XAB"):
        assert klaviyo.campaign(run.ids[index])["audiences"]["included"] == audiences[brand]


@pytest.mark.parametrize("late_reads", [0, 2])
@FORGETS
def test_a_campaign_whose_answer_was_lost_is_found_by_its_new_index(
    klaviyo: Klaviyo, forgets: bool, late_reads: int
) -> None:
    """Index 0 was cut off while it made A. After the clear, A is index 1, and index 0 makes X."""
    run = Mapped(create)
    run.brands = "AB"
    klaviyo.fail("create_campaign", "drop_after_commit")
    klaviyo.fail("get_campaigns", "status_before_commit", status=503, times=None)
    with pytest.raises(KlaviyoError):
        run.task("make", 0).run()
    klaviyo.mend()
    made = klaviyo.named(named("A"))
    assert len(made) == 1
    run.task("make", 1).run()
    run.clear(forgets=forgets)
    if late_reads:
        klaviyo.fail("get_campaigns", "stale", reads=late_reads)
    run.run("XAB")
    assert klaviyo.named(named("A")) == made == [run.ids[1]]
    assert sorted(row["name"] for row in klaviyo.sends()) == sorted(named(brand) for brand in "XAB")
