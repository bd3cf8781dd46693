"""Rows as curves: what is a signal in time, a panel for each item and kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PIL import Image
from torch import Tensor

from .chart import DATA, INK, MODEL, OTHER, figure_of, picture_of, to_numpy

MOST = 4
"""Items that are drawn, one below the other."""


def signals(panels: Mapping[str, Sequence[tuple[str, Tensor]]]) -> Image.Image:
    """Curves of items, a column for each title, a row for each item.

    Arguments:
        panels: title -> curves of a panel, each its name and rows (N, D); the first is data, the second a model's.
    """
    n = min(MOST, *(len(rows) for curves in panels.values() for _, rows in curves))
    figure, axes = figure_of(n, len(panels), 3.4, 1.5)
    for i in range(n):
        for j, (title, curves) in enumerate(panels.items()):
            ax = axes[i * len(panels) + j]
            for (name, rows), colour in zip(curves, (DATA, MODEL, OTHER), strict=False):
                ax.plot(to_numpy(rows[i]), color=colour, linewidth=1.2, label=name)
            if i == 0:
                ax.set_title(title, fontsize=10, color=INK, loc="left")
                if len(curves) > 1:
                    ax.legend(frameon=False, fontsize=7, labelcolor=INK, ncols=len(curves), loc="upper right")
    return picture_of(figure)
