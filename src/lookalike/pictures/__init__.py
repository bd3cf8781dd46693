"""Pictures of items of any kind: images in grids, points on their density, columns of a table.

show(spec, x, real)       what a model makes, beside data
compare(spec, x, x_hat)   data, and what a model made of it
"""

from __future__ import annotations

import importlib

from PIL.Image import Image
from torch import Tensor

from ..spec import Spec
from .columns import agreement, marginals
from .curves import curves
from .images import grid, pairs, stack, to_bytes
from .plane import LogDensity, moves, paths, points
from .repairs import repairs

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
    "ready",
    "repairs",
    "show",
    "stack",
    "to_bytes",
]


def in_plane(spec: Spec) -> bool:
    """Whether the items are points that can be drawn where they are."""
    return spec.kind == "points" and spec.shape == (2,)


def ready(spec: Spec) -> None:
    """Import what drawing such items takes: a second that is not the first picture's."""
    if spec.kind != "images":
        importlib.import_module("matplotlib.backends.backend_agg")


def show(spec: Spec, x: Tensor | None, real: Tensor | None = None, log_density: LogDensity | None = None) -> Image:
    """Items of any kind as one picture: made by a model, data, or the one beside the other.

    Arguments:
        spec: of the items.
        x: made by a model, in the user's units, shape (N, *spec.shape); None for data alone.
        real: data, likewise; images made by a model are drawn alone.
        log_density: of points in the plane, x (B, 2) -> (B,) nats, drawn as a map.
    """
    if spec.kind == "images":
        shown = real if x is None else x
        assert shown is not None
        return grid(shown)
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
