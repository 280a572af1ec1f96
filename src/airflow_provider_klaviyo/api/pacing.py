"""Before each exchange: wait for its turn. After it: learn from the answer.

Limits are counted per account, but a connection has only a key. Each answer of Klaviyo's names the account (header
``cid``): until the first one, calls are paced under a hash of the key; from then on, and in every process of this host,
under the account, so that two keys of one account share its budget. It costs no call and needs no scope.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from airflow_provider_klaviyo.api import private
from airflow_provider_klaviyo.api.errors import KlaviyoRateLimitError
from airflow_provider_klaviyo.api.limits import Budget
from airflow_provider_klaviyo.api.limits.bookings import Bookings
from airflow_provider_klaviyo.api.operations import Operation

_ACCOUNT = re.compile(r"\w{1,40}", re.ASCII)


class Pacing:
    """Paces the calls of one key.

    :param identity: stands for the key (or the OAuth app); a secret may be part of it, since only its hash is used.
    :param by_account: True if the limits are the account's, shared by all its keys; an OAuth app has its own.
    :param base_url: scheme and host that the key is for.
    :param bookings: where the processes that share the budget keep it.
    :param accounts: directory, on this host, that remembers which account a key belongs to.
    :param share: part of the published limits to use.
    :param max_wait: seconds that a call waits for its turn at most.
    """

    def __init__(
        self,
        identity: str,
        base_url: str,
        bookings: Bookings,
        accounts: Path,
        *,
        by_account: bool,
        share: float,
        max_wait: float,
    ) -> None:
        self._host = re.sub(r"^https?://", "", base_url)
        self._key = hashlib.sha256(f"{base_url} {identity}".encode()).hexdigest()[:16]
        self._bookings = bookings
        self._known = accounts / self._key
        self.max_wait = max_wait
        self._share = share
        self._account: str | None = None
        self._budget = self._budget_of(f"key-{self._key}")
        self._by_account = by_account
        self._uncounted: deque[Operation] = deque(maxlen=1_000)
        self._looked_up = not by_account

    def wait(self, operation: Operation, patience: float | None = None) -> float:
        """Sleep until the call may be made.

        :param patience: seconds that it waits at most; ``None``: ``max_wait``, which is never exceeded.
        :returns: for how many seconds.
        :raises KlaviyoRateLimitError: that would take too long; the call was not made.
        """
        self._look_up()
        slept = self._budget.acquire(operation, patience)
        self._count_later(operation)
        return slept

    async def await_turn(self, operation: Operation, patience: float | None = None) -> float:
        """As :meth:`wait`, for event loops."""
        self._look_up()
        slept = await self._budget.aacquire(operation, patience)
        self._count_later(operation)
        return slept

    def left_today(self, operation: Operation) -> int | None:
        """How many more calls there are for today, as far as the budget knows; ``None``: there is no daily limit."""
        self._look_up()
        return self._budget.left_today(operation)

    def is_news(self, headers: Mapping[str, str]) -> bool:
        """True if an answer names an account that was not known to be the key's."""
        account = headers.get("cid", "")
        return self._by_account and account != self._account and bool(_ACCOUNT.fullmatch(account))

    def learn(self, headers: Mapping[str, str]) -> None:
        """Take in which account answered, and count for it the calls that were made before it was known."""
        account = headers["cid"]
        self._belongs_to(account)
        while self._uncounted:
            self._budget.charge(self._uncounted.pop())
        try:
            self._known.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            private.replace(self._known, account, self._known.with_suffix(f".{os.getpid()}"))
        except OSError:
            return  # the next process learns it from its own first answer

    def throttled(self, operation: Operation, error: KlaviyoRateLimitError) -> None:
        """Let all processes know of a 429."""
        self._budget.blocked(operation, error.retry_after or 0)

    async def athrottled(self, operation: Operation, error: KlaviyoRateLimitError) -> None:
        """As :meth:`throttled`, for event loops."""
        await self._budget.ablocked(operation, error.retry_after or 0)

    def _count_later(self, operation: Operation) -> None:
        """Remember a call that no account is known for yet."""
        if self._by_account and self._account is None:
            self._uncounted.append(operation)

    def _look_up(self) -> None:
        """Read once what an earlier process has learnt."""
        if self._looked_up:
            return
        self._looked_up = True
        try:
            account = private.read(self._known)
        except (OSError, ValueError):
            return
        if _ACCOUNT.fullmatch(account):
            self._belongs_to(account)

    def _belongs_to(self, account: str) -> None:
        self._account = account
        self._budget = self._budget_of(account)

    def _budget_of(self, account: str) -> Budget:
        return Budget(f"{self._host}/{account}", self._bookings, share=self._share, max_wait=self.max_wait)
