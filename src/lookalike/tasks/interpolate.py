"""Go from one item to another through a model's code, straight and on the great circle.

    straight        z(t) = (1 - t) a + t b
    great circle    z(t) = r(t) (cos(t omega) a' + sin(t omega) u),     r(t) = (1 - t) |a| + t |b|

with a', b' the directions of the ends, omega the angle between them and u the direction at right angles to a'
on the way to b'. A straight line between two draws of a Gaussian in many dimensions passes nearer to the origin
than any draw ever falls; a great circle stays where the draws are.

White (2016), "Sampling generative networks", arXiv:1609.04468, section 2.1. Differs from the paper: the length
goes evenly from |a| to |b|, which is the same where they are equal, and ends that point in opposite directions
are joined on one of their great circles.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ..data.base import Data
from ..errors import UserError
from ..models.base import Encoder, Latent, Model, seeded
from ..nn.memory import onto
from ..options import Range
from ..report import Report
from ..run import Run
from ..scores.search import prior_draws, search
from ..spec import Spec
from ._common import latent_model, open_run, open_run_data
from ._output import column_names, counter, csv, npz, output, png, write

if TYPE_CHECKING:
    from PIL.Image import Image

Split = Literal["test", "valid", "train"]


def lerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Points on the straight lines from a to b.

    Arguments:
        a, b: ends, shape (B, D).
        t: in [0, 1], shape (T,); 0 is a and 1 is b, exactly.

    Returns:
        shape (B, T, D).
    """
    t = t[:, None].to(a)
    return (1 - t) * a[:, None] + t * b[:, None]


def slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Points on the great circles from a to b, of lengths evenly from |a| to |b|; arguments as `lerp`.

    From or to the origin the way is straight.
    """
    norm_a, norm_b = a.norm(dim=1, keepdim=True), b.norm(dim=1, keepdim=True)
    # The origin has no direction: it takes that of the other end.
    to_a = F.normalize(torch.where(norm_a > 0, a, b), dim=1)
    to_b = F.normalize(torch.where(norm_b > 0, b, a), dim=1)
    omega = 2 * torch.atan2((to_a - to_b).norm(dim=1), (to_a + to_b).norm(dim=1))
    aside = _across(to_a, to_b)
    angle, across = (omega[:, None] * t.to(a))[..., None], t[:, None].to(a)
    z = lerp(norm_a, norm_b, t) * (angle.cos() * to_a[:, None] + angle.sin() * aside[:, None])
    return torch.where(across == 0, a[:, None], torch.where(across == 1, b[:, None], z))


def _across(to_a: Tensor, to_b: Tensor) -> Tensor:
    """Unit vectors at right angles to `to_a` in the plane of both, or in some plane where they are in line."""
    # Taken twice: what rounding left of `to_a` in the difference of nearly equal vectors goes the second time.
    aside = F.normalize(to_b - (to_b * to_a).sum(1, keepdim=True) * to_a, dim=1)
    aside = aside - (aside * to_a).sum(1, keepdim=True) * to_a
    axis = F.one_hot(to_a.abs().argmin(dim=1), to_a.shape[1]).to(to_a)
    other = axis - (axis * to_a).sum(1, keepdim=True) * to_a
    in_line = (to_a + to_b).norm(dim=1, keepdim=True) < 1e-4
    return F.normalize(torch.where(in_line, other, aside), dim=1)


FINE = 16
"""Points drawn for each step of a path in the plane."""

WAYS = {"straight": lerp, "great circle": slerp}


def interpolate(
    run: str | Path | Run,
    data: str | None = None,
    *,
    n: Annotated[int, Range(1, 1000)] = 6,
    steps: Annotated[int, Range(2, 100)] = 9,
    split: Split = "test",
    out: Path | None = None,
    overwrite: bool = False,
    seed: int = 0,
    device: str = "auto",
    **how: Any,
) -> Report:
    """Show the way from one item to another, straight and on the great circle.

    The ends are data where the model can encode it. Else they are draws of its prior, or, where data is named, the
    codes that a search finds for it. A model that takes labels keeps that of the first end.

    Example:
        lookalike interpolate runs/photos -o path.png
        lookalike interpolate runs/r3 --n 10 --steps 16 --seed 1

    Arguments:
        run: folder of the trained model.
        data: name or path of other data of the same kind; the run's own where it is left out.
        n: how many ways, each between two items.
        steps: items on each, both ends among them.
        split: where the ends are taken from.
        out: where to: a name that ends in .png (images, points in the plane), .npz (x, shape (2, n, steps, ...),
            straight and great circle) or .csv (tables and points); by default interpolation.png (of a table
            interpolation.csv) in the run folder.
        overwrite: replace what is there.
        seed: of which items are the ends.
        device: auto, cpu, cuda or mps.

    Raises:
        UserError: the model has no code; the output exists or cannot be written; the data do not fit.
    """
    from ..pictures import in_plane

    opened = Run.open(run)
    spec = opened.spec
    endings = [".npz"] if spec.kind == "images" else [".npz", ".csv"]
    if spec.kind == "images" or in_plane(spec):
        endings.insert(0, ".png")
    default = "interpolation.png" if ".png" in endings else "interpolation.csv"
    path, ending = output(out, opened.path / default, endings, overwrite=overwrite)
    _, model, _ = open_run(opened, device)
    latent = latent_model(model, "interpolate")
    needs_data = isinstance(model, Encoder) or (data is not None)
    found = open_run_data(opened, data, **how) if needs_data else None
    ends, y, x = _ends(model, found, split, n, seed)
    fine = FINE if ending == ".png" and spec.kind == "points" else 1
    t = torch.linspace(0, 1, fine * (steps - 1) + 1)
    ways = {name: _decode(latent, way(*ends, t), y) for name, way in WAYS.items()}
    if ending == ".npz":
        write(path, npz(x=torch.stack(list(ways.values())), ways=list(ways), **column_names(spec)))
    elif ending == ".csv":
        write(path, _csv(spec, ways))
    else:
        write(path, png(_picture(spec, ways, x, found, split)))
    of = "draws of the prior" if found is None else f"items of {found.name}"
    return Report(
        title=f"{len(ends[0])} ways of {steps} steps between {of}, through {opened.path}",
        facts={"run": str(opened.path), "between": of, "n": len(ends[0]), "steps": steps, "seed": seed},
        files=[str(path)],
    )


@torch.no_grad()
def _ends(
    model: Model, data: Data | None, split: Split, n: int, seed: int
) -> tuple[tuple[Tensor, Tensor], Tensor | None, Tensor | None]:
    """Both ends as codes, shape (n, latent), labels of the ways, and the items x, shape (2 n, *shape), if data."""
    generator = torch.Generator().manual_seed(seed)
    if data is None:
        draws = prior_draws(model, 2 * n, seed)
        assert draws is not None  # else it has an encoder, and data
        z = draws.unflatten(0, (2, n))
        y = torch.arange(n, device=model.device) % len(model.spec.classes) if model.conditional else None
        return (z[0], z[1]), y, None
    items = data.splits[split]
    n = min(n, len(items) // 2)
    if n == 0:
        raise UserError(f"{data.name} has no two {split} items to go between.")
    x, y = items.batch(torch.randperm(len(items), generator=generator)[: 2 * n], seed)
    y = y.to(model.device) if y is not None and model.conditional else None
    if isinstance(model, Encoder):
        with seeded(seed, model.device):
            z = model.encode(onto(x, model.device), y)
    else:
        z = search(model, x, y, seed=seed, progress=counter("searching")).z.to(model.device)
    return (z[:n], z[n:]), None if y is None else y[:n], x.cpu()


@torch.inference_mode()
def _decode(latent: Latent, z: Tensor, y: Tensor | None) -> Tensor:
    """Items on the ways z, shape (n, T, latent), as shape (n, T, *shape), on the CPU."""
    n, T, _ = z.shape
    labels = None if y is None else y.repeat_interleave(T)
    return latent.decode(z.flatten(0, 1), labels).cpu().unflatten(0, (n, T))


def _picture(spec: Spec, ways: dict[str, Tensor], x: Tensor | None, data: Data | None, split: Split) -> Image:
    from ..pictures import grid, paths, stack

    if spec.kind != "images":
        real = None if data is None else data.splits[split].thinned(2000).first(2000)[0]
        return paths(ways, real, every=FINE, names=[column.name for column in spec.columns])
    steps = next(iter(ways.values())).shape[1]
    heads = [f"{t:.2g}" for t in torch.linspace(0, 1, steps).tolist()]
    rows = list(ways.values())
    if x is not None:  # the data itself stands at both ends, beside what the model makes of it
        first, last = x.unflatten(0, (2, -1))
        rows = [torch.cat([first[:, None], way.to(x), last[:, None]], dim=1) for way in rows]
        heads = ["data", *heads, "data"]
    blocks = [
        grid(row.flatten(0, 1), columns=len(heads), column_labels=heads, title=title)
        for title, row in zip(ways, rows, strict=True)
    ]
    return stack(blocks)


def _csv(spec: Spec, ways: dict[str, Tensor]) -> bytes:
    """A line for each item: which way, between which pair, at which t, and what it is."""
    from ..data.tables import to_frame

    n, steps = next(iter(ways.values())).shape[:2]
    frame = to_frame(spec, torch.cat([way.flatten(0, 1) for way in ways.values()]))
    at = [(name, pair, t) for name in ways for pair in range(n) for t in torch.linspace(0, 1, steps).tolist()]
    for i, (column, values) in enumerate(zip(("way", "pair", "t"), zip(*at, strict=True), strict=True)):
        frame.insert(i, column, values, allow_duplicates=True)
    return csv(frame)
