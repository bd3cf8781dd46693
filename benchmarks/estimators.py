"""`python -m benchmarks.estimators`: detectors with PyOD's interface beside PyOD's own of the same kind.

50,000 rows of 30 columns that lie near a curved surface of 5 dimensions; in one row of twenty, some columns are those
of other rows, so that each column by itself is as ever. Each side is fitted on them with its own defaults (PyOD scores
the rows of `fit` too, and so does ours) and scores 50,000 new rows. Sides are processes of one thread that take turns;
a tenth of the rows goes before, to warm up, and does not count. Processor time is what all threads worked.

PyOD has an environment of its own and is no dependency: `--pyod PYTHON`, or LOOKALIKE_PYOD in the environment.
Writes `benchmarks/results/estimators.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np

ROWS, COLUMNS, SURFACE = 50_000, 30, 5
ODD = 0.05
SHARE = 0.25
"""Of PyOD's time that ours may take."""

HEAD = f"""# Fit and score beside PyOD

Made by `python -m benchmarks.estimators`, which says what is timed: rows of {COLUMNS} columns, defaults of both sides,
one thread, processor time in seconds: medians of turns taken one after the other, and in brackets the lowest and the
highest. A share is ours over PyOD's, of neighbours in time, its median; asked is at most {SHARE:g} of fit and score
together, of {ROWS:,} rows. PyOD's time grows with the rows and ours little, so of fewer rows the share is the larger.
AUROC is of the new rows, {ODD:.0%} of them odd. `default` is what `lookalike detect` does.
"""
TOP = ["| kind | rows | side | turns | fit, s | score, s | AUROC | share | bar |", "|---" * 9 + "|"]
VERSION = "import pyod.version as p, torch; print('PyOD', p.__version__, 'on torch', torch.__version__)"


def rows(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows, shape (n, COLUMNS), and which are odd."""
    fixed, random = np.random.default_rng(0), np.random.default_rng(seed)
    inner, outer = fixed.normal(size=(SURFACE, 40)), fixed.normal(size=(40, COLUMNS)) / 40**0.5
    z = random.normal(size=(n, SURFACE))
    x = np.tanh(z @ inner / SURFACE**0.5 + fixed.normal(size=40)) @ outer + 0.05 * random.normal(size=(n, COLUMNS))
    odd = random.random(n) < ODD
    swapped = (random.random((n, COLUMNS)) < 0.2) & odd[:, None]
    return np.where(swapped, x[random.permutation(n)], x), odd


def ours(kind: str, seed: int) -> Any:
    from lookalike.estimators import pyod

    return {"autoencoder": pyod.AutoEncoder, "vae": pyod.VAE, "default": pyod.Detector}[kind](random_state=seed)


def theirs(kind: str, seed: int) -> Any:
    from pyod.models.auto_encoder import AutoEncoder
    from pyod.models.vae import VAE

    return {"autoencoder": AutoEncoder, "vae": VAE}[kind](random_state=seed, verbose=0)


KINDS = ("autoencoder", "vae", "default")
SIDES: dict[str, Callable[[str, int], Any]] = {"lookalike": ours, "pyod": theirs}


def turn(side: str, kind: str, n: int, seed: int) -> dict[str, float]:
    """Processor seconds of fit and score, and the AUROC, in this process."""
    from sklearn.metrics import roc_auc_score

    known, new = rows(n, 2 * seed + 1), rows(n, 2 * seed + 2)
    SIDES[side](kind, seed).fit(known[0][: n // 10]).decision_function(new[0][: n // 10])
    detector = SIDES[side](kind, seed)
    began = time.process_time()
    detector.fit(known[0])
    fitted = time.process_time()
    scores = detector.decision_function(new[0])
    scored = time.process_time()
    return {"fit": fitted - began, "score": scored - fitted, "auroc": float(roc_auc_score(new[1], scores))}


def asked(python: str, side: str, kind: str, n: int, seed: int) -> dict[str, float]:
    """`turn`, in a process of one thread."""
    one = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    words = [python, __file__, "--turn", side, kind, str(n), str(seed)]
    with tempfile.TemporaryDirectory() as folder:  # where nothing is imported by chance
        done = subprocess.run(words, env=one, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{side}, {kind}: {done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.3g} ({min(values):.3g}-{max(values):.3g})"


def lines(kind: str, n: int, found: dict[str, list[dict[str, float]]]) -> list[str]:
    """Rows of the table, a side each."""
    told = []
    for side, turns in found.items():
        share = verdict = ""
        if side == "lookalike" and "pyod" in found:
            whole = [[t["fit"] + t["score"] for t in found[of]] for of in ("lookalike", "pyod")]
            median = statistics.median(a / b for a, b in zip(*whole, strict=True))
            share = f"{median:.3f}"
            if n == ROWS:
                verdict = f"{SHARE:g}: {'met' if median <= SHARE else 'MISSED'}"
        columns = [spread([t[name] for t in turns]) for name in ("fit", "score", "auroc")]
        told.append("| " + " | ".join([kind, f"{n:,}", side, str(len(turns)), *columns, share, verdict]) + " |")
    return told


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.estimators", description=__doc__)
    parser.add_argument("--pyod", default=os.environ.get("LOOKALIKE_PYOD"), help="a python that has pyod and torch")
    parser.add_argument("--turns", type=int, default=3, help="of each side (3)")
    parser.add_argument("--only", nargs="+", choices=KINDS, help="and the others are kept")
    parser.add_argument("--rows", type=int, default=ROWS, help=f"to fit on, and as many to score ({ROWS})")
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows, one turn, and nothing is written")
    parser.add_argument("--turn", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.turn:
        side, kind, n, seed = given.turn
        print(json.dumps(turn(side, kind, int(n), int(seed))))
        return 0
    if not given.pyod:
        raise SystemExit("python -m venv ~/pyod && ~/pyod/bin/pip install pyod torch; then --pyod ~/pyod/bin/python")
    from benchmarks.environment import machine
    from benchmarks.table import RESULTS

    n, turns = (ROWS // 10, 1) if given.quick else (given.rows, given.turns)
    table: dict[str, list[str]] = {}
    for kind in given.only or KINDS:
        found: dict[str, list[dict[str, float]]] = {}
        for seed in range(turns):
            sides = {"lookalike": sys.executable} | ({} if kind == "default" else {"pyod": given.pyod})
            for side, python in sides.items():
                found.setdefault(side, []).append(asked(python, side, kind, n, seed))
        table[kind] = lines(kind, n, found)
        print(*table[kind], sep="\n", flush=True)
    if not given.quick:
        here = machine("cpu")
        other = subprocess.run([given.pyod, "-c", VERSION], capture_output=True, text=True, check=True).stdout.strip()
        line = f"{here['processor']}, Python {here['python']}, torch {here['torch']}; {other}"
        words = [HEAD, f"{line}; {time.strftime('%Y-%m-%d')}.\n", *TOP]
        file = RESULTS / "estimators.md"
        before = file.read_text().splitlines() if file.exists() else []
        for kind in KINDS:
            words += table.get(kind) or [of for of in before if of.startswith(f"| {kind} |")]
        file.write_text("\n".join(words) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
