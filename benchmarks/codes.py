"""`python -m benchmarks.codes`: what is read off codes, and how well sources come apart, beside what one would use.

    probe         accuracy of logistic regression and of the 5 nearest on codes of held-out digits, beside principal
                  components of the same size and the pixels, the same classifiers (`lookalike probe`)
    separation    SI-SDR of two sources from their sum, beside the mixture itself, and from two mixtures of unknown
                  weights, beside FastICA (`lookalike separate`); digits, and signals in time

The signals are windows of 64 moments: hum, three harmonics of a tone of random pitch and phase; and clicks, decaying
bursts at random places. Writes `benchmarks/results/codes.md`. Some four minutes of one core.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import lookalike

from .environment import machine
from .table import RESULTS

RECIPES = {
    "deep-ae": {"latent": 24},
    "denoising-ae": {"latent": 24},
    "mlp-vae": {"latent": 24},
}
"""Whose codes are probed, on mnist-5k."""

HEAD = """# Codes: what is read off them, and sources taken apart

Made by `python -m benchmarks.codes`, which says what is measured. Accuracies with one standard error over five splits;
decibels in the mean over seeds, and in brackets the lowest and the highest. Defaults everywhere but where it is said.
"""


def hum(n: int, seed: int) -> np.ndarray:
    """Tones of random pitch and phase with two harmonics, shape (n, 64)."""
    rng = np.random.default_rng(seed)
    t = np.arange(64) / 64
    pitch, phase = rng.uniform(3, 6, (n, 1)), rng.uniform(0, 2 * np.pi, (n, 1))
    return sum(np.sin(k * (2 * np.pi * pitch * t + phase)) / k for k in (1, 2, 3))


def clicks(n: int, seed: int) -> np.ndarray:
    """Bursts that begin at a random moment and decay, shape (n, 64)."""
    rng = np.random.default_rng(seed)
    t = np.arange(64) - rng.uniform(4, 44, (n, 1))
    decay, pitch = rng.uniform(4, 12, (n, 1)), rng.uniform(0.15, 0.3, (n, 1))
    return np.where(t >= 0, 2.5 * np.exp(-np.maximum(t, 0) / decay) * np.cos(2 * np.pi * pitch * t), 0.0)


def probed(folder: Path, steps: int) -> list[dict[str, Any]]:
    """Accuracies on the codes of each recipe."""
    found = []
    for name, options in RECIPES.items():
        began = time.process_time()
        run = lookalike.train(name, "mnist-5k", out=folder / name, steps=steps, device="cpu", **options)
        spent = time.process_time() - began
        report = lookalike.probe(run, out=folder / f"{name}.csv")
        assert report.metrics is not None
        figures = {figure: [metric.value, metric.standard_error] for figure, metric in report.metrics.items()}
        found.append({"recipe": name, "latent": options["latent"], "steps": steps, "seconds": spent, **figures})
    return found


def separated(folder: Path, steps: int, n: int, search: int, seeds: list[int]) -> list[dict[str, Any]]:
    """SI-SDR of digits and of signals, from one mixture and from two."""
    digits = folder / "deep-ae"
    for name, make in (("hum", hum), ("clicks", clicks)):
        np.save(folder / f"{name}.npy", make(4000, 0))
        how: dict[str, Any] = {"latent": 6, "hidden": (256, 128), "steps": 2 * steps, "device": "cpu"}
        lookalike.train("deep-ae", str(folder / f"{name}.npy"), out=folder / name, **how)
    found = []
    for title, runs in (("two digits", (digits, digits)), ("hum and clicks", (folder / "hum", folder / "clicks"))):
        for mixtures in (1, 2):
            known = (1.0, 1.0) if mixtures == 1 else None
            for seed in seeds:
                began = time.process_time()
                how = {"mixtures": mixtures, "weights": known, "n": n, "steps": search, "seed": seed}
                report = lookalike.separate(tuple(map(str, runs)), **how, out=folder / "s.npz", overwrite=True)
                assert report.metrics is not None
                figures = {name: metric.value for name, metric in report.metrics.items()}
                spent = time.process_time() - began
                found.append({"what": title, "mixtures": mixtures, "seed": seed, "n": n, "seconds": spent, **figures})
    return found


def page(found: dict[str, Any]) -> str:
    """Both tables."""
    lines = ["## Accuracy on mnist-5k, 2,000 labelled digits at most", ""]
    judges = [f"{on}, {how}" for on in ("codes", "PCA", "pixels") for how in ("linear", "5 nearest")]
    lines += [f"| recipe | code | steps | {' | '.join(judges)} |", "|---" * 9 + "|"]
    for row in found["probe"]:
        names = [f"{on}_{how}" for on in ("codes", "pca", "data") for how in ("linear", "knn")]
        cells = [f"{100 * row[name][0]:.1f} ± {100 * row[name][1]:.1f} %" for name in names]
        lines.append(f"| `{row['recipe']}` | {row['latent']} | {row['steps']:,} | {' | '.join(cells)} |")
    lines += ["", "## SI-SDR, dB", "", "| sources | mixtures | items | ours | mixture | FastICA | seconds |"]
    lines += ["|---" * 7 + "|"]
    groups: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for row in found["separation"]:
        groups.setdefault((row["what"], row["mixtures"]), []).append(row)
    for (what, mixtures), rows in groups.items():
        cells = [spread(rows, name) for name in ("si_sdr", "si_sdr_mixture", "si_sdr_ica")]
        told = "1, weights known" if mixtures == 1 else f"{mixtures}, weights unknown"
        seconds = f"{np.mean([row['seconds'] for row in rows]):.0f}"
        lines.append(f"| {what} | {told} | {rows[0]['n']} | {' | '.join(cells)} | {seconds} |")
    lines += ["", "FastICA needs as many mixtures as sources.", ""]
    return "\n".join([HEAD, *lines, f"{found['machine']}, torch {torch.__version__}, {found['date']}", ""])


def spread(rows: list[dict[str, Any]], name: str) -> str:
    values = [row[name] for row in rows if name in row]
    if not values:
        return "none"
    return f"{np.mean(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.codes", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few steps, to see that it works")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of what is mixed (0 1 2)")
    parser.add_argument("--n", type=int, default=40, help="mixtures (40)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder (benchmarks/results)")
    given = parser.parse_args()
    torch.set_num_threads(1)
    steps, search, n, seeds = (20, 5, 4, [0]) if given.quick else (2000, 200, given.n, given.seeds)
    with tempfile.TemporaryDirectory() as work:
        found = {"probe": probed(Path(work), steps), "separation": separated(Path(work), steps, n, search, seeds)}
    found |= {"machine": machine("cpu")["processor"], "date": time.strftime("%Y-%m-%d")}
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "codes.md").write_text(page(found))
    print(page(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
