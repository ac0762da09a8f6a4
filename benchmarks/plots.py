"""Lines and points as SVG, by hand: no plotting library. Refuses nothing but points that are not finite, which it leaves out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT = 760, 440
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 200, 40, 50
_COLOURS = ("#7a7a7a", "#1f6fb2", "#2e8b57", "#b5542c", "#7b4aa0", "#b08900")

Point = tuple[float, float]


def lines(
    title: str,
    across: str,
    up: str,
    series: Mapping[str, Sequence[Point]],
    marks: Mapping[str, Point] | None = None,
    *,
    logarithmic: bool = True,
) -> str:
    """Draw each series as a line, and named points; the axis across is logarithmic unless told, where all values allow it."""
    points = [point for line in series.values() for point in line] + list((marks or {}).values())
    points = [point for point in points if all(map(math.isfinite, point))]
    if not points:
        raise ValueError(f"{title}: there is nothing to draw")
    log = logarithmic and all(x > 0 for x, _ in points)

    def scaled(x: float) -> float:
        return math.log10(x) if log else x

    xs, ys = [scaled(x) for x, _ in points], [y for _, y in points]
    low_x, high_x, low_y, high_y = *_wide(min(xs), max(xs)), *_wide(min(ys), max(ys))

    def place(point: Point) -> str:
        x = _LEFT + (scaled(point[0]) - low_x) / (high_x - low_x) * (_WIDTH - _LEFT - _RIGHT)
        y = _HEIGHT - _BOTTOM - (point[1] - low_y) / (high_y - low_y) * (_HEIGHT - _TOP - _BOTTOM)
        return f"{x:.1f},{y:.1f}"

    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif"'
            f' font-size="12"><title>{escape(title)}</title><rect width="100%" height="100%" fill="#ffffff"/>'
        ),
        f'<text x="{_LEFT}" y="22" font-size="15">{escape(title)}</text>',
        f'<path d="M{_LEFT},{_TOP} V{_HEIGHT - _BOTTOM} H{_WIDTH - _RIGHT}" fill="none" stroke="#333"/>',
        f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 10}" text-anchor="middle">{escape(across)}</text>',
        f'<text x="16" y="{_HEIGHT / 2}" transform="rotate(-90 16 {_HEIGHT / 2})" text-anchor="middle">{escape(up)}</text>',
    ]
    for step in range(5):
        x, y = low_x + step * (high_x - low_x) / 4, low_y + step * (high_y - low_y) / 4
        at_x, at_y = place((10**x if log else x, y)).split(",")
        parts.append(
            f'<text x="{at_x}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">{10**x if log else x:.3g}</text>'
        )
        parts.append(f'<text x="{_LEFT - 6}" y="{at_y}" text-anchor="end" dominant-baseline="middle">{y:.3g}</text>')
    for index, (name, line) in enumerate(series.items()):
        colour = _COLOURS[index % len(_COLOURS)]
        drawn = " ".join(place(point) for point in line if all(map(math.isfinite, point)))
        parts.append(f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(
            f'<text x="{_WIDTH - _RIGHT + 12}" y="{_TOP + 18 * index + 10}" fill="{colour}">{escape(name)}</text>'
        )
    taken: list[tuple[float, float]] = []
    for name, point in sorted((marks or {}).items(), key=lambda one: one[1]):
        x, y = map(float, place(point).split(","))
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="#333"/>')
        # A name that would stand on another one stands above the point instead.
        below = y + 12
        level = y - 7 if any(x < end and abs(below - other) < 10 for end, other in taken) else below
        taken.append((x + 6 + 5.5 * len(name), level))
        parts.append(f'<text x="{x + 6:.1f}" y="{level:.1f}" font-size="9">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _wide(low: float, high: float) -> tuple[float, float]:
    room = (high - low) * 0.05 or max(abs(high) * 0.05, 0.5)
    return low - room, high + room
