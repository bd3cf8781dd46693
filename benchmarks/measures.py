"""`python -m benchmarks.measures`: measures of samples beside their reference implementations, on the same features.

10,000 real and 10,000 fake rows of 2,048 features like those of a deep network's last layer: not negative, dependent,
of unlike sizes. Every side is a process of its own (see `references`), one after the other in each turn, with one
thread for those that heed it:

    neighbours   precision, recall, density and coverage, 5 neighbours      prdc
    frechet      the distance of given means and covariances                pytorch-fid, torch-fidelity, torchmetrics
    kernel       of all items at once                                       torch-fidelity, torchmetrics
    score        of 1,000 class logits, in ten parts                        torch-fidelity

The references live in an environment of their own, made once in `benchmarks/.references` (or given by --references);
one that cannot be installed is left out with a message. Writes `benchmarks/results/measures.md`.
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
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .environment import machine
from .references import SIDES
from .table import RESULTS

HOME = Path(__file__).parent / ".references"
PACKAGES = {"prdc": "0.2", "pytorch-fid": "0.3.0", "torch-fidelity": "0.4.0", "torchmetrics": "1.9.0"}
UNDER = [
    "numpy",
    "scipy",
    "scikit-learn",
    "joblib",
    "threadpoolctl",
    "cloudpickle",
    "pillow",
    "tqdm",
    "lightning-utilities",
]
ITEMS, DIMS, CLASSES = 10_000, 2_048, 1_000
AGREES = 1e-4
"""Relative difference from a reference that is at most asked for."""
BARS = {("neighbours", "prdc"): 4.0, ("frechet", "pytorch-fid"): 4.0}
"""How many times our processor time a reference is to take at the least."""
MEMORY = 700
"""MB that ours may take at the most."""

HEAD = f"""# What measuring samples costs

Made by `python -m benchmarks.measures`, which says what is compared: {ITEMS:,} real and {ITEMS:,} fake rows of {DIMS:,}
features. Processor time is what all threads worked, imports and reading left out, in seconds: medians of turns taken
one after the other, and in brackets the lowest and the highest; a ratio is the median over turns of theirs over ours.
Off is the largest relative difference from our values. Peak memory is of the whole process, libraries and features
included.
"""


def lay_out(folder: Path, items: int, dims: int) -> None:
    """Features, their statistics and logits, as files."""
    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn(dims, dims, generator=generator) * torch.linspace(2, 0.05, dims)[:, None] / dims**0.5
    for name, shift, scale in (("", 0.1, 1.0), ("_fake", 0.12, 1.02)):
        hidden = torch.randn(items, dims, generator=generator) @ mixing
        x = (scale * hidden + shift).relu()
        np.save(folder / f"{'real' if not name else 'fake'}.npy", x.numpy())
        np.save(folder / f"mean{name}.npy", x.double().mean(0).numpy())
        np.save(folder / f"covariance{name}.npy", torch.cov(x.double().T).numpy())
    np.save(folder / "logits.npy", (3 * torch.randn(items, CLASSES, generator=generator)).numpy())


def find_references(python: str | None) -> str | None:
    """The python of the references' environment, made on the first call; None where it cannot be."""
    python = python or os.environ.get("LOOKALIKE_REFERENCES") or str(HOME / "bin" / "python")
    if Path(python).exists():
        return python
    print(f"making an environment for the references in {HOME} (once)", file=sys.stderr, flush=True)
    pip = [python, "-m", "pip", "install", "-q"]
    try:
        subprocess.run([sys.executable, "-m", "venv", str(HOME)], check=True)
        subprocess.run([*pip, f"torch=={torch.__version__.partition('+')[0]}", *UNDER], check=True)
    except (subprocess.CalledProcessError, OSError) as error:
        print(f"skipping all references: their environment could not be made ({error})", file=sys.stderr)
        return None
    for name, version in PACKAGES.items():  # without what they ask for, which would bring another torch
        if subprocess.run([*pip, "--no-deps", f"{name}=={version}"], check=False).returncode:
            print(f"skipping {name}: it could not be installed", file=sys.stderr)
    return python


def run(python: str, side: str, row: str, folder: Path) -> dict[str, Any] | None:
    """What a side answers; None, and why on stderr, where it fails."""
    command = [python, "-m", "benchmarks.references", side, row, str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        print(f"skipping {side}, {row}: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return None
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def lines(row: str, found: dict[str, list[dict[str, Any]]]) -> list[str]:
    """A row of the table for each side."""
    ours, told = found["lookalike"], []
    for side, answers in found.items():
        times = [answer["processor"] for answer in answers]
        peak = max(answer["peak_mb"] for answer in answers)
        cells = [row, side, _spread(times), "", "", f"{peak:.0f}", ""]
        if side == "lookalike":
            cells[-1] = f"{MEMORY} MB: {'met' if peak <= MEMORY else 'MISSED'}"
        else:
            off = largest_difference(ours[0]["values"], answers[0]["values"])
            ratio = statistics.median(b["processor"] / a["processor"] for a, b in zip(ours, answers, strict=True))
            asked = [f"off {AGREES:g}: {'met' if off <= AGREES else 'MISSED'}"]
            if (bar := BARS.get((row, side))) is not None:
                asked.append(f"{bar:g} times: {'met' if ratio >= bar else 'MISSED'}")
            cells[3:5], cells[-1] = [f"{ratio:.2f}", f"{off:.1e}"], ", ".join(asked)
        told.append(" | ".join(["| " + cells[0], *cells[1:-1], cells[-1] + " |"]))
    return told


def largest_difference(ours: dict[str, float], theirs: dict[str, float]) -> float:
    """Relative to theirs, over the values that both give."""
    return max(abs(ours[name] - value) / abs(value) for name, value in theirs.items())


def _spread(times: list[float]) -> str:
    return f"{statistics.median(times):.3g} ({min(times):.3g}-{max(times):.3g})"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.measures", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=SIDES, help="these rows, and nothing is written")
    parser.add_argument("--turns", type=int, default=3, help="of each side (3)")
    parser.add_argument(
        "--items", type=int, default=ITEMS, help=f"of each sample ({ITEMS}); of fewer nothing is written"
    )
    parser.add_argument("--references", metavar="PYTHON", help="python of an environment that has the references")
    given = parser.parse_args()
    references = find_references(given.references)
    here = machine("cpu")
    told = [
        HEAD,
        f"{here['processor']}, Python {here['python']}, torch {here['torch']}, "
        f"{', '.join(f'{name} {version}' for name, version in PACKAGES.items())}; {time.strftime('%Y-%m-%d')}.\n",
        "| measure | side | processor, s | ratio | off | peak MB | bar |",
        "|---" * 7 + "|",
    ]
    with tempfile.TemporaryDirectory() as work:
        lay_out(Path(work), given.items, min(DIMS, given.items // 4))
        for row in given.only or SIDES:
            found: dict[str, list[dict[str, Any]]] = {}
            failed: set[str] = set()
            for _ in range(given.turns):
                for side in SIDES[row]:
                    python = sys.executable if side == "lookalike" else references
                    answer = run(python, side, row, Path(work)) if python and side not in failed else None
                    if answer is None:
                        failed.add(side)
                    else:
                        found.setdefault(side, []).append(answer)
            if "lookalike" in found:
                told += lines(row, found)
                print("\n".join(told[-len(found) :]), flush=True)
    if not given.only and given.items == ITEMS:
        (RESULTS / "measures.md").write_text("\n".join(told) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
