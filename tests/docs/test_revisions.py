"""What ``docs/upgrading-a-revision.md`` says of revisions is what the package does."""

from __future__ import annotations

import re
from datetime import date

import pytest

from airflow_provider_klaviyo.api.operations import DEFAULT_REVISION, check_campaigns, later, operations, revisions
from airflow_provider_klaviyo.exceptions import KlaviyoValidationError
from tests.docs.pages import DOCS

TEXT = (DOCS / "upgrading-a-revision.md").read_text(encoding="utf-8")
ROWS = re.findall(
    r"^\| `([\d-]+)`(, the default)? \| (yes|reads) \| yes \| ([^|]+) \| ([\d-]+) \| ([\d-]+) \|$", TEXT, re.MULTILINE
)


@pytest.mark.parametrize(("revision", "default", "campaigns", "checked", "deprecated", "retired"), ROWS)
def test_a_row_is_what_the_package_does(
    revision: str, default: str, campaigns: str, checked: str, deprecated: str, retired: str
) -> None:
    assert bool(default) == (revision == DEFAULT_REVISION)
    assert (checked == "all") == (revision in revisions())
    try:
        check_campaigns(revision)
        taken = "yes"
    except KlaviyoValidationError:
        check_campaigns(revision, reads=True)
        taken = "reads"
    assert campaigns == taken
    begun = date.fromisoformat(revision)
    assert (deprecated, retired) == tuple(str(begun.replace(year=begun.year + years)) for years in (1, 2))


def test_there_is_a_row_for_each_revision_with_operations_of_its_own() -> None:
    of_later = {revision for operation in later().values() for revision in operation.revisions}
    assert {row[0] for row in ROWS} == {*revisions(), *of_later}


def test_the_refusal_is_quoted_as_it_is() -> None:
    quoted = " ".join(line.removeprefix("> ") for line in TEXT.splitlines() if line.startswith("> "))
    with pytest.raises(KlaviyoValidationError) as refused:
        check_campaigns("2026-10-15")
    assert quoted in str(refused.value)


def test_the_numbers_of_new_operations_are_those_of_the_tables() -> None:
    new = [operation for operation in operations().values() if operation.revisions == (revisions()[-1],)]
    assert f"{len(new)} more operations" in TEXT
    assert f"{len(later())} operations more" in TEXT
