"""Several models side by side: their figures with the spread over seeds, their trainings, and what they make."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..spec import Spec
from .chart import DATA, INK, MODEL, PAGE_INK, figure_of, picture_of, svg
from .columns import beside
from .images import TILE, grid
from .plane import clouds

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6bb1", "#999933")
"""Okabe and Ito's, which every eye tells apart, and two more."""

ACROSS = 3
FAR = 50
"""A ratio from which on an axis is logarithmic."""
WIDE = 1000
"""Pixels that a row of images fills at the most."""


class Dots(NamedTuple):
    """A figure of one model.

    Arguments:
        values: by seed, finite.
        spread: half the length of the bar around their mean.
        bound: whether it is one, so that what it bounds is smaller.
        best: whether it is the best, or ties with it.
    """

    values: tuple[float, ...]
    spread: float
    bound: bool = False
    best: bool = False


class Panel(NamedTuple):
    """A figure of all models that have it.

    Arguments:
        title: of it. says: which way is better, below.
        dots: by model.
        line: a value to hold them against, if there is one.
        far: whether values that lie far apart are drawn on a logarithmic axis.
    """

    title: str
    says: str
    dots: Mapping[str, Dots]
    line: float | None = None
    far: bool = True


class Race(NamedTuple):
    """A curve of each training of each model.

    Arguments:
        title: what it shows.
        curves: by model, of each seed the points (time, value).
        dashed: models whose values are bounds.
    """

    title: str
    curves: Mapping[str, Sequence[Sequence[tuple[float, float]]]]
    dashed: frozenset[str] = frozenset()


def spreads(names: Sequence[str], panels: Sequence[Panel]) -> str:
    """A panel for each figure and a line for each model: its seeds as dots, mean and spread, as an SVG element."""
    return svg(_spreads(names, panels, PAGE_INK))


def spreads_picture(names: Sequence[str], panels: Sequence[Panel]) -> Image.Image:
    """The same in pixels."""
    return picture_of(_spreads(names, panels, INK))


def _spreads(names: Sequence[str], panels: Sequence[Panel], ink: str) -> Figure:
    across = min(ACROSS, len(panels))
    down = math.ceil(len(panels) / across)
    figure, axes = figure_of(down, across, 3.6, 0.75 + 0.24 * len(names), count=len(panels), ink=ink)
    for i, (ax, panel) in enumerate(zip(axes, panels, strict=True)):
        for row, name in enumerate(names):
            if name in panel.dots:
                _dots(ax, row, panel.dots[name])
        if panel.line is not None:
            ax.axvline(panel.line, color=DATA, linewidth=1, linestyle=":", zorder=1)
        ax.set(ylim=(len(names) - 0.4, -0.6), xlabel=panel.says)
        ax.set_yticks(range(len(names)), names if i % across == 0 else [""] * len(names))
        ax.tick_params(axis="y", length=0, labelsize=9)
        ax.grid(axis="both", color=DATA, alpha=0.2, linewidth=0.6)
        ax.set_title(panel.title, fontsize=10, color=ink, loc="left")
        _scale(ax, panel)
    return figure


def _dots(ax: Axes, row: int, dots: Dots) -> None:
    colour = MODEL if dots.best else DATA
    mean = float(np.mean(dots.values))
    ax.plot([mean - dots.spread, mean + dots.spread], [row, row], color=colour, linewidth=2.2, alpha=0.55, zorder=2)
    ax.plot(dots.values, [row] * len(dots.values), "o", color=colour, markersize=3, alpha=0.75, zorder=3)
    filled = "none" if dots.bound else colour
    marker = "<" if dots.bound else "o"
    ax.plot([mean], [row], marker, color=colour, markerfacecolor=filled, markersize=8 if dots.bound else 6.5, zorder=4)


def _scale(ax: Axes, panel: Panel) -> None:
    from matplotlib.ticker import EngFormatter, MaxNLocator

    values = [v for dots in panel.dots.values() for v in dots.values] + ([panel.line] if panel.line else [])
    if panel.far and min(values) > 0 and max(values) > FAR * min(values):
        ax.set_xscale("log")
        return
    if max(values) == min(values):
        ax.set_xlim(values[0] - 1, values[0] + 1)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    if max(values) >= 1e4:
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))


def race(panels: Sequence[Race], over: str) -> str:
    """Curves of trainings, a colour for each model and a line for each seed, as an SVG element.

    Arguments:
        over: what the first of each pair is.
    """
    across = min(ACROSS, len(panels))
    down = math.ceil(len(panels) / across)
    names = list(dict.fromkeys(name for panel in panels for name in panel.curves))
    colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}
    figure, axes = figure_of(down, across, 10.8 / across, 2.9, count=len(panels), ink=PAGE_INK)
    for ax, panel in zip(axes, panels, strict=True):
        for name, seeds in panel.curves.items():
            for points in seeds:
                at = np.array([p for p in points if math.isfinite(p[1])], dtype=float).reshape(-1, 2)
                style = "--" if name in panel.dashed else "-"
                marker = "o" if len(at) < 25 else None
                ax.plot(at[:, 0], at[:, 1], style, color=colours[name], linewidth=1.3, marker=marker, markersize=2.5)
        _limit(ax, panel)
        ax.set_title(panel.title, fontsize=10, color=PAGE_INK, loc="left")
        ax.set_xlabel(over)
        ax.grid(axis="y", color=DATA, alpha=0.25, linewidth=0.6)
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=colours[name], label=name) for name in names]
    where: Any = "outside upper left"
    figure.legend(handles=handles, loc=where, ncols=8, frameon=False, fontsize=9, labelcolor=PAGE_INK)
    return svg(figure)


def _limit(ax: Axes, panel: Race) -> None:
    """A logarithmic axis for what falls by powers of ten, else one that the first values do not stretch."""
    values = np.array([v for seeds in panel.curves.values() for points in seeds for _, v in points], dtype=float)
    values = values[np.isfinite(values)]
    if not len(values):
        return
    low, high = float(values.min()), float(np.quantile(values, 0.95))
    if low > 0 and high > FAR * low:
        ax.set_yscale("log")
    elif high > low:
        ax.set_ylim(low - 0.08 * (high - low), high + 0.15 * (high - low))


def side_by_side(spec: Spec, real: Tensor, made: Mapping[str, Tensor], *, of: str = "samples") -> Image.Image:
    """What several models made, each in a row or a panel of its own, with data.

    Arguments:
        real: data, shape (N, *spec.shape).
        made: by model, likewise.
        of: what it is, for the words above.
    """
    if spec.kind == "images":
        n = max(4, min(16, WIDE // max(TILE, spec.shape[-1])))
        rows = {"data": real, **made}
        n = min(n, *(len(x) for x in rows.values()))
        return grid(torch.cat([x[:n] for x in rows.values()]), columns=n, row_labels=list(rows))
    if spec.kind == "points" and spec.shape == (2,):
        return clouds(made, real)
    return beside(spec, made, real, of)
