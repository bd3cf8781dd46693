"""`python -m benchmarks.doctor_cost`: what the doctor costs, in shares of the processor time of a training.

Trainings with and without it take turns, A B A B ..., each from the same weights on the same batches; the cost is the
ratio of the medians, less 1. They are far shorter than recipes are: a longer one is looked at no more often.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch

from lookalike.data import open_data
from lookalike.recipe import find
from lookalike.training.flaws import flaws
from lookalike.training.loop import fit
from lookalike.training.schedule import between_milestones
from lookalike.training.vitals import Vitals
from lookalike.training.watch import Watch

RESULT = Path(__file__).parent / "results" / "doctor-cost.md"
ROWS: list[tuple[str, str, dict[str, Any]]] = [
    ("gan", "ring8", {"steps": 1000}),
    ("gan", "digits", {"steps": 600, "width": 16}),
    ("mlp-vae", "digits", {"steps": 1000}),
    ("conv-ae", "digits", {"steps": 600, "width": 16}),
]


def took(name: str, data_name: str, options: dict[str, Any], watched: bool) -> float:
    """Processor seconds of one training."""
    data = open_data(data_name)
    recipe = find(name).resolved(data.spec.kind, options)
    torch.manual_seed(0)
    model = recipe.model(data.spec)
    began = time.process_time()
    watch = None
    if watched:
        watch = Watch(Vitals(data, 0, between_milestones(recipe.numbers, data)), flaws=flaws(data))
    fit(model, data, recipe.numbers, watch=watch)
    return time.process_time() - began


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.doctor_cost", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="trainings of each side (7)")
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    lines = [
        "# What the doctor costs",
        "",
        f"*Written by `python -m benchmarks.doctor_cost`; do not edit. {rounds} trainings with and without it in "
        "turns, one thread, processor seconds.*",
        "",
        "| recipe | data | steps | without | with | cost | of single pairs |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, data, options in ROWS:
        took(name, data, {**options, "steps": 20}, True)  # to warm up
        pairs = [(took(name, data, options, False), took(name, data, options, True)) for _ in range(rounds)]
        without, watched = (statistics.median(side) for side in zip(*pairs, strict=True))
        ratios = sorted(b / a - 1 for a, b in pairs)
        spread = f"{ratios[0]:+.1%} to {ratios[-1]:+.1%}"
        lines.append(
            f"| {name} | {data} | {options['steps']} | {without:.2f} s | {watched:.2f} s "
            f"| {watched / without - 1:+.1%} | {spread} |"
        )
        print(lines[-1], flush=True)
    RESULT.write_text("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
