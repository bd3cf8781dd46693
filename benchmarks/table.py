"""Results as files: one JSON for each machine, and a table of all of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .rows import ROWS

RESULTS = Path(__file__).parent / "results"

HEAD = """# How fast a step is

Made by `python -m benchmarks`; the sides are described in `benchmarks/rows.py`. Times are of one training step,
all that happens between steps included, in milliseconds: the median of the rounds, and in brackets the lowest
and the highest. A ratio is the other side's time over ours, taken in each round of neighbours in time: above 1,
ours is faster. `clock` is what a clock shows, `processor` what all threads worked. A bar is met where either
ratio reaches it. Peak memory is of the whole process, libraries included. `load` is the machine's load average before a
row began: above 0.5 others were at work, and rows of several threads are then not to be trusted.
"""


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.exists() else {}


def write(path: Path, found: dict[str, Any]) -> None:
    """Save a machine's results, and make the table again from all machines'."""
    path.parent.mkdir(parents=True, exist_ok=True)
    order = list(ROWS)
    found["results"].sort(key=lambda r: (order.index(r["row"]) if r["row"] in order else len(order), -r["threads"]))
    path.write_text(json.dumps(found, indent=1) + "\n")
    parts = [HEAD, *(_of_machine(read(file)) for file in sorted(path.parent.glob("*.json")))]
    (path.parent / "README.md").write_text("\n".join(parts))


def say(entry: dict[str, Any]) -> str:
    """One comparison in a few lines of text."""
    lines = [f"{entry['row']}, {entry['threads']} thread{'s' * (entry['threads'] > 1)}"]
    lines += ["  " + "  ".join(cell.strip() for cell in line) for line in _lines(entry)]
    return "\n".join(lines)


def _of_machine(found: dict[str, Any]) -> str:
    here = found["machine"]
    what = f"{here['gpu'] or here['processor']}, {here['cores']} cores"
    versions = f"{here['system']}, Python {here['python']}, torch {here['torch']}, pythae {here['pythae']}"
    versions += f", torchgan {here['torchgan']}" if "torchgan" in here else ""
    head = (
        "| model | threads | load | side | clock, ms | processor, ms | clock ratio | processor ratio | peak MB | bar |"
    )
    rows = [
        "| " + " | ".join([entry["row"], str(entry["threads"]), f"{entry['load']:.1f}", *line]) + " |"
        for entry in found["results"]
        for line in _lines(entry)
    ]
    dates = sorted({entry["date"] for entry in found["results"]})
    return "\n".join(
        [
            f"## {what}",
            "",
            f"{versions}; {' to '.join(dict.fromkeys([dates[0], dates[-1]]))}",
            "",
            head,
            "|---" * 10 + "|",
            *rows,
            "",
        ]
    )


def _lines(entry: dict[str, Any]) -> list[list[str]]:
    return [[name, *_cells(side, ROWS[entry["row"]].bars.get(name))] for name, side in entry["sides"].items()]


def _cells(side: dict[str, Any], bar: float | None) -> list[str]:
    ratios = [side.get(f"{measure}_ratio") for measure in ("seconds", "processor")]
    times = [_spread(side[measure], 1e3) for measure in ("seconds", "processor")]
    told = [_spread(ratio, 1) if ratio else "" for ratio in ratios]
    met = bar is not None and any(ratio and ratio["median"] >= bar for ratio in ratios)
    verdict = "" if bar is None else f"{bar:g}: {'met' if met else 'MISSED'}"
    return [*times, *told, f"{side['peak_mb']:.0f}", verdict]


def _spread(of: dict[str, float], scale: float) -> str:
    return f"{of['median'] * scale:.3g} ({of['low'] * scale:.3g}-{of['high'] * scale:.3g})"
