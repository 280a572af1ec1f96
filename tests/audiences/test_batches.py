from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_klaviyo.audiences.batches import MOST_BYTES, MOST_PROFILES, Batch, batches


def profiles(*sizes: int) -> list[bytes]:
    return [b'"' + b"x" * (size - 2) + b'"' for size in sizes]


def cut(found: list[bytes], list_ids: list[str], at_once: int = 1_000) -> list[Batch]:
    """The batches of these, of which some come at a time."""
    firsts = range(0, len(found), at_once)
    parts = [found[first : first + at_once] for first in firsts]
    numbers = [range(first + 1, first + 1 + len(part)) for first, part in zip(firsts, parts, strict=True)]
    return [*batches(zip(numbers, parts, strict=True), list_ids)]


@given(
    st.lists(st.integers(2, 100_000), max_size=200),
    st.lists(st.from_regex("[A-Za-z0-9]{6}", fullmatch=True), max_size=3),
    st.sampled_from([1, 7, 1_000]),
)
def test_each_profile_is_in_one_batch_and_each_batch_fits(sizes, list_ids, at_once):
    given_ones = profiles(*sizes)
    found = cut(given_ones, list_ids, at_once)
    pairs = [pair for batch in found for pair in zip(batch.numbers, batch.profiles, strict=True)]
    assert pairs == [*enumerate(given_ones, start=1)]
    for batch in found:
        assert 0 < len(batch) <= MOST_PROFILES
        content = batch.content(list_ids)
        assert len(content) <= MOST_BYTES
        data = json.loads(content)["data"]
        assert len(data["attributes"]["profiles"]["data"]) == len(batch)
        lists = data.get("relationships", {}).get("lists", {}).get("data", [])
        assert [one["id"] for one in lists] == list_ids


def test_a_batch_is_filled_to_the_byte():
    envelope = len(Batch([], []).content([]))
    whole = (MOST_BYTES - envelope + 1) // 50 - 1
    sizes = [whole] * 50
    sizes[0] += MOST_BYTES - envelope - sum(sizes) - len(sizes)
    (batch,) = cut(profiles(*sizes), [])
    assert MOST_BYTES - len(batch.content([])) == 1
    sizes[0] += 2
    assert [len(batch) for batch in cut(profiles(*sizes), [])] == [49, 1]


def test_the_digest_is_of_the_content_and_its_order():
    one, same, other = Batch([1, 2], [b"a", b"b"]), Batch([5, 6], [b"a", b"b"]), Batch([1, 2], [b"b", b"a"])
    assert one.digest == same.digest
    assert one.digest != other.digest
    assert Batch([1], [b"a\nb"]).digest != Batch([1], [b"ab"]).digest


def test_a_batch_has_ten_thousand_profiles_at_most():
    assert [len(batch) for batch in cut(profiles(*[2] * 20_001), [])] == [10_000, 10_000, 1]
