"""Once across runs: what becomes of a campaign that is to be made when one of its name is in Klaviyo already."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, cast

from airflow_provider_klaviyo.api.document import Resource
from airflow_provider_klaviyo.exceptions import KlaviyoRefusedError, RefusalReason, skip
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.never_twice.look import look_until
from airflow_provider_klaviyo.never_twice.notes import Subject

if TYPE_CHECKING:
    from airflow_provider_klaviyo.api.campaigns import Channel
    from airflow_provider_klaviyo.campaigns.once import IfExists

log = logging.getLogger(__name__)


def existing(hook: KlaviyoHook, subject: Subject, if_exists: IfExists) -> str | None:
    """The campaign that is to be used in place of a new one; ``None``: one is to be made.

    A campaign of exactly this name and channel counts, in whatever status, whoever made it, and whenever: but not the
    one that is cloned. Klaviyo's lists may lag, so nothing has to be found several times before it is believed.

    :raises AirflowSkipException: there is one, and ``skip`` is asked for.
    :raises KlaviyoRefusedError: there is one, and ``refuse`` is asked for; or there are several to be adopted.
    """
    if if_exists == "make":
        return None
    channel = cast("Channel", subject.channel)

    def namesakes() -> list[Resource]:
        found = hook.find_campaigns(channel=channel, name=subject.name)
        return [campaign for campaign in found if campaign.id != subject.source]

    found = look_until(
        namesakes,
        lambda _: True,
        what=f"a campaign named {subject.name!r} is there already",
        is_doubtful=lambda seen: not seen,
    )
    if not found:
        return None
    which = ", ".join(f"{one.id} ({one.attributes.get('status')})" for one in found)
    what = f"Klaviyo has a campaign named {subject.name!r} already: {which}."
    if if_exists == "skip":
        skip(f"{what} None was made, as if_exists='skip' asks.")
    if if_exists == "refuse":
        raise KlaviyoRefusedError(
            f"{what} None was made, as if_exists='refuse' asks. Give this one another name, or delete the other.",
            reason=RefusalReason.EXISTS,
            campaign_id=found[0].id if len(found) == 1 else None,
        )
    if len(found) > 1:
        raise KlaviyoRefusedError(
            f"{what} It cannot be known which of them is to be adopted, so none was, and none was made. Delete or "
            f"rename the spare ones in Klaviyo.",
            reason=RefusalReason.SEVERAL_MATCH,
        )
    log.info("%s Going on with it, as if_exists='adopt' asks.", what)
    return found[0].id
