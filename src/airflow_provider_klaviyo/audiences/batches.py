"""Profiles in batches, as one import job takes them, exact to the byte."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import msgspec

MOST_PROFILES = 10_000
"""Profiles of one job, at most."""

MOST_BYTES = 5_000_000
"""Bytes of one request, at most: Klaviyo's 5 MB."""

_HEAD = b'{"data":{"type":"profile-bulk-import-job","attributes":{"profiles":{"data":['
_FOOT = b"]}}"


@dataclass(frozen=True, slots=True)
class Batch:
    """Profiles that one job is to import.

    :param numbers: their rows' numbers, in the order in which they stand in the request.
    :param profiles: each as JSON.
    """

    numbers: Sequence[int]
    profiles: Sequence[bytes]

    def __len__(self) -> int:
        return len(self.profiles)

    @property
    def digest(self) -> str:
        """What stands for its content in a note."""
        return hashlib.blake2b(b"\n".join(self.profiles), digest_size=12).hexdigest()

    def content(self, list_ids: Sequence[str]) -> bytes:
        """The whole request's body."""
        parts = [*self.profiles] or [b""]
        parts[0] = _HEAD + parts[0]
        parts[-1] += _tail(list_ids)
        return b",".join(parts)  # at once: to copy megabytes takes long

    def without(self, places: set[int]) -> Batch:
        """The same, but for the profiles at these places."""
        kept = [place for place in range(len(self)) if place not in places]
        return Batch([self.numbers[place] for place in kept], [self.profiles[place] for place in kept])

    def halves(self) -> tuple[Batch, Batch]:
        middle = len(self) // 2
        return (
            Batch(self.numbers[:middle], self.profiles[:middle]),
            Batch(self.numbers[middle:], self.profiles[middle:]),
        )


def batches(profiles: Iterable[tuple[Sequence[int], Sequence[bytes]]], list_ids: Sequence[str]) -> Iterator[Batch]:
    """Cut profiles into batches that a request can hold.

    :param profiles: row numbers and profiles as JSON, some at a time.
    """
    space = MOST_BYTES - len(_HEAD) - len(_tail(list_ids))
    numbers: list[int] = []
    found: list[bytes] = []
    size = 0
    for more_numbers, more in profiles:
        numbers += more_numbers
        found += more
        size += sum(map(len, more)) + len(more)
        while len(found) >= MOST_PROFILES or size > space:
            count = MOST_PROFILES if size <= space else _fitting(found, space)
            yield Batch(numbers[:count], found[:count])
            del numbers[:count], found[:count]
            size = sum(map(len, found)) + len(found)
    if found:
        yield Batch(numbers, found)


def _fitting(profiles: Sequence[bytes], space: int) -> int:
    """How many of these fit, but one at least."""
    ends = [*accumulate(map(len, profiles))]
    return bisect_right(range(min(len(ends), MOST_PROFILES)), space, key=lambda at: ends[at] + at + 1) or 1


def _tail(list_ids: Sequence[str]) -> bytes:
    if not list_ids:
        return _FOOT + b"}}"
    lists = [{"type": "list", "id": list_id} for list_id in list_ids]
    return _FOOT + b',"relationships":{"lists":{"data":' + msgspec.json.encode(lists) + b"}}}}"
