from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.campaigns.attributes import check_audiences

ids = st.text(string.ascii_letters + string.digits, min_size=6, max_size=6)


@given(st.lists(ids, min_size=1, unique=True), st.data())
def test_ids_given_once_are_taken_as_they_are(every: list[str], data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(every)))
    audiences = {"included": every[:cut], "excluded": every[cut:]}
    assert check_audiences(audiences, rendered=True) == audiences


@pytest.mark.parametrize(
    ("audiences", "pointer", "says"),
    [
        ({"included": []}, "included", "at least one list or segment"),
        ({"excluded": ["A"]}, "included", "is missing"),
        ({"included": None}, "included", "is missing"),
        ({"included": "A"}, "included", "Give a list"),
        ({"included": "['A', 'B']"}, "included", "plain Jinja renders to a string"),
        ({"included": [1]}, "included/0", "an id as a string"),
        ({"included": ["A", ""]}, "included/1", "an id as a string"),
        ({"included": ["A B"]}, "included/0", "an id as a string"),
        ({"included": ["None"]}, "included/0", "returned nothing"),
        ({"included": ["A", "B", "A"]}, "included/2", "given twice"),
        ({"included": ["A", "B"], "excluded": ["B"]}, "excluded", "holds B, also included"),
        ({"include": ["A"]}, "include", "Did you mean 'included'?"),
    ],
)
def test_audiences_that_reach_nobody_or_are_unclear_are_refused(audiences: Any, pointer: str, says: str) -> None:
    with pytest.raises(KlaviyoValidationError) as refused:
        check_audiences(audiences)
    assert refused.value.pointer == f"/audiences/{pointer}"
    assert says in refused.value.message


def test_a_list_in_place_of_a_dict_is_refused() -> None:
    with pytest.raises(KlaviyoValidationError, match="Give a dict with some of: included, excluded"):
        check_audiences(["A"])


def test_an_update_may_leave_included_out_but_not_empty_it() -> None:
    assert check_audiences({"excluded": ["A"]}, partial=True) == {"excluded": ["A"]}
    for nobody in ([], None):
        with pytest.raises(KlaviyoValidationError):
            check_audiences({"included": nobody}, partial=True)


def test_jinja_is_left_alone_until_it_is_rendered() -> None:
    jinja = "{{ ti.xcom_pull('sync') }}"
    pending: list[Any] = [jinja, {"included": jinja}, {"included": [jinja, jinja, "A"], "excluded": [jinja]}]
    for audiences in pending:
        assert check_audiences(audiences) == audiences
        with pytest.raises(KlaviyoValidationError, match="after rendering"):
            check_audiences(audiences, rendered=True)
