"""Figures about codes: error against their size, and what can be read off them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from .chart import DATA, FAINT, INK, MODEL, OTHER, figure_of, picture_of

Spread = tuple[float, float]
"""A figure and its standard error."""


def sizes(curves: Mapping[str, Mapping[int, Spread]], name: str, title: str = "") -> Image.Image:
    """Curves of an error over the size of a code, both on logarithmic axes.

    Arguments:
        curves: by name, the error and its standard error by size; the first is a model's, the second a baseline's.
        name: of the error.
    """
    from matplotlib.ticker import LogLocator, NullLocator

    figure, (ax,) = figure_of(1, 1, 5.2, 3.9)
    ticks = sorted({size for curve in curves.values() for size in curve})
    for (label, curve), colour in zip(curves.items(), (MODEL, DATA, OTHER), strict=False):
        at, values = list(curve), np.array(list(curve.values()))
        ax.fill_between(at, *(values[:, 0] + s * values[:, 1] for s in (-1, 1)), color=colour, alpha=0.15, linewidth=0)
        ax.plot(at, values[:, 0], color=colour, linewidth=1.6, marker="o", markersize=4, label=label)
    ax.set(xscale="log", yscale="log", xlabel="numbers in the code", ylabel=name)
    ax.set_xticks(ticks, [str(size) for size in ticks])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_locator(NullLocator())
    ax.grid(color=FAINT, linewidth=0.5, alpha=0.6)
    ax.legend(frameon=False, fontsize=9, labelcolor=INK)
    ax.set_title(title, fontsize=10, color=INK, loc="left")
    return picture_of(figure)


def accuracies(groups: Mapping[str, Sequence[Spread]], judges: Sequence[str], title: str = "") -> Image.Image:
    """Bars of accuracy with their standard errors, a group of them for each thing that was judged.

    Arguments:
        groups: by what was judged, an accuracy of each judge.
    """
    figure, (ax,) = figure_of(1, 1, 5.6, 3.4)
    width = 0.8 / len(judges)
    for j, (judge, colour) in enumerate(zip(judges, (MODEL, OTHER, DATA), strict=False)):
        at = np.arange(len(groups)) + (j - (len(judges) - 1) / 2) * width
        values = np.array([spread[j] for spread in groups.values()])
        ax.bar(at, values[:, 0], 0.92 * width, yerr=values[:, 1], color=colour, label=judge, error_kw={"lw": 1})
        for x, (value, error) in zip(at, values, strict=True):
            ax.text(x, value + error + 0.01, f"{value:.1%}", ha="center", fontsize=8, color=INK)
    ax.set_xticks(range(len(groups)), list(groups))
    ax.set(ylim=(0, 1.12), ylabel="accuracy")
    ax.legend(frameon=False, fontsize=9, labelcolor=INK, ncols=len(judges), loc="lower left", bbox_to_anchor=(0, 1))
    ax.set_title(title, fontsize=10, color=INK, loc="left", pad=24)
    return picture_of(figure)
