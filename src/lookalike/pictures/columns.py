"""Columns of a table, a small panel for each: as a model made them beside data, or before and after a model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from torch import Tensor

from ..spec import Column, Spec
from .chart import DATA, FAINT, INK, MODEL, Numbers, figure_of, picture_of, short, to_numpy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_COLUMNS = 12
"""Columns that are drawn; the picture says how many are left out."""


BESIDE = 5
"""Of these where several models are drawn."""


def marginals(spec: Spec, x: Tensor | None, real: Tensor | None = None) -> Image.Image:
    """Each column on its own: a histogram of numbers, bars of categories, data behind what a model made.

    Arguments:
        spec: of a table or of points.
        x: made by a model, shape (N, D); None for data alone.
        real: data, shape (M, D).
    """
    figure, axes = _panels(spec, "" if x is None else "samples", "" if real is None else "data")
    for i, ax in enumerate(axes):
        column = spec.columns[i]
        fake, data = (None if rows is None else to_numpy(rows)[:, i] for rows in (x, real))
        (_bars if column.categories else _histogram)(ax, column, fake, data)
    return picture_of(figure)


def beside(spec: Spec, made: Mapping[str, Tensor], real: Tensor, of: str = "samples") -> Image.Image:
    """The first columns as several models made them, beside data: a row of panels for each model.

    Arguments:
        made: title -> rows, shape (N, D).
        real: data, shape (M, D).
        of: what was made, for the words above.
    """
    across = min(BESIDE, len(spec.columns))
    figure, axes = figure_of(len(made), across, 2.2, 1.25)
    left_out = len(spec.columns) - across
    _key(figure, "data", of, f"the first {across} of {len(spec.columns)} columns" if left_out else "")
    data = to_numpy(real)
    for i, ax in enumerate(axes):
        (row, column), names = divmod(i, across), list(made)
        (_bars if spec.columns[column].categories else _histogram)(
            ax, spec.columns[column], to_numpy(made[names[row]])[:, column], data[:, column]
        )
        ax.set_title(short(spec.columns[column].name, 24) if row == 0 else "", fontsize=9.5, color=INK, loc="left")
        ax.tick_params(labelbottom=row == len(made) - 1)
        if column == 0:
            ax.set_ylabel(names[row], rotation=0, ha="right", va="center", fontsize=10)
    return picture_of(figure)


def agreement(spec: Spec, x: Tensor, x_hat: Tensor) -> Image.Image:
    """Each column of the reconstruction x_hat against the data x, both shape (N, D).

    Numbers on the diagonal are as they were; of categories the share of rows is shown that keep theirs.
    """
    figure, axes = _panels(spec)
    for i, ax in enumerate(axes):
        column, before, after = spec.columns[i], to_numpy(x)[:, i], to_numpy(x_hat)[:, i]
        if column.categories:
            kept = [
                (after[before == k] == k).mean() if (before == k).any() else 0.0 for k in range(len(column.categories))
            ]
            _category_bars(ax, column, [(np.array(kept), MODEL, 0.8)])
            ax.set(ylim=(0, 1.05), ylabel="share kept")
            continue
        both = np.isfinite(before) & np.isfinite(after)
        low, high = _limits(before[both])
        ax.plot([low, high], [low, high], color=FAINT, linewidth=1, zorder=1)
        ax.scatter(before[both], after[both], 9, color=MODEL, alpha=0.5, linewidths=0)
        ax.set(xlim=(low, high), ylim=(low, high), xlabel="data", ylabel="reconstruction")
        for axis in (ax.xaxis, ax.yaxis):
            _ticks(axis, column)
    return picture_of(figure)


def _panels(spec: Spec, fake: str = "", real: str = "") -> tuple[Figure, list[Axes]]:
    """A panel for each column that is drawn, its name as the title, and a line on what the colours are."""
    drawn = min(len(spec.columns), MOST_COLUMNS)
    across = min(4, drawn)
    figure, axes = figure_of(math.ceil(drawn / across), across, 2.9, 2.2, count=drawn)
    for ax, column in zip(axes, spec.columns, strict=False):
        ax.set_title(short(column.name, 30), fontsize=9.5, color=INK, loc="left")
    left_out = len(spec.columns) - drawn
    _key(figure, real, fake, f"and {left_out} more columns" if left_out else "")
    return figure, axes


def _key(figure: Figure, real: str, fake: str, more: str) -> None:
    """What the colours are, and what else is to be said, above all panels."""
    from matplotlib.patches import Patch

    handles = [Patch(color=colour, label=name) for name, colour in ((real, DATA), (fake, MODEL)) if name]
    handles += [Patch(alpha=0, label=more)] if more else []
    if handles:
        figure.legend(handles=handles, loc="outside upper left", ncols=3, frameon=False, fontsize=9.5, labelcolor=INK)


def _histogram(ax: Axes, column: Column, fake: Numbers | None, real: Numbers | None) -> None:
    drawn = [(v[np.isfinite(v)], filled) for v, filled in ((real, True), (fake, False)) if v is not None]
    edges = _edges(drawn[0][0], column, min(len(values) for values, _ in drawn))
    low, high = float(edges[0]), float(edges[-1])
    for values, filled in drawn:
        if len(values):
            weights = np.full(len(values), 1 / len(values))
            style: dict[str, Any] = {"color": DATA, "alpha": 0.55} if filled else {"color": MODEL, "linewidth": 1.6}
            kind: Any = "stepfilled" if filled else "step"
            ax.hist(np.clip(values, low, high), list(edges), weights=weights, histtype=kind, **style)
    if column.missing:
        shares = [f"{np.isnan(values).mean():.0%}" for values in (real, fake) if values is not None]
        ax.set_title(ax.get_title(loc="left") + f"  missing {' / '.join(shares)}", fontsize=9.5, color=INK, loc="left")
    ax.set(yticks=[], xlim=(low, high))
    ax.spines["left"].set_visible(False)
    _ticks(ax.xaxis, column)


def _bars(ax: Axes, column: Column, fake: Numbers | None, real: Numbers | None) -> None:
    K = len(column.categories)
    shares = [
        (np.bincount(values[np.isfinite(values)].astype(int).clip(0, K - 1), minlength=K) / max(1, len(values)), c, a)
        for values, c, a in ((real, DATA, 0.55), (fake, MODEL, 0.9))
        if values is not None
    ]
    _category_bars(ax, column, shares)


def _category_bars(ax: Axes, column: Column, series: Sequence[tuple[Numbers, str, float]]) -> None:
    """Bars side by side for the most frequent categories, at most eight."""
    shown = np.argsort(-series[0][0], kind="stable")[:8]
    shown = np.sort(shown)
    width = 0.8 / len(series)
    for i, (heights, colour, alpha) in enumerate(series):
        ax.bar(
            np.arange(len(shown)) + (i - (len(series) - 1) / 2) * width,
            heights[shown],
            width,
            color=colour,
            alpha=alpha,
        )
    names = [short(column.categories[k] or "(missing)", 12) for k in shown]
    slanted = sum(map(len, names)) > 26
    ax.set_xticks(range(len(shown)), names, rotation=35 if slanted else 0, ha="right" if slanted else "center")
    left_out = len(column.categories) - len(shown)
    if left_out:
        ax.set_xlabel(f"and {left_out} more", fontsize=8, color=INK)


def _edges(values: Numbers, column: Column, fewest: int) -> Numbers:
    """Bins over the data, thirty unless there are few values; of numbers with few decimals all hold equally many."""
    low, high = _limits(values)
    unit = 10.0**-column.decimals if column.decimals is not None else 0.0
    width = (high - low) / min(30, max(5, math.isqrt(2 * fewest)))
    if unit > width / 10:
        width = unit * max(1, round(width / unit))
        low = (math.floor(low / unit) + 0.5) * unit
    return np.asarray(low + width * np.arange(math.ceil((high - low) / width) + 1), dtype=np.float64)


def _limits(values: Numbers) -> tuple[float, float]:
    low, high = (float(q) for q in np.quantile(values, [0.005, 0.995])) if len(values) else (0.0, 1.0)
    margin = 0.08 * (high - low) or 0.5
    return low - margin, high + margin


def _ticks(axis: Any, column: Column) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(4))
    if column.date_format:
        day = lambda seconds, _: np.datetime_as_string(np.datetime64(int(seconds), "s"), unit="M")  # noqa: E731
        axis.set_major_formatter(FuncFormatter(day))
