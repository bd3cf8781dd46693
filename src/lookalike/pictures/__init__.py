"""Pictures of items of any kind: images in grids, points on their density, columns of a table.

show(spec, x, real)       what a model makes, beside data
compare(spec, x, x_hat)   data, and what a model made of it
"""

from __future__ import annotations

from PIL.Image import Image
from torch import Tensor

from ..spec import Spec
from .columns import agreement, marginals
from .curves import curves
from .images import grid, pairs, stack, to_bytes
from .plane import LogDensity, moves, paths, points

__all__ = [
    "agreement",
    "compare",
    "curves",
    "grid",
    "in_plane",
    "marginals",
    "moves",
    "pairs",
    "paths",
    "points",
    "show",
    "stack",
    "to_bytes",
]


def in_plane(spec: Spec) -> bool:
    """Whether the items are points that can be drawn where they are."""
    return spec.kind == "points" and spec.shape == (2,)


def show(spec: Spec, x: Tensor, real: Tensor | None = None, log_density: LogDensity | None = None) -> Image:
    """Items of any kind as one picture.

    Arguments:
        spec: of the items.
        x: made by a model, in the user's units, shape (N, *spec.shape).
        real: data to draw it beside, likewise; images are drawn alone.
        log_density: of points in the plane, x (B, 2) -> (B,) nats, drawn as a map.
    """
    if spec.kind == "images":
        return grid(x)
    if in_plane(spec):
        return points(x, real, log_density, names=[column.name for column in spec.columns])
    return marginals(spec, x, real)


def compare(spec: Spec, x: Tensor, x_hat: Tensor) -> Image:
    """Items and their reconstructions, both shape (N, *spec.shape), as one picture."""
    if spec.kind == "images":
        return pairs(x, x_hat)
    if in_plane(spec):
        return moves(x, x_hat, names=[column.name for column in spec.columns])
    return agreement(spec, x, x_hat)
