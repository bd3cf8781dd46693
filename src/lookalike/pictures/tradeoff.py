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

Measured = Mapping[str, Sequence[tuple[float, float]]]
"""A measure's values along the curve, each with its standard error."""


def tradeoff(name: str, at: Sequence[float], measured: Measured, *, data: str = "") -> Image.Image:
    """The curve of fidelity against diversity, and beside it each measure over what moves them.

    Arguments:
        name: of what moves them, "truncation" or "temperature".
        at: its values, rising.
        measured: precision, recall, density and coverage at these.
        data: what real items they are of.
    """
    figure, (curve, over) = figure_of(1, 2, 5.0, 4.2)
    for (diversity, fidelity), colour in PAIRS.items():
        x, y = (np.array([value for value, _ in measured[of]]) for of in (diversity, fidelity))
        curve.plot(x, y, color=colour, linewidth=1.6, marker="o", markersize=4, label=f"{fidelity} over {diversity}")
        _annotate(curve, x, y, at, colour)
    curve.axhline(1, color=FAINT, linewidth=1, zorder=0)
    top = max(1.0, max(value for value, _ in measured["density"]))
    curve.set(xlim=(-0.03, 1.03), ylim=(-0.03 * top, 1.08 * top))
    curve.set(xlabel="diversity: recall, coverage (share of real items)", ylabel="fidelity: precision, density")
    curve.set_title(f"numbers at the dots: {name}", fontsize=9, color=DATA, loc="right")
    for (diversity, fidelity), colour in PAIRS.items():
        _over(over, at, measured[fidelity], colour, "-", fidelity)
        _over(over, at, measured[diversity], colour, "--", diversity)
    unit = " (deviations of the prior)" if name == "truncation" else ""
    over.set(xlabel=f"{name}{unit}", ylabel="", ylim=(-0.03 * top, 1.08 * top))
    over.set_title(data, fontsize=9, color=DATA, loc="right")
    for ax in (curve, over):
        ax.grid(color=FAINT, linewidth=0.5, alpha=0.6)
        ax.set_axisbelow(True)
        ax.legend(frameon=False, fontsize=8, labelcolor=INK, loc="best")
    return picture_of(figure)


def _annotate(ax: Axes, x: Numbers, y: Numbers, at: Sequence[float], colour: str) -> None:
    """The values at the dots that are far enough from the last that was given one."""
    last = None
    for i, value in enumerate(at):
        here = np.array([x[i], y[i]])
        if last is None or i == len(at) - 1 or np.abs(here - last).max() > 0.09:
            ax.annotate(
                f"{value:g}",
                (x[i], y[i]),
                xytext=(5, 5),
                textcoords="offset points",
                fontsize=8,
                color=colour,
                clip_on=False,
            )
            last = here


def _over(
    ax: Axes, at: Sequence[float], values: Sequence[tuple[float, float]], colour: str, style: str, label: str
) -> None:
    mean, error = (np.array(part) for part in zip(*values, strict=True))
    ax.fill_between(at, mean - error, mean + error, color=colour, alpha=0.15, linewidth=0)
    ax.plot(at, mean, color=colour, linewidth=1.6, linestyle=style, marker="o", markersize=3, label=label)
