"""A map of items: their codes in the plane, in colours and as pictures, and what a two-number code decodes to.

A code of two numbers is drawn as it is. A longer one is drawn by t-SNE, which keeps who is near to whom
(van der Maaten & Hinton 2008, JMLR 9, 2579-2605), or on its principal axes, which keep what is far apart.

The manifold of a code of two numbers decodes a grid of it: at the quantiles of the prior where it is a standard normal,
so that each tile stands for as many draws (Kingma & Welling 2014, arXiv:1312.6114, figure 4), else of the codes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import torch
from torch import Tensor

from ..models.base import Bounded, Latent, Model
from ..options import Range
from ..report import Report
from ..run import Run
from ._output import csv, label_words, output, png, write
from ._vectors import Numbers, On, Vectors, Which, beside, vectors
from .cluster import in_plane

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 20
"""Tiles on a side of a manifold, or lines of a bent grid."""
FINE = 8
"""Points of such a line between two others."""
EDGE = 0.02
"""Share of the prior beyond the manifold, on each side."""


def map(
    source: str | Path | Run | Any,
    data: str | None = None,
    *,
    on: On = "auto",
    method: Literal["auto", "pca", "tsne"] = "auto",
    split: Which = "all",
    limit: Annotated[int, Range(5)] = 2000,
    out: Path | None = None,
    overwrite: bool = False,
    seed: int = 0,
    device: str = "auto",
    **how: Any,
) -> Report:
    """Draw where the codes of items lie in the plane, and of a code of two numbers what it decodes to.

    A .png shows items as dots, in the colours of their labels where there are labels; images also as the pictures they
    are; and where the code has two numbers, the manifold of the decoder. A .csv holds the places: item, x, y, label.

    Example:
        lookalike map runs/photos -o map.png
        lookalike map runs/plane new-photos/ -o map.png
        lookalike map table.csv --method pca -o places.csv

    Arguments:
        source: folder of a trained model, or data: a name, a folder, an archive or a file.
        data: name or path of other data for the model; its own where it is left out.
        on: what is drawn: codes of the model, or the data itself; auto takes codes where there is a model.
        method: auto draws two numbers as they are and more by tsne; pca draws the two principal axes.
        split: which items; all of them or one split.
        limit: most items that are drawn, spread evenly.
        out: where to: a name that ends in .png or .csv; by default map.png in the run folder, or in the current one.
        overwrite: replace what is there.
        seed: of t-SNE and dynamic binarisation.
        device: auto, cpu, cuda or mps.

    Raises:
        UserError: the model has no encoder; the output exists or cannot be written; the data do not fit.
    """
    path, ending = output(out, beside(source, "map.png"), (".png", ".csv"), overwrite=overwrite)
    of = vectors(source, data, on=on, split=split, limit=limit, seed=seed, device=device, how=how)
    at, where = _places(of, method, seed)
    write(path, _csv(of, at) if ending == ".csv" else png(_picture(of, at, where)))
    return Report(
        title=f"{len(at)} {of.what}: {where}",
        facts={"source": str(of.run.path if of.run else of.data.name), "data": of.data.name, "on": of.on}
        | {"method": where, "n": len(at), "dims": of.v.shape[1]},
        files=[str(path)],
    )


def _places(of: Vectors, method: str, seed: int) -> tuple[Numbers, str]:
    """Where each item is drawn, (N, 2), and what that is."""
    if method == "pca" or of.v.shape[1] <= 2:
        return in_plane(of.v, of.on)
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    # As its authors do: what is beyond the first 50 axes only costs time.
    v = PCA(50, random_state=seed).fit_transform(of.v) if min(of.v.shape) > 50 else of.v
    perplexity = min(30.0, (len(v) - 1) / 3)
    return TSNE(2, init="pca", perplexity=perplexity, random_state=seed).fit_transform(v).astype(
        float
    ), f"t-SNE of {of.on}"


def _csv(of: Vectors, at: Numbers) -> bytes:
    import pandas as pd

    columns: dict[str, Any] = {"item": of.item.numpy(), **({"name": of.names} if of.names else {})}
    columns |= {"x": at[:, 0], "y": at[:, 1]}
    columns |= {} if of.y is None else {"label": label_words(of.spec, of.y) if of.spec.classes else of.y.numpy()}
    return csv(pd.DataFrame(columns))


def _picture(of: Vectors, at: Numbers, where: str) -> Image:
    from ..pictures import grid, stack
    from ..pictures.groups import plane, thumbnails

    groups = None if of.y is None else of.y.numpy()
    as_it_is = of.on == "codes" and of.v.shape[1] == 2
    drawn = [plane(at, groups, names=of.spec.classes, axes=("z1", "z2") if as_it_is else ("", ""), title=where)]
    if of.spec.kind == "images":
        drawn.append(thumbnails(at, of.x, groups))
    model = of.model
    if model is not None and as_it_is and isinstance(model, Latent) and not model.conditional:
        if of.spec.kind == "images":
            tiles = manifold(model, of.v, SIDE)
            drawn.append(grid(tiles, columns=SIDE, title="what the decoder makes of the plane", scale=_scale(tiles)))
        elif of.spec.shape == (2,) and of.spec.kind == "points":
            drawn.append(_bent(of))
    return stack(drawn)


def _scale(tiles: Tensor) -> int:
    return 1 if tiles.shape[-1] > 20 else 4


@torch.no_grad()
def manifold(model: Model, codes: Numbers, side: int) -> Tensor:
    """What a grid of a code of two numbers decodes to, (side * side, *shape); the second number is largest first.

    Arguments:
        codes: of items, shape (N, 2), whose quantiles are taken where the prior is not a standard normal.
    """
    across, up = _ticks(model, codes, side)
    z = torch.cartesian_prod(up.flip(0), across).flip(1)
    assert isinstance(model, Latent)
    return model.decode(z.to(model.device, model.door.precision.dtype)).cpu()


def _ticks(model: Model, codes: Numbers, side: int) -> tuple[Tensor, Tensor]:
    """The values of both numbers of the code that are decoded."""
    at = torch.linspace(EDGE, 1 - EDGE, side, dtype=torch.float64)
    if isinstance(model, Bounded):
        normal = torch.special.ndtri(at)
        return normal, normal
    low, high = np.quantile(codes, [EDGE, 1 - EDGE], axis=0)
    across, up = torch.from_numpy(np.linspace(low, high, side)).unbind(1)
    return across, up


def _bent(of: Vectors) -> Image:
    """The grid of the code as the decoder bends it, over the data."""
    from ..pictures import paths

    assert of.model is not None
    fine = manifold(of.model, of.v, FINE * (SIDE - 1) + 1).unflatten(0, (-1, FINE * (SIDE - 1) + 1))
    lines = torch.cat([fine[::FINE], fine[:, ::FINE].transpose(0, 1)])
    return paths({"what the decoder makes of the plane": lines}, of.x, every=FINE)
