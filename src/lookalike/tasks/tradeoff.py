"""Fidelity and diversity as draws come from nearer the middle of the prior: the curve over truncation or temperature.

A generator has seen little of the far ends of its prior. Draws from near the middle are better ones and less varied:
how much of either there is to gain is seen along the curve, and which value to give `sample`.

Brock et al. (2019), arXiv:1809.11096, section 3.1 and figure 17; measured by precision and recall (Kynkäänniemi et al.
2019, arXiv:1904.06991) and density and coverage (Naeem et al. 2020, arXiv:2002.09797) in place of theirs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import torch
from torch import Tensor

from ..data.base import Data
from ..errors import UserError
from ..models.base import Explicit, Implicit, Model, asked
from ..options import Range
from ..report import Metric, Report
from ..run import Run
from ._common import draw, open_run, open_run_data
from ._evidence import SplitName
from ._output import counter, output, png, write
from .evaluate import measure

if TYPE_CHECKING:
    from PIL.Image import Image

MEASURES = ("precision", "recall", "density", "coverage")
VALUES = {
    "truncation": (0.1, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0),
    "temperature": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
}
SHOWN = 500
"""Points shown at each value."""

WIDE = 1400
"""Pixels that a row of images fills, if twenty are enough."""


def tradeoff(
    run: str | Path | Run,
    data: str | None = None,
    *,
    over: Literal["auto", "truncation", "temperature"] = "auto",
    values: Annotated[tuple[float, ...] | None, Range(0)] = None,
    split: SplitName = "test",
    samples: Annotated[int, Range(6)] = 1000,
    limit: Annotated[int | None, Range(1)] = None,
    features: str = "auto",
    out: Path | None = None,
    overwrite: bool = False,
    seed: int = 0,
    device: str = "auto",
    **how: Any,
) -> Report:
    """Draw how fidelity and diversity of samples change with truncation or temperature.

    Example:
        lookalike tradeoff runs/gan -o curve.png
        lookalike tradeoff runs/vae --over temperature --values 0.5,0.7,1 -o curve.json

    Arguments:
        run: folder of the trained model.
        data: name or path of other data of the same kind; the run's own where it is left out.
        over: what is varied; auto takes truncation where the model has a normal code to truncate.
        values: of that, each with the same random numbers; by default ten up to 3 deviations, or up to temperature 1.
        split: which real items samples are compared with.
        samples: drawn at each value.
        limit: compare with so many items only, spread evenly over the split.
        features: where samples are compared; auto takes random-conv for images and units for the rest.
        out: where to: a name that ends in .png (the curve, and samples along it) or .json (all values, with standard
            errors and protocol); by default tradeoff.png in the run folder.
        overwrite: replace what is there.
        seed: of the samples.
        device: auto, cpu, cuda or mps.

    Raises:
        UserError: the model cannot be sampled, or not truncated; there are too few items; the output exists or cannot
            be written; the data do not fit.
    """
    opened = Run.open(run)
    path, ending = output(out, opened.path / "tradeoff.png", (".png", ".json"), overwrite=overwrite)
    _, model, _ = open_run(opened, device)
    name = _varied(model, over)
    at = sorted(set(values or VALUES[name]))
    found = open_run_data(opened, data, **how)
    told = counter(f"drawing and measuring at each {name}")
    points: list[dict[str, Metric]] = []
    for value in at:
        common: dict[str, Any] = {"split": split, "samples": samples, "limit": limit, "features": features}
        metrics, skipped = measure(model, found, metrics=MEASURES, seed=seed, drawing={name: value}, **common)
        if skipped:
            raise UserError(f"{next(iter(skipped))}: {next(iter(skipped.values()))}")
        points.append(metrics)
        told(len(points), len(at))
    rows = [{name: value, **{m: metrics[m].value for m in MEASURES}} for value, metrics in zip(at, points, strict=True)]
    if ending == ".json":
        full = [
            {name: value, **{m: metrics[m].json() for m in MEASURES}} for value, metrics in zip(at, points, strict=True)
        ]
        write(path, json.dumps({"run": str(opened.path), "over": name, "points": full}, indent=1).encode())
    else:
        write(path, png(_picture(model, found, name, at, points, split, seed)))
    return Report(
        title=f"fidelity and diversity of {opened.path} over {name}, on the {split} split of {found.name}",
        facts={"run": str(opened.path), "data": found.name, "split": split, "over": name, "samples": samples},
        rows=rows,
        files=[str(path)],
    )


def _varied(model: Model, over: str) -> str:
    """What is varied: truncation or temperature."""
    if not isinstance(model, Explicit | Implicit):
        raise UserError(
            f"{type(model).__name__} cannot be sampled, so nothing of it is to be traded: it has no prior on its code. "
            "Train r3, aae, vae or realnvp."
        )
    if over == "truncation" and not model.truncates:
        raise UserError(
            f"{type(model).__name__} has no normal code to truncate: --over temperature is for every model."
        )
    return over if over != "auto" else "truncation" if model.truncates else "temperature"


def _picture(
    model: Model,
    data: Data,
    name: str,
    at: Sequence[float],
    points: Sequence[dict[str, Metric]],
    split: SplitName,
    seed: int,
) -> Image:
    from ..pictures import in_plane, stack
    from ..pictures.tradeoff import tradeoff as curve

    measured = {m: [(p[m].value, p[m].standard_error or 0.0) for p in points] for m in MEASURES}
    protocol = points[0]["precision"].protocol
    title = (
        f"{data.name}: {protocol['samples']:,} samples at each {name} (the numbers at the dots) and "
        f"{protocol['items']:,} {split} items, by {protocol['features']}"
    )
    pictures = [curve(name, at, measured, title=title)]
    if model.spec.kind == "images" or in_plane(model.spec):
        pictures.append(_strip(model, data, name, at, split, seed))
    return stack(pictures)


def _strip(model: Model, data: Data, name: str, at: Sequence[float], split: SplitName, seed: int) -> Image:
    """Samples at each value: of images a row each, the same random numbers in each column; of points panels."""
    from ..pictures import grid
    from ..pictures.images import TILE
    from ..pictures.plane import clouds

    images = model.spec.kind == "images"
    n = max(4, min(20, WIDE // max(TILE, model.spec.shape[-1]))) if images else SHOWN
    names = asked(model)
    y = torch.arange(n) % len(names) if names else None

    def drawn(value: float) -> Tensor:
        varied: dict[str, Any] = {name: value}
        return draw(model, n, seed=seed, y=y, means=True, **varied)

    made = {value: drawn(value) for value in at}
    if images:
        heads = [names[k] for k in y.tolist()] if y is not None else ()
        labels = [f"{name} {value:g}" for value in at]
        return grid(torch.cat(list(made.values())), columns=n, row_labels=labels, column_labels=heads)
    real = data.splits[split].thinned(2000).first(2000)[0]
    return clouds({f"{name} {value:g}": x for value, x in made.items()}, real)
