"""The table and the picture of bench/README.md, from the results."""

import math
import time
from pathlib import Path

from figures import fill, rows

BENCH = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- peers: begin -->", "<!-- peers: end -->"


def number(value):
    if value is None:
        return ""
    if value == 0:
        return "0"
    if abs(value) >= 10_000:
        return f"{value:,.0f}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(digits, 3)}f}"


def write(results):
    filled = fill(rows(), results)
    (BENCH / "peers.svg").write_text(picture(filled))
    readme = BENCH / "README.md"
    text = readme.read_text()
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    readme.write_text(before + BEGIN + "\n" + table(filled, results) + END + after)


def table(filled, results):
    machine = results["machine"]
    rounds = max((len(runs) for runs in results.get("leat", results.get("kafka", {})).values()), default=0)
    kind = "a quick run" if results.get("quick") else "a full run"
    lines = [
        f"Apache Kafka {results['versions'].get('kafka', '-')} and Leat {results['versions'].get('leat', '-')}, "
        f"{kind} of {rounds} interleaved round{'s' if rounds != 1 else ''} on {time.strftime('%Y-%m-%d', time.gmtime(results['time']))}: "
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, Linux {machine['kernel']}. "
        f"{placement(machine)}, 8 partitions, page-cache durability unless said; medians. "
        "The ratio says how many times better Leat is.",
        "",
        "| figure | unit | Kafka | floor | Leat | ratio | target | met |",
        "|---|---|--:|--:|--:|--:|---|---|",
    ]
    for row, title, theirs, floor, ours, ratio, met in filled:
        shown = {True: "yes", False: "no", None: ""}[met]
        lines.append(f"| {title} | {row.unit} | {number(theirs)} | {number(floor)} | {number(ours)} | "
                     f"{number(ratio) + 'x' if ratio else ''} | {row.target} | {shown} |")
    return "\n".join([*lines, "", "![Leat against Apache Kafka](peers.svg)", ""])


def placement(machine):
    return "Broker on one core, client on another" if machine["cores"] > 1 else "Broker and client on the one core"


def picture(filled):
    """One bar for each figure that both have: to the right Leat is better, to the left Kafka is."""
    bars = [(title, ratio, row.unit) for row, title, *_, ratio, met in filled
            if ratio and row.target and ratio > 0]
    left, right, height, top = 430, 60, 22, 56
    width = 960
    span = max([abs(math.log2(ratio)) for _, ratio, _ in bars] or [1.0])
    low = min([math.log2(ratio) for _, ratio, _ in bars] or [0.0])
    # The axis of 1x stands left of the middle unless Kafka is far better somewhere.
    minimum, maximum = min(low, -1.0), max(span, 1.0)
    scale = (width - left - right) / (maximum - minimum)
    x = lambda ratio: left + (math.log2(ratio) - minimum) * scale  # noqa: E731
    total = top + height * len(bars) + 24
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {total}" font-family="system-ui, sans-serif" font-size="12">',
        f'<rect width="{width}" height="{total}" fill="#ffffff"/>',
        '<text x="16" y="24" font-size="15" font-weight="600" fill="#1f2933">Leat against Apache Kafka: times better</text>',
    ]
    for power in range(math.ceil(minimum), math.floor(maximum) + 1):
        at = left + (power - minimum) * scale
        label = f"{2 ** power:g}x" if power >= 0 else f"1/{2 ** -power}"
        out.append(f'<line x1="{at:.1f}" y1="{top - 8}" x2="{at:.1f}" y2="{total - 16}" stroke="{"#52606d" if power == 0 else "#e4e7eb"}"/>')
        out.append(f'<text x="{at:.1f}" y="{top - 14}" text-anchor="middle" fill="#7b8794">{label}</text>')
    for index, (title, ratio, _) in enumerate(bars):
        y = top + index * height
        start, end = sorted((x(1), x(ratio)))
        color = "#0b7285" if ratio >= 1 else "#c92a2a"
        out.append(f'<text x="{left - 12}" y="{y + 14}" text-anchor="end" fill="#323f4b">{escape(title)}</text>')
        out.append(f'<rect x="{start:.1f}" y="{y + 3}" width="{max(end - start, 1):.1f}" height="{height - 8}" rx="2" fill="{color}"/>')
        beside = (end + 5, "start") if ratio >= 1 else (start - 5, "end")
        out.append(f'<text x="{beside[0]:.1f}" y="{y + 14}" text-anchor="{beside[1]}" fill="#323f4b">{number(ratio)}</text>')
    return "\n".join([*out, "</svg>", ""])


def escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
