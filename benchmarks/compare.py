"""Sides of one row, each a process of its own, in turns: A B C A B C ...

The sides are started and warmed up once; then each runs a chunk of steps while the others wait. A ratio is
taken of two neighbours in time, so that a machine whose speed drifts tells all the same.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from .rows import Row

ROOT = Path(__file__).parents[1]
MEASURES = ("seconds", "processor")


class Failed(Exception):  # noqa: N818  (an event the command answers)
    """A side ended before its time; says what it wrote last."""


class Side:
    """A side's process."""

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self.name = name
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  (it lives as long as the process)
        path = os.pathsep.join([str(ROOT), str(ROOT / "src")])
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": path},
        )
        self.answer()  # it has made its first step

    def end(self) -> None:
        _pipe(self.process.stdin).close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.errors.close()

    def run(self, steps: int) -> dict[str, float]:
        """Let it make so many steps; returns what they took."""
        pipe = _pipe(self.process.stdin)
        pipe.write(f"{steps}\n")
        pipe.flush()
        return self.answer()

    def answer(self) -> dict[str, float]:
        line = _pipe(self.process.stdout).readline()
        if not line:
            self.process.wait()
            self.errors.seek(0)
            raise Failed(f"{self.name}: {(self.errors.read().strip() or 'it ended').splitlines()[-1]}")
        return json.loads(line)


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe


def commands(
    name: str, row: Row, folder: Path, sides: Sequence[str], threads: int, device: str, pythae: str | None
) -> dict[str, list[str]]:
    """How each side is started; pythae's by its own Python."""
    common = ["--threads", str(threads), "--device", device]
    started = {}
    for side in sides:
        if side == "pythae":
            assert pythae is not None
            batch = ["--batch-size", str(row.batch_size)]
            started[side] = [pythae, "-m", "benchmarks.pythaes", name, str(folder), *batch, *common]
        else:
            started[side] = [sys.executable, "-m", "benchmarks.side", side, name, str(folder), *common]
    return started


def take_turns(
    started: dict[str, list[str]], steps: int, rounds: int, progress: Callable[[str], None]
) -> dict[str, Any]:
    """Every side `rounds` times in turn, after a warm-up; what each took, and ours beside it.

    Returns:
        for each side: seconds and processor seconds a step (median, lowest, highest), the peak memory in MB,
        and, but for the first, its time over the first one's in the same round.
    """
    taken: dict[str, list[dict[str, float]]] = {}
    sides: list[Side] = []
    try:
        for name, command in started.items():
            progress(f"starting {name}")
            sides.append(Side(name, command))
            sides[-1].run(max(2, steps // 4))
            taken[name] = []
        for i in range(rounds):
            progress(f"round {i + 1} of {rounds}")
            for side in sides:
                taken[side.name].append(side.run(steps))
    finally:
        for side in sides:
            side.end()
    first = taken[sides[0].name]
    return {name: summary(rounds, first) for name, rounds in taken.items()}


def summary(rounds: list[dict[str, float]], first: list[dict[str, float]]) -> dict[str, Any]:
    """A side's rounds in medians and ranges, and how many times the first side's time it took."""
    told: dict[str, Any] = {"peak_mb": rounds[-1]["peak_mb"]}
    for measure in MEASURES:
        told[measure] = spread([r[measure] for r in rounds])
        if rounds is not first:
            told[f"{measure}_ratio"] = spread([r[measure] / f[measure] for r, f in zip(rounds, first, strict=True)])
            told[f"{measure}_ratio"]["of_medians"] = told[measure]["median"] / statistics.median(
                f[measure] for f in first
            )
    return told


def spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}
