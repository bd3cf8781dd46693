"""Fidelity against diversity over truncation or temperature: the curve, the measures, and samples along it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from .chart import DATA, FAINT, INK, MODEL, OTHER, Numbers, figure_of, picture_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PAIRS = {("recall", "precision"): MODEL, ("coverage", "density"): OTHER}
"""Diversity and fidelity, and the colour of both."""

NEAR = 0.07
"""Of a panel's side: numbers nearer to each other than that would overlap."""

Measured = Mapping[str, Sequence[tuple[float, float]]]
"""A measure's values along the curve, each with its standard error."""


def tradeoff(name: str, at: Sequence[float], measured: Measured, *, title: str = "") -> Image.Image:
    """Two curves of fidelity against diversity, and beside them each measure over what moves them.

    Arguments:
        name: of what moves them, "truncation" or "temperature".
        at: its values, rising.
        measured: precision, recall, density and coverage at these.
        title: what they were measured on.
    """
    figure, (*curves, over) = figure_of(1, 3, 3.7, 3.6)
    figure.suptitle(title, x=0.01, ha="left", fontsize=9, color=DATA)
    for ax, ((diversity, fidelity), colour) in zip(curves, PAIRS.items(), strict=True):
        x, y = (np.array([value for value, _ in measured[of]]) for of in (diversity, fidelity))
        ax.plot(x, y, color=colour, linewidth=1.6, marker="o", markersize=4)
        ax.set(xlim=(-0.04, 1.04), ylim=_limits(y), xlabel=f"{diversity} (share of real items)")
        ax.set_title(f"{fidelity} over {diversity}", fontsize=10, color=INK, loc="left")
        _annotate(ax, x, y, at, colour)
        _over(over, at, measured[fidelity], colour, "-", fidelity)
        _over(over, at, measured[diversity], colour, "--", diversity)
    curves[0].set_ylabel("precision (share of samples)")
    curves[1].set_ylabel("density (1 for the truth)")
    over.set(xlabel=f"{name} (deviations of the prior)" if name == "truncation" else name)
    over.set_ylim(-0.04, max(1.04, 1.08 * max(value for value, _ in measured["density"])))
    over.set_title(f"all four over {name}", fontsize=10, color=INK, loc="left")
    over.legend(frameon=False, fontsize=8, labelcolor=INK, loc="best")
    for ax in (*curves, over):
        ax.grid(color=FAINT, linewidth=0.5, alpha=0.6)
        ax.set_axisbelow(True)
    return picture_of(figure)


def _limits(y: Numbers) -> tuple[float, float]:
    """Of an axis that shows a fidelity: as much as it varies, but no less than a tenth of it, and 1 with it."""
    low, high = min(y.min(), 1.0), max(y.max(), 1.0)
    room = 0.1 * max(high - low, 0.1 * high)
    return low - room, high + 1.5 * room


def _annotate(ax: Axes, x: Numbers, y: Numbers, at: Sequence[float], colour: str) -> None:
    """The values at the dots, the first and the last before those between, where there is room."""
    low, high = ax.get_ylim()
    places = np.stack([x, (y - low) / (high - low)], axis=1)
    taken: list[int] = []
    for i in (0, len(at) - 1, *range(1, len(at) - 1)):
        if all(np.abs(places[i] - places[j]).max() > NEAR for j in taken):
            ax.annotate(f"{at[i]:g}", (x[i], y[i]), xytext=(5, 5), textcoords="offset points", fontsize=8, color=colour)
            taken.append(i)


def _over(
    ax: Axes, at: Sequence[float], values: Sequence[tuple[float, float]], colour: str, style: str, label: str
) -> None:
    mean, error = (np.array(part) for part in zip(*values, strict=True))
    ax.fill_between(at, mean - error, mean + error, color=colour, alpha=0.15, linewidth=0)
    ax.plot(at, mean, color=colour, linewidth=1.6, linestyle=style, marker="o", markersize=3, label=label)
