"""Who is subscribed, and who is unsubscribed from what."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_klaviyo.exceptions import (
    KlaviyoAmbiguousWriteError,
    KlaviyoNotFoundError,
    KlaviyoRateLimitError,
    KlaviyoValidationError,
    RefusalReason,
)
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.operators.audiences import (
    KlaviyoSubscribeProfilesOperator,
    KlaviyoUnsubscribeProfilesOperator,
)
from tests.support.context import Task
from tests.support.refusals import refused
from tests.support.sandbox import LIST, NOBODY, Klaviyo
from tests.support.tasks import task

ELIF, FARID = "elif.daisy@example.com", "farid.fern@example.com"
"""They are on LIST, by email."""
ADA, YARA = "ada.aspen@example.com", "yara.sage@example.com"
SUBSCRIBE, UNSUBSCRIBE = "bulk_subscribe_profiles", "bulk_unsubscribe_profiles"
LONG_AGO = "2024-05-01T12:00:00+00:00"


def subscribe(*profiles: dict[str, Any], **arguments: Any) -> Task:
    defaults = {"profiles": list(profiles), "channels": ["email"]}
    return task(KlaviyoSubscribeProfilesOperator, {**defaults, **arguments})


def unsubscribe(*emails: str, **arguments: Any) -> Task:
    defaults = {"profiles": [{"email": one} for one in emails], "channels": ["email"], "list_id": LIST}
    return task(KlaviyoUnsubscribeProfilesOperator, {**defaults, **arguments})


def consent(klaviyo: Klaviyo, email: str) -> dict[str, str]:
    """Consent to marketing by channel; nothing where there is no such profile."""
    query = {"filter": f'equals(email,"{email}")', "additional-fields[profile]": "subscriptions"}
    found = klaviyo.get("/api/profiles", **query)["data"]
    given = found[0]["attributes"]["subscriptions"] if found else {}
    return {channel: kinds["marketing"]["consent"] for channel, kinds in given.items()}


def emails_on(klaviyo: Klaviyo, list_id: str) -> set[str]:
    return {one["attributes"]["email"] for one in klaviyo.get(f"/api/lists/{list_id}/profiles")["data"]}


def many(count: int) -> list[dict[str, Any]]:
    return [{"email": f"p{number}@example.com"} for number in range(count)]


def double_opt_in() -> str:
    return KlaviyoHook().create_list("Asks to confirm", opt_in_process="double_opt_in").id


# --- subscribe --------------------------------------------------------------------------------------------------------


def test_each_row_is_subscribed_on_its_channels_and_joins_the_list(klaviyo):
    rows = [
        {"email": "new@example.com"},
        {"email": "both@example.com", "phone_number": "+15550199001", "channels": ["email", "sms"]},
    ]
    assert subscribe(*rows, list_id=NOBODY, custom_source="Till").run() == {"accepted": 2}
    klaviyo.advance(60)
    assert consent(klaviyo, "new@example.com")["email"] == "SUBSCRIBED"
    assert consent(klaviyo, "new@example.com")["sms"] == "NEVER_SUBSCRIBED"
    assert consent(klaviyo, "both@example.com")["sms"] == "SUBSCRIBED"
    assert emails_on(klaviyo, NOBODY) == {"new@example.com", "both@example.com"}


def test_a_historical_import_asks_nobody_to_confirm(klaviyo):
    where = double_opt_in()
    earlier = datetime(2020, 1, 1, tzinfo=UTC)
    rows = [{"email": "old@example.com"}, {"email": "older@example.com", "consented_at": earlier}]
    subscribe(*rows, list_id=where, historical_import=True, consented_at=LONG_AGO).run()
    klaviyo.advance(60)
    assert emails_on(klaviyo, where) == {"old@example.com", "older@example.com"}


def test_many_rows_go_a_thousand_a_request_and_the_same_row_once(klaviyo, capsys):
    rows = many(1_001)
    assert subscribe(*rows, {"email": "P0@example.com"}, list_id=NOBODY).run() == {"accepted": 1_001}
    assert len(klaviyo.requests(SUBSCRIBE)) == 2
    assert "1,001 of 1,001 rows to subscribe are accepted, " in capsys.readouterr().out


def test_what_may_mail_people_to_confirm_is_not_posted_again_when_it_was_not_answered(klaviyo):
    subscribing = subscribe({"email": "new@example.com"}, list_id=double_opt_in())
    klaviyo.fail(SUBSCRIBE, "drop_after_commit")
    with pytest.raises(KlaviyoAmbiguousWriteError, match="who is subscribed or was asked to confirm"):
        subscribing.run()
    assert klaviyo.fired() == [1]
    with refused(RefusalReason.MAY_BE_POSTED):
        subscribing.run()
    assert len(klaviyo.requests(SUBSCRIBE)) == 1
    subscribing.clear()
    assert subscribing.run() == {"accepted": 1}


def test_without_a_list_the_account_may_ask_to_confirm_so_nothing_is_posted_twice(klaviyo):
    klaviyo.fail(SUBSCRIBE, "drop_after_commit")
    with pytest.raises(KlaviyoAmbiguousWriteError):
        subscribe({"email": "new@example.com"}).run()
    assert klaviyo.fired() == [1]
    assert len(klaviyo.requests(SUBSCRIBE)) == 1


@pytest.mark.parametrize("harmless", [{"list_id": NOBODY}, {"historical_import": True, "consented_at": LONG_AGO}])
def test_what_mails_nobody_is_posted_again_when_it_was_not_answered(klaviyo, harmless):
    klaviyo.fail(SUBSCRIBE, "drop_before_commit")
    assert subscribe({"email": "new@example.com"}, **harmless).run() == {"accepted": 1}
    assert klaviyo.fired() == [1]
    assert [row["committed"] for row in klaviyo.requests(SUBSCRIBE)] == [False, True]


def test_a_retry_posts_only_the_requests_that_were_not_made(klaviyo):
    subscribing = subscribe(*many(1_001), list_id=double_opt_in())
    klaviyo.fail(SUBSCRIBE, "throttle", retry_after=3_600, skip=1)
    with pytest.raises(KlaviyoRateLimitError, match="about rows 1000 to 1000"):
        subscribing.run()
    assert klaviyo.fired() == [1]
    assert subscribing.run() == {"accepted": 1_001}
    assert [row["committed"] for row in klaviyo.requests(SUBSCRIBE)] == [True, False, True]


def test_a_retry_with_other_rows_is_refused_as_nobody_knows_who_was_asked(klaviyo):
    where = double_opt_in()
    rows = many(1_001)
    subscribing = subscribe(profiles=rows, list_id=where)
    klaviyo.fail(SUBSCRIBE, "throttle", retry_after=3_600, skip=1)
    with pytest.raises(KlaviyoRateLimitError):
        subscribing.run()
    assert klaviyo.fired() == [1]
    rows.pop(0)
    with refused(RefusalReason.POSTED, match="with other content than there is now"):
        subscribing.run()


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"email": "no address"}, r"profiles\.1\.email is not an e-mail address"),
        ({"email": "secret@"}, r"profiles\.1\.email is not an e-mail address"),
        ({"phone_number": "0155", "channels": ["sms"]}, r"profiles\.1\.phone_number is not a phone number in E\.164"),
        ({"email": ADA, "channels": ["sms"]}, r"profiles\.1\.phone_number is missing"),
        ({"email": ADA, "channels": ["fax"]}, r"profiles\.1\.channels\.0 is 'fax'"),
        ({"channels": ["email"]}, r"profiles\.1 has none of: email, phone_number, id"),
        ({"email": ADA, "name": "Ada"}, r"profiles\.1\.name is not a field"),
        ({"email": ADA, "consented_at": LONG_AGO}, r"profiles\.1\.consented_at is given without historical_import"),
        (ADA, r"profiles\.1 is of type str"),
    ],
)
def test_a_row_that_cannot_be_right_is_named_by_number_and_field_and_shows_no_address(klaviyo, row, words):
    with pytest.raises(KlaviyoValidationError, match=words) as caught:
        KlaviyoSubscribeProfilesOperator(task_id="subscribe", profiles=[{"email": YARA}, row], channels=["email"])
    assert not any(part in str(caught.value) for part in (ADA, "secret", "0155"))
    assert klaviyo.requests() == []


def test_channels_are_never_assumed():
    with pytest.raises(KlaviyoValidationError, match=r"profiles\.0\.channels is missing"):
        KlaviyoSubscribeProfilesOperator(task_id="subscribe", profiles=[{"email": ADA}])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"consented_at": LONG_AGO}, "consented_at is given without historical_import"),
        ({"historical_import": True}, r"profiles\.0\.consented_at is missing"),
        ({"historical_import": True, "consented_at": "2024-05-01"}, "has no time zone"),
        ({"historical_import": True, "consented_at": "May"}, "consented_at is 'May'"),
        ({"historical_import": "yes"}, "historical_import is 'yes'"),
        ({"profiles": []}, "profiles is empty"),
    ],
)
def test_consent_is_dated_for_a_historical_import_and_for_nothing_else(arguments, words):
    with pytest.raises(KlaviyoValidationError, match=words):
        subscribe({"email": ADA}, **arguments).make()


def test_consent_that_is_to_come_is_refused_before_the_first_call(klaviyo):
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    with pytest.raises(KlaviyoValidationError, match="not in the past"):
        subscribe({"email": ADA}, historical_import=True, consented_at=tomorrow).run()
    assert klaviyo.requests() == []


# --- unsubscribe ------------------------------------------------------------------------------------------------------


def test_who_is_on_the_list_leaves_it_and_stays_subscribed_elsewhere(klaviyo):
    assert unsubscribe(ELIF.title(), FARID).run() == {"accepted": 2, "skipped": 0}
    klaviyo.advance(60)
    assert not {ELIF, FARID} & emails_on(klaviyo, LIST)
    assert consent(klaviyo, ELIF)["email"] == "SUBSCRIBED"


def test_profiles_that_are_not_on_the_list_are_refused_by_their_row_numbers(klaviyo):
    with refused(RefusalReason.UNSUBSCRIBES_GLOBALLY, match="2 of 3 profiles .* numbers 1, 2 of") as caught:
        unsubscribe(ELIF, YARA, "nobody@example.com").run()
    assert YARA not in str(caught.value)
    assert klaviyo.requests(UNSUBSCRIBE) == []
    assert ELIF in emails_on(klaviyo, LIST)


def test_a_row_is_on_the_list_only_by_each_of_its_addresses(klaviyo):
    row = {"email": ELIF, "phone_number": "+15550100024"}
    with refused(RefusalReason.UNSUBSCRIBES_GLOBALLY):
        unsubscribe(profiles=[row]).run()
    assert unsubscribe(profiles=[{**row, "phone_number": "+15550100004"}]).run() == {"accepted": 1, "skipped": 0}


def test_profiles_that_are_not_on_the_list_can_be_skipped(klaviyo):
    assert unsubscribe(YARA, ELIF, not_on_list="skip").run() == {"accepted": 1, "skipped": 1}
    klaviyo.advance(60)
    assert ELIF not in emails_on(klaviyo, LIST)
    assert consent(klaviyo, YARA)["email"] == "NEVER_SUBSCRIBED"
    assert unsubscribe(YARA, not_on_list="skip").run() == {"accepted": 0, "skipped": 1}


def test_everything_is_unsubscribed_from_where_that_is_asked_for(klaviyo):
    assert unsubscribe(ELIF, list_id=None, unsubscribe_globally=True).run() == {"accepted": 1, "skipped": 0}
    klaviyo.advance(60)
    assert consent(klaviyo, ELIF)["email"] == "UNSUBSCRIBED"


def test_an_unsubscribe_of_a_list_is_never_posted_twice_since_the_second_would_be_global(klaviyo):
    leaving = unsubscribe(ELIF)
    klaviyo.fail(UNSUBSCRIBE, "drop_after_commit")
    with pytest.raises(KlaviyoAmbiguousWriteError, match="who is still on the list"):
        leaving.run()
    assert klaviyo.fired() == [1]
    klaviyo.advance(60)
    with refused(RefusalReason.MAY_BE_POSTED):
        leaving.run()
    assert len(klaviyo.requests(UNSUBSCRIBE)) == 1
    assert consent(klaviyo, ELIF)["email"] == "SUBSCRIBED"


def test_below_airflow_3_3_no_retry_unsubscribes_from_a_list(klaviyo):
    leaving = unsubscribe(ELIF, durable=False)
    klaviyo.fail(UNSUBSCRIBE, "drop_before_commit")
    with pytest.raises(KlaviyoAmbiguousWriteError):
        leaving.run()
    assert klaviyo.fired() == [1]
    with refused(RefusalReason.MAY_BE_POSTED, match="below Airflow"):
        leaving.run()


def test_an_unsubscribe_from_everything_is_posted_again_when_it_was_not_answered(klaviyo):
    klaviyo.fail(UNSUBSCRIBE, "drop_before_commit")
    unsubscribe(ELIF, list_id=None, unsubscribe_globally=True).run()
    assert klaviyo.fired() == [1]
    klaviyo.advance(60)
    assert consent(klaviyo, ELIF)["email"] == "UNSUBSCRIBED"


def test_a_list_that_is_not_there_is_an_error_before_anything_is_posted(klaviyo):
    with pytest.raises(KlaviyoNotFoundError):
        unsubscribe(ELIF, list_id="gone00").run()
    assert klaviyo.requests(UNSUBSCRIBE) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"list_id": None}, "from everything"),
        ({"unsubscribe_globally": True, "not_on_list": "skip"}, "give one of them"),
        ({"not_on_list": "drop"}, "not_on_list is 'drop'"),
        ({"channels": ["push"]}, r"channels\.0 is 'push'"),
    ],
)
def test_what_would_unsubscribe_from_everything_is_refused_when_the_dag_is_imported(arguments, words):
    with pytest.raises(KlaviyoValidationError, match=words):
        unsubscribe(ELIF, **arguments).make()
