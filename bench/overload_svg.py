"""Draws the curves of bench/overload: goodput and the 99th percentile over the load, in colours that stand on white and on black."""

import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 860, 400
PANEL, TOP, BOTTOM = 350, 60, 320
LEFTS = (60, 490)
COLOURS = ("#2f81f7", "#d29922", "#c0574f")
GREY = "#7d8590"


def text(x, y, words, anchor="middle", size=12, colour=GREY, more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}"{more}>{escape(words)}</text>'


def line(x1, y1, x2, y2, opacity=0.25):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{GREY}" stroke-opacity="{opacity}"/>'


def path(points, colour):
    d = "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points)
    return f'<path d="{d}" fill="none" stroke="{colour}" stroke-width="2"/>{dots}'


def panel(left, title, curves, y_of, ticks, value):
    loads = [row["load"] for curve in curves for row in curve["rows"]]
    most = max(loads)
    x_of = lambda load: left + PANEL * load / most
    out = [text(left, TOP - 18, title, "start", 13)]
    for label, y in ticks:
        out += [line(left, y, left + PANEL, y), text(left - 6, y + 4, label, "end", 11)]
    step = 0.5 if most <= 4 else 1
    for n in range(int(most / step) + 1):
        out.append(text(x_of(n * step), BOTTOM + 18, f"{n * step:g}x", size=11))
    out.append(line(x_of(1), TOP, x_of(1), BOTTOM, 0.6))
    out.append(text(left + PANEL / 2, BOTTOM + 38, "load, of what the server can do", size=11))
    for curve, colour in zip(curves, COLOURS):
        # Where nothing was served in time there is no latency to show.
        points = [(x_of(row["load"]), y_of(value(row))) for row in curve["rows"] if value(row) is not None]
        if points:
            out.append(path(points, colour))
    return out


def picture(curves, date):
    goodput_y = lambda part: BOTTOM - (BOTTOM - TOP) * min(part, 1.2) / 1.2
    low, high = 1, 1000
    ms_y = lambda ms: BOTTOM - (BOTTOM - TOP) * math.log(min(max(ms, low), high) / low) / math.log(high / low)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" role="img" '
           'aria-label="Goodput and latency over the load, of Sluice and of other XML-RPC servers">']
    out += panel(LEFTS[0], "Answers within a second, of the capacity", curves, goodput_y,
                 [(f"{part} %", goodput_y(part / 100)) for part in (0, 25, 50, 75, 100)], lambda row: row["part"])
    out += panel(LEFTS[1], "99th percentile of their latency, ms", curves, ms_y, [(f"{ms}", ms_y(ms)) for ms in (1, 10, 100, 1000)],
                 lambda row: row["p99_ms"] if row["served"] else None)
    x = LEFTS[0]
    for curve, colour in zip(curves, COLOURS):
        out.append(f'<rect x="{x}" y="{HEIGHT - 26}" width="14" height="4" fill="{colour}"/>')
        label = f'{curve["name"]} ({curve["capacity"]:.0f}/s)'
        out.append(text(x + 20, HEIGHT - 20, label, "start"))
        x += 40 + 7 * len(label)
    out.append(text(WIDTH - 20, HEIGHT - 20, f"bench/overload, {date}", "end", 11))
    out.append("</svg>\n")
    return "\n".join(out)
