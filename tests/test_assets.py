"""Campaigns as assets: one way to write each, found by Airflow, known to OpenLineage."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_klaviyo.assets import campaign_asset, normalised

ids = st.from_regex(r"[A-Za-z0-9]{1,26}", fullmatch=True)


@given(account=ids, campaign_id=ids)
def test_name_and_uri_of_an_asset_are_the_same_and_stay_so(account: str, campaign_id: str) -> None:
    asset = campaign_asset(account=account, campaign_id=campaign_id, extra={"channel": "email"})
    assert asset.name == asset.uri == f"klaviyo://{account}/campaign/{campaign_id}"
    assert normalised(urlsplit(asset.uri)).geturl() == asset.uri
    assert asset.extra == {"channel": "email"}


def test_a_slash_at_the_end_makes_no_other_asset() -> None:
    assert normalised(urlsplit("KLAVIYO://UV5Ukk/campaign/01H5/")).geturl() == "klaviyo://UV5Ukk/campaign/01H5"


@pytest.mark.parametrize(
    "uri",
    [
        "klaviyo://",
        "klaviyo://UV5Ukk",
        "klaviyo://UV5Ukk/campaign",
        "klaviyo://UV5Ukk/campaign/",
        "klaviyo://UV5Ukk/list/01H5",
        "klaviyo://UV5Ukk/campaign/01H5/more",
        "klaviyo:///campaign/01H5",
        "klaviyo://pk_secret@UV5Ukk/campaign/01H5",
        "klaviyo://UV5Ukk:443/campaign/01H5",
        "klaviyo://UV5Ukk/campaign/01H5?x=1",
        "klaviyo://UV5Ukk/campaign/{{ id }}",
    ],
)
def test_what_is_not_a_campaign_is_refused(uri: str) -> None:
    with pytest.raises(ValueError, match="klaviyo://<account id>/campaign/<campaign id>"):
        normalised(urlsplit(uri))


def test_a_wrong_id_is_refused_when_the_asset_is_made() -> None:
    with pytest.raises(ValueError, match="campaign"):
        campaign_asset(account="UV5Ukk", campaign_id="")
