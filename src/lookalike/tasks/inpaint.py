"""Fill what is missing of images and tables, by a model that knows how their parts hang together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from ..errors import UserError
from ..options import Range
from ..report import Report
from ..run import Run
from ._damaged import Damage
from ._repair import Method, Plan, repair


def inpaint(
    run: str | Path | Run,
    data: str | None = None,
    *,
    mask: str | None = None,
    amount: Annotated[float, Range(0, 1)] = 0.25,
    spoil: bool = False,
    n: Annotated[int, Range(1)] = 16,
    split: Literal["auto", "all", "test", "valid", "train"] = "auto",
    method: Method = "auto",
    draws: Annotated[int, Range(1)] = 1,
    restarts: Annotated[int, Range(1, 500)] = 4,
    steps: Annotated[int, Range(0)] = 200,
    out: Path | None = None,
    overwrite: bool = False,
    seed: int = 0,
    device: str = "auto",
    **how: Any,
) -> Report:
    """Fill what is missing of images, or empty cells of a table.

    Example:
        lookalike inpaint runs/photos torn.png --mask drawn.png -o whole.png
        lookalike inpaint runs/table gaps.csv -o filled.csv
        lookalike inpaint runs/photos --mask left --draws 8

    Arguments:
        run: folder of the trained model.
        data: name or path of damaged items; where it is left out the run's own, damaged here.
        mask: what is missing: a drawing, white where to fill (or a .npy of its shape, true there), or box, random,
            left, right, top, bottom, centre; by default what is NaN in a .npy or empty in a table, and of the run's
            own images a box.
        amount: the share that a box or random pixels take.
        spoil: take the named items for whole ones, damage them here, and measure the repair.
        n: how many items, the first.
        split: which items; auto takes all of data that is named, and the test split of the run's own.
        method: trained, by a model of that corruption; completion, draws of what is missing given the rest; search, by
            the code whose decoding suits best what is left; auto takes the first that the model has.
        draws: of completion, images that are averaged: 1 is sharp and one of many, more are nearer on average.
        restarts: of the search, starts for each item, of which the best counts.
        steps: of the search.
        out: where to: a name that ends in .png (before, repaired, difference, and the truth where it is known), .npz
            (before, x_hat, x), .csv (rows) or a folder with a file of each; by default inpaint.png in the run folder.
        overwrite: replace what is there.
        seed: of what is drawn, and of where the search starts.
        device: auto, cpu, cuda or mps.

    Raises:
        UserError: the model cannot undo this; the output exists or cannot be written; the data do not fit.
    """
    opened = Run.open(run)
    images = opened.spec.kind == "images"
    if mask is None:
        mask = "" if data is not None and not spoil else "box" if images else "random"
    if draws > 1 and not images:
        raise UserError("the mean of several draws is for images, of which rows have none: leave draws out.")
    damage = Damage("box" if mask == "box" else "masking", amount, mask)
    plan = Plan(method=method, draws=draws, restarts=restarts, steps=steps, seed=seed)
    return repair(
        opened, data, damage, plan, task="inpaint", spoil=spoil, n=n, split=split, out=out, overwrite=overwrite,
        device=device, how=how,
    )  # fmt: skip
