"""What scripts/bench found out: tables, ratios, and a plot."""

import statistics
import xml.etree.ElementTree as xml

# Colours that can be told apart on light and dark ground, also by who confuses red with green.
COLOURS = {"flumen": "#2f81f7", "nginx-rtmp": "#e8710a", "floor": "#8b949e", "flumen http-flv": "#a371f7"}

# The columns of the tables about delivery.
COLUMNS = ["players", "server", "CPU", "× floor", "sending × floor", "× nginx", "latency p50", "p99", "first picture p50", "p99", "memory", "faults"]

# The look of the plot, on light and on dark pages.
STYLE = """<style>
text { font: 12px -apple-system, 'Segoe UI', 'DejaVu Sans', Arial, sans-serif; fill: #1f2328 }
.title { font-weight: 600; font-size: 14px }
.ground { fill: #fff }
.grid { stroke: #d1d9e0 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .ground { fill: #0d1117 } .grid { stroke: #30363d } }
</style>"""

# What is plotted: key of a run, title, unit.
PANELS = [("cpu", "CPU per GB delivered", "s"), ("p99", "Latency, 99th percentile", "ms")]

# One panel of the plot, in pixels.
WIDTH, HEIGHT, MARGIN = 400, 240, 56


def figures(report, resting=None):
    """What is compared, of one run of `flumen bench load`.

    Memory counts from `resting`, the server's before it ever had a player: what it keeps of earlier players counts.
    """
    latency, first = report["latencyMs"] or {}, report["firstFrameMs"] or {}
    before = report["serverRssBeforePlayers"] if resting is None else resting
    added = max(0, report["serverRss"] - before)
    clients = report["players"] + report["waiting"]
    return {
        "cpu": report["serverCpuSeconds"] / (report["bytes"] / 1e9) if report["players"] else None,
        "gb_per_second": report["bytes"] / 1e9 / report["seconds"],
        "p50": latency.get("p50"),
        "p99": latency.get("p99"),
        "first": first.get("p50"),
        "first_p99": first.get("p99"),
        "mib": added / 2**20,
        "kib": added / 1024 / clients if clients else None,
        "faults": len(report["faults"]),
    }


def median(runs, key):
    """The median of what was measured; None if nothing was."""
    measured = [run[key] for run in runs if run[key] is not None]
    return statistics.median(measured) if measured else None


def ratio(results, scenario, count, server, peer):
    """How many times the CPU of `peer` a server needs; None without both."""
    own, other = (median(results.get((scenario, name, count), []), "cpu") for name in (server, peer))
    return own / other if own and other else None


def sending(results, count, server):
    """How many times the CPU of the floor a server needs beside what receiving the stream costs it, which the floor does not."""
    runs = results.get(("players", server, count), [])
    alone = median(results.get(("receiving", server.split()[0], 0), []), "cpu_per_second")
    floor = median(results.get(("players", "floor", count), []), "cpu")
    if not runs or alone is None or not floor:
        return None
    return (median(runs, "cpu") - alone / median(runs, "gb_per_second")) / floor


def number(value, digits=1):
    """A cell of a table."""
    return "–" if value is None else f"{value:.{digits}f}"


def counts(results, scenario):
    """How many clients there were in the runs of a scenario."""
    return sorted({count for (name, _, count) in results if name == scenario})


def servers(results, scenario, count):
    """The servers of a scenario with so many clients, and their runs."""
    return [(server, runs) for (name, server, n), runs in results.items() if (name, n) == (scenario, count)]


def row(results, scenario, count, server, runs):
    """One line of the tables about delivery."""
    floor, nginx = (number(ratio(results, scenario, count, server, peer), 2) for peer in ("floor", "nginx-rtmp"))
    beside = number(sending(results, count, server) if scenario == "players" else None, 2)
    cells = [str(count), server, number(median(runs, "cpu"), 2), floor, beside, nginx]
    cells += [number(median(runs, key)) for key in ("p50", "p99", "first", "first_p99", "kib")]
    return "| " + " | ".join([*cells, str(sum(run["faults"] for run in runs))]) + " |"


