# SPDX-License-Identifier: BSD-2-Clause
"""A picture, as SVG, of time against size, both by logarithms."""
import html
import math

WIDTH, HEIGHT = 640, 400
LEFT, TOP, RIGHT, BOTTOM = 70, 40, 30, 50
COLOURS = ("#1f77b4", "#d62728", "#2ca02c")


def ticks(least, most):
    """Powers of ten around the values."""
    return [10 ** power for power in range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)]


class Scale:
    """From a value to its place, by logarithms."""

    def __init__(self, least, most, begin, end):
        self.least, self.begin = math.log10(least), begin
        self.each = (end - begin) / max(math.log10(most) - self.least, 1e-9)

    def place(self, value):
        return self.begin + (math.log10(value) - self.least) * self.each


def axes(sizes, times, across, down):
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    lines = []
    for size in sizes:
        x = across.place(size)
        lines.append(f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{size}</text>')
    for time in times:
        y = down.place(time)
        lines.append(f'<path d="M{LEFT} {y:.1f}H{right}" stroke="#ddd"/>')
        lines.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{time:g}</text>')
    lines.append(f'<path d="M{LEFT} {TOP}V{bottom}H{right}" stroke="#000" fill="none"/>')
    lines.append(f'<text x="{(LEFT + right) / 2}" y="{HEIGHT - 10}" text-anchor="middle">MiB resident</text>')
    lines.append(f'<text x="4" y="{TOP - 22}">null RPCs between the nodes</text>')
    return lines


def curve(number, name, points, across, down):
    colour = COLOURS[number % len(COLOURS)]
    places = [(across.place(size), down.place(time)) for size, time in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    lines = [f'<polyline class="curve" points="{path}" stroke="{colour}" stroke-width="2" fill="none"/>']
    lines += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
    x = LEFT + 200 + 160 * number
    lines.append(f'<rect x="{x}" y="{TOP - 32}" width="12" height="12" fill="{colour}"/>')
    lines.append(f'<text x="{x + 16}" y="{TOP - 22}">{html.escape(name)}</text>')
    return lines


def draw(curves, out):
    """Writes the picture of name -> [(size, time)]."""
    sizes = sorted({size for points in curves.values() for size, _ in points})
    all_times = [time for points in curves.values() for _, time in points]
    times = ticks(min(all_times), max(all_times))
    across = Scale(sizes[0], sizes[-1], LEFT + 20, WIDTH - RIGHT - 20)
    down = Scale(times[0], times[-1], HEIGHT - BOTTOM, TOP)
    print(f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}">', file=out)
    print("<!-- SPDX-License-Identifier: BSD-2-Clause -->", file=out)
    print("<style>text{font:12px sans-serif}</style>", file=out)
    print(*axes(sizes, times, across, down), sep="\n", file=out)
    for number, (name, points) in enumerate(curves.items()):
        print(*curve(number, name, points, across, down), sep="\n", file=out)
    print("</svg>", file=out)
