"""Whatever fails, a campaign is made and sent once: a share of ``python -m benchmarks.never_twice --exhaustive``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.never_twice import judge
from benchmarks.never_twice.faults import CUTS, Effect, Exact, Plan, Point
from benchmarks.never_twice.run import Bench, Outcome, Schedule
from benchmarks.never_twice.schedules import exhaustive, passages, seeded
from benchmarks.never_twice.subjects import OURS
from tests.support.airflow_versions import since_airflow

CREATE = Point("create", "call create_campaign", "before")
SEND = Point("send", "call send_campaign", "before")
SENDERS = [key for key in OURS if key != "guard"]


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with Bench() as running:
        yield running


def one(subject: str, point: Point, kind: str, restart: str = "retry", stale: int = 0) -> Schedule:
    wanted = [(point, 0, Effect(kind, stale))]
    return Schedule(subject, lambda: Exact(wanted=wanted), f"{kind} {point}", restart=restart)


def assert_once(outcome: Outcome) -> None:
    assert outcome.violations == []
    assert outcome.unfired == 0
    assert (outcome.made, outcome.accepted, outcome.ended) == (1, 1, "sent"), outcome.errors


@pytest.mark.parametrize("subject", ["create", "create-3.0"])
@pytest.mark.parametrize("point", [CREATE, SEND], ids=["create", "send"])
@pytest.mark.parametrize("cut", [pytest.param(cut, id=cut.replace(", ", "-").replace(" ", "-")) for cut in CUTS])
def test_a_cut_call_is_carried_out_once(bench: Bench, subject: str, point: Point, cut: str) -> None:
    assert_once(bench.carry_out(one(subject, point, cut)))


@pytest.mark.parametrize("subject", ["create", "create-3.0"])
@pytest.mark.parametrize("point", [CREATE, SEND], ids=["create", "send"])
@pytest.mark.parametrize("cut", ["committed, then reset", "committed, then 504", "committed, then silence"])
def test_reads_that_lag_are_not_believed(bench: Bench, subject: str, point: Point, cut: str) -> None:
    assert_once(bench.carry_out(one(subject, point, cut, stale=3)))


@pytest.mark.parametrize("subject", SENDERS)
def test_a_process_may_die_anywhere(bench: Bench, subject: str) -> None:
    points = passages(bench.carry_out(Schedule(subject, Plan, "undisturbed")).seen)
    deaths = [case for case in exhaustive(subject, points) if case.title.startswith("kill") and case.restart == "retry"]
    assert len(deaths) > 20
    for death in deaths:
        outcome = bench.carry_out(death)
        assert (outcome.violations, outcome.unfired, outcome.ended) == ([], 0, "sent"), str(death)


@pytest.mark.parametrize("point", [CREATE, SEND], ids=["create", "send"])
def test_a_cleared_run_adopts_what_was_sent(bench: Bench, point: Point) -> None:
    outcome = bench.carry_out(one("create", point, "committed, then 504", restart="clear"))
    assert_once(outcome)
    assert outcome.people


def test_a_task_cleared_while_deferred_adopts_its_send(bench: Bench) -> None:
    assert_once(bench.carry_out(one("create", Point("send", "deferred", "after"), "clear")))


@pytest.mark.parametrize("cut", ["committed, then 504", "committed, then reset", "429 for 5 s"])
def test_nothing_is_sent_when_the_guard_refuses(bench: Bench, cut: str) -> None:
    point = Point("estimate", "call refresh_campaign_recipient_estimation", "before")
    outcome = bench.carry_out(one("guard", point, cut))
    assert (outcome.violations, outcome.accepted, outcome.ended) == ([], 0, "surfaced")


@pytest.mark.parametrize("seed", range(40))
def test_one_to_three_faults_at_random(bench: Bench, seed: int) -> None:
    outcome = bench.carry_out(seeded(seed, SENDERS[seed % len(SENDERS)], points=42))
    assert (outcome.violations, outcome.unfired) == ([], 0), str(outcome.happened)


@pytest.mark.parametrize(
    ("subject", "point", "kind"),
    [
        ("mutant", CREATE, "kill after"),
        pytest.param("mixin", CREATE, "kill after", marks=since_airflow("3.3", "ResumableJobMixin")),
        pytest.param("mixin", SEND, "committed, then 504", marks=since_airflow("3.3", "ResumableJobMixin")),
        ("sdk", CREATE, "committed, then 504"),
        ("sdk", SEND, "committed, then 504"),
    ],
)
def test_the_judge_sees_what_others_do_twice(bench: Bench, subject: str, point: Point, kind: str) -> None:
    """If this fails, the tests above prove nothing."""
    if kind == "kill after":
        point, kind = Point(point.task, point.what, "after"), "kill"
    outcome = bench.carry_out(one(subject, point, kind))
    assert outcome.violations
    assert set(outcome.violations) <= {judge.MADE_TWICE, judge.ACCEPTED_TWICE, judge.DELIVERED_TWICE}
