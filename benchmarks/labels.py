"""`python -m benchmarks.labels`: do GANs draw the class they are asked for, and find classes nobody told them?

    cgan, acgan, projection   a classifier of its own finds the asked class in how many of 2,000 samples
    infogan                   test items whose likeliest category is their class, under the best matching of
                              categories to classes (Hungarian); labels are only counted with, not trained with

The classifier is a small convolutional network, trained on the same training split; its accuracy on the test split is
given, since it bounds what can be found. Each seed is a training of its own by the recipe's own numbers, but for the
length: `--steps`, or `--minutes` by the clock. Writes `benchmarks/results/labels/FIGURES.json` and `README.md` there.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lookalike.data import Data, open_data
from lookalike.models.implicit.gan.gan import GAN
from lookalike.nn.conv import ConvEncoder
from lookalike.nn.mlp import mlp
from lookalike.recipe import find
from lookalike.training.loop import fit

from .environment import machine
from .table import RESULTS

BARS = {"cgan": 0.97, "acgan": 0.97, "projection": 0.97, "infogan": 0.90}
"""The shares that are asked for, by recipe."""

N = 2000
"""Samples."""

HEAD = """# Asked for a class, and classes found

Made by `python -m benchmarks.labels`, which says what is counted. Shares are of the samples that the classifier takes
for the class they were asked to be (`worst`: of the class where it is lowest), or, of infogan, of the test items whose
category is matched to their class (`drawn`: of samples). `processor` is the time that the training itself worked.
"""


def classifier(data: Data, steps: int = 1500) -> tuple[nn.Module, float]:
    """A network that tells the classes of items, in eval mode, and its accuracy on the test split."""
    torch.manual_seed(0)
    shape, classes = data.spec.shape, len(data.spec.classes)
    images = data.spec.kind == "images"
    network = ConvEncoder(shape, classes, 16) if images else mlp((data.spec.dims, 64, 64, classes))
    optimiser = torch.optim.Adam(network.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    batches = data.train.batches(64, seed=0)
    for _ in range(steps):
        x, y = next(batches)
        optimiser.zero_grad()
        F.cross_entropy(network(x.float()), y).backward()
        optimiser.step()
        schedule.step()
    x, y = data.test.first(len(data.test))
    return network.eval(), _share(told(network, x), y)


@torch.inference_mode()
def told(network: nn.Module, x: Tensor) -> Tensor:
    """The classes a network takes items for, shape (B,)."""
    return torch.cat([network(part.float()).argmax(1) for part in x.split(500)])


def matched(categories: Tensor, y: Tensor, K: int, classes: int) -> tuple[float, list[int]]:
    """The share of items whose category is their class, under the best matching, and the class of each category."""
    from scipy.optimize import linear_sum_assignment

    together = torch.zeros(K, classes, dtype=torch.long)
    together.index_put_((categories, y), torch.ones_like(y), accumulate=True)
    rows, columns = linear_sum_assignment(-together.numpy())
    of = [-1] * K
    for row, column in zip(rows, columns, strict=True):
        of[row] = int(column)
    return together[rows, columns].sum().item() / len(y), of


@torch.inference_mode()
def figures(model: GAN, data: Data, network: nn.Module) -> dict[str, float]:
    """What is counted of one trained model."""
    classes = len(data.spec.classes)
    if model.conditional:
        y = torch.arange(N) % classes
        right = told(network, model.sample(N, y, seed=0)) == y
        worst = min(right[y == k].double().mean().item() for k in range(classes))
        return {"share": right.double().mean().item(), "worst": worst}
    x, y = data.test.first(len(data.test))
    K = model.choices
    found = torch.cat([model.encode(part)[:, :K].argmax(1) for part in x.split(500)])
    share, of = matched(found, y, K, classes)
    asked = torch.arange(N) % K
    drawn = told(network, model.sample(N, asked, seed=0))
    return {"share": share, "drawn": _share(drawn, torch.tensor(of)[asked])}


def trained(name: str, data: Data, seed: int, length: dict[str, Any]) -> tuple[GAN, dict[str, Any]]:
    """A model of a recipe, trained, and how long that took."""
    recipe = find(name).resolved(data.spec.kind, length)
    torch.manual_seed(seed)
    began = time.process_time()
    state = fit(recipe.model(data.spec), data, recipe.numbers, seed=seed)
    spent = {"steps": state.step, "minutes": state.seconds / 60, "processor": (time.process_time() - began) / 60}
    return state.average.eval(), spent


def write(folder: Path, found: list[dict[str, Any]]) -> None:
    """Add results to those that are there, and make the table again."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "FIGURES.json"
    known = json.loads(path.read_text()) if path.exists() else []
    keys = {_key(entry) for entry in found}
    known = sorted([entry for entry in known if _key(entry) not in keys] + found, key=_key)
    path.write_text(json.dumps(known, indent=1) + "\n")
    (folder / "README.md").write_text(table(known))


