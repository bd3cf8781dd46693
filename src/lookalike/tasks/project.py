"""Find the code of given items in a model that can only draw: the search of `scores.search`, shown and written."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal

from torch import Tensor

from ..data.base import Data, Split
from ..errors import UserError
from ..options import Range
from ..report import Metric, Report
from ..run import Run
from ..scores.search import Found, search
from ..spec import Spec
from ._common import latent_model, open_run, open_run_data
from ._output import column_names, counter, csv, npz, output, png, write


def project(
    run: str | Path | Run,
    data: str | None = None,
    *,
    n: Annotated[int, Range(1)] = 16,
    split: Literal["auto", "all", "test", "valid", "train"] = "auto",
    restarts: Annotated[int, Range(1, 500)] = 4,
    steps: Annotated[int, Range(0)] = 200,
    prior_weight: Annotated[float, Range(0)] = 0.001,
    out: Path | None = None,
    overwrite: bool = False,
    seed: int = 0,
    device: str = "auto",
    **how: Any,
) -> Report:
    """Search for the codes that a model makes given items of, and show how near it comes.

    Any model with a code will do: a GAN, which has no encoder, a VAE or an adversarial autoencoder, whose own code is
    one of the starts. What it cannot come near, it has not learnt.

    Example:
        lookalike project runs/gan -o pairs.png
        lookalike project runs/gan portrait.jpg -o pair.png
        lookalike project runs/gan photos/ -n 100 --steps 500 -o codes.npz

    Arguments:
        run: folder of the trained model.
        data: name or path of other data of the same kind, one picture will do; the run's own where it is left out.
        n: how many items, the first of the split.
        split: which items; auto takes all of data that is named, and the test split of the run's own.
        restarts: starts of the search for each item, of which the best counts.
        steps: of the search.
        prior_weight: what a code pays for its squared distance from the prior's mean, in deviations; 0 for nothing.
        out: where to: a name that ends in .png (data beside what was found), .npz (x, x_hat, z, error) or .csv (item,
            error and code, a line an item); by default projections.png in the run folder.
        overwrite: replace what is there.
        seed: of the starts, and of dynamic binarisation.
        device: auto, cpu, cuda or mps.

    Raises:
        UserError: the model has no code; the output exists or cannot be written; the data do not fit.
    """
    opened = Run.open(run)
    spec = opened.spec
    path, ending = output(out, opened.path / "projections.png", (".png", ".npz", ".csv"), overwrite=overwrite)
    _, model, _ = open_run(opened, device)
    latent_model(model, "project")
    found = open_run_data(opened, data, **how)
    chosen, items = _items(found, split, named=data is not None)
    if not len(items):
        raise UserError(f"{found.name} has no {chosen} items to search for.")
    x, y = items.thinned(n).first(n, seed)
    told = counter("searching")
    result = search(model, x, y, restarts=restarts, steps=steps, prior_weight=prior_weight, seed=seed, progress=told)
    write(path, _content(spec, ending, x, y, result))
    return Report(
        title=f"{len(x)} items of {found.name} searched for in {opened.path}",
        facts={"run": str(opened.path), "data": found.name, "split": chosen, "n": len(x), "latent": result.z.shape[1]},
        metrics=_metrics(found, chosen, result, restarts=restarts, steps=steps, prior_weight=prior_weight, seed=seed),
        files=[str(path)],
    )


def _items(data: Data, split: str, *, named: bool) -> tuple[str, Split]:
    """The items of the split that was chosen, and its name."""
    chosen = ("all" if named else "test") if split == "auto" else split
    return chosen, data.items if chosen == "all" else data.splits[chosen]


def _metrics(data: Data, split: str, found: Found, **how: Any) -> dict[str, Metric]:
    """The error of what was found and of where the search began, in the mean over items."""
    units = "intensities in [0, 1]" if data.spec.kind == "images" else "standardised columns, one-hot categories"
    protocol = {"data": data.fingerprint[:12], "split": split, "items": len(found.error), "units": units, **how}

    def mean(values: Tensor) -> Metric:
        error = values.std().item() / math.sqrt(len(values)) if len(values) > 1 else None
        return Metric(values.mean().item(), "estimate", "", protocol, error)

    return {"mse": mean(found.error.double()), "mse_at_start": mean(found.start.double())}


def _content(spec: Spec, ending: str, x: Tensor, y: Tensor | None, found: Found) -> bytes:
    if ending == ".npz":
        labels = {} if y is None else {"y": y, "classes": list(spec.classes)}
        arrays = {"x": x.cpu(), "x_hat": found.x_hat, "z": found.z, "error": found.error}
        return npz(**arrays, **labels, **column_names(spec))
    if ending == ".csv":
        import pandas as pd

        columns = {f"z{i}": column.numpy() for i, column in enumerate(found.z.T)}
        return csv(pd.DataFrame({"item": range(len(x)), "error": found.error.numpy(), **columns}))
    from ..pictures import compare

    return png(compare(spec, x.cpu(), found.x_hat))
