"""How odd items are to a trained model, ranked and explained: `SCORES`, put together by `Detector`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from ..data.base import Data
from ..errors import UserError, nearest
from ..models.base import Model
from ..options import Range
from ..report import Report
from ..run import Run
from ..scores.base import UnfitError
from ..scores.detector import Detector
from ..scores.table import SCORES
from ._common import open_run, open_run_data
from ._pieces import STDIN, pieces
from ._scored import outputs, scored

FITTED = 10_000
"""Training items that scores are fitted on, spread evenly where there are more."""
HELD_OUT = 10_000


def anomaly(
    run: str | Path | Run,
    data: str | None = None,
    *,
    score: tuple[str, ...] | None = None,
    known: str | None = None,
    false_alarms: Annotated[float, Range(0, 1)] = 0.01,
    contamination: Annotated[float | None, Range(0, 1)] = None,
    split: Literal["auto", "all", "test", "valid", "train"] = "auto",
    out: Path | None = None,
    picture: Path | None = None,
    overwrite: bool = False,
    seed: int = 0,
    device: str = "auto",
    **how: Any,
) -> Report:
    """Score how odd items are to a trained model, and say what is odd about them.

    A .csv holds a line an item: which it is, its score (higher is odder), p, the chance that an item like the training
    items is at least as odd, whether it is flagged, each score by itself, and the columns that speak most against it.
    p is counted on the validation split, which the model was not trained on. A table in text is read and scored a piece
    at a time, from stdin where its name is -.

    Example:
        lookalike anomaly runs/table new.csv -o scores.csv
        lookalike anomaly runs/photos photos/ --score reconstruction --false-alarms 0.001 --picture heat.png
        lookalike anomaly runs/table new.csv --known frauds.csv -o scores.csv

    Arguments:
        run: folder of the trained model.
        data: name or path of other data of the same kind, or - for a table from stdin; the run's own where it is left
            out.
        score: names of scores, averaged, as `lookalike catalog` lists them; by default those that suit the model.
        known: data that are known to be odd, a few will do: scores count by how well they tell these from the rest.
        false_alarms: items are flagged whose p is at most this.
        contamination: flag this share of the items in place of that, the oddest ones.
        split: which items; auto takes all of data that is named, and the test split of the run's own.
        out: where to, a name that ends in .csv; by default scores.csv in the run folder.
        picture: of images, where to draw the oddest beside which of their pixels are odd, a name that ends in .png.
        overwrite: replace what is there.
        seed: of what is drawn.
        device: auto, cpu, cuda or mps.

    Raises:
        UserError: an unknown score, or one that the model cannot give; an output exists; the data do not fit.
    """
    opened = Run.open(run)
    asked = outputs(opened.spec, opened.path, out, picture, false_alarms, contamination, overwrite=overwrite)
    opened, model, _ = open_run(opened, device)
    detector = fitted(model, open_run_data(opened), score, seed, known_of(opened, known, seed))
    how = like_the_run(opened, how)
    chosen = ("all" if data is not None else "test") if split == "auto" else split
    named = opened.header["data"]["name"] if data is None else "stdin" if data == STDIN else str(data)
    return scored(opened, named, detector, pieces(opened, data, chosen, seed, how), asked, chosen, how.get("window"))


def like_the_run(run: Run, how: dict[str, Any]) -> dict[str, Any]:
    """Options of data, with the window that the run was trained with."""
    window = run.header["data"]["options"].get("window")
    return how if window is None else {**how, "window": window}


def known_of(run: Run, known: str | None, seed: int) -> Tensor | None:
    """Items that are known to be odd."""
    if known is None:
        return None
    return torch.cat([piece.x for piece in pieces(run, known, "all", seed, like_the_run(run, {}))])


def fitted(
    model: Model, data: Data, names: Sequence[str] | None, seed: int, outliers: Tensor | None = None
) -> Detector:
    """A detector that knows the training items of data, how odd its validation items are, and items that are odd."""
    for name in names or ():
        if name not in SCORES:
            raise UserError(f"there is no score {name!r}.{nearest(name, SCORES)} There are: {', '.join(SCORES)}.")
    try:
        detector = Detector(model, names, seed)
    except UnfitError as why:
        raise UserError(f"this model cannot be asked for that score: {why}. There are: {', '.join(SCORES)}.") from None
    x, _ = data.train.thinned(FITTED).first(FITTED, seed)
    held_out, _ = data.valid.thinned(HELD_OUT).first(HELD_OUT, seed)
    detector.fit(x, held_out, outliers)
    return detector