def table(known: list[dict[str, Any]]) -> str:
    """All results, a row for each recipe, data and length."""
    rows = ["| recipe | data | seeds | steps | processor, min | share | worst class, or drawn | classifier | bar |"]
    rows += ["|---" * 9 + "|"]
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for entry in known:
        groups.setdefault((entry["recipe"], entry["data"], entry["length"]), []).append(entry)
    for (name, of, _), entries in groups.items():
        shares = [entry["share"] for entry in entries]
        met = sum(share >= BARS[name] for share in shares)
        cells = [
            f"`{name}`",
            of,
            ", ".join(str(entry["seed"]) for entry in entries),
            _spread([entry["steps"] for entry in entries], "{:.0f}"),
            _spread([entry["processor"] for entry in entries], "{:.1f}"),
            _spread(shares, "{:.1%}"),
            _spread([entry.get("worst", entry.get("drawn", 0.0)) for entry in entries], "{:.1%}"),
            _spread([entry["classifier"] for entry in entries], "{:.1%}"),
            f"{BARS[name]:.0%}: {met} of {len(shares)}",
        ]
        rows.append("| " + " | ".join(cells) + " |")
    machines = sorted({f"{entry['machine']}, torch {entry['torch']}, {entry['date']}" for entry in known})
    return "\n".join([HEAD, *rows, "", *machines, ""])


def _key(entry: dict[str, Any]) -> tuple[Any, ...]:
    return (entry["recipe"], entry["data"], entry["length"], entry["seed"])


def _spread(values: list[float], form: str) -> str:
    told = form.format(statistics.median(values))
    return told if len(values) == 1 else f"{told} ({form.format(min(values))} to {form.format(max(values))})"


def _share(found: Tensor, y: Tensor) -> float:
    return (found == y).double().mean().item()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.labels", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=BARS, default=list(BARS), metavar="RECIPE", help="these")
    parser.add_argument("--data", default="mnist", help="labelled data by name or path (mnist)")
    parser.add_argument("--minutes", type=float, help="of each training, by the clock")
    parser.add_argument("--steps", type=int, help="of each training; the recipe's own where neither is given")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="a training each (0, 1 and 2)")
    parser.add_argument("--threads", type=int, default=1, help="(1)")
    parser.add_argument("--out", type=Path, default=RESULTS / "labels", help="folder (benchmarks/results/labels)")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    length = {"minutes": given.minutes} if given.minutes else {"steps": given.steps} if given.steps else {}
    data, here = open_data(given.data), machine("cpu")
    network, accuracy = classifier(data)
    print(f"classifier: {accuracy:.1%} of {len(data.test)} test items of {data.name}", flush=True)
    for name in given.only:
        for seed in given.seeds:
            model, spent = trained(name, data, seed, length)
            entry = {"recipe": name, "data": data.name, "seed": seed, "length": json.dumps(length)}
            entry |= spent | figures(model, data, network) | {"classifier": accuracy}
            entry |= {"machine": here["processor"], "torch": here["torch"], "date": time.strftime("%Y-%m-%d")}
            print(json.dumps(entry), flush=True)
            write(given.out, [entry])
    return 0


if __name__ == "__main__":
    sys.exit(main())