def tables(results, rounds):
    """The report as Markdown."""
    lines = [f"Medians, {rounds} rounds. CPU in seconds per GB delivered, times in ms, memory in KiB per player."]
    titles = {"players": "One publisher", "many": "As many publishers as players"}
    for scenario, title in titles.items():
        if counts(results, scenario):
            lines += ["", f"{title}:", "", f"| {' | '.join(COLUMNS)} |", "| " + "--- | " * len(COLUMNS)]
        for count in counts(results, scenario):
            lines += [row(results, scenario, count, *each) for each in servers(results, scenario, count)]
    receiving = [(server, median(runs, "cpu_per_second")) for server, runs in servers(results, "receiving", 0)]
    if receiving:
        told = ", ".join(f"{1000 * cpu:.1f} ms in {server}" for server, cpu in receiving)
        lines += ["", f"CPU a second for receiving the stream, without any player: {told}."]
    if counts(results, "idle"):
        lines += ["", "Players that wait for a publisher:", ""]
        lines += ["| players | server | memory added, MiB | KiB a player | faults |", "| " + "--- | " * 5]
    for count in counts(results, "idle"):
        for server, runs in servers(results, "idle", count):
            faults = sum(run["faults"] for run in runs)
            cells = [number(median(runs, key)) for key in ("mib", "kib")]
            lines.append(f"| {count} | {server} | {' | '.join(cells)} | {faults} |")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def ratios(results):
    """The CPU of Flumen beside that of the others, a line each."""
    lines = []
    for scenario, what in [("players", "players"), ("many", "publishers with a player each")]:
        for count in counts(results, scenario):
            for server, _ in servers(results, scenario, count):
                against = [(peer, ratio(results, scenario, count, server, peer)) for peer in ("floor", "nginx-rtmp")]
                told = [f"{value:.2f} × {peer}" for peer, value in against if value is not None]
                if server.startswith("flumen") and told:
                    lines.append(f"{count} {what}: {server} needs {', '.join(told)}")
    return "".join(line + "\n" for line in lines)


def machine(results):
    """All runs, for programs."""
    return [
        {"scenario": scenario, "server": server, "players": count, "runs": runs}
        for (scenario, server, count), runs in results.items()
    ]


def plot(results):
    """CPU and latency over the number of players, as SVG for light and dark pages."""
    size = (2 * WIDTH, HEIGHT + 40)
    body = [panel(results, key, title, unit, i * WIDTH) for i, (key, title, unit) in enumerate(PANELS)]
    names = list(dict.fromkeys(server for (scenario, server, _) in results if scenario == "players"))
    for index, name in enumerate(names):
        x, y = MARGIN + index * 150, HEIGHT + 22
        body.append(f'<circle cx="{x}" cy="{y - 4}" r="5" fill="{COLOURS[name]}"/>')
        body.append(f'<text x="{x + 12}" y="{y}">{name}</text>')
    box = f'viewBox="0 0 {size[0]} {size[1]}" width="{size[0]}" height="{size[1]}"'
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" {box} role="img" aria-labelledby="t">',
        '<title id="t">Processor time and latency over the number of players</title>',
        STYLE,
        f'<rect class="ground" width="{size[0]}" height="{size[1]}" rx="8"/>',
        *body,
        "</svg>\n",
    ])


