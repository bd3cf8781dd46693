"""Make blurred images sharp, by a model of sharp ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from ..nn.corruption import KINDS
from ..options import Range
from ..report import Report
from ..run import Run
from ._damaged import Damage
from ._repair import Method, Plan, repair


def deblur(
    run: str | Path | Run,
    data: str | None = None,
    *,
    amount: Annotated[float | None, Range(0, 8)] = None,
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
    """Make blurred images sharp.

    Example:
        lookalike deblur runs/photos blurred/ --amount 1.5 -o sharp
        lookalike deblur runs/photos

    Arguments:
        run: folder of the trained model.
        data: name or path of damaged items; where it is left out the run's own, damaged here.
        amount: deviation of the Gaussian window that blurred them, in pixels of the model's images; by default that of
            the training, else 1.5.
        spoil: take the named items for whole ones, damage them here, and measure the repair.
        n: how many items, the first.
        split: which items; auto takes all of data that is named, and the test split of the run's own.
        method: trained, by a model of that corruption; search, by the code whose decoding
            suits best what is left; auto takes the first that the model has.
        restarts: of the search, starts for each item, of which the best counts.
        steps: of the search.
        out: where to: a name that ends in .png (before, repaired, difference, and the truth where it is known), .npz
            (before, x_hat, x) or a folder for a file of each image; by default deblur.png in the run folder.
        overwrite: replace what is there.
        seed: of what is drawn, and of where the search starts.
        device: auto, cpu, cuda or mps.

    Raises:
        UserError: the model cannot undo this; the output exists or cannot be written; the data do not fit.
    """
    opened = Run.open(run)
    if amount is None:
        amount = opened.recipe.options.get("amount") or KINDS["blur"].amount
    damage = Damage("blur", amount)
    plan = Plan(method=method, restarts=restarts, steps=steps, seed=seed)
    return repair(
        opened, data, damage, plan, task="deblur", spoil=spoil, n=n, split=split, out=out, overwrite=overwrite,
        device=device, how=how,
    )  # fmt: skip
