"""The curve as a picture: how many lifecycles an hour, by how many are begun at once."""

from __future__ import annotations

from collections.abc import Sequence

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 40, 50


def picture(points: Sequence[tuple[int, float]], limit: float) -> str:
    """An SVG.

    :param points: lifecycles at once, and lifecycles an hour.
    :param limit: lifecycles an hour that Klaviyo's limits allow one account.
    """
    most, top = max(x for x, _ in points), 1.1 * max(limit, *(y for _, y in points))

    def x_of(x: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * x / most

    def y_of(y: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * y / top

    step = 500 if top > 1000 else 100
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif"'
        ' font-size="13">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        '<g fill="#444" stroke="none">',
        f'<text x="{LEFT}" y="22" font-size="15" fill="#111">Campaigns an hour, one account</text>',
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 10}" text-anchor="end">begun at once</text>',
    ]
    for y in range(0, int(top), step):
        parts.append(f'<text x="{LEFT - 8}" y="{y_of(y) + 4:.0f}" text-anchor="end">{y:,}</text>')
        parts.append(f'<path d="M{LEFT} {y_of(y):.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
    parts += [f'<text x="{x_of(x):.0f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{x}</text>' for x, _ in points]
    line = "L".join(f"{x_of(x):.1f} {y_of(y):.1f}" for x, y in points)
    parts += [
        f'<path d="M{LEFT} {y_of(limit):.1f}H{WIDTH - RIGHT}" stroke="#b3261e" stroke-dasharray="6 4"/>',
        f'<text x="{WIDTH - RIGHT}" y="{y_of(limit) - 8:.0f}" text-anchor="end" fill="#b3261e">'
        f"Klaviyo's limits: {limit:,.0f}</text>",
        f'<path d="M{line}" fill="none" stroke="#1a5fb4" stroke-width="2"/>',
    ]
    for x, y in points:
        parts.append(f'<circle cx="{x_of(x):.1f}" cy="{y_of(y):.1f}" r="4" fill="#1a5fb4"/>')
        parts.append(
            f'<text x="{x_of(x):.0f}" y="{y_of(y) - 10:.0f}" text-anchor="middle" fill="#1a5fb4">{y:,.0f}</text>'
        )
    return "\n".join([*parts, "</g>", "</svg>", ""])
