"""`python -m benchmarks.sampling`: drawing images pixel by pixel, each activation once, beside one pass.

Every recipe whose model is a `Raster` is built for binary 28x28 images with its own options and untrained weights, as
what is drawn does not change the work. Three sides take turns, so that a machine that slows down slows all of them:

    pass      one forward pass over the batch, as for its log-likelihood
    cached    all of `sample`: the steps, and drawing from their params
    naive     the same from a network that recomputes the whole image for each pixel: one step is timed, in the middle
              of the image, and taken 784 times, since the whole takes minutes

In processor time (what all threads worked), with one thread. Writes `benchmarks/results/sampling.md`.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import torch

from lookalike.models.tractable.autoregressive.raster import Raster, naive
from lookalike.recipe import recipes
from lookalike.spec import Spec

from .environment import machine
from .table import RESULTS

SPEC = Spec("images", (1, 28, 28), levels=2, classes=tuple("0123456789"))

BARS = {("pixelcnn", 16): (400.0, 4.0), ("pixelcnn", 64): (400.0, 1.5)}
"""The least times naive and the most passes that are asked for, by recipe and images."""

HEAD = """# What drawing an image costs

Made by `python -m benchmarks.sampling`, which says what is timed. 28x28 binary images, untrained weights, one thread,
processor time in seconds: medians of turns taken one after the other, and in brackets the lowest and the highest. Naive
sampling is **not run whole**: it is 784 times the median of one of its steps. Ratios are medians over the turns, of
neighbours in time.
"""


def sides(model: Raster, n: int) -> dict[str, Callable[[], object]]:
    """What is timed: each is called once a turn."""
    x = torch.rand(n, *SPEC.shape, generator=torch.Generator().manual_seed(0)).round()
    h, (_, H, W) = model.door.enter(x), SPEC.shape
    y = torch.arange(n) % len(SPEC.classes) if model.conditional else None
    step = naive(model.network, y)
    u = torch.full((n,), 0.5, dtype=torch.float64)

    def one_step() -> torch.Tensor:
        params = step(h, H // 2, W // 2, 0)
        return model.likelihood.quantile(params, x[:, :, H // 2, W // 2], 0, u)

    return {"pass": lambda: model.params(x, y), "cached": lambda: model.sample(n, y, seed=0), "naive": one_step}


def timed(model: Raster, n: int, turns: int) -> dict[str, list[float]]:
    """Processor seconds of each side in each turn, of the naive one for all pixels."""
    found: dict[str, list[float]] = {}
    times = {"naive": SPEC.dims}
    with torch.inference_mode():
        compared = sides(model, n)
        for turn in range(turns + 1):
            for name, side in compared.items():
                began = time.process_time()
                side()
                took = (time.process_time() - began) * times.get(name, 1)
                if turn:  # the first is to warm up
                    found.setdefault(name, []).append(took)
    return found


def line(name: str, n: int, found: dict[str, list[float]]) -> str:
    """A row of the table."""
    over_naive, over_pass = (_ratio(found, "naive", "cached"), _ratio(found, "cached", "pass"))
    bar = BARS.get((name, n))
    verdict = ""
    if bar is not None:
        met = over_naive >= bar[0] and over_pass <= bar[1]
        verdict = f"{bar[0]:g}, {bar[1]:g}: {'met' if met else 'MISSED'}"
    times = [_spread(found[side]) for side in ("pass", "cached", "naive")]
    return " | ".join(["| " + name, str(n), *times, f"{over_naive:.0f}", f"{over_pass:.2f}", verdict + " |"])


def _ratio(found: dict[str, list[float]], above: str, below: str) -> float:
    return statistics.median(a / b for a, b in zip(found[above], found[below], strict=True))


def _spread(times: list[float]) -> str:
    return f"{statistics.median(times):.3g} ({min(times):.3g}-{max(times):.3g})"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sampling", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="RECIPE", help="these, and nothing is written")
    parser.add_argument("--turns", type=int, default=7, help="of each side, after one to warm up (7)")
    parser.add_argument("--images", type=int, nargs="+", default=[16, 64], help="counts of images (16 and 64)")
    given = parser.parse_args()
    torch.set_num_threads(1)
    here = machine("cpu")
    lines = [
        HEAD,
        f"{here['processor']}, Python {here['python']}, torch {here['torch']}; {time.strftime('%Y-%m-%d')}.\n",
        "| recipe | images | one pass, s | cached, s | naive, s | times naive | passes | bar |",
        "|---" * 8 + "|",
    ]
    for name, recipe in recipes().items():
        if "images" not in recipe.kinds or (given.only and name not in given.only):
            continue
        model = recipe.resolved("images").model(SPEC).eval()
        if not isinstance(model, Raster):
            continue
        for n in given.images:
            lines.append(line(name, n, timed(model, n, given.turns)))
            print(lines[-1], flush=True)
    if not given.only:
        (RESULTS / "sampling.md").write_text("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
