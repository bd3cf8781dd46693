"""One side of a comparison: a process that trains a row's model its own way, by the clock's leave.

    python -m benchmarks.side SIDE ROW FOLDER --threads 2 --device cpu

FOLDER holds the row's items (`rows.lay_out`); stdin and stdout speak as `clock` says.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from lookalike.recipe import find
from lookalike.training.loop import fit
from lookalike.training.progress import Line

from . import by_hand, textbook, torchgans
from .clock import Clock
from .rows import ROWS, Row, as_data, laid_out


class Timed(Line):
    """The loop asks its line after each step whether it is due: here that is the clock's moment."""

    def __init__(self, clock: Clock) -> None:
        super().__init__("benchmark", shown=False)
        self.clock = clock

    @property
    def due(self) -> bool:
        self.clock.step()
        return False


def lookalike(row: Row, folder: Path, clock: Clock) -> None:
    spec, items = laid_out(folder)
    recipe = find(row.recipe).resolved(spec.kind, row.options)
    fit(recipe.model(spec), as_data(spec, items), recipe.numbers, device=clock.device, line=Timed(clock))


def without_loop(row: Row, folder: Path, clock: Clock) -> None:
    spec, items = laid_out(folder)
    recipe = find(row.recipe).resolved(spec.kind, row.options)
    for _ in by_hand.train(recipe.model(spec), items, recipe.numbers, clock.device):
        clock.step()


def from_textbook(row: Row, folder: Path, clock: Clock, *, ready: bool = False) -> None:
    spec, items = laid_out(folder)
    model = find(row.recipe).resolved(spec.kind, row.options).model(spec)
    data = textbook.dataset(items, spec, ready=ready)
    del items
    for _ in textbook.train(model, data, row.batch_size, clock.device):
        clock.step()


SIDES: dict[str, Callable[[Row, Path, Clock], None]] = {
    "lookalike": lookalike,
    "by hand": without_loop,
    "textbook": from_textbook,
    "tensors": lambda row, folder, clock: from_textbook(row, folder, clock, ready=True),
    "torchgan": torchgans.train,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("side", choices=SIDES)
    parser.add_argument("row", choices=ROWS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    sys.stdout = sys.stderr  # whatever is printed on the way is not an answer
    torch.manual_seed(0)
    SIDES[given.side](ROWS[given.row], given.folder, Clock(torch.device(given.device), out))


if __name__ == "__main__":
    main()
