"""Start counting recipients; started twice, it is counted twice, and nothing else changes."""

from __future__ import annotations

import logging

from airflow_provider_klaviyo.api.errors import KlaviyoAmbiguousWriteError, KlaviyoConflictError
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook

ATTEMPTS = 3

log = logging.getLogger(__name__)


def start_estimation(hook: KlaviyoHook, campaign_id: str) -> None:
    """Start a count, or go on with the one that is running.

    :raises KlaviyoAmbiguousWriteError: the start was not answered, three times.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            hook.start_estimation(campaign_id)
            return
        except KlaviyoConflictError:
            log.info("Klaviyo is already counting the recipients of campaign %s.", campaign_id)
            return
        except KlaviyoAmbiguousWriteError as error:
            if attempt == ATTEMPTS:
                raise
            log.warning("%s Counting twice does no harm: starting it again.", error)
