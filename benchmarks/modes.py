"""`python -m benchmarks.modes`: does a GAN find every Gaussian of a ring or a grid, and every three digits, each time?

For each data set and seed a training by the recipe's own numbers, and samples of the averaged model:

    modes           Gaussians with a sample within 3 sigma; of stacked MNIST three digits that a sample is taken for
    high quality    samples within 3 sigma of one
    reverse KL      of the share of samples at each mode from equal shares, or from those of the data

10,000 samples; of stacked MNIST 26,000, as in papers, whose channels are told by a small convolutional network trained
on the training split of MNIST. `ring8` has sigma 0.01, `grid25` 0.05. Processor time is what the training itself
worked, with one thread. Writes `benchmarks/results/modes/FIGURES.json` and `README.md` there.
"""

from __future__ import annotations

import argparse
import functools
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lookalike.data import Data, open_data
from lookalike.metrics.modes import divergence, high_quality, modes_found, reverse_kl
from lookalike.models.base import Model

from .environment import machine
from .labels import classifier, told, trained
from .table import RESULTS

BARS = {"grid25": (25, 0.957, 0.005), "ring8": (8, 0.982, 1.0), "stacked-mnist": (1000, None, 0.06)}
"""Modes, share of high quality and reverse KL that are asked for in every seed."""

HEAD = """# Modes found

Made by `python -m benchmarks.modes`, which says what is counted: medians over seeds, and in brackets the lowest and the
highest. Elsewhere reported: grid 24.8 modes, 93.6 %, 0.04 (PacGAN4), 95.7 % (ALI); ring 7.9 modes; stacked MNIST
1,000 modes, 0.06 to 0.08 (PacGAN). Of 26,000 samples of the data itself the reverse KL would be 0.019.
"""


def counted(model: Model, data: Data) -> dict[str, float | None]:
    """What is counted of samples of a trained model."""
    if data.modes is None:
        return counted_digits(model, data)
    modes, sigma = data.modes
    with torch.inference_mode():
        fake = model.sample(10_000, seed=0)
    return {
        "modes": float(modes_found(fake, modes, sigma)),
        "high_quality": high_quality(fake, modes, sigma).mean().item(),
        "reverse_kl": float(reverse_kl(fake, modes).value),
    }


@functools.cache
def digit_classifier() -> nn.Module:
    """Trained once for all seeds."""
    return classifier(open_data("mnist"))[0]


def counted_digits(model: Model, data: Data) -> dict[str, float | None]:
    """The same where a mode is three digits."""
    network = digit_classifier()
    with torch.inference_mode():
        fake = torch.cat([model.sample(1000, seed=seed) for seed in range(26)])
    found = sum(told(network, fake[:, [c]]) * 10 ** (2 - c) for c in range(3))
    assert isinstance(found, torch.Tensor)
    assert data.train.y is not None
    counts, shares = (torch.bincount(of, minlength=1000) for of in (found, data.train.y))
    kl = divergence(counts, shares / shares.sum()).value
    return {"modes": float((counts > 0).sum()), "high_quality": None, "reverse_kl": float(kl)}


def measured(name: str, data: Data, seed: int, options: dict[str, Any]) -> dict[str, Any]:
    """One training, and what is counted of it."""
    model, spent = trained(name, data, seed, options)
    return {"recipe": name, "data": data.name, "seed": seed, "options": options} | spent | counted(model, data)


def met(entry: dict[str, Any]) -> bool:
    """Whether all that is asked for was reached."""
    modes, share, kl = BARS[entry["data"]]
    good = share is None or entry["high_quality"] >= share
    return bool(good and entry["modes"] >= modes and entry["reverse_kl"] <= kl)


def table(known: list[dict[str, Any]]) -> str:
    """All results, a row for each recipe, data set and length."""
    rows = ["| recipe | data | seeds | steps | processor, min | modes | high quality | reverse KL | bar met in |"]
    rows += ["|---" * 9 + "|"]
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for entry in known:
        groups.setdefault(_key(entry)[:3], []).append(entry)
    for (name, of, given), entries in groups.items():
        flags = [f" --{key.replace('_', '-')} {value}" for key, value in json.loads(given).items()]
        cells = [
            f"`{name}{''.join(flags)}`",
            of,
            str(len(entries)),
            _spread(entries, "steps", "{:,.0f}"),
            _spread(entries, "processor", "{:.1f}"),
            _spread(entries, "modes", "{:.0f}"),
            _spread(entries, "high_quality", "{:.1%}"),
            _spread(entries, "reverse_kl", "{:.4f}"),
            f"{sum(met(entry) for entry in entries)} of {len(entries)}",
        ]
        rows.append("| " + " | ".join(cells) + " |")
    machines = sorted({f"{entry['machine']}, torch {entry['torch']}, {entry['date']}" for entry in known})
    return "\n".join([HEAD, *rows, "", *machines, ""])


def _spread(entries: list[dict[str, Any]], what: str, form: str) -> str:
    values = [entry[what] for entry in entries if entry[what] is not None]
    if not values:
        return ""
    middle = form.format(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({form.format(min(values))} to {form.format(max(values))})"


def _key(entry: dict[str, Any]) -> tuple[Any, ...]:
    return (entry["recipe"], entry["data"], json.dumps(entry["options"]), entry["seed"])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.modes", description=__doc__)
    parser.add_argument("--recipe", nargs="+", default=["r3"], help="(r3)")
    parser.add_argument("--data", nargs="+", choices=BARS, default=list(BARS), help="(all)")
    parser.add_argument("--steps", type=int, help="of each training; the recipe's own where neither is given")
    parser.add_argument("--minutes", type=float, help="of processor time of each training")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(10)), help="a training each (0 to 9)")
    parser.add_argument("--out", type=Path, default=RESULTS / "modes", help="folder (benchmarks/results/modes)")
    given = parser.parse_args()
    torch.set_num_threads(1)
    here = machine("cpu")
    options: dict[str, Any] = {} if given.steps is None else {"steps": given.steps}
    options |= {} if given.minutes is None else {"minutes": given.minutes, "clock": "processor"}
    given.out.mkdir(parents=True, exist_ok=True)
    path = given.out / "FIGURES.json"
    for name in given.recipe:
        for data in map(open_data, given.data):
            for seed in given.seeds:
                entry = measured(name, data, seed, options)
                entry |= {"machine": here["processor"], "torch": here["torch"], "date": time.strftime("%Y-%m-%d")}
                print(json.dumps(entry), flush=True)
                known = json.loads(path.read_text()) if path.exists() else []
                known = sorted([old for old in known if _key(old) != _key(entry)] + [entry], key=_key)
                path.write_text(json.dumps(known, indent=1) + "\n")
                (given.out / "README.md").write_text(table(known))
    return 0


if __name__ == "__main__":
    sys.exit(main())
