"""Points in the plane: over data, on their density, moved by a model, or on a path."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .chart import DATA, FAINT, INK, MODEL, OTHER, figure_of, legend, picture_of, to_numpy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LogDensity = Callable[[Tensor], Tensor]
Frame = tuple[tuple[float, float], tuple[float, float]]

MOST_POINTS = 4000
"""Points of a cloud that are drawn."""


def points(
    x: Tensor | None,
    real: Tensor | None = None,
    log_density: LogDensity | None = None,
    *,
    names: Sequence[str] = ("", ""),
) -> Image.Image:
    """Points over data, and beside them the density as a map.

    Arguments:
        x: made by a model, shape (N, 2); None for data alone.
        real: data, shape (M, 2).
        log_density: x (B, 2) -> (B,) nats.
        names: of the two axes.
    """
    framed = x if real is None else real
    assert framed is not None
    frame = _frame(framed)
    figure, axes = figure_of(1, 1 if log_density is None else 2, 4.6, 4.4)
    (x0, x1), (y0, y1) = frame
    if real is not None:
        _scatter(axes[0], real, DATA, f"data ({len(real):,})", alpha=0.6)
    if x is not None:
        at = to_numpy(x)
        outside = int((~((at[:, 0] >= x0) & (at[:, 0] <= x1) & (at[:, 1] >= y0) & (at[:, 1] <= y1))).sum())
        told = f"samples ({len(x):,}" + (f", {outside:,} outside)" if outside else ")")
        _scatter(axes[0], x, MODEL, told, alpha=0.7)
    legend(axes[0])
    if log_density is not None:
        _density(axes[1], frame, log_density)
    for ax in axes:
        _plane(ax, frame, names)
    return picture_of(figure)


def moves(x: Tensor, x_hat: Tensor, *, names: Sequence[str] = ("", "")) -> Image.Image:
    """Points x, each with a line to its reconstruction x_hat; both shape (N, 2)."""
    from matplotlib.collections import LineCollection

    figure, (ax,) = figure_of(1, 1, 4.6, 4.4)
    ends = np.stack([to_numpy(x), to_numpy(x_hat)], axis=1)[:MOST_POINTS]
    ax.add_collection(LineCollection(list(ends), colors=FAINT, linewidths=0.8, zorder=1))
    _scatter(ax, x, DATA, "data")
    _scatter(ax, x_hat, MODEL, "reconstruction")
    legend(ax)
    _plane(ax, _frame(torch.cat([x.cpu(), x_hat.cpu().to(x.dtype)])), names)
    return picture_of(figure)


def paths(
    ways: Mapping[str, Tensor], real: Tensor | None = None, *, every: int = 1, names: Sequence[str] = ("", "")
) -> Image.Image:
    """Paths in the plane over data, a panel for each way of going.

    Arguments:
        ways: title -> paths, shape (P, T, 2).
        real: data, shape (M, 2).
        every: of so many points on a path one is marked.
    """
    everything = torch.cat([way.flatten(0, 1).cpu() for way in ways.values()])
    frame = _frame(everything if real is None else torch.cat([everything, real.cpu().to(everything)]))
    figure, axes = figure_of(1, len(ways), 4.6, 4.4)
    for ax, (title, way) in zip(axes, ways.items(), strict=True):
        if real is not None:
            _scatter(ax, real, FAINT, "data")
        for path in to_numpy(way):
            ax.plot(*path.T, color=MODEL, linewidth=1.2, marker="o", markersize=3.5, markevery=every, alpha=0.8)
            ax.plot(*path[[0, -1]].T, "o", color=OTHER, markersize=5, zorder=3)
        ax.set_title(title, fontsize=10, color=INK, loc="left")
        _plane(ax, frame, names)
    return picture_of(figure)


def clouds(made: Mapping[str, Tensor], real: Tensor) -> Image.Image:
    """Points over data, a small panel for each title.

    Arguments:
        made: title -> points, shape (N, 2).
        real: data, shape (M, 2).
    """
    columns = min(5, len(made))
    figure, axes = figure_of(math.ceil(len(made) / columns), columns, 2.22, 2.4, count=len(made))
    for ax, (title, x) in zip(axes, made.items(), strict=True):
        _scatter(ax, real, FAINT, "data")
        _scatter(ax, x, MODEL, "samples", alpha=0.7)
        _plane(ax, _frame(real), ("", ""))
        ax.tick_params(labelbottom=False, labelleft=False)
        ax.set_title(title, fontsize=9, color=INK, loc="left")
    return picture_of(figure)


def _density(ax: Axes, frame: Frame, log_density: LogDensity) -> None:
    side = 160
    across, up = (torch.linspace(*ends, side + 1, dtype=torch.float64) for ends in frame)
    centres = torch.cartesian_prod((up[1:] + up[:-1]) / 2, (across[1:] + across[:-1]) / 2).flip(1)
    with torch.no_grad():
        log_p = torch.cat([log_density(part).detach().cpu().double() for part in centres.split(8192)])
    p = log_p.clamp(max=300).exp().nan_to_num(0.0).view(side, side).numpy()
    # The square root shows thin tails beside high peaks; the very highest pixels may not darken the rest.
    top = float(np.quantile(p[p > 0.01 * p.max()], 0.98)) if p.max() > 0 else 1.0
    ax.imshow(
        np.sqrt(np.minimum(p / top, 1)),
        extent=(*frame[0], *frame[1]),
        origin="lower",
        cmap="magma",
        aspect="auto",
        interpolation="bilinear",
    )
    ax.set_title("density", fontsize=10, color=INK, loc="left")


def _frame(x: Tensor) -> Frame:
    """Limits of both axes: those of the points with a margin, of equal length where that is no great change."""
    low, high = x.double().nan_to_num(0.0).cpu().quantile(torch.tensor([0.002, 0.998]).double(), dim=0).tolist()
    middle = [(a + b) / 2 for a, b in zip(low, high, strict=True)]
    half = [max(0.62 * (b - a), 1e-6) for a, b in zip(low, high, strict=True)]
    if max(half) < 3 * min(half):
        half = [max(half)] * 2
    (x0, x1), (y0, y1) = ((m - h, m + h) for m, h in zip(middle, half, strict=True))
    return (x0, x1), (y0, y1)


def _scatter(ax: Axes, x: Tensor, colour: str, label: str, alpha: float = 0.6) -> None:
    at = to_numpy(x)[:MOST_POINTS]
    size = float(np.clip(6000 / len(at), 3, 14))
    ax.scatter(at[:, 0], at[:, 1], size, color=colour, alpha=alpha, linewidths=0, label=label)


def _plane(ax: Axes, frame: Frame, names: Sequence[str]) -> None:
    ax.set(xlim=frame[0], ylim=frame[1], xlabel=names[0], ylabel=names[1])
    ax.set_box_aspect(1)
