"""Campaigns as Airflow assets: ``klaviyo://<account id>/campaign/<campaign id>``.

The account's id is what ``airflow connections test`` and Klaviyo's settings show; it keeps apart campaigns of several
accounts. Airflow finds these functions through the provider's metadata.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

if TYPE_CHECKING:
    from airflow.providers.common.compat.openlineage.facet import Dataset
    from airflow.sdk import Asset

SCHEME = "klaviyo"
FORM = "klaviyo://<account id>/campaign/<campaign id>"


def campaign_asset(*, account: str, campaign_id: str, extra: dict[str, Any] | None = None) -> Asset:
    """The asset of a campaign; name and URI are the same.

    :param account: the account's id.
    :param campaign_id: the campaign.
    :param extra: the asset's ``extra``.
    :raises ValueError: an id is none.
    """
    from airflow.sdk import Asset

    uri = normalised(urlsplit(f"{SCHEME}://{account}/campaign/{campaign_id}")).geturl()
    return Asset(name=uri, uri=uri, extra=extra or {})


def normalised(uri: SplitResult) -> SplitResult:
    """A campaign's URI in the one way it is written: no slash at the end. Ids are case-sensitive and stay as they are.

    :param uri: the URI, split.
    :raises ValueError: not the URI of a campaign; Airflow shows it as an import error of the DAG.
    """
    path = uri.path.rstrip("/")
    is_campaign = re.fullmatch(r"[A-Za-z0-9]+", uri.netloc) and re.fullmatch(r"/campaign/[A-Za-z0-9_-]+", path)
    if not is_campaign or uri.query or uri.fragment:
        raise ValueError(f"{uri.geturl()!r} is not the URI of a Klaviyo campaign. It looks like {FORM}.")
    return uri._replace(scheme=SCHEME, path=path)


def openlineage_dataset(asset: Asset, lineage_context: Any) -> Dataset:  # noqa: ARG001
    """The dataset that OpenLineage knows a campaign by: namespace ``klaviyo://<account id>``, name
    ``campaign/<campaign id>``.

    :param asset: the asset of a campaign.
    :param lineage_context: given by Airflow.
    """
    from airflow.providers.common.compat.openlineage.facet import Dataset

    uri = normalised(urlsplit(asset.uri))
    return Dataset(namespace=f"{SCHEME}://{uri.netloc}", name=uri.path.lstrip("/"))
