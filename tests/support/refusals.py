"""What a refusal says, besides its words."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from airflow_provider_klaviyo.exceptions import KlaviyoRefusedError, RefusalReason


@contextmanager
def refused(
    reason: RefusalReason, *, campaign_id: str | None = None, match: str | None = None
) -> Iterator[pytest.ExceptionInfo[KlaviyoRefusedError]]:
    """The block is refused for this reason; reason and campaign are there after pickling and copying, too.

    :param campaign_id: the campaign that the refusal names; ``None``: it names none.
    """
    with pytest.raises(KlaviyoRefusedError, match=match) as caught:
        yield caught
    error = caught.value
    for one in (error, copy.copy(error), copy.deepcopy(error), pickle.loads(pickle.dumps(error))):
        assert (type(one), one.reason, one.campaign_id) == (KlaviyoRefusedError, reason, campaign_id)
        assert str(one) == str(error)
