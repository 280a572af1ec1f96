"""Whatever fails, a campaign is made and sent once: a share of ``python -m proof --exhaustive``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from airflow_provider_klaviyo.never_twice import send as sending
from airflow_provider_klaviyo.never_twice.look import SETTLE
from airflow_provider_klaviyo.never_twice.notes import CampaignNote, IntentNote, TaskState
from proof import judge
from proof.faults import ANSWERS, CUTS, LOCAL, PERSON, Effect, Exact, Plan, Point, possible
from proof.run import LISTS, Bench, Outcome, Schedule
from proof.schedules import SKEWS, exhaustive, passages, seeded
from proof.subjects import OURS
from tests.support.airflow_versions import since_airflow

CREATE = Point("create", "call create_campaign", "before")
SEND = Point("send", "call send_campaign", "before")
AFTER_CREATE, AFTER_SEND = replace(CREATE, side="after"), replace(SEND, side="after")
SENDERS = [key for key in OURS if key not in ("guard", "posts")]
KILLED = [key for key in SENDERS if not key.endswith("-3.4")]
"""Without a clear, Airflow 3.4 is as 3.3."""

STORES = pytest.mark.parametrize("subject", ["create", "create-3.4", "create-3.0"])


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with Bench() as running:
        yield running


def one(
    subject: str, point: Point, kind: str, restart: str = "retry", stale: int = 0, skews: tuple[float, ...] = ()
) -> Schedule:
    wanted = [(point, 0, Effect(kind, stale))]
    return Schedule(subject, lambda: Exact(wanted=wanted), f"{kind} {point}", restart=restart, skews=skews)


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


@pytest.mark.parametrize(
    "subject",
    [pytest.param(subject, marks=() if subject == "create" else pytest.mark.thorough) for subject in KILLED],
)
def test_a_process_may_die_anywhere(bench: Bench, subject: str) -> None:
    points = passages(bench.carry_out(Schedule(subject, Plan, "undisturbed")).seen)
    deaths = [case for case in exhaustive(subject, points) if case.title.startswith("kill") and case.restart == "retry"]
    assert len(deaths) > 20
    for death in deaths:
        outcome = bench.carry_out(death)
        assert (outcome.violations, outcome.unfired, outcome.ended) == ([], 0, "sent"), str(death)


@STORES
@pytest.mark.parametrize("restart", ["clear", "clear all"])
@pytest.mark.parametrize("point", [CREATE, SEND], ids=["create", "send"])
def test_a_cleared_run_adopts_what_was_sent(bench: Bench, subject: str, point: Point, restart: str) -> None:
    outcome = bench.carry_out(one(subject, point, "committed, then 504", restart=restart))
    assert_once(outcome)
    assert outcome.people


def test_a_task_cleared_while_deferred_adopts_its_send(bench: Bench) -> None:
    assert_once(bench.carry_out(one("create", Point("send", "deferred", "after"), "clear")))


@STORES
@pytest.mark.parametrize("change", LISTS)
@pytest.mark.parametrize(
    ("point", "kind"),
    [(CREATE, "committed, then 504"), (SEND, "committed, then 504"), (AFTER_CREATE, "kill"), (AFTER_SEND, "kill")],
    ids=["create cut off", "send cut off", "killed after create", "killed after send"],
)
def test_mapped_tasks_whose_list_changes_send_each_once(
    bench: Bench, subject: str, change: str, point: Point, kind: str
) -> None:
    outcome = bench.carry_out(one(subject, point, kind, restart=change))
    assert (outcome.violations, outcome.unfired, outcome.ended) == ([], 0, "sent"), outcome.errors
    assert outcome.made == outcome.accepted == len({0, 1, *LISTS[change]})


@pytest.mark.parametrize("subject", ["two", "two-3.4"])
@pytest.mark.parametrize("restart", ["clear", "clear all"])
@pytest.mark.parametrize("passage", [0, 1])
@pytest.mark.parametrize("point", [CREATE, SEND, AFTER_CREATE, AFTER_SEND], ids=str)
def test_two_in_one_task_are_each_made_and_sent_once(
    bench: Bench, subject: str, restart: str, passage: int, point: Point
) -> None:
    kind = "kill" if point.side == "after" else "committed, then reset"
    plan = partial(Exact, wanted=[(point, passage, Effect(kind))])
    outcome = bench.carry_out(Schedule(subject, plan, f"{kind} {point}", restart=restart))
    assert (outcome.violations, outcome.unfired, outcome.ended) == ([], 0, "sent"), outcome.errors
    assert outcome.made == outcome.accepted == 2


@pytest.mark.parametrize("subject", ["create", "clone", "create-3.4", "clone-3.4"])
@pytest.mark.parametrize("kind", ["committed, then reset", "committed, then silence", "reset before commit", "kill"])
def test_audiences_that_change_before_the_retry_are_written_to_the_same_campaign(
    bench: Bench, subject: str, kind: str
) -> None:
    operation = "create_campaign_clone" if subject.startswith("clone") else "create_campaign"
    point = Point("create", f"call {operation}", "after" if kind == "kill" else "before")
    if kind != "kill":
        kill_too = (Point("create", "call get_campaigns", "before"), 0, Effect("kill"))
        plan = partial(Exact, wanted=[(point, 0, Effect(kind)), kill_too])
    else:
        plan = partial(Exact, wanted=[(point, 0, Effect(kind))])
    assert_once(bench.carry_out(Schedule(subject, plan, kind, restart="other audience")))


@STORES
@pytest.mark.parametrize("skews", SKEWS, ids=str)
@pytest.mark.parametrize("stale", [pytest.param(0, marks=pytest.mark.thorough), 3])
@pytest.mark.parametrize("point", [CREATE, SEND, AFTER_CREATE, AFTER_SEND], ids=str)
def test_clocks_that_are_ten_minutes_apart_do_not_matter(
    bench: Bench, subject: str, skews: tuple[float, ...], stale: int, point: Point
) -> None:
    kind = "kill" if point.side == "after" else "committed, then 504"
    assert_once(bench.carry_out(one(subject, point, kind, stale=stale, skews=skews)))


@STORES
@pytest.mark.parametrize("point", [CREATE, SEND], ids=["create", "send"])
@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_that_proves_nothing_is_looked_up(bench: Bench, subject: str, point: Point, answer: str) -> None:
    assert_once(bench.carry_out(one(subject, point, answer)))


@pytest.mark.parametrize("subject", ["create", "clone", "two", "posts"])
@pytest.mark.parametrize("kind", LOCAL)
def test_what_fails_before_a_call_leaves_is_done_by_the_retry(bench: Bench, subject: str, kind: str) -> None:
    undisturbed = bench.carry_out(Schedule(subject, Plan, "undisturbed"))
    points = [(point, passage) for point, passage in passages(undisturbed.seen) if kind in possible(point)]
    if subject == "posts":  # a retry does not make the first POST again, whatever became of the second
        points = points[:1]
    assert points
    for point, passage in points:
        plan = partial(Exact, wanted=[(point, passage, Effect(kind))])
        outcome = bench.carry_out(Schedule(subject, plan, f"{kind} {point}"))
        assert (outcome.violations, outcome.unfired, outcome.ended) == ([], 0, "sent"), outcome.errors
        assert outcome.seconds < undisturbed.seconds + SETTLE / 2, "nothing is looked for"


@pytest.mark.parametrize("subject", ["create", "create-3.0", "two"])
def test_a_person_who_sends_while_airflow_or_the_turn_takes_long_is_not_followed_by_a_second_send(
    bench: Bench, subject: str
) -> None:
    seen = bench.carry_out(Schedule(subject, Plan, "undisturbed")).seen
    places = [(point, passage) for point, passage in passages(seen) if PERSON in possible(point)]
    pulls = set() if subject == "two" else {"xcom pull"}  # what is called in a task has no tasks before it
    assert {point.what for point, _ in places} >= {"turn"} | pulls
    for point, passage in places:
        plan = partial(Exact, wanted=[(point, passage, Effect(PERSON))])
        outcome = bench.carry_out(Schedule(subject, plan, f"{PERSON} {point}"))
        assert (outcome.violations, outcome.unfired) == ([], 0), f"{point} {outcome.errors}"
        assert outcome.accepted == outcome.made


@pytest.mark.parametrize("cut", ["committed, then 504", "committed, then reset", "429 for 5 s"])
def test_nothing_is_sent_when_the_guard_refuses(bench: Bench, cut: str) -> None:
    point = Point("estimate", "call refresh_campaign_recipient_estimation", "before")
    outcome = bench.carry_out(one("guard", point, cut))
    assert (outcome.violations, outcome.accepted, outcome.ended) == ([], 0, "surfaced")


@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=pytest.mark.thorough if seed >= 20 else ()) for seed in range(40)]
)
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


def trusting_an_empty_store(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(TaskState, "may_have_forgotten", False)


def taking_any_note(patch: pytest.MonkeyPatch) -> None:
    for kind in (CampaignNote, IntentNote):
        patch.setattr(kind, "fits", lambda *_: True)


def believing_an_old_reading(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sending, "FRESH", 3600.0)


@pytest.mark.parametrize(
    ("mutate", "schedule"),
    [
        (trusting_an_empty_store, one("create-3.4", AFTER_SEND, "kill", restart="clear all")),
        (taking_any_note, one("create", AFTER_SEND, "kill", restart="list grows")),
        (taking_any_note, one("two", AFTER_CREATE, "kill")),
        (believing_an_old_reading, one("create", Point("send", "xcom pull", "before"), PERSON)),
        (believing_an_old_reading, one("create", Point("send", "turn", "before"), PERSON)),
    ],
    ids=["forgotten", "list", "two", "XComs", "turn"],
)
def test_the_judge_sees_what_the_package_would_do_wrong_without_its_care(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, mutate: Any, schedule: Schedule
) -> None:
    """The same, for what is not left out by any of the others."""
    assert bench.carry_out(schedule).violations == []
    mutate(monkeypatch)
    outcome = bench.carry_out(schedule)
    assert outcome.violations
