"""What all charts share: colours, plain axes, figures of their own.

Data is grey and what a model made is blue: Okabe and Ito's blue and vermilion and a grey between them in
lightness are told apart by every eye, and in print. No global state of Matplotlib is touched.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, FAINT = "#24292f", "#d0d7de"
DATA, MODEL, OTHER = "#8c959f", "#0072b2", "#d55e00"

PAGE_INK = "#123456"
"""Stands for the text colour of the page that a drawing stands in, which Matplotlib cannot name."""

Numbers = NDArray[np.float64]


def figure_of(
    rows: int, columns: int, width: float, height: float, *, count: int | None = None, ink: str = INK
) -> tuple[Figure, list[Axes]]:
    """A figure of its own with panels in plain dress.

    Arguments:
        width, height: of one panel, in inches.
        count: of the panels that are used, if not all.
        ink: the colour of words.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * columns, height * rows), dpi=140, layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    used = axes[: count or len(axes)]
    for ax in axes[len(used) :]:
        ax.remove()
    for ax in used:
        ax.spines[["top", "right"]].set_visible(False)
        ax.spines[["left", "bottom"]].set_color(DATA)
        ax.tick_params(which="both", labelcolor=ink, labelsize=8, color=DATA, length=3)
        for axis in (ax.xaxis, ax.yaxis):
            axis.label.set(size=9, color=ink)
            axis.get_offset_text().set(size=8, color=ink)
    return figure, used


def legend(ax: Axes) -> None:
    """What the colours of a panel mean, above it."""
    from matplotlib.collections import PathCollection

    made = ax.legend(
        loc="lower left",
        bbox_to_anchor=(-0.02, 1),
        ncols=2,
        frameon=False,
        fontsize=9,
        labelcolor=INK,
        handletextpad=0.1,
        columnspacing=1.2,
    )
    for handle in made.legend_handles:
        if isinstance(handle, PathCollection):
            handle.set(alpha=1, sizes=[24])


def picture_of(figure: Figure) -> Image.Image:
    """A figure as it is drawn, in pixels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def svg(figure: Figure) -> str:
    """The figure as an element to stand in a page: text as text, no ids to clash, nothing from outside."""
    import matplotlib as mpl

    drawn = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "lookalike", "path.simplify": True}):
        figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = drawn.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.S)
    used = set(re.findall(r'(?:url\(|href=")#([\w-]+)', svg))
    svg = re.sub(r' id="([\w-]+)"', lambda found: found[0] if found[1] in used else "", svg)
    svg = re.sub(r' d="[^"]*"', lambda path: re.sub(r"(\.\d)\d+", r"\1", path[0]), svg)
    svg = svg.replace(PAGE_INK, "currentColor").replace(MODEL, f"var(--model, {MODEL})")
    return re.sub(r"\s*\n\s*", "\n", svg)


def to_numpy(x: Tensor) -> Numbers:
    """float64, on the CPU, without gradients."""
    return x.detach().cpu().double().numpy()


def short(words: str, most: int) -> str:
    """Words cut to at most so many characters."""
    return words if len(words) <= most else words[: most - 1] + "…"
