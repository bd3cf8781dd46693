"""Items to be scored, some at a time: a long table, or one that comes by stdin, is never held whole.

Rows of delimited text are read as they are asked for; all else is opened as data. Words that the model never saw are
taken (`columns.conform`): that they are strange is for a score to say.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor

from ..data import DATASETS, Data
from ..data.delimited import read_pieces
from ..data.tables import rows_for, windows
from ..errors import UserError
from ..run import Run
from ._common import open_run_data, say
from ._output import label_words

if TYPE_CHECKING:
    import pandas as pd

STDIN = "-"
DELIMITED = (".csv", ".tsv", ".txt")
PIECE = 10_000
"""Items at a time."""


class Piece(NamedTuple):
    """Some items, x in the user's units, (B, *spec.shape), and of each its label and name, where there are any."""

    x: Tensor
    labels: list[str]
    names: list[str]


def is_stream(run: Run, data: Any) -> bool:
    """Whether data are rows of text that need not be held."""
    if run.spec.kind == "images" or not isinstance(data, str | Path) or data in DATASETS:
        return False
    return str(data) == STDIN or (str(data).lower().endswith(DELIMITED) and Path(data).expanduser().is_file())


def pieces(run: Run, data: Any, split: str, seed: int, how: dict[str, Any]) -> Iterator[Piece]:
    """The items of data, or of the run's own where data is None.

    Arguments:
        split: train, valid, test, or all.
        how: options of `open_data`.
    """
    if str(data) == STDIN and not is_stream(run, data):
        raise UserError("by stdin come rows of a table, and this model is of images: name the pictures.")
    if split == "all" and is_stream(run, data):
        yield from _streamed(run, str(data), **how)
        return
    yield from pieces_of(open_run_data(run, data, **how), split, seed)


def pieces_of(data: Data, split: str, seed: int) -> Iterator[Piece]:
    """The items of data that are open; split as `pieces` has it."""
    items = data.items if split == "all" else data.splits[split]
    if not len(items):
        raise UserError(f"{data.name} has no {split} items to score.")
    names = list(data.names) if split == "all" and any(data.names) else []
    start = 0
    for x, y in items.all(chunk=PIECE, seed=seed):
        yield Piece(x, [] if y is None else label_words(data.spec, y), names[start : start + len(x)])
        start += len(x)


def _streamed(run: Run, data: str, label: str | None = None, window: int | None = None, **how: Any) -> Iterator[Piece]:
    """Rows of delimited text; of windows, each begins in its own piece and may end in the next."""
    how.pop("split", None)
    if how:
        raise UserError(f"{next(iter(how))} means nothing for rows that are read as they come: leave it out.")
    name = "stdin" if data == STDIN else data
    if data == STDIN:
        yield from _rows(run, name, sys.stdin, label, window)
        return
    with Path(data).expanduser().open(encoding=_encoding(Path(data).expanduser()), newline="") as file:
        yield from _rows(run, name, file, label, window)


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        return "utf-16" if file.read(2) in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"


def _rows(run: Run, name: str, file: Any, label: str | None, window: int | None) -> Iterator[Piece]:
    import pandas as pd

    said = False
    rest: pd.DataFrame | None = None
    for frame in read_pieces(file, name, PIECE):
        words = [] if label is None or label not in frame else [str(word) for word in frame[label]]
        if window is not None:
            frame = frame if rest is None else pd.concat([rest, frame])
            rest, words = frame.iloc[max(0, len(frame) - window + 1) :], []
            if len(frame) < window:
                continue
            frame = windows(frame, window)
        x, _, notes = rows_for(run.spec, frame, name=name, strange=True)
        if notes and not said:
            say(f"note: {'; '.join(notes)}")
        said = True
        yield Piece(x, words, [])