def panel(results, key, title, unit, left):
    """One diagram, its left edge at `left`."""
    points = {}
    for (scenario, server, count), runs in results.items():
        if scenario == "players" and (value := median(runs, key)) is not None:
            points.setdefault(server, []).append((count, value))
    top = ceiling(max((value for line in points.values() for _, value in line), default=1))
    most = max((count for line in points.values() for count, _ in line), default=1)

    def x(count):
        return left + MARGIN + (WIDTH - MARGIN - 20) * count / most

    def y(value):
        return HEIGHT - 30 - (HEIGHT - 80) * value / top

    parts = [f'<text class="title" x="{left + MARGIN}" y="26">{title}, {unit}</text>']
    for step in range(5):
        value = top * step / 4
        parts.append(f'<path class="grid" d="M{x(0):.1f} {y(value):.1f}H{x(most):.1f}"/>')
        parts.append(f'<text x="{x(0) - 8:.1f}" y="{y(value) + 4:.1f}" text-anchor="end">{value:g}</text>')
    for count in sorted({count for line in points.values() for count, _ in line}):
        parts.append(f'<text x="{x(count):.1f}" y="{HEIGHT - 10}" text-anchor="middle">{count}</text>')
    for server, line in points.items():
        path = "L".join(f"{x(count):.1f} {y(value):.1f}" for count, value in sorted(line))
        parts.append(f'<path d="M{path}" fill="none" stroke="{COLOURS[server]}" stroke-width="2.5"/>')
        for count, value in line:
            parts.append(f'<circle cx="{x(count):.1f}" cy="{y(value):.1f}" r="4" fill="{COLOURS[server]}"/>')
    return "\n".join(parts)


def ceiling(value):
    """The next number that a quarter of is easy to read."""
    scale = 1.0
    while scale * 10 <= value:
        scale *= 10
    while scale > value:
        scale /= 10
    return next(scale * factor for factor in (1, 2, 4, 8, 10) if scale * factor >= value)


def self_test():
    """Checks tables, ratios and plot on made-up runs."""
    report = {
        "players": 100, "waiting": 0, "bytes": 2_000_000_000, "seconds": 10.0, "faults": [],
        "serverCpuSeconds": 3.0, "serverRss": 3 << 20, "serverRssBeforePlayers": 2 << 20,
        "latencyMs": {"p50": 1.0, "p99": 4.0}, "firstFrameMs": {"p50": 2.0, "p99": 3.0},
    }
    run = figures(report)
    assert (run["cpu"], run["kib"], run["p99"]) == (1.5, 10.24, 4.0), run
    assert figures(report, resting=1 << 20)["mib"] == 2, "memory counts from the resting server"
    idle = figures(report | {"players": 0, "waiting": 512, "bytes": 0, "latencyMs": None, "firstFrameMs": None})
    assert (idle["cpu"], idle["p50"], idle["kib"]) == (None, None, 2.0), idle
    results = {
        ("players", "flumen", 100): [run, run | {"cpu": 1.0}, run | {"cpu": 9.0}],
        ("players", "nginx-rtmp", 100): [run | {"cpu": 3.0}],
        ("players", "floor", 100): [run | {"cpu": 1.0, "p99": None}],
        ("receiving", "flumen", 0): [{"cpu_per_second": 0.05}],
        ("many", "flumen", 200): [run],
        ("idle", "nginx-rtmp", 512): [idle],
    }
    assert ratio(results, "players", 100, "flumen", "nginx-rtmp") == 0.5
    assert ratios(results) == "100 players: flumen needs 1.50 × floor, 0.50 × nginx-rtmp\n", ratios(results)
    text = tables(results, 3)
    assert "| 100 | flumen | 1.50 | 1.50 | 1.25 | 0.50 | 1.0 | 4.0 | 2.0 | 3.0 | 10.2 | 0 |" in text, text
    assert "| 200 | flumen | 1.50 | – | – | – |" in text, text
    assert "| 512 | nginx-rtmp | 1.0 | 2.0 | 0 |" in text, text
    assert "without any player: 50.0 ms in flumen." in text, text
    assert machine(results)[0]["server"] == "flumen"
    assert [ceiling(value) for value in (0.3, 1, 2.5, 9, 22)] == [0.4, 1, 4, 10, 40]
    # It is XML, and has a point for every figure and every name.
    circles = xml.fromstring(plot(results)).findall("{http://www.w3.org/2000/svg}circle")
    assert len(circles) == 3 + 5, len(circles)
    xml.fromstring(plot({}))
    print("bench: self-test passed")
