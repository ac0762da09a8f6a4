"""The picture: how many answers were right and what they cost, hour by hour, with what happened. SVG by hand; needs nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from examples.demo.story import Played, Span

_WIDTH, _LEFT, _RIGHT = 860, 64, 16
_TOP, _HIGH, _GAP = 96, 150, 34
_SMOOTH = 3
"""Spans of ten minutes that a point is the mean of."""
_WORLD, _LOOP = "#b3261e", "#1a5fb4"


def plotted(played: Played) -> str:
    """Give the picture."""
    hours = played.spans[-1].hour + 1 / 6
    panels: list[tuple[str, str, Callable[[Sequence[Span]], float]]] = [
        ("right answers, %", "#26734d", lambda some: 100 * sum(s.right for s in some) / sum(s.calls for s in some)),
        (
            "US$ a 1,000 calls",
            "#8a5a00",
            lambda some: sum(s.cost_micros for s in some) / sum(s.calls for s in some) / 1e3,
        ),
    ]
    height = _TOP + len(panels) * (_HIGH + _GAP) + 16
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" font-size="11">'
        '<title>The demo, hour by hour</title><rect width="100%" height="100%" fill="#ffffff"/>'
    ]
    parts += _marks(played, hours, height)
    for number, (name, colour, value) in enumerate(panels):
        parts += _panel(played.spans, hours, _TOP + number * (_HIGH + _GAP), (name, colour), value)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _x(hour: float, hours: float) -> float:
    return _LEFT + hour / hours * (_WIDTH - _LEFT - _RIGHT)


def _marks(played: Played, hours: float, height: int) -> list[str]:
    parts = [
        f'<text x="{_LEFT}" y="16"><tspan fill="{_WORLD}">the world</tspan> and <tspan fill="{_LOOP}">the loop</tspan>'
        ": the assistant, by the hour</text>"
    ]
    free = [-1e9] * 5  # where each row of names is free again
    for name, hour in sorted(played.marks.items(), key=lambda item: item[1]):
        colour = _WORLD if any(short == name for _, short in played.events) else _LOOP
        x = _x(hour, hours)
        row = next((at for at, end in enumerate(free) if end < x), len(free) - 1)
        free[row] = x + 6 * len(name) + 12
        anchor, at = ("end", x - 3) if x > _WIDTH - 110 else ("start", x + 3)
        y = 32 + 13 * row
        parts.append(f'<path d="M{x:.1f},{y - 8} V{height - 32}" stroke="{colour}" stroke-width="0.8" opacity="0.6"/>')
        parts.append(f'<text x="{at:.1f}" y="{y}" fill="{colour}" text-anchor="{anchor}">{escape(name)}</text>')
    return parts


def _panel(
    spans: Sequence[Span], hours: float, top: float, named: tuple[str, str], value: Callable[[Sequence[Span]], float]
) -> list[str]:
    name, colour = named
    points = [
        (spans[at].hour + 1 / 6, value(spans[max(0, at - _SMOOTH + 1) : at + 1]))
        for at in range(_SMOOTH - 1, len(spans))
    ]
    low, high = min(y for _, y in points), max(y for _, y in points)
    low, high = low - 0.08 * (high - low), high + 0.08 * (high - low)

    def y_of(y: float) -> float:
        return top + _HIGH - (y - low) / (high - low) * _HIGH

    drawn = " ".join(f"{_x(x, hours):.1f},{y_of(y):.1f}" for x, y in points)
    parts = [
        f'<path d="M{_LEFT},{top} V{top + _HIGH} H{_WIDTH - _RIGHT}" fill="none" stroke="#333"/>',
        f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="1.6"/>',
        f'<text x="14" y="{top + _HIGH / 2}" transform="rotate(-90 14 {top + _HIGH / 2})" text-anchor="middle">{escape(name)}</text>',
    ]
    for step in range(5):
        at = low + (high - low) * step / 4
        parts.append(f'<text x="{_LEFT - 6}" y="{y_of(at) + 4:.1f}" text-anchor="end">{at:.3g}</text>')
    parts += [
        f'<text x="{_x(hour, hours):.1f}" y="{top + _HIGH + 14}" text-anchor="middle">{hour}</text>'
        for hour in range(0, int(hours) + 1, 4)
    ]
    return parts
