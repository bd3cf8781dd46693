"""Items as places in the plane, in the colours of their groups, or as the pictures they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from .chart import FAINT, INK, MODEL, Numbers, figure_of, picture_of, short
from .images import to_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# fmt: off
GROUPS = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00",
    "#56b4e9", "#7f4f24", "#8c5fbf", "#b5bd00", "#17888f",
    "#44546a", "#f28e8e", "#5f9e3a", "#a05195", "#c9a227",
    "#2f4b7c", "#99c9a5", "#ff7c43", "#6b705c", "#b56576",
)
# fmt: on
"""Colours of groups, in turn; those of Okabe and Ito first."""

NAMED = 20
"""Groups that are told apart in a legend."""

SIDE = 672
"""Pixels of a plane of pictures."""


def colour(group: int) -> str:
    return GROUPS[group % len(GROUPS)]


def scatter(
    ax: Axes, at: Numbers, groups: NDArray[np.int64] | None = None, *, names: Sequence[str] = (), title: str = ""
) -> None:
    """Places (N, 2) as dots in the colours of their groups; a group below 0 is faint and comes first."""
    style: dict[str, Any] = {"linewidths": 0, "alpha": 0.7}
    size = float(np.clip(6000 / max(1, len(at)), 3, 16))
    if groups is None:
        ax.scatter(at[:, 0], at[:, 1], size, color=MODEL, **style)
    for group in [] if groups is None else np.unique(groups).tolist():
        mine = at[groups == group]
        ax.scatter(mine[:, 0], mine[:, 1], size, color=FAINT if group < 0 else colour(group), **style)
    if groups is not None and names and len(names) <= NAMED:
        from matplotlib.lines import Line2D

        dots = [Line2D([], [], marker="o", linestyle="", color=colour(i), markersize=4) for i in range(len(names))]
        words = [short(name, 14) for name in names]
        where: dict[str, Any] = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5), "handletextpad": 0.1}
        ax.legend(dots, words, frameon=False, fontsize=8, labelcolor=INK, **where)
    ax.set_title(title, fontsize=10, color=INK, loc="left")


def plane(
    at: Numbers,
    groups: NDArray[np.int64] | None = None,
    *,
    names: Sequence[str] = (),
    axes: Sequence[str] = ("", ""),
    title: str = "",
) -> Image.Image:
    """Places in the plane, (N, 2), in the colours of their groups, (N,), named in a legend."""
    figure, (ax,) = figure_of(1, 1, 5.4, 4.6)
    scatter(ax, at, groups, names=names, title=title)
    ax.set(xlabel=axes[0], ylabel=axes[1])
    return picture_of(figure)


def thumbnails(at: Numbers, x: Tensor, groups: NDArray[np.int64] | None = None) -> Image.Image:
    """The plane with pictures where they belong: in each cell that holds some, the one nearest to its middle.

    Arguments:
        at: places, shape (N, 2).
        x: images in [0, 1], shape (N, C, H, W).
        groups: shape (N,); a picture is framed in the colour of its group.
    """
    H, W = x.shape[2:]
    longest = min(max(H, W), 64) if max(H, W) > 14 else 2 * max(H, W)
    cells = max(4, SIDE // (longest + 3))
    low, high = np.quantile(at, 0.005, axis=0), np.quantile(at, 0.995, axis=0)
    place = (at - low) / np.maximum(high - low, 1e-12) * cells
    cell = np.floor(place).astype(int)
    inside = ((cell >= 0) & (cell < cells)).all(1)
    far = np.abs(place - cell - 0.5).max(1)
    best: dict[tuple[int, int], int] = {}
    for i in np.flatnonzero(inside)[np.argsort(far[inside], kind="stable")].tolist():
        best.setdefault((int(cell[i, 0]), int(cell[i, 1])), i)
    step = SIDE // cells
    picture = Image.new("RGB", (step * cells, step * cells), "white")
    pen = ImageDraw.Draw(picture)
    chosen = list(best.values())
    for ((column, row), i), pixels in zip(best.items(), to_bytes(x[chosen]), strict=True):
        tile = Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels).convert("RGB")
        tile.thumbnail((step - 3, step - 3)) if max(H, W) >= step - 3 else None
        if max(tile.size) < step - 3:
            tile = tile.resize(
                (step - 3, round((step - 3) * H / W)) if W >= H else (round((step - 3) * W / H), step - 3)
            )
        left, top = column * step, (cells - 1 - row) * step
        picture.paste(tile, (left + 1, top + 1))
        if groups is not None:
            pen.rectangle((left, top, left + tile.width + 1, top + tile.height + 1), outline=colour(int(groups[i])))
    return picture
