"""`python -m benchmarks.anomaly`: odd rows of the tables of ADBench, odd connections of NSL-KDD, odd pictures.

The data are looked for in $LOOKALIKE_DATA, a folder; published scores lie beside the tables.

    semi      learnt from half the normal rows, asked of the rest and all odd ones
    unsup     learnt from all rows, asked of the same

as tables 1 and 2 of Livernoche et al. (2024), "On diffusion modeling for anomaly detection", arXiv:2305.18593, have it,
with one set of defaults for all tables. A table of more rows than `--rows` is cut to so many, at random by the seed
(published: at 50,000). Figures are AUROC, in per cent; the mean over tables is compared with that of the best published
method on the same tables. Writes `benchmarks/results/anomaly/FIGURES.json` and `benchmarks/results/anomaly.md`.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from lookalike.data import open_data
from lookalike.models.base import Model
from lookalike.recipe import find
from lookalike.scores.detector import DEFAULT, ROWS, Detector
from lookalike.tasks.anomaly import FITTED, anomaly
from lookalike.tasks.detect import detect
from lookalike.training.loop import fit

from .anomaly_page import key, page
from .environment import machine
from .table import RESULTS

Rows = NDArray[np.float64]
HELD_OUT = 2000
"""Rows by which scores are made comparable; the p-values, for which they would have to be new, do not count here."""


class Way(NamedTuple):
    """A detector: a recipe, its own numbers or others, and scores by name, or the default."""

    recipe: str
    numbers: dict[str, Any]
    scores: tuple[str, ...] | None


WAYS = {
    "default": Way("wide-ae", {}, None),
    "autoencoder": Way("wide-ae", {}, ("surface", "surface-crowd", "mahalanobis")),
    "gan": Way("r3", {"steps": 250, "warmup": 20, "batch_size": 128}, ("surface", "surface-crowd", "reconstruction")),
}


class Split(NamedTuple):
    """Rows to learn from, rows to judge, and which of those are odd."""

    train: Rows
    test: Rows
    odd: NDArray[np.int64]


def tables(folder: Path) -> Iterator[tuple[str, Rows, NDArray[np.int64]]]:
    """Name, rows and which are odd."""
    for path in sorted(folder.glob("*.npz")):
        with np.load(path, allow_pickle=False) as arrays:
            yield path.stem.split("_", 1)[1], arrays["X"].astype(np.float64), arrays["y"].astype(np.int64)


def cut(x: Rows, odd: NDArray[np.int64], mode: str, seed: int, most: int) -> Split:
    """The rows of a table as the protocol has them."""
    chance = np.random.default_rng(seed)
    if len(x) > most:  # as many odd ones in a hundred as there were, and ten at the least
        few = min(odd.sum(), max(10, round(most * odd.mean())))
        kept = np.concatenate(
            [
                chance.permutation(np.flatnonzero(odd == 0))[: most - few],
                chance.permutation(np.flatnonzero(odd))[:few],
            ]
        )
        x, odd = x[kept], odd[kept]
    if mode == "unsup":
        return Split(x, x, odd)
    normal = chance.permutation(np.flatnonzero(odd == 0))
    half = len(normal) // 2
    asked = np.concatenate([normal[half:], np.flatnonzero(odd)])
    return Split(x[normal[:half]], x[asked], odd[asked])


def trained(train: Rows, way: Way, seed: int) -> Model:
    """A model of rows, by the numbers of its recipe."""
    data = open_data(train, split=(0.9, 0.05, 0.05))
    recipe = find(way.recipe).resolved(data.spec.kind, way.numbers)
    torch.manual_seed(seed)
    return fit(recipe.model(data.spec), data, recipe.numbers, seed=seed).average.eval()


def auroc(model: Model, split: Split, scores: tuple[str, ...] | None, seed: int, outliers: Rows | None = None) -> float:
    """Of a detector with those scores, in per cent."""
    known = split.train[:: 1 + (len(split.train) - 1) // FITTED]  # as `lookalike anomaly` does
    train, test = torch.from_numpy(known), torch.from_numpy(split.test)
    detector = Detector(model, scores, seed)
    held_out = train[:: max(1, len(train) // HELD_OUT)]
    detector.fit(train, held_out, None if outliers is None else torch.from_numpy(outliers))
    return 100 * float(roc_auc_score(split.odd, detector(test).total.numpy()))


def published(folder: Path, mode: str) -> dict[str, dict[str, float]]:
    """AUROC by table, in lower case, and by method."""
    with (folder / f"published_scores_DTE_{mode}.csv").open() as file:
        rows = list(csv.reader(file))
    return {
        row[0].lower(): {m: float(re.findall(r"[\d.]+", c)[0]) for m, c in zip(rows[0][1:], row[1:], strict=True)}
        for row in rows[1:]
    }


def measured(name: str, split: Split, mode: str, seed: int, ways: list[str]) -> list[dict[str, Any]]:
    """Each way on one table; ways of one recipe and numbers share a model, whose time counts for each."""
    found, models = [], {}
    for way_name in ways:
        way = WAYS[way_name]
        key = (way.recipe, tuple(way.numbers.items()))
        if key not in models:
            began = time.process_time()
            models[key] = trained(split.train, way, seed), time.process_time() - began
        model, spent = models[key]
        began = time.process_time()
        entry: dict[str, Any] = {"step": "tables", "table": name, "mode": mode, "seed": seed, "way": way_name}
        entry["rows"] = len(split.train)
        entry["auroc"] = auroc(model, split, way.scores, seed)
        found.append(entry | {"processor": spent + time.process_time() - began})
    return found


def exposed(name: str, split: Split, seed: int, known: int) -> dict[str, Any]:
    """The default, with and without some of the odd rows known; those are not asked of."""
    model = trained(split.train, WAYS["default"], seed)
    odd = np.random.default_rng(seed).permutation(np.flatnonzero(split.odd))[:known]
    rest = np.setdiff1d(np.arange(len(split.odd)), odd)
    asked = Split(split.train, split.test[rest], split.odd[rest])
    return {
        "step": "known",
        "table": name,
        "seed": seed,
        "rows": len(split.train),
        "known": known,
        "without": auroc(model, asked, None, seed),
        "with": auroc(model, asked, None, seed, split.test[odd]),
    }


def nsl_kdd(folder: Path, most: int, seed: int) -> dict[str, Any]:
    """Learnt from normal connections alone by `lookalike detect`, asked of the test file by `lookalike anomaly`."""
    import pandas as pd

    names = [line.split(",")[0] for line in (folder / "Field Names.csv").read_text().split()]
    train, test = (
        pd.read_csv(folder / file, header=None, names=[*names, "attack", "difficulty"]).drop(columns="difficulty")
        for file in ("KDDTrain+_20Percent.txt.gz", "KDDTest+.txt.gz")
    )
    test = test.sample(min(most, len(test)), random_state=seed)
    seen = set(train["attack"])
    with tempfile.TemporaryDirectory() as work:
        home = Path(work)
        train[train["attack"] == "normal"].drop(columns="attack").to_csv(home / "normal.csv", index=False)
        test.to_csv(home / "test.csv", index=False)
        began = time.process_time()
        detect(str(home / "normal.csv"), run=home / "run", out=home / "a.csv", seed=seed, device="cpu")
        anomaly(home / "run", str(home / "test.csv"), label="attack", out=home / "b.csv", seed=seed, device="cpu")
        spent = time.process_time() - began
        found = pd.read_csv(home / "b.csv")
    odd = found["label"] != "normal"
    new = ~found["label"].isin(seen)
    each = {
        name: 100 * float(roc_auc_score(odd, found[name]))
        for name in found.columns[3:]
        if name in ("neighbours", "crowd", "forest", "surface", "surface-crowd")
    }
    return {
        "step": "nsl-kdd",
        "seed": seed,
        "rows": len(found),
        "auroc": 100 * float(roc_auc_score(odd, found["score"])),
        "unseen kinds": 100 * float(roc_auc_score(odd[~odd | new], found["score"][~odd | new])),
        "flagged of normal": float((found["p"] <= 0.01)[~odd].mean()),
        "flagged of attacks": float((found["p"] <= 0.01)[odd].mean()),
        "each": each,
        "processor": spent,
    }


def pictured(name: str, label: int, steps: int, most: int, seed: int) -> dict[str, Any]:
    """One class of a set of pictures is normal (`fashion-mnist`), or all but one (`mnist`): with `conv-ae`.

    Learnt from the training pictures of the normal classes, asked of the test split.
    """
    one_out = name == "mnist"
    data = open_data(name)

    def of(split: Any, keep: Any) -> Any:
        chosen = torch.from_numpy(np.random.default_rng(seed).permutation(np.flatnonzero(keep)))[:most].sort().values
        return split.batch(chosen)

    normal = [(split.y.numpy() == label) != one_out for split in (data.train, data.test)]
    x, _ = of(data.train, normal[0])
    test, y = of(data.test, np.ones(len(data.test), dtype=bool))
    began = time.process_time()
    opened = open_data(x.numpy(), split=(0.9, 0.05, 0.05))
    recipe = find("conv-ae").resolved("images", {"steps": steps, "width": 16})
    torch.manual_seed(seed)
    model = fit(recipe.model(opened.spec), opened, recipe.numbers, seed=seed).average.eval()
    detector = Detector(model, (*ROWS, "reconstruction"), seed)
    detector.fit(x, x[:: max(1, len(x) // HELD_OUT)])
    each = detector(test).each
    assert y is not None
    odd = ((y.numpy() == label) == one_out).astype(int)
    usual = [list(each).index(score) for score in DEFAULT["images"]]
    totals = each | {"default": detector.scaled(each)[:, usual].mean(1)}
    return {
        "step": "pictures",
        "data": name,
        "class": label,
        "seed": seed,
        "steps": steps,
        "rows": len(x),
        "asked": len(odd),
        "auroc": {score: 100 * float(roc_auc_score(odd, values)) for score, values in totals.items()},
        "processor": time.process_time() - began,
    }


def figures(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """All that was asked for, one by one."""
    folder = given.data / "adbench_classical"
    for seed in given.seeds:
        for name, x, odd in tables(folder) if {"tables", "known"} & set(given.what) else ():
            if given.tables and name not in given.tables:
                continue
            if "tables" in given.what:
                for mode in ("semi", "unsup"):
                    yield from measured(name, cut(x, odd, mode, seed, given.rows), mode, seed, given.ways)
            if "known" in given.what:
                yield exposed(name, cut(x, odd, "semi", seed, given.rows), seed, given.known)
        if "nsl-kdd" in given.what:
            yield nsl_kdd(given.data / "nsl_kdd", given.rows, seed)
        for data in ("mnist", "fashion-mnist") if "pictures" in given.what else ():
            for label in given.classes:
                yield pictured(data, label, given.steps, 500 if given.quick else given.pictures, seed)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.anomaly", description=__doc__)
    steps = ("tables", "known", "nsl-kdd", "pictures")
    parser.add_argument("--what", nargs="+", choices=steps, default=list(steps), help="steps (all)")
    parser.add_argument("--tables", nargs="+", help="tables by name (all)")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), help="detectors (all)")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(5)), help="a run each (0 to 4)")
    parser.add_argument("--rows", type=int, default=50_000, help="of a table at most (50000)")
    parser.add_argument("--known", type=int, default=5, help="odd rows that are known (5)")
    parser.add_argument("--classes", type=int, nargs="+", default=list(range(10)), help="of pictures (all)")
    parser.add_argument("--pictures", type=int, default=6000, help="to learn from and to ask of, at most (6000)")
    parser.add_argument("--steps", type=int, default=1000, help="of a training on pictures (1000)")
    parser.add_argument(
        "--quick", action="store_true", help="1,000 rows, 1 seed, nothing written: to see that it works"
    )
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("LOOKALIKE_DATA", "data")), help="folder")
    parser.add_argument("--out", type=Path, default=RESULTS / "anomaly", help="folder (benchmarks/results/anomaly)")
    given = parser.parse_args()
    if given.quick:
        given.seeds, given.rows, given.steps = [0], min(given.rows, 1000), min(given.steps, 50)
    torch.set_num_threads(1)
    here = machine("cpu")
    path = given.out / "FIGURES.json"
    for entry in figures(given):
        entry |= {"most": given.rows, "machine": here["processor"], "date": time.strftime("%Y-%m-%d")}
        print(json.dumps(entry), flush=True)
        if given.quick:
            continue
        given.out.mkdir(parents=True, exist_ok=True)
        known = json.loads(path.read_text()) if path.exists() else []
        known = [old for old in known if key(old) != key(entry)] + [entry]
        path.write_text(json.dumps(sorted(known, key=key), indent=1) + "\n")
        told = {mode: published(given.data / "adbench_classical", mode) for mode in ("semi", "unsup")}
        (given.out.parent / "anomaly.md").write_text(page(known, told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
