"""A report as a page that people open: a funnel for each message, against the last sends. It loads nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from statistics import median
from typing import Any

STEPS: Mapping[str, str] = {
    "recipients": "Recipients",
    "delivered": "Delivered",
    "opens_unique": "Opened",
    "clicks_unique": "Clicked",
    "conversion_uniques": "Converted",
}
"""The steps of a funnel: a statistic, and what people call it."""

LAST_SENDS = 5
"""How many earlier sends of a channel the page compares with."""

WIDTH, BAR, GAP, LABEL, FIGURE = 800, 26, 12, 96, 280
"""Pixels: the drawing, the height of a bar and between two, and what stands to the left and the right of it."""

STYLE = """
:root { color-scheme: light dark; --bar: #2f6f62; --mark: #b3541e; --soft: #8884; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin: 2.5rem 0 0; } p { margin: .2rem 0 .8rem; }
svg { width: 100%; height: auto; } svg text { font-size: 14px; fill: currentColor; }
.track { fill: var(--soft); } .bar { fill: var(--bar); } .mark { stroke: var(--mark); stroke-width: 3; }
.key { color: var(--mark); font-weight: 600; } small { opacity: .75; }
"""

Row = Mapping[str, Any]


def render(rows: Sequence[Row], before: Sequence[Row], *, metric: str, snapshot_at: str) -> str:
    """The page.

    :param rows: of the report, with the statistics of :data:`STEPS`.
    :param before: the same of the last sends.
    :param metric: what a conversion is.
    :param snapshot_at: when the figures were read.
    """
    parts = [_section(row, [other for other in before if other["send_channel"] == row["send_channel"]]) for row in rows]
    body = "\n".join(parts) or "<p>Klaviyo has no figures of these campaigns.</p>"
    at = snapshot_at.replace("T", " ").removesuffix("+00:00")
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Campaign report</title>\n'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>\n'
        f"<h1>Campaign report</h1>\n"
        f"<p>As of {escape(at)} UTC. Converted: {escape(metric)}. Figures grow for days after a send.</p>\n"
        f"{body}\n</body></html>\n"
    )


def last(before: Sequence[Row]) -> list[Row]:
    """The rows of the last :data:`LAST_SENDS` messages of each channel."""
    messages: dict[str, dict[str, None]] = {}
    for row in sorted(before, key=lambda row: str(row["send_time"] or ""), reverse=True):
        messages.setdefault(row["send_channel"], {})[row["campaign_message_id"]] = None
    kept = {message for of_channel in messages.values() for message in list(of_channel)[:LAST_SENDS]}
    return [row for row in before if row["campaign_message_id"] in kept]


def shares(row: Row) -> dict[str, float]:
    """What part of the recipients came to each step: 0 to 1."""
    return {step: min(1.0, (row[step] or 0) / row["recipients"]) if row["recipients"] else 0.0 for step in STEPS}


def usual(before: Sequence[Row]) -> dict[str, float]:
    """The median of the shares of the last sends; empty when there are none."""
    of_each = [shares(row) for row in before if row["recipients"]]
    return {step: median(one[step] for one in of_each) for step in STEPS} if of_each else {}


def _section(row: Row, before: Sequence[Row]) -> str:
    sent = str(row["send_time"] or "").replace("T", " ").removesuffix("+00:00")
    about = [row["subject"], row["send_channel"], row["variation"], f"sent {sent} UTC" if sent else ""]
    marks = usual(before)
    key = (
        f'<span class="key">|</span> median of the last {_sends(len(before))} of this channel, which had longer to grow'
        if marks
        else "There is no earlier send of this channel to compare with."
    )
    return (
        f"<section><h2>{escape(str(row['campaign_name'] or row['campaign_id']))}</h2>\n"
        f"<p>{escape(' · '.join(str(part) for part in about if part))}</p>\n{_funnel(row, marks)}\n"
        f"<p><small>{key}</small></p></section>"
    )


def _sends(count: int) -> str:
    return "send" if count == 1 else f"{count} sends"


def _funnel(row: Row, marks: Mapping[str, float]) -> str:
    height = len(STEPS) * (BAR + GAP)
    room = WIDTH - LABEL - FIGURE
    lines = []
    for number, (step, share) in enumerate(shares(row).items()):
        top, middle = number * (BAR + GAP), number * (BAR + GAP) + BAR * 0.7
        said = f"{row[step] or 0:,} ({share:.1%}" + (f", {marks[step]:.1%} before)" if marks else ")")
        lines += [
            f'<text x="0" y="{middle:.0f}">{STEPS[step]}</text>',
            f'<rect class="track" x="{LABEL}" y="{top}" width="{room}" height="{BAR}" rx="3"/>',
            f'<rect class="bar" x="{LABEL}" y="{top}" width="{share * room:.1f}" height="{BAR}" rx="3"/>',
            f'<text x="{WIDTH - FIGURE + 8}" y="{middle:.0f}">{said}</text>',
        ]
        if marks:
            x = LABEL + marks[step] * room
            lines.append(f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{top - 3}" y2="{top + BAR + 3}"/>')
    title = ", ".join(f"{STEPS[step]} {row[step] or 0:,}" for step in STEPS)
    return (
        f'<svg viewBox="0 -4 {WIDTH} {height}" role="img" xmlns="http://www.w3.org/2000/svg">'
        f"<title>{title}</title>{''.join(lines)}</svg>"
    )
