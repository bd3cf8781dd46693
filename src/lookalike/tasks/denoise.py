"""Take noise out of items, by a model that knows what they are like without."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from ..nn.corruption import KINDS
from ..options import Range
from ..report import Report
from ..run import Run
from ._damaged import Damage
from ._repair import Method, Plan, repair

NOISES = ("gaussian", "salt-pepper", "masking")


def denoise(
    run: str | Path | Run,
    data: str | None = None,
    *,
    noise: Literal["gaussian", "salt-pepper", "masking"] | None = None,
    amount: Annotated[float | None, Range(0)] = None,
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
    """Take noise out of images or rows.

    Example:
        lookalike denoise runs/photos grainy/ --noise gaussian --amount 0.1 -o clean
        lookalike denoise runs/photos

    Arguments:
        run: folder of the trained model.
        data: name or path of damaged items; where it is left out the run's own, damaged here.
        noise: gaussian; salt-pepper, black and white pixels; masking, pixels lost that look like grey ones; by default
            what the model was trained against, else gaussian.
        amount: of gaussian the deviation, in intensities of [0, 1] (rows: deviations of the column), of the others the
            share; by default that of the training, else 0.3.
        spoil: take the named items for whole ones, damage them here, and measure the repair.
        n: how many items, the first.
        split: which items; auto takes all of data that is named, and the test split of the run's own.
        method: trained, by a model of that corruption; search, by the code whose decoding
            suits best what is left; auto takes the first that the model has.
        restarts: of the search, starts for each item, of which the best counts.
        steps: of the search.
        out: where to: a name that ends in .png (before, repaired, difference, and the truth where it is known), .npz
            (before, x_hat, x), .csv (rows) or a folder with a file of each; by default denoise.png in the run folder.
        overwrite: replace what is there.
        seed: of what is drawn, and of where the search starts.
        device: auto, cpu, cuda or mps.

    Raises:
        UserError: the model cannot undo this; the output exists or cannot be written; the data do not fit.
    """
    opened = Run.open(run)
    options = opened.recipe.options
    trained = [kind for kind in options.get("corruption", ()) if kind in NOISES]
    kind = noise or (trained[0] if trained else NOISES[0])
    if amount is None:
        amount = (options.get("amount") if kind in trained else None) or KINDS[kind].amount
    damage = Damage(kind, amount)
    plan = Plan(method=method, restarts=restarts, steps=steps, seed=seed)
    return repair(
        opened, data, damage, plan, task="denoise", spoil=spoil, n=n, split=split, out=out, overwrite=overwrite,
        device=device, how=how,
    )  # fmt: skip
