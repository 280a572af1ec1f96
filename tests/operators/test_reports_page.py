"""The page of a report: a funnel for each message, against the last sends."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.operators.reports import KlaviyoCampaignReportOperator
from airflow_provider_klaviyo.operators.reports.page import STEPS, last, render
from tests.support.context import Task
from tests.support.sandbox import DRAFT_EMAIL, DRAFT_SMS, Klaviyo

DAY = 86400.0
ROW = {
    "campaign_id": "C1",
    "campaign_name": "Sale",
    "subject": "Now",
    "send_channel": "email",
    "variation": "",
    "send_time": "2026-11-26T09:00:00+00:00",
    "recipients": 1000,
    "delivered": 900,
    "opens_unique": 450,
    "clicks_unique": 90,
    "conversion_uniques": 9,
}


def funnels(html: str) -> list[ElementTree.Element]:
    """The drawings of a page."""
    return [ElementTree.fromstring(drawing) for drawing in re.findall(r"<svg.*?</svg>", html, re.DOTALL)]


def of_class(drawing: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [element for element in drawing.iter() if element.get("class") == name]


def page(*rows: dict[str, Any], before: tuple[dict[str, Any], ...] = ()) -> str:
    return render(rows, before, metric="Placed Order (Shopify)", snapshot_at="2026-11-27T09:00:00+00:00")


def test_the_bars_are_as_long_as_the_shares_of_the_recipients():
    [drawing] = funnels(page(ROW))
    widths = [float(bar.get("width") or "nan") for bar in of_class(drawing, "bar")]
    track = float(of_class(drawing, "track")[0].get("width") or "nan")
    assert [round(width / track, 3) for width in widths] == [1.0, 0.9, 0.45, 0.09, 0.009]
    said = "".join(drawing.itertext())
    for words in (*STEPS.values(), "1,000 (100.0%)", "450 (45.0%)", "9 (0.9%)"):
        assert words in said
    assert of_class(drawing, "mark") == []
    assert "There is no earlier send of this channel" in page(ROW)


def test_a_mark_stands_at_the_median_of_the_last_sends_of_the_channel():
    before = tuple({**ROW, "opens_unique": opens} for opens in (100, 300, 900))
    other_channel = {**ROW, "send_channel": "sms", "opens_unique": 0}
    html = page(ROW, before=(*before, other_channel))
    [drawing] = funnels(html)
    track = of_class(drawing, "track")[0]
    left, width = float(track.get("x") or "nan"), float(track.get("width") or "nan")
    marks = [(float(mark.get("x1") or "nan") - left) / width for mark in of_class(drawing, "mark")]
    assert [round(at, 2) for at in marks] == [1.0, 0.9, 0.3, 0.09, 0.01]
    assert "450 (45.0%, 30.0% before)" in html
    assert "median of the last 3 sends" in html


def test_the_last_five_messages_of_each_channel_are_compared_with():
    rows = [
        {**ROW, "send_channel": channel, "campaign_message_id": f"{channel}{day}", "send_time": f"2026-11-{day:02}"}
        for channel, days in (("email", range(1, 9)), ("sms", range(1, 4)))
        for day in days
    ]
    variation = {**rows[7], "variation": "B"}
    unknown = {**ROW, "campaign_message_id": "M", "send_time": None}
    assert [(row["campaign_message_id"], row["variation"]) for row in last([unknown, *rows, variation])] == [
        *((f"email{day}", "") for day in range(4, 9)),
        *((f"sms{day}", "") for day in range(1, 4)),
        ("email8", "B"),
    ]


@pytest.mark.parametrize("recipients", [0, None])
def test_a_campaign_that_nobody_got_has_empty_bars(recipients):
    [drawing] = funnels(page(dict.fromkeys(STEPS, recipients) | {k: v for k, v in ROW.items() if k not in STEPS}))
    assert {bar.get("width") for bar in of_class(drawing, "bar")} == {"0.0"}


def test_names_are_text_whatever_they_hold_and_the_page_loads_nothing():
    html = page({**ROW, "campaign_name": "<script>alert(1)</script>", "subject": "A & B <i>"})
    tags: list[tuple[str, Any]] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: Any) -> None:
            tags.append((tag, dict(attrs)))

    Reader().feed(html)
    assert not {tag for tag, _ in tags} & {"script", "i", "link", "img", "iframe"}
    assert not [name for _, attrs in tags for name in attrs if name in ("src", "href", "onload")]
    assert "A &amp; B &lt;i&gt;" in html


@pytest.mark.parametrize("revision", ["2026-07-15", "2026-10-15"])
def test_the_page_of_a_report_compares_with_the_last_sends_in_the_same_request(
    klaviyo: Klaviyo, tmp_path: Path, revision: str
):
    hook = KlaviyoHook()
    klaviyo.send(DRAFT_SMS)
    for number in range(7):
        klaviyo.send(hook.clone_campaign(DRAFT_EMAIL, f"Earlier {number}").id)
    klaviyo.wait_for_sends()
    klaviyo.advance(DAY)
    klaviyo.send(DRAFT_EMAIL)
    klaviyo.wait_for_sends()
    klaviyo.advance(DAY)
    path = tmp_path / "pages" / "report.html"
    task = Task(
        lambda: KlaviyoCampaignReportOperator(
            task_id="report",
            campaign_ids=DRAFT_EMAIL,
            conversion_metric="Placed Order (Shopify)",
            statistics=["open_rate"],
            page_path=str(path),
            revision=revision,
        )
    )
    [row] = task.run()
    assert list(row)[-2:] == ["send_time", "open_rate"]
    html = path.read_text(encoding="utf-8")
    [drawing] = funnels(html)
    assert len(of_class(drawing, "mark")) == len(STEPS)
    assert "median of the last 5 sends" in html
    assert "Converted: Placed Order (Shopify)" in html
    recipients = klaviyo.sends(DRAFT_EMAIL)[0]["recipients"]
    assert f"{recipients:,} (100.0%, 100.0% before)" in html
    assert klaviyo.counted()["query_campaign_values"] == 1
    reads = [row for row in klaviyo.requests() if row["revision"] == revision]
    assert {row["operation"] for row in reads} >= {"get_campaigns", "query_campaign_values"}


def test_where_klaviyo_refuses_to_list_messages_the_page_compares_with_none(
    klaviyo: Klaviyo, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    klaviyo.send(DRAFT_EMAIL)
    klaviyo.wait_for_sends()
    klaviyo.advance(DAY)
    klaviyo.fail("list_campaign_messages", "status_before_commit", status=400)
    path = tmp_path / "report.html"
    task = Task(
        lambda: KlaviyoCampaignReportOperator(
            task_id="report",
            campaign_ids=DRAFT_EMAIL,
            conversion_metric="RESQ6t",
            page_path=str(path),
            revision="2026-10-15",
        )
    )
    assert len(task.run()) == 1
    assert klaviyo.fired() == [1]
    assert "so the page compares with none" in caplog.text
    html = path.read_text(encoding="utf-8")
    assert len(funnels(html)) == 1
    assert "before)" not in html


def test_without_a_send_there_is_a_page_that_says_so(klaviyo: Klaviyo, tmp_path: Path):
    path = tmp_path / "report.html"
    task = Task(
        lambda: KlaviyoCampaignReportOperator(
            task_id="report", campaign_ids=DRAFT_EMAIL, conversion_metric="RESQ6t", page_path=str(path)
        )
    )
    assert task.run() == []
    assert "Klaviyo has no figures of these campaigns" in path.read_text(encoding="utf-8")
