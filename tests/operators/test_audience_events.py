"""Events, imported many at a time."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_klaviyo.exceptions import KlaviyoAmbiguousWriteError, KlaviyoValidationError
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.operators.audiences import KlaviyoImportEventsOperator
from tests.support.context import Task
from tests.support.sandbox import Klaviyo
from tests.support.tasks import task

ADA, BEN = {"email": "ada.aspen@example.com"}, {"email": "ben.hazel@example.com"}
WHEN = "2026-11-01T10:00:00+00:00"
IMPORT = "bulk_create_events"


def order(**given: Any) -> dict[str, Any]:
    return {"metric": "Sold in a shop", "profile": BEN, "time": WHEN, **given}


def import_events(*events: Any, **arguments: Any) -> Task:
    return task(KlaviyoImportEventsOperator, {"events": list(events), **arguments})


def events(klaviyo: Klaviyo) -> list[dict[str, Any]]:
    (metric,) = [one.id for one in KlaviyoHook().paginate("get_metrics") if one.name == "Sold in a shop"]
    found = KlaviyoHook().paginate("get_events", query={"filter": f'equals(metric_id,"{metric}")'})
    return [dict(one.attributes) for one in found]


def test_events_of_several_profiles_are_imported_with_time_value_and_properties(klaviyo):
    rows = [
        order(properties={"shop": "Graz"}, value=Decimal("12.5"), value_currency="EUR"),
        order(properties={"shop": "Linz"}, time=datetime(2026, 11, 2, tzinfo=UTC)),
        order(profile={"email": "new@example.com", "first_name": "Nia"}, unique_id="till-7", time=None),
    ]
    assert import_events(*rows).run() == {"accepted": 3, "duplicates": 0}
    found = events(klaviyo)
    assert sorted(str(one["event_properties"].get("shop")) for one in found) == ["Graz", "Linz", "None"]
    assert [one["event_properties"]["$value"] for one in found if "$value" in one["event_properties"]] == [12.5]
    assert len(klaviyo.requests(IMPORT)) == 1


def test_the_same_events_again_change_nothing(klaviyo):
    rows = [order(properties={"shop": "Graz"}), order(properties={"shop": "Linz"})]
    for _ in range(2):
        assert import_events(*rows, rows[0]).run() == {"accepted": 2, "duplicates": 1}
    assert len(events(klaviyo)) == 2


@pytest.mark.parametrize("fault", ["drop_before_commit", "drop_after_commit"])
def test_a_request_that_is_not_answered_is_made_again_and_each_event_is_there_once(klaviyo, fault):
    klaviyo.fail(IMPORT, fault)
    assert import_events(order()).run() == {"accepted": 1, "duplicates": 0}
    assert klaviyo.fired() == [1]
    assert len(events(klaviyo)) == 1


def test_a_request_that_is_never_answered_fails(klaviyo):
    klaviyo.fail(IMPORT, "drop_before_commit", times=3)
    with pytest.raises(KlaviyoAmbiguousWriteError, match="about rows 0 to 0"):
        import_events(order()).run()
    assert klaviyo.fired() == [3]


def test_many_events_go_a_thousand_a_request(klaviyo, capsys):
    import_events(*(order(unique_id=f"till-{number}") for number in range(1_001))).run()
    assert len(klaviyo.requests(IMPORT)) == 2
    assert "1,001 of 1,001 events are accepted, " in capsys.readouterr().out


def test_a_request_holds_five_megabytes_at_most(klaviyo):
    large = {f"p{number}": "ü" * 49_000 for number in range(20)}
    import_events(*(order(properties=large, unique_id=f"till-{number}") for number in range(4))).run()
    assert len(klaviyo.requests(IMPORT)) == 2
    assert len(events(klaviyo)) == 4


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (order(profile={"email": "secret"}), r"events\.1\.profile\.email is not an e-mail address"),
        (order(profile={}), r"events\.1\.profile has none of: email"),
        (order(profile="secret"), r"events\.1\.profile is of type str"),
        (order(metric=" "), r"events\.1\.metric is ' '"),
        ({"profile": ADA, "time": WHEN}, r"events\.1\.metric is missing"),
        (order(time=None), r"events\.1\.time is missing"),
        (order(time=datetime(2026, 11, 1)), r"events\.1\.time .* no time zone"),
        (order(value="dear"), r"events\.1\.value is 'dear'"),
        (order(value=float("nan")), r"events\.1\.value is nan"),
        (order(properties={"at": datetime(2026, 11, 1)}), r"events\.1\.properties\.at is"),
        (order(properties={"note": "x" * 100_001}), r"events\.1\.properties\.note is 100,001 bytes long"),
        (order(properties=dict.fromkeys(map(str, range(401)), 1)), r"events\.1\.properties has 401 entries"),
        (order(values=1), r"events\.1\.values is not a field.*Did you mean 'value'"),
        ("secret", r"events\.1 is of type str"),
    ],
)
def test_an_event_that_cannot_be_right_is_named_by_number_and_field_and_shows_no_address(klaviyo, row, words):
    with pytest.raises(KlaviyoValidationError, match=words) as caught:
        KlaviyoImportEventsOperator(task_id="import", events=[order(), row])
    assert "secret" not in str(caught.value)
    assert klaviyo.requests() == []


def test_two_events_of_one_unique_id_that_differ_are_refused_before_the_first_call(klaviyo):
    rows = [order(unique_id="till-7", value=1), order(), order(unique_id="till-7", value=2)]
    with pytest.raises(KlaviyoValidationError, match=r"events\.2\.unique_id is that of event 0 too"):
        import_events(*rows).run()
    assert klaviyo.requests() == []


def test_an_event_that_is_too_large_by_itself_is_refused_before_the_first_call(klaviyo):
    large = {f"p{number}": "x" * 99_000 for number in range(51)}
    with pytest.raises(KlaviyoValidationError, match=r"events\.0 is 5,.* bytes long"):
        import_events(order(properties=large)).run()
    assert klaviyo.requests() == []
