"""`python -m benchmarks`: a step of ours beside a step of what one would pick instead; see `rows` for the sides.

Writes `benchmarks/results/MACHINE.json` and a table of all machines' results, `benchmarks/results/README.md`.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from .compare import Failed, commands, take_turns
from .environment import find_pythae, find_torchgan, machine, slug
from .rows import ROWS, lay_out
from .table import RESULTS, read, say, write


def main() -> int:
    given = _parser().parse_args()
    names = given.only or list(ROWS)
    threads = given.threads or ([1] if given.device != "cpu" else [2, 1])
    pythae = find_pythae(given.pythae) if any("pythae" in ROWS[name].others for name in names) else None
    torchgan = find_torchgan() if any("torchgan" in ROWS[name].others for name in names) else None
    absent = {name for name, place in (("pythae", pythae), ("torchgan", torchgan)) if place is None}
    here = machine(given.device)
    path = (given.out or RESULTS) / f"{slug(here)}.json"
    found = {**read(path), "machine": here}
    jobs = [(name, count) for name in names for count in threads]
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as work:
        for done, (name, count) in enumerate(jobs):
            spent = time.monotonic() - began
            left = f", {spent / done * (len(jobs) - done) / 60:.0f} min left" if done else ""
            title = f"[{done + 1}/{len(jobs)}] {name}, {count} thread{'s' * (count > 1)}{left}"
            folder = Path(work) / name
            data = folder.exists() or lay_out(ROWS[name], folder)
            sides = ["lookalike", *(other for other in ROWS[name].others if other not in absent)]
            load = os.getloadavg()[0]
            started = commands(name, ROWS[name], folder, sides, count, given.device, pythae)
            steps = max(2, ROWS[name].steps // (5 if given.quick else 1))
            try:
                sides_found = take_turns(started, steps, 3 if given.quick else given.rounds, _progress(title))
            except Failed as failure:
                print(f"\nskipped: {failure}", file=sys.stderr)
                continue
            entry = {
                "row": name,
                "threads": count,
                "date": time.strftime("%Y-%m-%d"),
                "load": load,
                "sides": sides_found,
            }
            if isinstance(data, str):
                found["data"] = {**found.get("data", {}), name: data}
            found["results"] = [r for r in found.get("results", []) if (r["row"], r["threads"]) != (name, count)] + [
                entry
            ]
            print("\r\x1b[K" + say(entry), flush=True)
            if not given.quick:
                write(path, found)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=ROWS, metavar="ROW", help=f"rows to run: {', '.join(ROWS)}")
    parser.add_argument(
        "--quick", action="store_true", help="three short rounds, nothing written: to see that it works"
    )
    parser.add_argument("--rounds", type=int, default=7, help="turns of each side, at least 5 to be believed (7)")
    parser.add_argument("--threads", type=int, nargs="+", help="thread counts to run with (2 and 1; 1 on a GPU)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu or cuda")
    parser.add_argument(
        "--pythae", metavar="PYTHON", help="python of an environment that has pythae; else one is made in .pythae"
    )
    parser.add_argument("--out", type=Path, help="where results are written (benchmarks/results)")
    return parser


def _progress(title: str) -> Callable[[str], None]:
    live = sys.stderr.isatty()

    def tell(words: str) -> None:
        if live:
            sys.stderr.write(f"\r\x1b[K{title}: {words}")
            sys.stderr.flush()
        elif words.startswith("starting lookalike"):
            print(title, file=sys.stderr, flush=True)

    return tell


if __name__ == "__main__":
    sys.exit(main())
