"""Make small images larger, by a model of large ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from ..options import Range
from ..report import Report
from ..run import Run
from ._damaged import Damage
from ._repair import Method, Plan, repair


def super_resolve(
    run: str | Path | Run,
    data: str | None = None,
    *,
    factor: Literal["2", "4"] = "2",
    spoil: bool = False,
    n: Annotated[int, Range(1)] = 16,
    split: Literal["auto", "all", "test", "valid", "train"] = "auto",
    method: Method = "auto",
    restarts: Annotated[int, Range(1, 500)] = 4,
    steps: Annotated[int, Range(0)] = 200,
    out: Path | None = None,
    overwrite: bool = False,
    seed: int = 0,
    device: str = "auto",
    **how: Any,
) -> Report:
    """Make images twice or four times as large as they are.

    Example:
        lookalike super-resolve runs/photos small/ --factor 2 -o large
        lookalike super-resolve runs/photos --factor 4

    Arguments:
        run: folder of the trained model.
        data: name or path of damaged items; where it is left out the run's own, damaged here.
        factor: how many times as large; the model's images are what comes out.
        spoil: take the named items for whole ones, damage them here, and measure the repair.
        n: how many items, the first.
        split: which items; auto takes all of data that is named, and the test split of the run's own.
        method: trained, by a model of that corruption; search, by the code whose decoding
            suits best what is left; auto takes the first that the model has.
        restarts: of the search, starts for each item, of which the best counts.
        steps: of the search.
        out: where to: a name that ends in .png (before, repaired, difference, and the truth where it is known), .npz
            (before, x_hat, x) or a folder for a file of each image; by default super_resolve.png in the run folder.
        overwrite: replace what is there.
        seed: of what is drawn, and of where the search starts.
        device: auto, cpu, cuda or mps.

    Raises:
        UserError: the model cannot undo this; the output exists or cannot be written; the data do not fit.
    """
    damage = Damage(f"shrink{factor}", 0.0)
    plan = Plan(method=method, restarts=restarts, steps=steps, seed=seed)
    return repair(
        run, data, damage, plan, task="super_resolve", spoil=spoil, n=n, split=split, out=out, overwrite=overwrite,
        device=device, how=how,
    )  # fmt: skip
