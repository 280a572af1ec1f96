"""An import of profiles from a file: CSV, JSON Lines, Parquet."""

from __future__ import annotations

import gzip

import pytest

from airflow_provider_klaviyo.exceptions import (
    KlaviyoValidationError,
)
from tests.support.importing import importing, profile
from tests.support.memory import MB, grown

CSV = (
    '\ufeffemail,first_name,"properties.note"\r\n'
    'a@example.com,"Ann ""A"", Smith",\r\n'
    'b@example.com,Bo,"two\nlines"\r\n'
    "c@example.com\r\n"
)


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_a_csv_file_is_read_with_its_quotes_and_its_mark(klaviyo, tmp_path, suffix):
    path = tmp_path / f"people{suffix}"
    content = CSV.encode()
    path.write_bytes(gzip.compress(content) if suffix.endswith(".gz") else content)
    result = importing(path=f"file://{path}", max_rejected=1).run()
    assert (result["rows"], result["accepted"], result["rejected"]) == (3, 2, 1)
    assert (profile("a@example.com") or {})["first_name"] == 'Ann "A", Smith'
    assert (profile("b@example.com") or {})["properties"] == {"note": "two\nlines"}


def test_a_file_of_json_lines_is_read(klaviyo, tmp_path):
    path = tmp_path / "people.jsonl"
    path.write_text(
        '{"email": "a@example.com", "properties": {"n": 1}}\n\n{"email": \n[1]\n{"email": "b@example.com"}\n'
    )
    result = importing(path=f"file://{path}", max_rejected=2).run()
    assert (result["rows"], result["accepted"], result["rejected"]) == (4, 2, 2)


def test_a_parquet_file_is_read_with_its_types(klaviyo, tmp_path):
    import datetime
    from decimal import Decimal

    import pyarrow
    from pyarrow import parquet

    path = tmp_path / "people.parquet"
    moment = datetime.datetime(2026, 11, 26, tzinfo=datetime.UTC)
    table = {"EMAIL": ["a@example.com", None], "spent": [Decimal("1.50"), None], "seen": [moment, moment]}
    parquet.write_table(pyarrow.table(table), path)
    result = importing(path=f"file://{path}", unmapped="properties", max_rejected=1).run()
    assert (result["rows"], result["accepted"], result["rejected"]) == (2, 1, 1)
    assert (profile("a@example.com") or {})["properties"] == {"spent": 1.5, "seen": "2026-11-26T00:00:00Z"}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"", "CSV file is empty"),
        ("a.csv", b"email,email\n", "a column twice|both go into"),
        ("a.csv", b"name\nAda\n", "Column 'name'"),
        ("a.csv", b"first_name\nAda\n", "recognised"),
        ("a.csv", b'email\n"a@example.com\n', "cannot be read after line"),
        ("a.csv", "email\nj\xfcrgen@example.com\n".encode("latin-1"), "has to be UTF-8"),
        ("a.jsonl", b"", "which is empty"),
        ("a.jsonl", b"\n\n", "which is empty"),
        ("a.parquet", b"not parquet", "Parquet file cannot be read"),
        ("missing.csv", None, "no such file"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_and_nothing_is_imported(klaviyo, tmp_path, name, content, words):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(KlaviyoValidationError, match=words):
        importing(path=f"file://{tmp_path / name}").run()
    assert klaviyo.counted()["bulk_import_profiles"] == 0


def test_a_cell_of_two_million_characters_is_a_rejected_row(klaviyo, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(f"email,properties.x\na@example.com,{'x' * 2_000_000}\nb@example.com,y\n")
    result = importing(path=f"file://{path}", max_rejected=1).run()
    assert (result["accepted"], result["rejected"]) == (1, 1)


READ_LARGE_ROWS = """
import sys
from tests.support.importing import importing
from tests.support.memory import peak

importing(path=sys.argv[1], dry_run=True).run()
before = peak()
result = importing(path=sys.argv[2], dry_run=True, max_rejected=1.0).run()
assert (result["rows"], result["rejected"]) == (150, 150), result
print(peak() - before)
"""


def test_a_file_of_large_rows_does_not_take_much_memory(klaviyo, tmp_path):
    small, large = tmp_path / "small.jsonl", tmp_path / "large.jsonl"
    small.write_text('{"email": "a@example.com"}\n')
    with large.open("w") as file:
        for number in range(150):
            file.write(f'{{"email": "a{number}@example.com", "properties.x": "{"x" * 2_000_000}"}}\n')
    assert grown(READ_LARGE_ROWS, f"file://{small}", f"file://{large}") < 150 * MB, "all rows have 300 MB"
