"""A record that holds a secret, or people's data, shows it to nobody."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from rich.pretty import pretty_repr

from airflow_provider_klaviyo.api.client_settings import ClientSettings, PrivateKey
from airflow_provider_klaviyo.api.discreet import Discreet
from airflow_provider_klaviyo.api.message import Outgoing, prepare
from airflow_provider_klaviyo.api.network import Route
from airflow_provider_klaviyo.api.request import Request, build
from airflow_provider_klaviyo.hooks.extra import RateLimit

SECRET = "pk_hunter2"
OUTGOING = prepare(ClientSettings(PrivateKey(SECRET)), build("get_accounts"), f"Klaviyo-API-Key {SECRET}")
RECORDS = {
    Outgoing: (OUTGOING, "GET https://a.klaviyo.com/api/accounts"),
    Route: (Route(f"http://me:{SECRET}@proxy:1", "/etc/all.pem"), "proxy=***, authorities='/etc/all.pem'"),
    Request: (
        build("bulk_import_profiles", content=SECRET.encode()),
        "bulk_import_profiles (POST /api/profile-bulk-import-jobs)",
    ),
    RateLimit: (RateLimit(0.5, 60, f"redis://:{SECRET}@redis"), "share=0.5, max_wait=60, redis=***"),
}


@pytest.mark.parametrize("show", [str, repr, pretty_repr])
@pytest.mark.parametrize(("record", "shown"), RECORDS.values(), ids=lambda given: type(given).__name__)
def test_it_is_shown_without_its_secret(record: Discreet, shown: str, show: Callable[[object], str]) -> None:
    found = show(record)
    assert SECRET not in found
    assert shown in found.replace('"', "'").replace("\\'", "'")


def test_each_such_record_is_among_these() -> None:
    ours = {kind for kind in Discreet.__subclasses__() if kind.__module__.startswith("airflow_provider_klaviyo")}
    assert ours == {*RECORDS}


def test_one_that_does_not_say_what_it_shows_shows_nothing() -> None:
    class Unsaid(Discreet, frozen=True):
        secret: str

    assert [show(Unsaid(SECRET)) for show in (str, repr)] == ["***", "Unsaid(***)"]
    assert SECRET not in pretty_repr(Unsaid(SECRET))
